"""The same events inside Plaso; nothing else of the project imports Plaso."""
