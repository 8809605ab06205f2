"""Lines of text, put together from pieces, most of which are made once for many events.

The store makes each piece once for what it is made from; a line is then but a list of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline.kept import Kept
from atop_timeline.store import Store

_LINES_TOGETHER = 1024  # their bytes stay in a processor's cache until they are written
_SECONDS_BITS = 32

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
    FACTS = "the columns of facts: once per row of them"
    ORIGIN = "the columns of `PROVENANCE`: once per sample"
    EVENT = "where a type has columns of its own, all of its columns: once per event"


class Piece(NamedTuple):
    """A part of a line: an SQL expression of text, over what its level names; NULL stands for nothing."""

    level: Level
    sql: str


class Part(NamedTuple):
    """Pieces of one level that are together in a line, as SQL; of facts and events as they are `kept`."""

    level: Level
    sql: str
    kept: Kept | None = None


Line: TypeAlias = Sequence[Part]
_Keys: TypeAlias = Mapping[str, NDArray[Any]]

KEYS = (
    f"time_us, sample_id, entry, row_id, event, ((coalesce(early_s, -1) + 1) << {_SECONDS_BITS}) + late_s AS accuracy"
)
"""SQL for the columns that `assembled` needs of events, over what the store has of them."""
_KEYS = {
    Level.TIME: "time_us",
    Level.ACCURACY: "accuracy",
    Level.FACTS: "row_id",
    Level.ORIGIN: "sample_id",
    Level.EVENT: "event",
}
SOURCES = {
    Level.TIME: "(SELECT key, key AS time_us FROM keys)",
    Level.ACCURACY: f"""(
        SELECT key, {ACCURACY} AS time_accuracy FROM (
            SELECT key, nullif(key >> {_SECONDS_BITS}, 0) - 1 AS early_s, key & {(1 << _SECONDS_BITS) - 1} AS late_s
            FROM keys
        )
    )""",
    Level.ORIGIN: "keys JOIN origins ON sample_id = key",
}
"""SQL for what a level names, by the `key` of a table `keys`."""


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of a line, those of one level that are together as one."""
    for level, run in groupby(pieces, key=lambda piece: piece.level):
        yield Piece(level, f"concat({', '.join(piece.sql for piece in run)})")


def assembled(store: Store, events: Sequence[tuple[Line, _Keys]]) -> NDArray[Any]:
    """The pieces of lines, shape (n, parts), in the order of time, then as types come, then in that of samples.

    `events` are, for each type, its line, and the columns `KEYS`.
    """
    lookups = _Lookups(store, events)
    width = max(len(line) for line, _ in events)
    pieces = np.full((sum(len(keys["time_us"]) for _, keys in events), width), b"", object)
    begin = 0
    for line, keys in events:
        end = begin + len(keys["time_us"])
        for number, part in enumerate(line):
            pieces[begin:end, number] = lookups.pieces(part, keys)
        begin = end
    ordered: NDArray[Any] = pieces[_order([keys for _, keys in events])]
    return ordered


def _order(keys: Sequence[_Keys]) -> NDArray[np.intp]:
    time, sample, entry = (np.concatenate([each[name] for each in keys]) for name in ("time_us", "sample_id", "entry"))
    rank = np.repeat(np.arange(len(keys)), [len(each["time_us"]) for each in keys])
    return np.lexsort((entry, sample, rank, time))


def blocks(pieces: NDArray[Any]) -> Iterator[bytes]:
    """The bytes of some lines at a time."""
    for begin in range(0, len(pieces), _LINES_TOGETHER):
        yield b"".join(pieces[begin : begin + _LINES_TOGETHER].ravel().tolist())


class _Lookups:
    """Pieces by what they are made from; of types that have the same parts made together."""

    def __init__(self, store: Store, events: Sequence[tuple[Line, _Keys]]) -> None:
        self._found: dict[Part, tuple[NDArray[Any], NDArray[Any]]] = {}
        wanted: dict[Level, dict[Part, list[NDArray[Any]]]] = {level: {} for level in SOURCES}
        for line, keys in events:
            for part in line:
                if part.kept:
                    rows = np.unique(keys[_KEYS[part.level]])
                    self._found[part] = rows, _objects(part.kept.texts(rows))
                else:
                    wanted[part.level].setdefault(part, []).append(keys[_KEYS[part.level]])
        for level, parts in wanted.items():
            if parts:
                self._look_up(store, SOURCES[level], parts)

    def _look_up(self, store: Store, source: str, parts: Mapping[Part, Sequence[NDArray[Any]]]) -> None:
        keys = np.unique(np.concatenate([_distinct(each) for known in parts.values() for each in known]))
        names = [f"encode({part.sql}) AS piece_{number}" for number, part in enumerate(parts)]
        found = store.looked_up(keys, f"SELECT key, {', '.join(names)} FROM {source} ORDER BY key")
        for number, part in enumerate(parts):
            self._found[part] = found["key"], _objects(map(bytes, found[f"piece_{number}"]))

    def pieces(self, part: Part, keys: _Keys) -> NDArray[Any]:
        """A piece for each event."""
        known, pieces = self._found[part]
        found: NDArray[Any] = pieces[np.searchsorted(known, keys[_KEYS[part.level]])]
        return found


def _distinct(keys: NDArray[Any]) -> NDArray[Any]:
    """Quickly, the same without most of what repeats."""
    return np.concatenate([keys[:1], keys[1:][keys[1:] != keys[:-1]]])


def _objects(pieces: Iterable[bytes]) -> NDArray[Any]:
    """Joined quickest as bytes."""
    return np.fromiter(pieces, object)
