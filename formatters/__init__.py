"""The formatters: one module per output format, each found by its entry point `atop_timeline.formatters`."""
