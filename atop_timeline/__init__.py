"""Forensic timelines from atop raw logs."""
