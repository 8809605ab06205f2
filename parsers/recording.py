"""The recording itself: what happened to the machine, to atop, to the clock, to process accounting, to the log.

What was tampered with shows here: each gap, each change of the clock, and what is missing, as an event at its time.
"""

from collections.abc import Collection, Iterator

from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.timeline import Timeline

from .conditions import CONDITIONS
from .incidents import BEGUN, BETWEEN, ENDED
from .jumps import WITHIN
from .runs import find_runs, forget_runs
from .telling import signs, union
from .traces import HEADER, TRACE, traces

_OWN = (
    Column("recording_event", Kind.TEXT, "", "what happened, in one of a few words: see the README"),
    Column("reason", Kind.TEXT, "", "why, or how it is known, in one of a few words"),
    Column("description", Kind.TEXT, "", "the same as a sentence"),
    Column("gap_seconds", Kind.INTEGER, "s", "how long nothing was recorded"),
    Column("gap_end", Kind.TEXT, "UTC", "when it was recorded again"),
    Column("missing_days", Kind.TEXT, "", "whole days in the gap: by the names of the logs, else in UTC"),
    Column("expected_interval", Kind.INTEGER, "s", "between samples, usually"),
    Column("clock_change_seconds", Kind.INTEGER, "s", "by how much the clock was set; negative: back"),
    Column("uptime_seconds", Kind.INTEGER, "s", "since the machine booted"),
    Column("changed_property", Kind.TEXT, "", "what of the machine or of atop is another than before"),
    Column("previous_value", Kind.TEXT, "", "of that, before"),
    Column("value", Kind.TEXT, "", "of that, from then on"),
    Column("skipped_exits", Kind.INTEGER, "", "exits that atop did not record, as they were too many"),
    Column("damage_offset", Kind.INTEGER, "byte", "where in the log a damaged place begins"),
    Column("damage_bytes", Kind.INTEGER, "byte", "its length"),
    Column("lost_samples", Kind.INTEGER, "", "about so many are missing"),
    Column("saved_parts", Kind.INTEGER, "", "samples of which a part was saved"),
)


def _type(name: str, timestamp_desc: str) -> EventType:
    return EventType(name, "linux:atop:recording", timestamp_desc, own=_OWN)


START = _type("recording_starts", "Start Time")
NOTE = _type("recording_notes", "Sample Time")
END = _type("recording_ends", "End Time")


class RecordingParser:
    """The recording; see the module."""

    name = "recording"
    default = True
    event_types = (START, END, NOTE)
    staging = (TRACE, HEADER)

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:  # noqa: ARG002  all need the same
        """What each sample tells."""
        yield from traces(samples)

    def finish(self, timeline: Timeline) -> None:
        """Makes runs of all samples, and events out of runs."""
        if find_runs(timeline, TRACE.name):
            seen = signs(timeline)
            for event_type, tellings in ((START, BEGUN), (END, ENDED), (NOTE, (*BETWEEN, *WITHIN, *CONDITIONS))):
                timeline.fill(event_type, union(event_type, tellings, seen))
            forget_runs(timeline)
