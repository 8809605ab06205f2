"""The timeline: one ordered table over all logs and sources. The only module that knows DuckDB.

The store keeps each type of event in a table of its own, and narrow: texts are numbers of the table `texts`,
and what all events of a sample or a log share stands in `samples` and `logs`. On the way out they are put
together window by window in the order of time, so that nothing is ever sorted or held as a whole.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import duckdb
import numpy as np
from dfdatetime.posix_time import PosixTimeInMicroseconds

from atop_timeline import arrow
from atop_timeline.events import KEYS, PROVENANCE, Column, Event, Events, EventType, Kind
from atop_timeline.texts import UNKNOWN

ALL_TIME = (-(1 << 63), (1 << 63) - 1)
"""In microseconds since 1970: the period that leaves nothing out."""

SAMPLE = EventType(
    "samples",
    "",
    "",
    (
        Column("offset", Kind.INTEGER, "byte", "where its record begins in the log"),
        Column("sample_interval", Kind.INTEGER, "s", "length of its interval"),
        Column("digest_high", Kind.INTEGER, "", "half of what samples that are the same have in common"),
        Column("digest_low", Kind.INTEGER, "", "the other half"),
    ),
)
"""The samples themselves, to which all events refer; they are added like events."""

_ROW_GROUP = 122_880  # DuckDB's own: tables that grow by whole ones grow several times faster
_WINDOW_ROWS = 100_000
_SETTINGS = {"memory_limit": "300MB", "threads": 1}
_SAMPLE_BITS = 32
_ORDER = "time_us, rank, sample_id, entry"


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
    to show and the first one not to.
    """

    def __init__(
        self, types: Sequence[EventType], staging: Sequence[EventType] = (), period: tuple[int, int] = ALL_TIME
    ) -> None:
        self.types = tuple(types)
        self._period = period
        self._directory = Path(tempfile.mkdtemp(prefix="atop-timeline-"))
        self._database = duckdb.connect(str(self._directory / "store.duckdb"), config=_SETTINGS)
        self._database.execute("CREATE TABLE texts (id BIGINT, text VARCHAR)")
        self._database.execute(
            "CREATE TABLE logs (log_id BIGINT, hostname VARCHAR, evidence VARCHAR, volume VARCHAR,"
            " filename VARCHAR, atop_version VARCHAR)"
        )
        self._texts = _Pending(self._database, "texts")
        self._text_count = self._shared_base = 0
        self._shared: Sequence[str] = ()
        self._tables = {each.name: self._table(each) for each in (SAMPLE, *types, *staging)}
        self._database.execute(
            "CREATE VIEW origins AS SELECT samples.* EXCLUDE (time_us, entry), time_us AS sample_us, logs.*"
            f" FROM samples JOIN logs ON log_id = sample_id >> {_SAMPLE_BITS}"
        )

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
        length = len(events.columns["time_us"])
        if events.event_type.name not in self._tables or not length:
            return
        columns = dict(events.columns)
        columns["sample_id"] = columns.pop("sample").astype(np.int64) + (log_id << _SAMPLE_BITS)
        base = self._text_base(events.texts)
        for each in events.event_type.columns:
            if each.kind is Kind.TEXT and each.name in columns:
                numbers = columns[each.name].astype(np.int64)
                columns[each.name] = np.where(numbers == UNKNOWN, UNKNOWN, numbers + base)
        self._tables[events.event_type.name].add(arrow.table(KEYS + events.event_type.columns, columns, length))

    def complete(self) -> int:
        """Ends the inserting, before parsers `finish`: forgets samples that are there again, and counts them."""
        for pending in (self._texts, *self._tables.values()):
            pending.flush()
        forgotten = self.execute(
            "DELETE FROM samples WHERE sample_id NOT IN"
            " (SELECT min(sample_id) FROM samples GROUP BY digest_high, digest_low)"
        )
        return int(forgotten[0][0])

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; for `finish` of parsers, and for questions."""
        return self._database.execute(statement).fetchall()

    def text(self, text: str) -> int:
        """The number of a text, for a column of text in `fill`."""
        number = self._text_base([text])
        self._texts.flush()
        return number

    def fill(self, event_type: EventType, query: str) -> None:
        """Inserts what a query gives into the table of an event type, in the order of time."""
        if event_type.name in self._tables:
            names = ", ".join(_quoted(each.name) for each in KEYS + event_type.columns)
            self._database.execute(
                f"INSERT INTO {event_type.name} ({names}) SELECT {names} FROM ({query}) ORDER BY time_us, sample_id, entry"
            )

    def columns(self) -> tuple[Column, ...]:
        """The columns of all types together with those that all events have, each once."""
        every = [column for each in self.types for column in each.columns]
        return tuple({column.name: column for column in (*PROVENANCE, *every)}.values())

    def export(self, line: Mapping[str, str], options: str, stream: BinaryIO, guard: str = "{}") -> int:
        """Writes all events in their order, by DuckDB's COPY with these options; gives their number.

        `line` has an SQL expression for each field, over `time_us`, `data_type`, `timestamp_desc` and
        `columns()`. `guard` is one that is applied to every text that the evidence chose.
        """
        self._show(guard)
        fields = ", ".join(f"{expression} AS {_quoted(name)}" for name, expression in line.items())
        part = self._directory / "part"
        count = 0
        for window in self._windows():
            query = f"SELECT {fields} FROM ({self._events(window)}) ORDER BY {_ORDER}"
            rows = self._database.execute(f"COPY ({query}) TO '{part}' ({options})").fetchone()
            count += rows[0] if rows else 0
            with part.open("rb") as written:
                shutil.copyfileobj(written, stream, 1 << 20)
        return count

    def events(self) -> Iterator[Event]:
        """All events in their order, as objects."""
        self._show("{}")
        names = [each.name for each in self.columns()]
        fields = ", ".join(_quoted(name) for name in ("data_type", "timestamp_desc", "time_us", *names))
        for window in self._windows():
            query = f"SELECT {fields} FROM ({self._events(window)}) ORDER BY {_ORDER}"
            for data_type, description, time_us, *values in self._database.execute(query).fetchall():
                attributes = dict(zip(names, values, strict=True))
                yield Event(data_type, description, PosixTimeInMicroseconds(timestamp=time_us), attributes)

    def _table(self, event_type: EventType) -> "_Pending":
        columns = ", ".join(f"{_quoted(each.name)} {_stored(each.kind)}" for each in KEYS + event_type.columns)
        self._database.execute(f"CREATE TABLE {event_type.name} ({columns})")
        return _Pending(self._database, event_type.name)

    def _text_base(self, texts: Sequence[str]) -> int:
        """The number of the first of these texts; of those that were added last, only new ones are added."""
        base = self._shared_base if texts is self._shared else self._text_count
        new = texts[self._text_count - base :]
        if new:
            self._texts.add(arrow.texts(self._text_count, new))
            self._text_count += len(new)
        self._shared, self._shared_base = texts, base
        return base

    def _show(self, guard: str) -> None:
        """Prepares what events share as it is shown, once for all windows."""
        origin = ", ".join(
            f"{guard.format(_ORIGIN[each.name])} AS {_quoted(each.name)}"
            if each.kind is Kind.TEXT
            else f"{_ORIGIN[each.name]} AS {_quoted(each.name)}"
            for each in PROVENANCE
        )
        self._database.execute(
            f"CREATE OR REPLACE TEMP TABLE shown_texts AS SELECT id, {guard.format('text')} AS text FROM texts"
        )
        self._database.execute(
            f"CREATE OR REPLACE TEMP TABLE shown_samples AS SELECT sample_id, {origin} FROM origins"
        )

    def _windows(self) -> list[tuple[int, int]]:
        """Periods, each with its first and last microsecond, of not many more than `_WINDOW_ROWS` events."""
        first, end = self._period
        times = " UNION ALL ".join(f"SELECT time_us FROM {each.name}" for each in self.types)
        return self.execute(f"""
            WITH counted AS (
                SELECT time_us, count(*) AS rows FROM ({times}) WHERE time_us >= {first} AND time_us < {end}
                GROUP BY time_us
            ),
            numbered AS (
                SELECT time_us, (sum(rows) OVER (ORDER BY time_us) - rows) // {_WINDOW_ROWS} AS number FROM counted
            )
            SELECT min(time_us), max(time_us) FROM numbered GROUP BY number ORDER BY number
        """)

    def _events(self, window: tuple[int, int]) -> str:
        """The query for whole events of a period, in no order."""
        stored = " UNION ALL BY NAME ".join(
            f"SELECT {rank} AS rank, '{each.data_type}' AS data_type, '{each.timestamp_desc}' AS timestamp_desc, *"
            f" FROM {each.name} WHERE time_us BETWEEN {window[0]} AND {window[1]}"
            for rank, each in enumerate(self.types)
        )
        own = [each for each in self.columns() if each not in PROVENANCE]
        shown = ", ".join(_shown(each) for each in own)
        joins = " ".join(
            f"LEFT JOIN shown_texts AS text_{each.name} ON text_{each.name}.id = event.{each.name}"
            for each in own
            if each.kind is Kind.TEXT
        )
        return (
            f"SELECT rank, data_type, timestamp_desc, time_us, event.sample_id, entry, {shown},"
            f" shown_samples.* EXCLUDE (sample_id)"
            f" FROM ({stored}) AS event JOIN shown_samples ON shown_samples.sample_id = event.sample_id {joins}"
        )


class _Pending:
    """Rows on their way into a table, as Arrow arrays; a whole row group is inserted at a time."""

    def __init__(self, database: duckdb.DuckDBPyConnection, table: str) -> None:
        self._database = database
        self._table = table
        self._arrays: list[Any] = []

    def add(self, array: Any) -> None:  # noqa: ANN401  nanoarrow has no types
        self._arrays.append(array)
        if sum(len(each) for each in self._arrays) >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._arrays:
            self._database.register("pending", arrow.stream(self._arrays))
            self._database.execute(f"INSERT INTO {self._table} SELECT * FROM pending")
            self._database.unregister("pending")
            self._arrays = []


def _quoted(name: str) -> str:
    return f'"{name}"'


_ORIGIN = {each.name: _quoted(each.name) for each in PROVENANCE} | {
    "sample_time": "strftime(make_timestamp(sample_us), '%Y-%m-%dT%H:%M:%S+00:00')"
}


def _stored(kind: Kind) -> str:
    return Kind.INTEGER if kind is Kind.TEXT else kind


def _shown(column: Column) -> str:
    source = f"text_{column.name}.text" if column.kind is Kind.TEXT else f"event.{column.name}"
    return f"{source} AS {_quoted(column.name)}"
