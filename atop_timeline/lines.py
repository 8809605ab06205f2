"""Lines of text, put together from pieces, most of which are made once for many events.

The store makes each piece once for what it is made from; a line is then but a list of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import PROVENANCE
from atop_timeline.kept import Kept
from atop_timeline.logs import LOG_COLUMNS
from atop_timeline.portions import WINDOW_BYTES
from atop_timeline.store import Store, quoted

_LINES_TOGETHER = 2048  # mostly above a megabyte: then Python joins them without its lock (stringlib/join.h)
_MOST_APART = 16  # keys, on average, up to which a place for each of those between them is quicker than to sort
_SECONDS_BITS = 32
_MOMENT_BYTES = 200  # besides its origin

ACCURACY = """
CASE WHEN early_s IS NULL THEN 'not after'
     WHEN early_s = 0 AND late_s = 0 THEN 'second'
     WHEN late_s = 0 THEN 'up to ' || early_s || ' s late'
     ELSE 'within ' || greatest(early_s, late_s) || ' s' END
"""
"""The same as text: `time_accuracy`."""

_TOLD = r"CAST(nullif(regexp_extract(time_accuracy, '\d+'), '') AS BIGINT)"
EARLY = f"CASE time_accuracy WHEN 'not after' THEN NULL WHEN 'second' THEN 0 ELSE {_TOLD} END"
LATE = f"CASE WHEN time_accuracy LIKE 'within %' THEN {_TOLD} ELSE 0 END"
"""Seconds that have the same text."""


class Level(Enum):
    """What a piece of a line is made from, and so how often."""

    TIME = "`time_us`: once per time"
    ACCURACY = "`time_accuracy`: once per kind of it"
    ORIGIN = "the columns of `PROVENANCE`: once per sample"
    LOG = "the columns `LOG_COLUMNS`: with what is before it in its line, or behind it in the first"
    MOMENT = "all of these: once for events that follow each other and have them in common"
    FACTS = "the columns of facts: once per row of them"
    EVENT = "where a type has columns of its own, all of its columns: once per event"


ORIGINS = {each: Level.LOG if each.name in LOG_COLUMNS else Level.ORIGIN for each in PROVENANCE}
"""What each column of `PROVENANCE` is made from."""


class Piece(NamedTuple):
    """A part of a line: an SQL expression of text, over what its level names; NULL stands for nothing."""

    level: Level
    sql: str


class Part(NamedTuple):
    """Pieces that are together in a line, as SQL: `kept` are those of facts or events, all others are of moments."""

    level: Level
    sql: str
    kept: Kept | None = None


Line: TypeAlias = Sequence[Part]
_Keys: TypeAlias = Mapping[str, NDArray[Any]]
_Events: TypeAlias = Sequence[tuple[Line, _Keys]]

KEYS = (
    f"time_us, sample_id, entry, row_id, event, ((coalesce(early_s, -1) + 1) << {_SECONDS_BITS}) + late_s AS accuracy"
)
"""SQL for the columns that `assembled` needs of events, over what the store has of them."""
_MOMENT = ("time_us", "sample_id", "accuracy")
_KEPT_BY = {Level.FACTS: "row_id", Level.EVENT: "event"}
_ACCURACIES = f"""(
    SELECT * EXCLUDE (early_s, late_s), {ACCURACY} AS time_accuracy FROM (
        SELECT *, nullif({{0}} >> {_SECONDS_BITS}, 0) - 1 AS early_s, {{0}} & {(1 << _SECONDS_BITS) - 1} AS late_s
        FROM keys
    )
)"""
SOURCES = {
    Level.ACCURACY: _ACCURACIES.format("key"),
    Level.ORIGIN: "keys JOIN origins ON sample_id = key",
    Level.MOMENT: f"{_ACCURACIES.format('accuracy')} JOIN origins USING (sample_id)",
}
"""SQL for what a level names, by the `key` of a table `keys`; moments are there with the columns of theirs."""

ORIGIN_BYTES = f"""
SELECT coalesce(max(strlen(concat({", ".join(quoted(each.name) for each in PROVENANCE)}))), 0) FROM origins
"""
"""The query for how many bytes what tells of an origin has, at most."""


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of a line, those that are together as one where they are made from the same."""
    for level, run in groupby(_leveled(list(pieces)), key=lambda piece: piece.level):
        yield Piece(level, f"concat({', '.join(piece.sql for piece in run)})")


