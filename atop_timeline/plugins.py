"""Parsers and formatters, found by their entry points: ours, and by the same door anybody's."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from typing import Any, Protocol

from atop_timeline.blocks import Samples
from atop_timeline.errors import UsageError
from atop_timeline.events import ACCURACY, PROVENANCE, Column, Events, EventType
from atop_timeline.timeline import Sink, Timeline


class Parser(Protocol):
    """Makes events of one kind out of samples.

    What samples say by themselves, `parse` gives; what only all logs together say, `finish`.
    """

    name: str
    default: bool
    """Whether it works where a user does not choose."""
    event_types: tuple[EventType, ...]
    staging: tuple[EventType, ...]
    """What `parse` yields for `finish` to read, and nobody else."""

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """The events of some samples of one log; of types that are not wanted none need come."""
        ...

    def finish(self, timeline: Timeline) -> None:
        """Fills the timeline's tables from those of `staging`, in SQL, maybe at the same time as other parsers do."""
        ...


class Formatter(Protocol):
    """Writes a timeline for the tools that read one format."""

    name: str
    suffix: str
    description: str
    loses: str
    """What of an event does not come through, in one line."""
    header_lines: int | None
    """How many lines stand before those of events, one each; None: the format is not one of lines."""

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events and gives their number."""
        ...


def parsers() -> dict[str, Parser]:
    """All parsers, by name and in the order of names."""
    found: dict[str, Parser] = _loaded("atop_timeline.parsers")
    return found


def event_types() -> list[EventType]:
    """All types of events, in the order in which those of the same time are shown."""
    return [each for parser in parsers().values() for each in parser.event_types]


def chosen(only: Collection[str] | None = None, more: Collection[str] = ()) -> set[str]:
    """The names of the event types that a user wants: `only` these types, or those that parsers of these names show.

    Else the default ones, those of `more` parsers, and of every parser if `more` has `all`. Raises `UsageError`
    where there is nothing of a name.
    """
    known = parsers()
    shown = {name: {each.name for each in parser.event_types if each.default} for name, parser in known.items()}
    types = {each.name: {each.name} for parser in known.values() for each in parser.event_types}
    if only is not None:
        return _looked_up(only, shown | types, "--only")
    default = {name for name, parser in known.items() if parser.default}
    every = {"all": {each for names in shown.values() for each in names}}
    return _looked_up(default, shown, "") | _looked_up(more, shown | every, "--parsers")


def _looked_up(wanted: Collection[str], known: Mapping[str, set[str]], option: str) -> set[str]:
    if not known.keys() >= set(wanted):
        raise UsageError(f"{option} {','.join(wanted)}: there are {', '.join(known)}")
    return {each for name in wanted for each in known[name]}


def attributes() -> Iterator[tuple[Column, list[str]]]:
    """Each column of events, and the names of the event types that have it; `all` of what every event has."""
    types = event_types()
    columns = {column.name: column for each in types for column in each.attributes}
    for name, column in columns.items():
        yield column, [each.name for each in types if name in {own.name for own in each.attributes}]
    for column in (*PROVENANCE, ACCURACY):
        yield column, ["all"]


def formatters() -> dict[str, Formatter]:
    """All formatters, by name and in the order of names."""
    found: dict[str, Formatter] = _loaded("atop_timeline.formatters")
    return found


def _loaded(group: str) -> dict[str, Any]:
    return {each.name: each.load()() for each in _entry_points(group)}


@cache  # every package that is installed has to be looked at
def _entry_points(group: str) -> list[EntryPoint]:
    found = sorted(entry_points(group=group), key=lambda each: each.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            raise UsageError(f"two plugins have the name {one.name}: {one.value} and {other.value}; uninstall one")
    return found
