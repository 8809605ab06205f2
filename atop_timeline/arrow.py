"""numpy's columns as Arrow's, which DuckDB takes without a copy. The only module that knows nanoarrow."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from numpy.typing import NDArray

from atop_timeline.events import Kind


class Rows(NamedTuple):
    """Rows of a table: the kinds of its columns by name, how many rows, and one Arrow array of structs."""

    kinds: dict[str, Kind]
    length: int
    array: Any


def rows(columns: Mapping[str, NDArray[Any]]) -> Rows:
    """Columns of whole or floating point numbers and truth values, shape (n,); what is masked is null."""
    kinds = {name: _KINDS[values.dtype.kind] for name, values in columns.items()}
    length = len(next(iter(columns.values())))
    return _rows(kinds, length, [_array(kinds[name], values) for name, values in columns.items()])


def texts(first: int, values: Sequence[str]) -> Rows:
    """Texts, as `text`, numbered from `first` on, as `id`."""
    ids = _array(Kind.INTEGER, np.arange(first, first + len(values)))
    return _rows({"id": Kind.INTEGER, "text": Kind.TEXT}, len(values), [ids, na.c_array(values, na.string())])


def stream(pieces: Sequence[Rows]) -> Any:  # noqa: ANN401  nanoarrow has no types
    """Rows of the same columns as one stream."""
    return na.ArrayStream(CArrayStream.from_c_arrays([each.array for each in pieces], pieces[0].array.schema))


_KINDS = {"i": Kind.INTEGER, "u": Kind.INTEGER, "f": Kind.NUMBER, "b": Kind.FLAG}
_TYPES = {Kind.INTEGER: na.int64(), Kind.NUMBER: na.float64(), Kind.FLAG: na.bool_(), Kind.TEXT: na.string()}


def _rows(kinds: dict[str, Kind], length: int, arrays: list[Any]) -> Rows:
    schema = na.struct({name: _TYPES[kind] for name, kind in kinds.items()})
    return Rows(kinds, length, na.c_array_from_buffers(schema, length, [None], children=arrays))


def _array(kind: Kind, values: NDArray[Any]) -> Any:  # noqa: ANN401  nanoarrow has no types
    data, mask = np.ma.getdata(values), np.ma.getmask(values)
    validity = None if mask is np.ma.nomask else _bits(np.logical_not(mask))
    buffer = _bits(data) if kind is Kind.FLAG else np.ascontiguousarray(data, _DTYPES[kind])
    return na.c_array_from_buffers(_TYPES[kind], len(values), [validity, buffer])


_DTYPES = {Kind.INTEGER: np.int64, Kind.NUMBER: np.float64}


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")
