"""The parsers: one module per kind of event, each found by its entry point `atop_timeline.parsers`."""
