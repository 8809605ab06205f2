"""The timeline: one ordered table over all logs and sources. The only module that knows DuckDB.

The store is narrow. An event is a few numbers and refers to its facts, in which texts are numbers too; what all
events of a sample share stands with the sample. So a line of output is put together from pieces, most of them
made once for many events, window by window in the order of time: nothing is ever sorted or held as a whole.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import duckdb
import numpy as np
from dfdatetime.posix_time import PosixTimeInMicroseconds

from atop_timeline import arrow
from atop_timeline.errors import StoreError
from atop_timeline.events import ACCURACY, KEYS, PROVENANCE, Column, Event, Events, EventType, Facts, Kind

ALL_TIME = (-(1 << 63), (1 << 63) - 1)
"""In microseconds since 1970: the period that leaves nothing out."""

SAMPLE = EventType(
    "samples",
    own=(
        Column("offset", Kind.INTEGER, "byte", "where its record begins in the log"),
        Column("sample_interval", Kind.INTEGER, "s", "length of its interval"),
        Column("digest_high", Kind.INTEGER, "", "half of what samples that are the same have in common"),
        Column("digest_low", Kind.INTEGER, "", "the other half"),
    ),
)
"""The samples themselves, to which all events refer; they are inserted like events."""

_ROW_GROUP = 122_880  # DuckDB's own: tables grow best by whole ones
_WINDOW_ROWS = 25_000
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "300MB", "threads": 1}
_SAMPLE_BITS = 32
_LOGS = """
CREATE TABLE logs (
    log_id BIGINT, hostname VARCHAR, evidence VARCHAR, volume VARCHAR, filename VARCHAR, atop_version VARCHAR
)
"""
_ORIGINS = f"""
CREATE VIEW origins AS
SELECT sample_id, logs.*, "offset", sample_interval,
    strftime(make_timestamp(time_us), '%Y-%m-%dT%H:%M:%S+00:00') AS sample_time
FROM samples JOIN logs ON log_id = sample_id >> {_SAMPLE_BITS}
"""
_ACCURACY = """
CASE WHEN early_s IS NULL THEN 'not after'
     WHEN early_s = 0 AND late_s = 0 THEN 'second'
     WHEN early_s = late_s THEN '±' || late_s || ' s'
     ELSE '-' || early_s || '..+' || late_s || ' s' END
