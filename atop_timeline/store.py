"""A temporary database that takes numpy's columns. The only module that knows DuckDB and nanoarrow.

numpy's columns become Arrow's, which DuckDB takes without a copy.
"""

import errno
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from numpy.typing import NDArray

from atop_timeline.errors import AtopTimelineError, EvidenceError, StoreError, UsageError
from atop_timeline.events import Kind
from atop_timeline.temporary import folder_in

_ROW_GROUP = 122_880  # DuckDB's own: tables grow best by whole ones
_MOST_PENDING = 100  # each takes some 50 KB, however few its rows
_MOST_PENDING_BYTES = 1 << 24
_OUTSIDE = 300_000_000  # bytes that Python, its libraries and the columns on their way take
_LEAST_MEMORY = 500_000_000
_MOST_MEMORY = 1 << 50  # far above what DuckDB would take for a wrong number
_TYPES = {Kind.INTEGER: na.int64(), Kind.NUMBER: na.float64(), Kind.FLAG: na.bool_(), Kind.TEXT: na.string()}
_DTYPES = {Kind.INTEGER: np.int64, Kind.NUMBER: np.float64}
_WRONG_STATEMENT = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
_SPECIAL = re.compile(r"[*?\[\]{}=\udc80-\udcff]")  # the last are bytes that are no UTF-8 (PEP 383)
_STREAM_LACKS = re.compile(r"^ArrowArrayStream::\w+\(\) failed \(\d+\): ((?:Out of Memory|IO) Error: .*)", re.DOTALL)
_INTERRUPTED = re.compile(r"^Query interrupted$|failed: \w*Interrupt\w*: $")  # what DuckDB makes of KeyboardInterrupt
_FULL, _LARGE = os.strerror(errno.ENOSPC), os.strerror(errno.EFBIG)
_KINDS = {"i": Kind.INTEGER, "u": Kind.INTEGER, "f": Kind.NUMBER, "b": Kind.FLAG}


@dataclass(frozen=True)
class Room:
    """What a run may take of the machine: bytes of memory in all, where temporary files go, and threads.

    No directory is the system's own for such files. Raises `UsageError` where the memory is not enough for anything.
    """

    memory: int = 600_000_000
    directory: str | None = None
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.memory < _LEAST_MEMORY:
            raise UsageError(f"--memory-limit: {self.memory:,} bytes are not enough; at least {_LEAST_MEMORY:,}")


DEFAULT_ROOM = Room()


class Strings(NamedTuple):
    """Texts in UTF-8, one behind the other: `offsets`, shape (n + 1,), tell where each begins and the last ends."""

    data: memoryview
    offsets: NDArray[np.int32]


