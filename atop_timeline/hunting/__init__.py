"""Answers from a timeline: the command `atop-hunt`."""
