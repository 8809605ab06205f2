"""A temporary database on disk that takes numpy's columns. The only module that knows DuckDB and nanoarrow.

numpy's columns become Arrow's, which DuckDB takes without a copy.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from numpy.typing import NDArray

from atop_timeline.errors import EvidenceError, StoreError
from atop_timeline.events import Kind

_ROW_GROUP = 122_880  # DuckDB's own: tables grow best by whole ones
_MOST_PENDING = 100  # each takes some 50 KB, however few its rows
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "300MB", "threads": 1}
_TYPES = {Kind.INTEGER: na.int64(), Kind.NUMBER: na.float64(), Kind.FLAG: na.bool_(), Kind.TEXT: na.string()}
_DTYPES = {Kind.INTEGER: np.int64, Kind.NUMBER: np.float64}
_WRONG_STATEMENT = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
_KINDS = {"i": Kind.INTEGER, "u": Kind.INTEGER, "f": Kind.NUMBER, "b": Kind.FLAG}


class Store:
    """The database, in a directory of its own, which `close` removes."""

    def __init__(self) -> None:
        try:
            self._temporary = tempfile.TemporaryDirectory(prefix="atop-timeline-", ignore_cleanup_errors=True)
        except OSError as error:
            raise StoreError(f"temporary store: {error}") from error
        self.directory = Path(self._temporary.name)
        self._database = duckdb.connect(str(self.directory / "store.duckdb"), config=_SETTINGS)

    def close(self) -> None:
        """Removes the database."""
        self._database.close()
        self._temporary.cleanup()

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; raises `StoreError` where memory or disk do not suffice."""
        try:
            return self._database.execute(statement).fetchall()
        except RuntimeError as error:  # what DuckDB makes of KeyboardInterrupt (CompletePendingQuery)
            if str(error) != "Query interrupted":
                raise
            raise KeyboardInterrupt from error
        except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            raise StoreError(f"temporary store in {self.directory}: {str(error).splitlines()[0]}") from error

    def table(self, name: str, kinds: Mapping[str, Kind]) -> "Table":
        """A new table of these columns."""
        declared = ", ".join(f"{quoted(column)} {kind}" for column, kind in kinds.items())
        self.execute(f"CREATE TABLE {name} ({declared})")
        return Table(self, name, kinds)

    def insert(self, name: str, arrays: Sequence[Any]) -> None:
        """Appends Arrow arrays of one schema to a table, by the names of their columns."""
        stream = na.ArrayStream(CArrayStream.from_c_arrays(list(arrays), arrays[0].schema))
        self._database.register("pending", stream)
        self.execute(f"INSERT INTO {name} BY NAME SELECT * FROM pending")
        self._database.unregister("pending")


class Table:
    """A table that grows by columns as they come, and by so many rows at a time that DuckDB is quick."""

    def __init__(self, store: Store, name: str, kinds: Mapping[str, Kind]) -> None:
        self.names = set(kinds)
        self._store = store
        self._name = name
        self._pending: dict[tuple[tuple[str, Kind], ...], list[Any]] = {}
        self._rows = self._arrays = 0

    def add(self, columns: Mapping[str, NDArray[Any] | Sequence[str]]) -> None:
        """Appends rows: whole or floating point numbers, truth values or texts, of one length; masked is null."""
        kinds = {name: _kind(values) for name, values in columns.items()}
        length = len(next(iter(columns.values())))
        self._pending.setdefault(tuple(kinds.items()), []).append(_structs(kinds, columns, length))
        self._rows, self._arrays = self._rows + length, self._arrays + 1
        if self._rows >= _ROW_GROUP or self._arrays >= _MOST_PENDING:
            self.flush()

    def flush(self) -> None:
        """Has all rows in the database."""
        for kinds, arrays in self._pending.items():
            for name, kind in kinds:
                if name not in self.names:
                    self._store.execute(f"ALTER TABLE {self._name} ADD COLUMN {quoted(name)} {kind}")
                    self.names.add(name)
            self._store.insert(self._name, arrays)
        self._pending, self._rows, self._arrays = {}, 0, 0


def quoted(name: str) -> str:
    """A name in SQL."""
    return f'"{name}"'


def literal(text: str) -> str:
    """SQL for a text."""
    return "'" + text.replace("'", "''") + "'"


def _kind(values: NDArray[Any] | Sequence[str]) -> Kind:
    return _KINDS[values.dtype.kind] if isinstance(values, np.ndarray) else Kind.TEXT


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


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")


class Questions(Store):
    """A database for questions about Parquet files."""

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement of SQL gives; raises `EvidenceError` where a Parquet file cannot be read as it should."""
        try:
            return super().execute(statement)
        except _WRONG_STATEMENT:
            raise
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise EvidenceError(f"Parquet: {str(error).splitlines()[0]}") from error

    def fault(self, statement: str) -> str:
        """What is wrong with a statement that a user had a part in; empty if nothing is."""
        try:
            self._database.execute(statement).fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
        return ""