class Store:
    """The database, and a directory of its own, where what memory does not hold lies; `close` removes both."""

    def __init__(self, room: Room = DEFAULT_ROOM) -> None:
        place = room.directory or tempfile.gettempdir()
        if not suits(place):
            raise StoreError(
                f"temporary files in {place}: a pattern to DuckDB, or no UTF-8; --temp-dir is another place"
            )
        self._temporary = folder_in(place)
        self.directory = self._temporary.path
        self.memory = min(room.memory, _MOST_MEMORY) - _OUTSIDE
        """Bytes that it may take."""
        self._database = duckdb.connect(
            config={
                "memory_limit": f"{self.memory * 2 // 5}B",  # columns on their way may take the rest
                "temp_directory": str(self.directory / "spilled"),
                "threads": 1,
                "checkpoint_threshold": "1TB",  # there is nothing to keep: it would only write all tables anew
            }
        )
        self._own = threading.local()
        self._own.connection = self._database

    def close(self) -> None:
        """Removes the database."""
        try:
            self._database.close()
        finally:
            self._temporary.remove()

    def take_all(self, but: int = 0) -> None:
        """Takes the memory as well that columns on their way needed, as no more come: all but so many bytes."""
        self.execute(f"SET memory_limit = '{self.memory - but}B'")

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; raises `StoreError` where memory or disk do not suffice."""
        with self.errors():
            return self._connection.execute(statement).fetchall()

    def arrays(self, query: str) -> dict[str, NDArray[Any]]:
        """What a query gives, by columns; masked is null, and of BLOB come byte arrays."""
        with self.errors():
            return self._connection.execute(query).fetchnumpy()

    def strings(self, query: str) -> Iterator[tuple[NDArray[np.int64], list[Strings]]]:
        """What a query gives, of a column of numbers and further ones of texts, none of them null, in parts."""
        with self.errors():
            for array in na.c_array_stream(self._connection.sql(query)):
                numbers, *texts = (array.child(number).view() for number in range(array.n_children))
                yield np.frombuffer(numbers.buffer(1), np.int64, array.length), [_strings(each) for each in texts]

    def looked_up(self, keys: Mapping[str, NDArray[np.int64]], query: str) -> dict[str, NDArray[Any]]:
        """The same, where the query reads these columns of numbers in a table `keys`."""
        array = _structs(dict.fromkeys(keys, Kind.INTEGER), keys, len(next(iter(keys.values()))))
        with self.errors():
            self._connection.register("keys", na.ArrayStream(CArrayStream.from_c_arrays([array], array.schema)))
            found = self.arrays(query)
            self._connection.unregister("keys")
        return found

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """Of this thread."""
        if not hasattr(self._own, "connection"):
            self._own.connection = self._database.cursor()
        connection: duckdb.DuckDBPyConnection = self._own.connection
        return connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raises `StoreError` where memory or disk do not suffice, also for files in the store's directory."""
        try:
            yield
        except AtopTimelineError:
            raise
        except (RuntimeError, duckdb.InvalidInputException) as error:
            if _INTERRUPTED.search(str(error)):
                raise KeyboardInterrupt from error
            lacking = _STREAM_LACKS.search(str(error))
            if not lacking:
                raise
            raise StoreError(_lacking(lacking[1], self.directory.parent)) from error
        except (OSError, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            raise StoreError(_lacking(str(error), self.directory.parent)) from error

    def table(self, name: str, kinds: Mapping[str, Kind]) -> "Table":
        """A new table of these columns."""
        return Table(self, name, kinds)

    def insert(self, name: str, arrays: Sequence[Any]) -> None:
        """Appends Arrow arrays of one schema to a table, by the names of their columns."""
        stream = na.ArrayStream(CArrayStream.from_c_arrays(list(arrays), arrays[0].schema))
        with self.errors():
            self._database.register("pending", stream)
            self.execute(f"INSERT INTO {name} BY NAME SELECT * FROM pending")
            self._database.unregister("pending")


class Table:
    """A table that grows by columns as they come, and by so many rows at a time that DuckDB is quick."""

    def __init__(self, store: Store, name: str, kinds: Mapping[str, Kind]) -> None:
        self._store = store
        self._name = name
        self._kinds = dict(kinds)
        self._pending: dict[tuple[tuple[str, Kind], ...], list[Any]] = {}
        self._rows = self._arrays = self._bytes = 0
        self._make()

    def add(self, columns: Mapping[str, NDArray[Any] | Sequence[str]]) -> None:
        """Appends rows: whole or floating point numbers, truth values or texts, of one length; masked is null."""
        kinds = {name: _kind(values) for name, values in columns.items()}
        length = len(next(iter(columns.values())))
        self._pending.setdefault(tuple(kinds.items()), []).append(_structs(kinds, columns, length))
        self._rows, self._arrays = self._rows + length, self._arrays + 1
        self._bytes += sum(_bytes(values) for values in columns.values())
        if self._rows >= _ROW_GROUP or self._arrays >= _MOST_PENDING or self._bytes >= _MOST_PENDING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Has all rows in the database."""
        self._widen({name: kind for kinds in self._pending for name, kind in kinds if name not in self._kinds})
        for arrays in self._pending.values():
            self._store.insert(self._name, arrays)
        self._pending = {}
        self._rows = self._arrays = self._bytes = 0

    def _widen(self, kinds: Mapping[str, Kind]) -> None:
        """Adds columns: to a table without rows all at once, which is quicker."""
        self._kinds |= kinds
        if kinds and not self._store.execute(f"FROM {self._name} LIMIT 1"):
            self._make()
        else:
            for name, kind in kinds.items():
                self._store.execute(f"ALTER TABLE {self._name} ADD COLUMN {quoted(name)} {kind}")

    def _make(self) -> None:
        declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in self._kinds.items())
        self._store.execute(f"CREATE OR REPLACE TABLE {self._name} ({declared})")


def suits(folder: str) -> bool:
    """Whether DuckDB takes the paths of files in a folder as they are: no pattern, no values of columns."""
    return not _SPECIAL.search(os.path.realpath(folder))


def quoted(name: str) -> str:
    """A name in SQL."""
    return f'"{name}"'


def literal(text: str) -> str:
    """SQL for a text."""
    return "'" + text.replace("'", "''") + "'"


def _lacking(error: str, place: Path) -> str:
    """What there is not enough of, from what DuckDB says."""
    if _FULL in error or _LARGE in error or "max_temp_directory_size" in error:  # that of the disk, by default
        what = _LARGE if _LARGE in error else _FULL
        return f"temporary files in {place}: {what}; --temp-dir chooses another place"
    if error.startswith("Out of Memory") or "could not allocate" in error:
        return "the memory that may be taken does not suffice; --memory-limit gives more"
    return f"temporary files in {place}: {error.splitlines()[0]}"


def _kind(values: NDArray[Any] | Sequence[str]) -> Kind:
    return _KINDS[values.dtype.kind] if isinstance(values, np.ndarray) else Kind.TEXT


def _bytes(values: NDArray[Any] | Sequence[str]) -> int:
    return values.nbytes if isinstance(values, np.ndarray) else sum(len(each or "") for each in values)


def _structs(kinds: Mapping[str, Kind], columns: Mapping[str, Any], length: int) -> Any:  # noqa: ANN401  nanoarrow has no types
    schema = na.struct({name: _TYPES[kind] for name, kind in kinds.items()})
    children = [_array(kinds[name], values) for name, values in columns.items()]
    return na.c_array_from_buffers(schema, length, [None], children=children)


def _array(kind: Kind, values: Any) -> Any:  # noqa: ANN401  nanoarrow has no types
    if kind is Kind.TEXT:
        return na.c_array(values, na.string())
    data, mask = np.ma.getdata(values), np.ma.getmask(values)
    validity = None if mask is np.ma.nomask else _bits(np.logical_not(mask))
    buffer = _bits(data) if kind is Kind.FLAG else np.ascontiguousarray(data, _DTYPES[kind])
    return na.c_array_from_buffers(_TYPES[kind], len(values), [validity, buffer])


def _strings(view: Any) -> Strings:  # noqa: ANN401  likewise
    return Strings(memoryview(view.buffer(2)).cast("B"), np.frombuffer(view.buffer(1), np.int32, len(view) + 1))


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")


@contextmanager
def parquet_errors() -> Iterator[None]:
    """Raises `EvidenceError` where a Parquet file cannot be read as it should."""
    try:
        yield
    except _WRONG_STATEMENT:
        raise
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise EvidenceError(f"Parquet: {str(error).splitlines()[0]}") from error


class Questions(Store):
    """A database for questions about Parquet files."""

    def __init__(self, room: Room = DEFAULT_ROOM) -> None:
        super().__init__(room)
        self.take_all()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; raises `EvidenceError` where a Parquet file cannot be read as it should."""
        with parquet_errors():
            return super().execute(statement)

    def fault(self, statement: str) -> str:
        """What is wrong with a statement that a user had a part in; empty if nothing is."""
        with self.errors():
            try:
                self._database.execute(statement).fetchall()
            except duckdb.Error as error:
                return str(error).splitlines()[0]
        return ""
