"""Forensic timelines from atop raw logs.

`extract` makes a timeline of evidence; `open_evidence` and `RawLog` are the steps on the way there.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atop_timeline.blocks import Samples
    from atop_timeline.errors import AtopTimelineError
    from atop_timeline.events import Event
    from atop_timeline.evidence import LogFile, open_evidence
    from atop_timeline.extraction import extract
    from atop_timeline.rawlog import RawLog
    from atop_timeline.timeline import Timeline

_HOMES = {
    "AtopTimelineError": "errors",
    "Event": "events",
    "LogFile": "evidence",
    "RawLog": "rawlog",
    "Samples": "blocks",
    "Timeline": "timeline",
    "extract": "extraction",
    "open_evidence": "evidence",
}

__all__ = [
    "AtopTimelineError",
    "Event",
    "LogFile",
    "RawLog",
    "Samples",
    "Timeline",
    "extract",
    "open_evidence",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  what TYPE_CHECKING says above
    """Imports when first asked for: the command's `--help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module  # noqa: PLC0415  likewise

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
