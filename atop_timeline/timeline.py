"""The timeline: one ordered table over all logs and sources.

The store is narrow. An event is a few numbers and refers to its facts, in which texts are numbers too; what all
events of a sample share stands with the sample. So a line of output is put together from pieces, most of them
made once for many events, window by window in the order of time: nothing is ever sorted or held as a whole.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import groupby, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from dfdatetime.posix_time import PosixTimeInMicroseconds

from atop_timeline.events import ACCURACY, KEYS, PROVENANCE, Column, Event, Events, EventType, Facts, Kind
from atop_timeline.logs import SAMPLE, SAMPLE_BITS, LogOrigin, Logs
from atop_timeline.portions import Chunk, Chunks, Place, Window, divided
from atop_timeline.store import Store, quoted

ALL_TIME = (-(1 << 63), (1 << 63) - 1)
"""In microseconds since 1970: the period that leaves nothing out."""

_FIRST, _LAST = Place(-(1 << 63), 0, 0, 0), Place((1 << 63) - 1, 0, 0, 0)
_ENTRIES = 4096  # of a sample that are never parted
_ACCURACY = """
CASE WHEN early_s IS NULL THEN 'not after'
     WHEN early_s = 0 AND late_s = 0 THEN 'second'
     WHEN late_s = 0 THEN 'up to ' || early_s || ' s late'
     ELSE 'within ' || greatest(early_s, late_s) || ' s' END
