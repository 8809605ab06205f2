"""All columns of events in their order, some events at a time.

What events have in common is made once, and they refer to it: nothing wide is sorted or joined.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline.ahead import one_ahead
from atop_timeline.arrow import fetched, rows_of, struct
from atop_timeline.events import EventType, Kind
from atop_timeline.facts import listed
from atop_timeline.lines import KEYS, SOURCES, Level, Piece
from atop_timeline.portions import Window
from atop_timeline.store import Store, quoted
from atop_timeline.words import Words

Queries: TypeAlias = Callable[[EventType, Mapping[str, str]], Iterator[str]]
"""Queries for all of a level, some at a time: its key and expressions over what it names, by name."""

_TYPE_BITS = 48  # numbers of facts and events are below them
_NOTHING = "nothing_made"  # a table of all columns


class Columns:
    """Columns of events by their names: what the pieces for a type make, as their kind, else NULL.

    Pieces for times, origins and accuracies are the same for each type.
    """

    def __init__(
        self, store: Store, pieces: Mapping[EventType, Mapping[str, Piece]], kinds: Mapping[str, Kind]
    ) -> None:
        self._store = store
        self._pieces = pieces
        self._types = tuple(pieces)
        self._kinds = kinds
        self._words = Words(store)

    def keep(self, queries: Mapping[Level, Queries]) -> None:
        """Makes what is made of facts and of events, and finds who has but few texts, before `structs` are made."""
        made = {_table(each): self._made(each) for each in self._types}
        tables = {_NOTHING: dict.fromkeys(chain.from_iterable(made.values()))} | made
        for table, names in tables.items():
            kinds = "".join(f", {quoted(name)} {self._kind(name)}" for name in names)
            self._store.execute(f"CREATE OR REPLACE TABLE {table} (made BIGINT{kinds})")
        for each in self._types:
            for query in queries[self._level(each)](each, self._made(each)):
                self._store.execute(f"INSERT INTO {_table(each)} {query}")
        columns = {table: {name: quoted(name) for name in names} for table, names in tables.items()}
        shared = {"origins": self._of(self._types[0], Level.ORIGIN, Level.LOG)}
        self._words.find({table: self._texts(whole) for table, whole in (columns | shared).items()})
        for table, whole in columns.items():
            coded = listed(self._words.coded(whole))
            self._store.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT made{coded} FROM {table}")

    def structs(
        self, windows: Iterable[Window], within: Callable[[EventType, Window], str], most: int, threads: int
    ) -> Generator[Any]:
        """Structs of some events each: `rank`, which is the place of the type, `time_us`, and columns; at least one.

        Columns that have but few texts are numbers there, of which `named` makes the texts. `within` gives the query
        for a type's events in a window, as they are stored. `most` is of how many different facts they may be.
        """
        found = chain.from_iterable(map(partial(self._of_window, within, most), windows))
        yield next(found, struct(dict.fromkeys(("rank", "time_us"), np.zeros(0, np.int64))))
        yield from one_ahead(found) if threads else found

    def named(self, names: Iterable[str], known: Iterable[str]) -> str:
        """SQL for columns of these names, over structs in which some are known."""
        columns = {name: f"CAST(NULL AS {self._kind(name)})" for name in names}
        columns |= self._of(self._types[0], Level.TIME)
        columns |= {name: self._words.told(name) for name in known if name in columns}
        return listed(columns).removeprefix(", ")

    def _of_window(self, within: Callable[[EventType, Window], str], most: int, window: Window) -> Iterator[Any]:
        """Structs of all events in a window."""
        events = " UNION ALL ".join(
            f"SELECT {rank} AS rank, {KEYS}, {self._key(rank)} + {_first(rank)} AS made FROM ({within(each, window)})"
            for rank, each in self._ranked(window)
        )
        keys = self._store.arrays(f"""
            SELECT rank, time_us, made, sample_id, accuracy FROM ({events}) ORDER BY time_us, rank, sample_id, entry
        """)
        return (self._struct(window, some) for some in _parted(keys, most))

    def _struct(self, window: Window, keys: Mapping[str, NDArray[Any]]) -> Any:  # noqa: ANN401  nanoarrow has no types
        """A struct of some events in a window, by what they refer to."""
        columns = _referred(self._store, self._all_made(window), keys["made"])
        for levels, key in (((Level.ORIGIN, Level.LOG), "sample_id"), ((Level.ACCURACY,), "accuracy")):
            made = self._words.coded(self._of(self._types[0], *levels))
            shared = f"SELECT key{listed(made)} FROM {SOURCES[levels[0]]} ORDER BY 1"
            columns |= _referred(self._store, shared, keys[key])
        return struct({"rank": keys["rank"], "time_us": keys["time_us"]} | columns)

    def _all_made(self, window: Window) -> str:
        """The query for what was made for some events of different types, beside the number of each."""
        made = "".join(
            f" UNION ALL BY NAME SELECT * REPLACE (made + {_first(rank)} AS made) FROM {_table(each)}"
            f" WHERE made IN (SELECT key - {_first(rank)} FROM keys WHERE key >> {_TYPE_BITS} = {rank})"
            for rank, each in self._ranked(window)
        )
        return f"FROM {_NOTHING}{made} ORDER BY 1"

    def _ranked(self, window: Window) -> Iterator[tuple[int, EventType]]:
        return ((rank, self._types[rank]) for rank in window.ranks)

    def _key(self, rank: int) -> str:
        return "row_id" if self._level(self._types[rank]) is Level.FACTS else "event"

    def _level(self, event_type: EventType) -> Level:
        """That of which the type's columns are made, besides what is the same for each type."""
        levels = {level for level, _ in self._pieces[event_type].values()}
        return Level.FACTS if event_type.facts and Level.EVENT not in levels else Level.EVENT

    def _made(self, event_type: EventType) -> dict[str, str]:
        return self._of(event_type, Level.FACTS, Level.EVENT)

    def _of(self, event_type: EventType, *levels: Level) -> dict[str, str]:
        return {name: sql for name, (level, sql) in self._pieces[event_type].items() if level in levels}

    def _texts(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {name: sql for name, sql in columns.items() if self._kind(name) is Kind.TEXT}

    def _kind(self, name: str) -> Kind:
        return self._kinds.get(name, Kind.TEXT)


def _table(event_type: EventType) -> str:
    """Of what is made of a type's facts or events, and first the number of each."""
    return f"{event_type.name}_made"


def _first(rank: int) -> int:
    """What numbers of a type begin at, where several types are together."""
    return rank << _TYPE_BITS


def _parted(keys: Mapping[str, NDArray[Any]], most: int) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The same events in their order, parted until those of a part have no more in common than that; none is empty."""
    count = len(keys["made"])
    if count > most and len(np.unique(keys["made"])) > most:
        for half in (slice(count // 2), slice(count // 2, None)):
            yield from _parted({name: values[half] for name, values in keys.items()}, most)
    elif count:
        yield keys


def _referred(store: Store, query: str, keys: NDArray[np.int64]) -> dict[str, Any]:
    """The columns that a query gives, which is asked for each distinct key, for all of these keys."""
    distinct, numbers = np.unique(keys, return_inverse=True)
    found, rows = fetched(store, query, distinct), numbers.astype(np.int32)
    names = [each.name for each in found.schema.children]
    return {name: rows_of(found.child(place), rows) for place, name in enumerate(names) if place}
