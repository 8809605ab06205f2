"""numpy's columns as Arrow's, which DuckDB takes without a copy. The only module that knows nanoarrow."""

from collections.abc import Mapping, Sequence
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from numpy.typing import NDArray

from atop_timeline.events import Column, Kind

_TYPES = {Kind.INTEGER: na.int64, Kind.NUMBER: na.float64, Kind.FLAG: na.bool_, Kind.TEXT: na.int64}
_DTYPES = {Kind.INTEGER: np.int64, Kind.NUMBER: np.float64, Kind.FLAG: np.bool_, Kind.TEXT: np.int64}


def table(columns: Sequence[Column], values: Mapping[str, NDArray[Any]], length: int) -> Any:  # noqa: ANN401
    """One Arrow struct array of `length` rows; masked values and absent columns are null, texts are numbers."""
    return na.c_array_from_buffers(
        _schema(columns), length, [None], children=[_array(each, values.get(each.name), length) for each in columns]
    )


def texts(first: int, values: Sequence[str]) -> Any:  # noqa: ANN401
    """An Arrow struct array of `id`, from `first` on, and `text`."""
    ids = np.arange(first, first + len(values), dtype=np.int64)
    children = [na.c_array_from_buffers(na.int64(), len(values), [None, ids]), na.c_array(values, na.string())]
    return na.c_array_from_buffers(_TEXTS, len(values), [None], children=children)


def stream(arrays: Sequence[Any]) -> Any:  # noqa: ANN401
    """Struct arrays of one schema as a stream."""
    return na.ArrayStream(CArrayStream.from_c_arrays(list(arrays), arrays[0].schema))


_TEXTS = na.struct({"id": na.int64(), "text": na.string()})


def _schema(columns: Sequence[Column]) -> Any:  # noqa: ANN401
    return na.struct({each.name: _TYPES[each.kind]() for each in columns})


def _array(column: Column, values: NDArray[Any] | None, length: int) -> Any:  # noqa: ANN401
    if values is None:
        values = np.ma.masked_all(length, _DTYPES[column.kind])
    data = np.ascontiguousarray(np.ma.getdata(values), _DTYPES[column.kind])
    mask = np.ma.getmask(values)
    validity = None if mask is np.ma.nomask else _bits(~mask)
    buffer = _bits(data) if column.kind is Kind.FLAG else data
    return na.c_array_from_buffers(_TYPES[column.kind](), length, [validity, buffer])


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")