"""
_REST = "* EXCLUDE (time_us, sample_id, entry)"  # the order has these
_ORDER = "ORDER BY time_us, rank, sample_id, entry"
_RAW_LINES = r"FORMAT csv, USE_TMP_FILE false, HEADER false, DELIMITER E'\x01', QUOTE '', ESCAPE ''"


class Level(Enum):
    """What a piece of a line is made from, and so how often."""

    EVENT = "`time_us`, `time_accuracy`, and where a type has columns of its own all of its columns: once per event"
    FACTS = "the columns of facts: once per row of them"
    ORIGIN = "the columns of `PROVENANCE`: once per sample"


class Piece(NamedTuple):
    """A part of a line: an SQL expression of text, over what its level names; NULL stands for nothing."""

    level: Level
    sql: str


class Sink(Protocol):
    """What lines are written to."""

    def write(self, data: bytes, /) -> Any:  # noqa: ANN401  its users look at no result
        """Takes all of the data."""
        ...


class Timeline:
    """Events in a temporary store on disk; close it, or use it as a context.

    `types` are the event types to show, their order is that of events of the same time. `staging` are types
    that only a parser's `finish` reads. Events of other types are dropped. `period` is the first microsecond
    to show and the first one not to. `written` is told, while lines are written, how many have been.
    """

    def __init__(
        self,
        types: Sequence[EventType],
        staging: Sequence[EventType] = (),
        period: tuple[int, int] = ALL_TIME,
    ) -> None:
        self.types = tuple(types)
        self.written: Callable[[int], None] = lambda _: None
        self._period = period
        self._store = Store()
        self._logs = Logs(self._store)
        stored = (*types, *staging)
        self._events = {each.name: self._store.table(each.name, _kinds(KEYS + each.own)) for each in (SAMPLE, *stored)}
        names = dict.fromkeys(each.facts for each in stored)
        self._facts = {name: self._store.table(name, {"row_id": Kind.INTEGER}) for name in names if name}
        self._completions: dict[str, tuple[str, frozenset[str]]] = {}
        self._texts = self._store.table("texts", {"id": Kind.INTEGER, "text": Kind.TEXT})
        self._chunks = Chunks()
        self._latest: tuple[Facts | None, int] = (None, 0)

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
        table = self._events.get(events.event_type.name)
        if table is None or not len(events.columns["time_us"]):
            return
        columns = dict(events.columns)
        columns["sample_id"] = np.asarray(columns.pop("sample"), np.int64) + (log_id << SAMPLE_BITS)
        if events.facts is not None:
            columns["row_id"] = np.asarray(columns.pop("row")) + self._first_row(events.event_type.facts, events.facts)
        table.add(columns)

    def complete(self) -> int:
        """Ends the inserting, before parsers `finish`: forgets samples that are there again, and counts them.

        Of a sample that one log has in part, and another log of its machine as atop wrote it, the part goes.
        The table `copies` has which sample each of them is in truth.
        """
        for table in (self._texts, *self._facts.values(), *self._events.values()):
            table.flush()
        return self._logs.complete()

    def hosts(self) -> list[tuple[Any, ...]]:
        """The name of each host that has samples, and the evidence that its logs were found in."""
        return self._logs.hosts()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; for `finish` of parsers, and for questions.

        Raises `StoreError` where memory or disk do not suffice.
        """
        return self._store.execute(statement)

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
        self.execute(f"CREATE OR REPLACE TABLE {facts}_completion AS {query}")
        described = self.execute(f"DESCRIBE {facts}_completion")
        self._completions[facts] = key, frozenset(str(name) for name, *_ in described)

    def columns(self) -> tuple[Column, ...]:
        """The columns of all types, each once."""
        return tuple({column.name: column for each in self.types for column in each.attributes}.values())

    def count(self, event_type: EventType) -> int:
        """How many events of a type there are to show."""
        events = self._bare(event_type)
        return int(self.execute(f"SELECT count(*) FROM ({events}) SEMI JOIN samples USING (sample_id)")[0][0])

    def write(self, line: Callable[[EventType], Iterable[Piece]], stream: Sink) -> int:
        """Writes all events in their order, a line each, made of the pieces for its type; gives their number."""
        part = self._store.directory / "part"
        lines = {each: self._with_pieces(each, line(each)) for each in self.types}
        count = 0
        for window in self._windows():
            union = " UNION ALL ".join(self._joined(each, f"{lines[each]} AS line", window) for each in self.types)
            count += self.execute(f"COPY (SELECT line FROM ({union}) {_ORDER}) TO '{part}' ({_RAW_LINES})")[0][0]
            with part.open("rb") as written:
                shutil.copyfileobj(written, stream, 1 << 20)
            self.written(count)
        return count

    def portions(self, columns: Callable[[EventType], Mapping[str, Piece]]) -> Iterator[str]:
        """Queries for all events in their order, some at a time, at least one; good until the next `write`.

        `columns` gives pieces for an event type, by the names of columns: the same names and kinds for each.
        """
        shown = {each: self._with_columns(each, columns(each)) for each in self.types}
        names = ", ".join(map(quoted, columns(self.types[0])))
        for window in list(self._windows()) or [Window(_FIRST, _LAST)]:
            union = " UNION ALL ".join(self._joined(each, shown[each], window) for each in self.types)
            yield f"SELECT {names} FROM ({union}) {_ORDER}"

    def events(self) -> Iterator[Event]:
        """All events in their order, as objects."""
        names = [each.name for each in (ACCURACY, *PROVENANCE, *self.columns())]
        shown = ", ".join(quoted(name) for name in ("rank", "time_us", *names))
        for each in self.types:
            self._keep_all(each)
        for window in self._windows():
            union = " UNION ALL BY NAME ".join(self._joined(each, _REST, window) for each in self.types)
            for rank, time_us, *values in self.execute(f"SELECT {shown} FROM ({union}) {_ORDER}"):
                event_type, date_time = self.types[rank], PosixTimeInMicroseconds(timestamp=time_us)
                attributes = dict(zip(names, values, strict=True))
                yield Event(event_type.data_type, event_type.timestamp_desc, date_time, attributes)

    def facts(self, event_type: EventType) -> str:
        """The name of a table of the facts of a type's events: `row_id` and its columns, texts as texts."""
        self._keep_facts(event_type, {each.name: quoted(each.name) for each in event_type.columns})
        return f"{event_type.name}_facts"

    def _with_pieces(self, event_type: EventType, pieces: Iterable[Piece]) -> str:
        """SQL for the line of an event, over kept pieces where they last longer than the event."""
        known = pieces if event_type.facts else map(_without_facts, pieces)
        joined = [
            Piece(level, f"concat({', '.join(piece.sql for piece in run)})")
            for level, run in groupby(known, key=lambda piece: piece.level)
        ]
        shown = self._shown(event_type, {f"piece_{number}": piece for number, piece in enumerate(joined)})
        return f"concat({', '.join(shown.values())})"

    def _with_columns(self, event_type: EventType, columns: Mapping[str, Piece]) -> str:
        """SQL for the columns of an event, over kept pieces where they last longer than the event."""
        return ", ".join(f"{sql} AS {quoted(name)}" for name, sql in self._shown(event_type, columns).items())

    def _shown(self, event_type: EventType, pieces: Mapping[str, Piece]) -> dict[str, str]:
        """SQL for each piece of an event, by name; those that last longer than the event are kept by their names."""
        known = {name: each if event_type.facts else _without_facts(each) for name, each in pieces.items()}
        facts, origins = (
            {name: each.sql for name, each in known.items() if each.level is level}
            for level in (Level.FACTS, Level.ORIGIN)
        )
        if event_type.own:
            facts |= {each.name: quoted(each.name) for each in event_type.columns}
        self._keep(event_type, facts, origins)
        return {name: each.sql if each.level is Level.EVENT else quoted(name) for name, each in known.items()}

    def _keep_all(self, event_type: EventType) -> None:
        facts = {each.name: quoted(each.name) for each in event_type.columns}
        self._keep(event_type, facts, {each.name: quoted(each.name) for each in PROVENANCE})

    def _keep(self, event_type: EventType, facts: Mapping[str, str], origin: Mapping[str, str]) -> None:
        """Keeps expressions, by name, over the facts and the origins of a type's events in two tables."""
        name = event_type.name
        self.execute(f"CREATE OR REPLACE TABLE {name}_origins AS SELECT sample_id{_listed(origin)} FROM origins")
        if event_type.facts:
            self._keep_facts(event_type, facts)

    def _keep_facts(self, event_type: EventType, facts: Mapping[str, str]) -> None:
        name = event_type.name
        for number, chunk in enumerate(self._chunks.chunks or [Chunk(0, 0, 0, 0)]):
            query = f"SELECT row_id{_listed(facts)} FROM ({self._known(event_type, chunk)})"
            into = f"INSERT INTO {name}_facts" if number else f"CREATE OR REPLACE TABLE {name}_facts AS"
            self.execute(f"{into} {query}")

    def _joined(self, event_type: EventType, shown: str, window: Window) -> str:
        """The query for something over a type's events in a window and what was kept, with what gives their order."""
        name, rank = event_type.name, self.types.index(event_type)
        bare = f"{self._bare(event_type)} AND {window.condition(rank)}"
        order = f"time_us, {rank} AS rank, sample_id, entry"
        facts = f"JOIN (FROM {name}_facts WHERE row_id IN (SELECT row_id FROM ({bare}))) USING (row_id)"
        return (
            f"SELECT {order}, {shown} FROM (SELECT *, {_ACCURACY} AS time_accuracy FROM ({bare}))"
            f" {facts if event_type.facts else ''} JOIN {name}_origins USING (sample_id)"
        )

    def _bare(self, event_type: EventType) -> str:
        """The query for the events of a type in the period as they are stored."""
        first, end = self._period
        return f"SELECT * FROM {event_type.name} WHERE time_us >= {first} AND time_us < {end}"

    def _known(self, event_type: EventType, chunk: Chunk) -> str:
        """The query for a chunk of the facts of a type's events: `row_id` and its columns, texts as texts.

        The texts of a chunk are together as well, so that few of them are looked through.
        """
        names = self._facts[event_type.facts].names
        key, told = self._completions.get(event_type.facts, ("", frozenset()))
        known = [each for each in event_type.columns if each.name in names]
        shown = {each.name: f"CAST(NULL AS {each.kind})" for each in event_type.columns}
        shown |= {each.name: f"facts.{quoted(each.name)}" for each in known}
        shown |= {each.name: f"{each.name}_text.text" for each in known if each.kind is Kind.TEXT}
        completion = ""
        if key in names:
            shown |= {name: f"completion.{quoted(name)}" for name in shown if name in told}
            completion = f"LEFT JOIN {event_type.facts}_completion AS completion USING ({key})"
        joins = " ".join(
            f"LEFT JOIN some_texts AS {each.name}_text ON {each.name}_text.id = facts.{each.name}"
            for each in known
            if each.kind is Kind.TEXT
        )
        rows = f"row_id >= {chunk.row} AND row_id < {chunk.end_row}"
        return (
            f"WITH some_texts AS (FROM texts WHERE id >= {chunk.text} AND id < {chunk.end_text})"
            f" SELECT facts.row_id{_listed(shown)} FROM {event_type.facts} AS facts {completion} {joins}"
            f" WHERE {rows} AND row_id IN (SELECT row_id FROM {event_type.name} WHERE {rows})"
        )

    def _windows(self) -> Iterator[Window]:
        """Windows that hold all events, in their order, and not too many of them each."""
        events = " UNION ALL ".join(
            f"SELECT time_us, {rank} AS rank, sample_id, entry // {_ENTRIES} AS part FROM ({self._bare(each)})"
            for rank, each in enumerate(self.types)
        )
        begins = self.execute(f"""
            WITH counted AS (SELECT *, count(*) AS events FROM ({events}) GROUP BY ALL),
            numbered AS (
                SELECT *, (sum(events) OVER (ORDER BY time_us, rank, sample_id, part) - events)
                    // {self._chunks.events_per_window} AS number
                FROM counted
            )
            SELECT time_us, rank, sample_id, part * {_ENTRIES} FROM numbered
            QUALIFY number IS DISTINCT FROM lag(number) OVER (ORDER BY time_us, rank, sample_id, part)
            ORDER BY ALL
        """)
        return (Window(begin, end) for begin, end in pairwise([*(Place(*each) for each in begins), _LAST]))

    def _first_row(self, table: str, facts: Facts) -> int:
        """The number of the first of these rows; facts that were just added are not added again."""
        latest, first = self._latest
        if facts is not latest:
            first = self._chunks.rows
            for part in divided(facts):
                row, base = self._chunks.rows, self._chunks.texts
                self._chunks.add(part)
                texts = {name: np.where(each < 0, each, each + base) for name, each in part.texts.items()}
                rows = {name: each + first for name, each in part.rows.items()}
                self._facts[table].add({"row_id": np.arange(row, self._chunks.rows), **part.columns, **texts, **rows})
                self._texts.add({"id": np.arange(base, self._chunks.texts), "text": part.values})
            self._latest = facts, first
        return first


def _without_facts(piece: Piece) -> Piece:
    return piece._replace(level=Level.EVENT) if piece.level is Level.FACTS else piece


def _kinds(columns: Iterable[Column]) -> dict[str, Kind]:
    return {each.name: each.kind for each in columns}


def _listed(expressions: Mapping[str, str]) -> str:
    """SQL for further expressions in a list, by name."""
    return "".join(f", {sql} AS {quoted(name)}" for name, sql in expressions.items())