def _leveled(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces of a line, each with the level of which it is made there: that of facts, of events or of moments."""
    levels = [each.level for each in pieces if each.level is not Level.LOG]
    level = levels[0] if levels else Level.MOMENT
    for each in pieces:
        level = level if each.level is Level.LOG else each.level
        yield each._replace(level=level if level in _KEPT_BY else Level.MOMENT)


@dataclass(frozen=True)
class Lines:
    """Lines as different pieces, and which of these each line has; shape (n, parts)."""

    pieces: NDArray[np.object_]
    which: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.which)

    def blocks(self) -> Iterator[bytes]:
        """The bytes of some lines at a time."""
        for begin in range(0, len(self), _LINES_TOGETHER):
            some = self.which[begin : begin + _LINES_TOGETHER]
            yield b"".join(self.pieces[some.ravel()].tolist())


def assembled(store: Store, events: _Events, origin_bytes: int) -> Iterator[Lines]:
    """Lines in the order of time, then as types come, then in that of samples; of not too many bytes at once.

    `events` are, for each type, its line, and the columns `KEYS`. What tells of an origin has at most so many bytes.
    """
    return (_assembled(store, some) for some in _parted(events, _MOMENT_BYTES + origin_bytes))


def _parted(events: _Events, moment_bytes: int) -> Iterator[_Events]:
    """The same events in parts, the pieces of each of which are not too large to be there together."""
    _, begins = _moments(events)
    size = int(begins.sum()) * moment_bytes + sum(_kept_bytes(*each) for each in events)
    if len(begins) <= 1 or size <= WINDOW_BYTES:
        yield events
        return
    keys = [each for _, each in events]
    order = _order(keys)
    is_late = np.zeros(len(order), np.bool_)
    is_late[order[len(order) // 2 :]] = True
    of_types = np.split(is_late, np.cumsum([len(each["time_us"]) for each in keys])[:-1])
    for half in (False, True):
        yield from _parted(
            [
                (line, {name: values[is_later == half] for name, values in columns.items()})
                for (line, columns), is_later in zip(events, of_types, strict=True)
            ],
            moment_bytes,
        )


def _kept_bytes(line: Line, keys: _Keys) -> int:
    """How many bytes of kept texts lines have, each text once."""
    kept = [(part.kept, _numbered(keys[_KEPT_BY[part.level]])[0]) for part in line if part.kept]
    return sum(int(texts.lengths(rows).sum()) for texts, rows in kept)


def _assembled(store: Store, events: _Events) -> Lines:
    """All of these lines."""
    pieces = [b""]
    moments = _Moments(store, events, pieces)
    which = np.zeros((len(moments.number), max(len(line) for line, _ in events)), np.int32)
    end = 0
    for line, keys in events:
        begin, end = end, end + len(keys["time_us"])
        numbers = {level: _numbered(keys[_KEPT_BY[level]]) for level in {each.level for each in line if each.kept}}
        for place, part in enumerate(line):
            if part.kept:
                rows, number = numbers[part.level]
                which[begin:end, place] = number + len(pieces)
                pieces += part.kept.texts(rows)
            else:
                which[begin:end, place] = moments.number[begin:end] + moments.first[part.sql]
    return Lines(np.fromiter(pieces, object), which[_order([keys for _, keys in events])])


class _Moments:
    """The moments of all events: the `number` of each event's, and the `first` of the pieces for them, by their SQL."""

    def __init__(self, store: Store, events: _Events, pieces: list[bytes]) -> None:
        columns, begins = _moments(events)
        self.number = np.cumsum(begins) - 1
        self.first: dict[str, int] = {}
        parts = dict.fromkeys(part.sql for line, _ in events for part in line if not part.kept)
        names = "".join(f", encode({sql}) AS piece_{number}" for number, sql in enumerate(parts))
        keys = {"key": np.arange(begins.sum())} | {name: values[begins] for name, values in columns.items()}
        found = store.looked_up(keys, f"SELECT key{names} FROM {SOURCES[Level.MOMENT]} ORDER BY key")
        for number, sql in enumerate(parts):
            self.first[sql] = len(pieces)
            pieces += map(bytes, found[f"piece_{number}"])


def _moments(events: _Events) -> tuple[_Keys, NDArray[np.bool_]]:
    """What makes a moment, of all events, and which of these are not of the same one as the event before."""
    columns = {name: np.concatenate([keys[name] for _, keys in events]) for name in _MOMENT}
    begins = np.ones(len(columns["time_us"]), np.bool_)
    begins[1:] = np.any([values[1:] != values[:-1] for values in columns.values()], axis=0)
    return columns, begins


def _numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The different ones of some keys in ascending order, and which of them each is."""
    first = int(keys.min()) if len(keys) else 0
    width = int(keys.max()) - first + 1 if len(keys) else 0
    if width > _MOST_APART * len(keys):
        return np.unique(keys, return_inverse=True)
    is_there = np.zeros(width, np.bool_)
    is_there[keys - first] = True
    return np.flatnonzero(is_there) + first, (np.cumsum(is_there) - 1)[keys - first]


def _order(keys: Sequence[_Keys]) -> NDArray[np.intp]:
    time, sample, entry = (np.concatenate([each[name] for each in keys]) for name in ("time_us", "sample_id", "entry"))
    rank = np.repeat(np.arange(len(keys)), [len(each["time_us"]) for each in keys])
    return np.lexsort((entry, sample, rank, time))
