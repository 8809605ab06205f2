"""Parsers and formatters, found by their entry points: ours, and by the same door anybody's."""

from collections.abc import Collection, Iterator
from importlib.metadata import entry_points
from typing import Any, Protocol

from atop_timeline.blocks import Samples
from atop_timeline.events import Events, EventType
from atop_timeline.timeline import Sink, Timeline


class Parser(Protocol):
    """Makes events of one kind out of samples.

    What samples say by themselves, `parse` gives; what only all logs together say, `finish`.
    """

    name: str
    event_types: tuple[EventType, ...]
    staging: tuple[EventType, ...]
    """What `parse` yields for `finish` to read, and nobody else."""

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The events of some samples of one log; of types that are not wanted none need come."""
        ...

    def finish(self, timeline: Timeline) -> None:
        """Fills the timeline's tables from those of `staging`, in SQL."""
        ...


class Formatter(Protocol):
    """Writes a timeline for the tools that read one format."""

    name: str
    suffix: str
    description: str
    loses: str
    """What of an event does not come through, in one line."""

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events and gives their number."""
        ...


def parsers() -> dict[str, Parser]:
    """All parsers, by name and in the order of names."""
    found: dict[str, Parser] = _loaded("atop_timeline.parsers")
    return found


def formatters() -> dict[str, Formatter]:
    """All formatters, by name and in the order of names."""
    found: dict[str, Formatter] = _loaded("atop_timeline.formatters")
    return found


def _loaded(group: str) -> dict[str, Any]:
    found = sorted(entry_points(group=group), key=lambda each: each.name)
    return {each.name: each.load()() for each in found}
