"""The timeline: one ordered table over all logs and sources.

The store is narrow. An event is a few numbers and refers to its facts, in which texts are numbers too; what all
events of a sample share stands with the sample. So a line of output is put together from pieces, most of them
made once for many events, window by window in the order of time: nothing is ever sorted or held as a whole.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from atop_timeline.ahead import by_threads, one_ahead
from atop_timeline.arrow import Stream, read
from atop_timeline.columns import Columns
from atop_timeline.events import ACCURACY, KEYS, PROVENANCE, Column, Event, Events, EventType, Kind
from atop_timeline.facts import FactTable, listed, shown
from atop_timeline.kept import kept
from atop_timeline.lines import KEYS as LINE_KEYS
from atop_timeline.lines import ORIGIN_BYTES, ORIGINS, Level, Line, Lines, Part, Piece, assembled, joined
from atop_timeline.logs import LOG_COLUMNS, SAMPLE, SAMPLE_BITS, LogOrigin, Logs
from atop_timeline.portions import WINDOW_BYTES, WINDOW_EVENTS, WINDOW_LINES, Chunks, Place, Window
from atop_timeline.store import DEFAULT_ROOM, Room, Store, quoted

__all__ = ["ALL_TIME", "ORIGINS", "Level", "Piece", "Sink", "Timeline"]

ALL_TIME = (-(1 << 63), (1 << 63) - 1)
"""In microseconds since 1970: the period that leaves nothing out."""

_LAST = Place((1 << 63) - 1, 0, 0, 0)
_ENTRIES = 4096  # of a sample that are never parted
_EVENTS_TOGETHER = 1 << 14  # of those that have columns of their own
_MOST_PIECES_BYTES = 1 << 25  # on their way from the store, for each who makes them


class Sink(Protocol):
    """What lines are written to."""

    def write(self, data: bytes, /) -> Any:  # noqa: ANN401  its users look at no result
        """Takes all of the data."""
        ...


class Timeline:
    """Events in a temporary store; close it, or use it as a context.

    `types` are the event types to show, their order is that of events of the same time. `staging` are types
    that only a parser's `finish` reads. Events of other types are dropped. `period` is the first microsecond
    to show and the first one not to. `shown` names the columns of types to show, where not all are; `written`
    is told, while lines are written, how many have been.
    """

    def __init__(
        self,
        types: Sequence[EventType],
        staging: Sequence[EventType] = (),
        period: tuple[int, int] = ALL_TIME,
        room: Room = DEFAULT_ROOM,
    ) -> None:
        self.types = tuple(types)
        self.shown: frozenset[str] | None = None
        self.written: Callable[[int], None] = lambda _: None
        self._period = period
        self._counts: dict[EventType, int] = {}
        self._forgotten = 0  # samples
        self._store = Store(room)
        self._threads = 1 if room.jobs > 1 else 0  # besides the one that writes; more have nothing to do
        self._makers = 2 * self._threads  # of what lines are put together from
        self._logs = Logs(self._store)
        stored = (*types, *staging)
        self._events = {each.name: self._store.table(each.name, _kinds(KEYS + each.own)) for each in (SAMPLE, *stored)}
        facts = dict.fromkeys(each.facts for each in stored if each.facts)
        self._facts = {name: FactTable(self._store, name, max(self._makers, 1)) for name in facts}

    @property
    def directory(self) -> Path:
        """Where a formatter may have files of its own until the timeline is closed."""
        return self._store.directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the store."""
        self._store.close()

    def add_log(self, log_id: int, log: LogOrigin) -> None:
        """A log, by the number to which its samples and events refer."""
        self._logs.add(log_id, log)

    def add_damage(self, log_id: int, damage: tuple[int | str, ...]) -> None:
        """What is lost of a log: the values of `DAMAGE`."""
        self._logs.add_damage(log_id, damage)

    def insert(self, log_id: int, events: Events) -> None:
        """Events of one log; its samples are inserted likewise."""
        table, facts = self._events.get(events.event_type.name), self._facts.get(events.event_type.facts)
        base = facts.insert(events.facts, log_id) if facts and events.facts else 0  # others may refer to them
        if table is None or not len(events.columns["time_us"]):
            return
        columns = dict(events.columns)
        columns["sample_id"] = np.asarray(columns.pop("sample"), np.int64) + (log_id << SAMPLE_BITS)
        if events.facts:
            columns["row_id"] = np.asarray(columns.pop("row")) + base
        table.add(columns)

    def complete(self) -> int:
        """Ends the inserting, before parsers `finish`: forgets samples that are there again, and counts them.

        Of a sample that one log has in part, and another log of its machine as atop wrote it, the part goes.
        The table `copies` has which sample each of them is in truth.
        """
        self.end_inserting()
        self._forgotten = self._logs.forget_copies()
        return self._forgotten

    def end_inserting(self) -> None:
        """Has all that was inserted ready to be shown, where nothing is there again and no parser has to `finish`."""
        for facts in self._facts.values():
            facts.flush()
        for events in self._events.values():
            events.flush()
        self._store.take_all()
        self._logs.complete()

    def hosts(self) -> list[tuple[Any, ...]]:
        """The name of each host that has samples, and the evidence that its logs were found in."""
        return self._logs.hosts()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; for `finish` of parsers, and for questions.

        Raises `StoreError` where memory or disk do not suffice.
        """
        return self._store.execute(statement)

    def arrays(self, query: str) -> dict[str, NDArray[Any]]:
        """What a query gives, by columns; masked is null."""
        return self._store.arrays(query)

    def fill(self, event_type: EventType, query: str) -> None:
        """Inserts what a query gives, the columns `KEYS` and the type's own, as events, in the order of time.

        Where the type has no facts, there need be no `row_id`.
        """
        if event_type.name in self._events:
            keys = [each for each in KEYS if event_type.facts or each.name != "row_id"]
            names = ", ".join(quoted(each.name) for each in (*keys, *event_type.own))
            self.execute(
                f"INSERT INTO {event_type.name} ({names}) SELECT {names} FROM ({query})"
                " ORDER BY time_us, sample_id, entry"
            )

    def complete_facts(self, facts: str, key: str, query: str) -> None:
        """Adds columns to facts: those that a query gives for each value of a column that both have."""
        self._facts[facts].complete(key, query)

    def columns(self) -> tuple[Column, ...]:
        """The columns of all types to show, each once."""
        return tuple({column.name: column for each in self.types for column in self.attributes(each)}.values())

    def attributes(self, event_type: EventType) -> tuple[Column, ...]:
        """The columns of a type to show."""
        return tuple(each for each in event_type.attributes if self.shown is None or each.name in self.shown)

    def known(self, event_type: EventType) -> tuple[Column, ...]:
        """The columns of a type to show of which any of its events may know something."""
        known = {each.name for each in event_type.own}
        known |= self._facts[event_type.facts].known if event_type.facts else set()
        return tuple(each for each in self.attributes(event_type) if each.name in known)

    def count(self, event_type: EventType) -> int:
        """How many events of a type there are to show, once all are inserted."""
        if not self._counts:
            counts = (f"SELECT {rank}, count(*) FROM ({self._there(each)})" for rank, each in enumerate(self.types))
            self._counts = {self.types[rank]: count for rank, count in self.execute(" UNION ALL ".join(counts))}
        return self._counts[event_type]

    def write(
        self,
        line: Callable[[EventType], Iterable[Piece]],
        stream: Sink,
        text: Callable[[str], str] | None = None,
    ) -> int:
        """Writes all events in their order, a line each, made of the pieces for its type; gives their number.

        `text` gives SQL for how a text is shown; of a column of texts in facts, `shown` is the name of what it gives.
        """
        windows, count = list(self._windows(WINDOW_LINES)), 0
        shown = [self.types[rank] for rank in sorted({rank for window in windows for rank in window.ranks})]
        makers = self._taking_memory(shown)
        made = by_threads(lambda each: self._line(each, line(each), text), shown, makers)
        lines = dict(zip(shown, made, strict=True))
        self._store.take_all(but=2 * WINDOW_BYTES)  # of lines, and of their pieces
        ((origin_bytes,),) = self.execute(ORIGIN_BYTES)
        parts = chain.from_iterable(map(partial(self._assembled, lines, origin_bytes), windows))
        for some in one_ahead(parts) if self._threads else parts:
            for block in some.blocks():
                stream.write(block)
            self.written(count := count + len(some))
            del some  # before the next ones are waited for
        self._store.take_all()
        return count

    def copy(self, names: Sequence[str], columns: Callable[[EventType], Mapping[str, Piece]], into: str) -> int:
        """Writes columns of all events, in their order, into what an SQL statement `COPY` has behind `TO`.

        `columns` gives pieces for an event type by the names of columns, where anything may be known. Pieces for
        times, origins and accuracies are the same for each type. Gives the number of events.
        """
        made = self._columns(columns)
        self._store.take_all(but=WINDOW_BYTES // 2)
        with closing(self._structs(made)) as structs:
            stream = Stream(structs, self.written)
            read(self._store, stream, f"COPY (SELECT {made.named(names, stream.names)} FROM stream) TO {into}")
        self._store.take_all()
        return stream.count

    def events(self) -> Iterator[Event]:
        """All events in their order, as objects."""
        from dfdatetime.posix_time import PosixTimeInMicroseconds  # noqa: PLC0415  heavy

        names = [each.name for each in (ACCURACY, *PROVENANCE, *self.columns())]
        made = self._columns(_all)
        for struct in self._structs(made):
            stream = Stream(iter([struct]))
            shown = f"rank, time_us, {made.named(names, stream.names)}"
            for rank, time_us, *values in read(self._store, stream, f"SELECT {shown} FROM stream"):
                event_type, date_time = self.types[rank], PosixTimeInMicroseconds(timestamp=time_us)
                attributes = dict(zip(names, values, strict=True))
                yield Event(event_type.data_type, event_type.timestamp_desc, date_time, attributes)

    def facts(self, event_type: EventType) -> str:
        """The name of a temporary table of the facts of a type's events: `row_id` and its columns, texts as texts."""
        names = [each.name for each in event_type.columns]
        return self._facts[event_type.facts].keep(event_type, {name: quoted(name) for name in names})

    def _chunks(self) -> Iterator[Chunks]:
        """Those of all facts, and empty ones."""
        yield Chunks()
        yield from (each.chunks for each in self._facts.values())

    def _columns(self, columns: Callable[[EventType], Mapping[str, Piece]]) -> Columns:
        """The columns that pieces for each type make."""
        pieces = {each: {name: _of(each, piece) for name, piece in columns(each).items()} for each in self.types}
        made = Columns(self._store, pieces, _kinds([*self.columns(), *PROVENANCE]))
        made.keep({Level.FACTS: self._shared, Level.EVENT: self._own})
        return made

    def _structs(self, made: Columns) -> Generator[Any]:
        """Structs of some events each, with these columns."""
        most = min(each.together(len(self.columns())) for each in self._chunks())
        return made.structs(self._windows(WINDOW_EVENTS), self._in, most, self._threads)

    def _taking_memory(self, types: Iterable[EventType]) -> int:
        """How many make pieces of lines at the same time, besides this thread, where the store takes the rest."""
        query = max((self._facts[each.facts].query_bytes(each) for each in types if each.facts), default=1)
        pieces = min(max(each.bytes for each in self._chunks()), _MOST_PIECES_BYTES)
        makers = min(self._makers, max(self._store.memory // (query + pieces), 1))
        self._store.take_all(but=pieces * max(makers, 1))
        return makers

    def _line(self, event_type: EventType, pieces: Iterable[Piece], text: Callable[[str], str] | None) -> Line:
        """What a line is put together from; what facts and events make of it is kept."""
        known = [_of(event_type, each) for each in pieces]
        parts = list(joined([*known, Piece(known[-1].level, "chr(10)")]))
        made = {Level.FACTS: self._shared, Level.EVENT: self._own}
        columns = {}
        for level, queries in made.items():
            texts = {f"text_{number}": each.sql for number, each in enumerate(parts) if each.level is level}
            name = f"{event_type.name}_{level.name.lower()}"
            columns[level] = iter(kept(self._store, name, len(texts), queries(event_type, texts, text)))
        return [Part(*each, next(columns[each.level])) if each.level in made else Part(*each) for each in parts]

    def _shared(
        self, event_type: EventType, expressions: Mapping[str, str], text: Callable[[str], str] | None = None
    ) -> Iterator[str]:
        """Queries for all facts of a type's events, some at a time: their number and expressions over them, by name."""
        yield from self._facts[event_type.facts].queries(event_type, expressions, text)

    def _own(
        self, event_type: EventType, expressions: Mapping[str, str], text: Callable[[str], str] | None = None
    ) -> Iterator[str]:
        """Queries for all events of a type, some at a time: their number and expressions over them, by name."""
        events = f"(SELECT *, rowid AS event FROM {event_type.name})"
        if event_type.facts:
            names = [*LOG_COLUMNS, *(each.name for each in event_type.columns)]
            names += [shown(each.name) for each in event_type.columns if text and each.kind is Kind.TEXT]
            for facts in self._shared(event_type, {name: quoted(name) for name in names}, text):
                yield f"SELECT event{listed(expressions)} FROM ({facts}) JOIN {events} USING (row_id)"
            return
        logs = f"(SELECT log_id, {', '.join(LOG_COLUMNS)} FROM logs) ON log_id = sample_id >> {SAMPLE_BITS}"
        ((end,),) = self.execute(f"SELECT count(*) FROM {event_type.name}")
        for begin in range(0, end, _EVENTS_TOGETHER):
            some = f"event >= {begin} AND event < {begin + _EVENTS_TOGETHER}"
            yield f"SELECT event{listed(expressions)} FROM {events} JOIN {logs} WHERE {some}"

    def _assembled(self, lines: Mapping[EventType, Line], origin_bytes: int, window: Window) -> Iterator[Lines]:
        """The lines of a window, some at a time."""
        types = [self.types[rank] for rank in window.ranks]
        keys = (self._store.arrays(f"SELECT {LINE_KEYS} FROM ({self._in(each, window)})") for each in types)
        return assembled(self._store, list(zip((lines[each] for each in types), keys, strict=True)), origin_bytes)

    def _in(self, event_type: EventType, window: Window) -> str:
        """The query for the events of a type in a window to show, as they are stored."""
        return f"{self._there(event_type)} AND {window.condition(self.types.index(event_type))}"

    def _bare(self, event_type: EventType) -> str:
        """The query for the events of a type in the period as they are stored."""
        first, end = self._period
        return f"SELECT *, rowid AS event FROM {event_type.name} WHERE time_us >= {first} AND time_us < {end}"

    def _there(self, event_type: EventType) -> str:
        """The same, without those of samples that are there again."""
        there = "sample_id IN (SELECT sample_id FROM samples)" if self._forgotten else "true"
        return f"{self._bare(event_type)} AND {there}"

    def _windows(self, most: int) -> Iterator[Window]:
        """Windows that hold all events, in their order, and about so many of them each."""
        events = " UNION ALL ".join(
            f"SELECT time_us, {rank} AS rank, sample_id, entry // {_ENTRIES} AS part FROM ({self._bare(each)})"
            for rank, each in enumerate(self.types)
        )
        numbered = self.execute(f"""
            WITH counted AS (SELECT *, count(*) AS events FROM ({events}) GROUP BY ALL),
            numbered AS (
                SELECT *, (sum(events) OVER (ORDER BY time_us, rank, sample_id, part) - events)
                    // {most} AS number
                FROM counted
            )
            SELECT min((time_us, rank, sample_id, part * {_ENTRIES})), list_sort(list(DISTINCT rank))
            FROM numbered GROUP BY number ORDER BY number
        """)
        places = [*(Place(*begin) for begin, _ in numbered), _LAST]
        ranks = [each for _, each in numbered]
        return (Window(begin, end, within) for (begin, end), within in zip(pairwise(places), ranks, strict=True))


def _all(event_type: EventType) -> dict[str, Piece]:
    """The columns of events as objects."""
    levels = dict.fromkeys(event_type.columns, Level.FACTS) | dict.fromkeys(event_type.own, Level.EVENT)
    levels |= ORIGINS | {ACCURACY: Level.ACCURACY}
    return {each.name: Piece(level, quoted(each.name)) for each, level in levels.items()}


def _of(event_type: EventType, piece: Piece) -> Piece:
    """The piece of a type's events; what facts make is of each event where there are none, or columns of its own."""
    is_shared = event_type.facts and not event_type.own
    return piece if is_shared or piece.level is not Level.FACTS else piece._replace(level=Level.EVENT)


def _kinds(columns: Iterable[Column]) -> dict[str, Kind]:
    return {each.name: each.kind for each in columns}