"""
_ORDER = "ORDER BY time_us, rank, sample_id, entry"
_RAW_LINES = r"FORMAT csv, HEADER false, DELIMITER E'\x01', QUOTE E'\x02', ESCAPE E'\x02'"  # no text has these


class Level(Enum):
    """What a piece of a line is made from, and so how often."""

    EVENT = "`time_us`, `time_accuracy`: once per event"
    FACTS = "the columns of the event's type: once per row of facts"
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


class LogOrigin(NamedTuple):
    """Where a log was found and who wrote it: a row of the table `logs`."""

    hostname: str
    evidence: str
    volume: str
    filename: str
    atop_version: str


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
        self._directory = Path(tempfile.mkdtemp(prefix="atop-timeline-"))
        self._database = duckdb.connect(str(self._directory / "store.duckdb"), config=_SETTINGS)
        self._database.execute(_LOGS)
        stored = (*types, *staging)
        self._events = {
            each.name: _Table(self._database, each.name, _kinds(KEYS + each.own)) for each in (SAMPLE, *stored)
        }
        self._facts = {
            name: _Table(self._database, name, {"row_id": Kind.INTEGER})
            for name in sorted({each.facts for each in stored})
        }
        self._texts = _Table(self._database, "texts", {"id": Kind.INTEGER, "text": Kind.TEXT})
        self._text_count = self._row_count = 0
        self._latest: tuple[Facts | None, int] = (None, 0)
        self._database.execute(_ORIGINS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the store."""
        self._database.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def add_log(self, log_id: int, log: LogOrigin) -> None:
        """A log, by the number to which its samples and events refer."""
        self._database.execute("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", [log_id, *log])

    def insert(self, log_id: int, events: Events) -> None:
        """Events of one log; its samples are inserted likewise."""
        table = self._events.get(events.event_type.name)
        if table is None or not len(events.columns["time_us"]):
            return
        columns = dict(events.columns)
        columns["sample_id"] = columns.pop("sample").astype(np.int64) + (log_id << _SAMPLE_BITS)
        if events.facts is not None:
            columns["row_id"] = columns.pop("row") + self._first_row(events.event_type.facts, events.facts)
        table.add(arrow.rows(columns))

    def complete(self) -> int:
        """Ends the inserting, before parsers `finish`: forgets samples that are there again, and counts them."""
        for table in (self._texts, *self._facts.values(), *self._events.values()):
            table.flush()
        forgotten = self.execute(
            "DELETE FROM samples WHERE sample_id NOT IN"
            " (SELECT min(sample_id) FROM samples GROUP BY digest_high, digest_low)"
        )
        return int(forgotten[0][0])

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; for `finish` of parsers, and for questions.

        Raises `StoreError` where memory or disk do not suffice.
        """
        try:
            return self._database.execute(statement).fetchall()
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise StoreError(f"temporary store in {self._directory}: {error}") from error

    def fill(self, event_type: EventType, query: str) -> None:
        """Inserts what a query gives, the columns `KEYS`, as events of a type, in the order of time."""
        if event_type.name in self._events:
            names = ", ".join(each.name for each in KEYS)
            self.execute(
                f"INSERT INTO {event_type.name} ({names}) SELECT {names} FROM ({query})"
                " ORDER BY time_us, sample_id, entry"
            )

    def columns(self) -> tuple[Column, ...]:
        """The columns of the facts of all types, each once."""
        return tuple({column.name: column for each in self.types for column in each.columns}.values())

    def count(self, event_type: EventType) -> int:
        """How many events of a type there are to show."""
        events = self._bare(event_type, ALL_TIME)
        return int(self.execute(f"SELECT count(*) FROM ({events}) SEMI JOIN samples USING (sample_id)")[0][0])

    def write(self, line: Callable[[EventType], Iterable[Piece]], stream: Sink) -> int:
        """Writes all events in their order, a line each, made of the pieces for its type; gives their number."""
        part = self._directory / "part"
        lines = {each: self._prepared(each, line(each)) for each in self.types}
        count = 0
        for window in self._windows():
            union = " UNION ALL ".join(self._lines(each, lines[each], window) for each in self.types)
            count += self.execute(f"COPY (SELECT line FROM ({union}) {_ORDER}) TO '{part}' ({_RAW_LINES})")[0][0]
            with part.open("rb") as written:
                shutil.copyfileobj(written, stream, 1 << 20)
            self.written(count)
        return count

    def events(self) -> Iterator[Event]:
        """All events in their order, as objects."""
        names = [each.name for each in (ACCURACY, *PROVENANCE, *self.columns())]
        shown = ", ".join(_quoted(name) for name in ("data_type", "timestamp_desc", "time_us", *names))
        for window in self._windows():
            union = " UNION ALL BY NAME ".join(
                f"SELECT {rank} AS rank, '{each.data_type}' AS data_type, '{each.timestamp_desc}' AS timestamp_desc,"
                f" * FROM ({self.whole(each, window)})"
                for rank, each in enumerate(self.types)
            )
            for data_type, description, time_us, *values in self.execute(f"SELECT {shown} FROM ({union}) {_ORDER}"):
                date_time = PosixTimeInMicroseconds(timestamp=time_us)
                yield Event(data_type, description, date_time, dict(zip(names, values, strict=True)))

    def whole(self, event_type: EventType, window: tuple[int, int] = ALL_TIME) -> str:
        """The query for the events of a type in a window of time with all their columns, in no order."""
        return (
            f"SELECT events.*, {_ACCURACY} AS time_accuracy, facts.* EXCLUDE (row_id), origins.* EXCLUDE (sample_id)"
            f" FROM ({self._bare(event_type, window)}) AS events"
            f" JOIN ({self._known(event_type)}) AS facts USING (row_id) JOIN origins USING (sample_id)"
        )

    def _prepared(self, event_type: EventType, pieces: Iterable[Piece]) -> str:
        """SQL for the line of an event, over two new tables that hold the pieces that last."""
        joined = [
            Piece(level, ", ".join(piece.sql for piece in run))
            for level, run in groupby(pieces, key=lambda piece: piece.level)
        ]
        names = {piece: f"{event_type.name}_{number}" for number, piece in enumerate(joined)}
        for level, key, source in (
            (Level.FACTS, "row_id", f"FROM ({self._known(event_type)})"),
            (Level.ORIGIN, "sample_id", "FROM origins"),
        ):
            lasting = "".join(f", concat({piece.sql}) AS {names[piece]}" for piece in joined if piece.level is level)
            self.execute(f"CREATE OR REPLACE TABLE {event_type.name}_{key} AS SELECT {key}{lasting} {source}")
        return f"concat({', '.join(piece.sql if piece.level is Level.EVENT else names[piece] for piece in joined)})"

    def _lines(self, event_type: EventType, line: str, window: tuple[int, int]) -> str:
        """The query for the lines of a window, with what gives their order."""
        name, bare = event_type.name, self._bare(event_type, window)
        return (
            f"SELECT time_us, {self.types.index(event_type)} AS rank, sample_id, entry, {line} AS line"
            f" FROM (SELECT *, {_ACCURACY} AS time_accuracy FROM ({bare}))"
            f" JOIN (FROM {name}_row_id WHERE row_id IN (SELECT row_id FROM ({bare}))) USING (row_id)"
            f" JOIN {name}_sample_id USING (sample_id)"
        )

    def _bare(self, event_type: EventType, window: tuple[int, int]) -> str:
        """The query for the events of a type in a window of time as they are stored."""
        first, end = max(window[0], self._period[0]), min(window[1], self._period[1])
        return f"SELECT * FROM {event_type.name} WHERE time_us >= {first} AND time_us < {end}"

    def _known(self, event_type: EventType) -> str:
        """The query for the facts of the events of a type: `row_id` and its columns, texts as texts."""
        names = self._facts[event_type.facts].names
        texts = [each.name for each in event_type.columns if each.kind is Kind.TEXT and each.name in names]
        shown = ", ".join(f"{_source(each, names)} AS {_quoted(each.name)}" for each in event_type.columns)
        joins = " ".join(f"LEFT JOIN texts AS {name}_text ON {name}_text.id = facts.{name}" for name in texts)
        return (
            f"SELECT facts.row_id, {shown} FROM {event_type.facts} AS facts {joins}"
            f" WHERE facts.row_id IN (SELECT row_id FROM {event_type.name})"
        )

    def _windows(self) -> list[tuple[int, int]]:
        """Windows of time, each from its first microsecond to the first one no longer, with a bounded number of events."""
        times = " UNION ALL ".join(f"SELECT time_us FROM ({self._bare(each, ALL_TIME)})" for each in self.types)
        return self.execute(f"""
            WITH counted AS (SELECT time_us, count(*) AS rows FROM ({times}) GROUP BY time_us),
            numbered AS (
                SELECT time_us, (sum(rows) OVER (ORDER BY time_us) - rows) // {_WINDOW_ROWS} AS number FROM counted
            )
            SELECT min(time_us), max(time_us) + 1 FROM numbered GROUP BY number ORDER BY number
        """)

    def _first_row(self, table: str, facts: Facts) -> int:
        """The number of the first of these rows in their table; facts that were just added are not added again."""
        latest, first = self._latest
        if facts is not latest:
            first, base = self._row_count, self._text_count
            texts = {name: np.where(each < 0, each, each + base) for name, each in facts.texts.items()}
            numbers = np.arange(first, first + len(facts.columns["pid"]))
            self._facts[table].add(arrow.rows({"row_id": numbers, **facts.columns, **texts}))
            self._texts.add(arrow.texts(base, facts.values))
            self._row_count += len(numbers)
            self._text_count += len(facts.values)
            self._latest = facts, first
        return first


class _Table:
    """A table of the store that grows by Arrow arrays, a row group at a time, and by columns as they come."""

    def __init__(self, database: duckdb.DuckDBPyConnection, name: str, kinds: Mapping[str, Kind]) -> None:
        self._database = database
        self._name = name
        self._pending: list[arrow.Rows] = []
        self._length = 0
        self.names = set(kinds)
        declared = ", ".join(f"{_quoted(name)} {kind}" for name, kind in kinds.items())
        database.execute(f"CREATE TABLE {name} ({declared})")

    def add(self, rows: arrow.Rows) -> None:
        if self._pending and rows.kinds != self._pending[0].kinds:
            self.flush()
        self._pending.append(rows)
        self._length += rows.length
        if self._length >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        for name, kind in self._pending[0].kinds.items():
            if name not in self.names:
                self.names.add(name)
                self._database.execute(f"ALTER TABLE {self._name} ADD COLUMN {_quoted(name)} {kind}")
        self._database.register("pending", arrow.stream(self._pending))
        self._database.execute(f"INSERT INTO {self._name} BY NAME SELECT * FROM pending")
        self._database.unregister("pending")
        self._pending, self._length = [], 0


def _kinds(columns: Iterable[Column]) -> dict[str, Kind]:
    return {each.name: each.kind for each in columns}


def _quoted(name: str) -> str:
    return f'"{name}"'


def _source(column: Column, names: Collection[str]) -> str:
    if column.name not in names:
        return f"CAST(NULL AS {column.kind})"
    return f"{column.name}_text.text" if column.kind is Kind.TEXT else f"facts.{_quoted(column.name)}"
