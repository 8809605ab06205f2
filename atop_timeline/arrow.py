"""What nanoarrow leaves out of Arrow's C interface: columns of rows of others, and streams made while they are read.

https://arrow.apache.org/docs/format/CDataInterface.html, https://arrow.apache.org/docs/format/CStreamInterface.html
"""

import ctypes
import errno
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from typing import Any

import nanoarrow as na
import numpy as np
from numpy.typing import NDArray

from atop_timeline.store import Store


class _Schema(ctypes.Structure):
    """`struct ArrowSchema`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("format", "name", "metadata")),
        *((name, ctypes.c_int64) for name in ("flags", "n_children")),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    )


class _Array(ctypes.Structure):
    """`struct ArrowArray`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        *((name, ctypes.c_void_p) for name in ("buffers", "children", "dictionary", "release", "private_data")),
    )


class _Stream(ctypes.Structure):
    """`struct ArrowArrayStream`; `private_data` is a `Stream`, of which it has a reference."""


_GIVE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.c_void_p)
_TELL = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Stream))
_RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_END = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_Stream._fields_ = (  # it is in the types of its own fields
    ("get_schema", _GIVE),
    ("get_next", _GIVE),
    ("get_last_error", _TELL),
    ("release", _END),
    ("private_data", ctypes.c_void_p),
)
_NAMES = {_Array: b"arrow_array", _Schema: b"arrow_schema"}
_MESSAGE = ctypes.create_string_buffer(b"Python has raised")


class Stream:
    """At least one struct of columns, of the same names and types each, for who reads them once.

    `told` is how many rows there were until now. `error` is what it ended by, or shall end by, if not by its end.
    """

    def __init__(self, structs: Iterator[Any], told: Callable[[int], None] = lambda _: None) -> None:
        first = next(structs)
        self.names = tuple(each.name for each in first.schema.children)
        self.count = 0
        self.ended = False
        self.error: BaseException | None = None
        self._schema = deepcopy(first.schema)
        self._structs = _begun(first, structs)
        self._told = told
        self._stream = _Stream(*_CALLS, id(self))

    def __arrow_c_schema__(self) -> Any:  # noqa: ANN401  a capsule
        return deepcopy(self._schema).__arrow_c_schema__()  # what is in a capsule may be taken out

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:  # noqa: ANN401  likewise
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        return _capsule(ctypes.addressof(self._stream), b"arrow_array_stream", None)

    def next_capsule(self) -> Any:  # noqa: ANN401  likewise
        """The next struct; None at the end."""
        if self.error:
            raise self.error
        array = next(self._structs, None)
        if array is None:
            self.ended = True
            return None
        self.count += array.length
        self._told(self.count)
        return array.__arrow_c_array__()[1]


def fetched(store: Store, query: str, keys: NDArray[np.int64]) -> Any:  # noqa: ANN401  nanoarrow has no types
    """What a query gives that reads these numbers as `key` of a table `keys`: a row for each, as a struct."""
    connection = store._connection  # noqa: SLF001  this is the store's other half
    with store.errors():
        connection.register("keys", na.Array(struct({"key": keys})))
        try:
            (found,) = na.c_array_stream(connection.sql(query))
        finally:
            connection.unregister("keys")
    return found


def read(store: Store, stream: Stream, statement: str) -> list[tuple[Any, ...]]:
    """What a statement gives that reads all of the table `stream`; the store may be asked while that is made.

    Raises what making it raised, and what `Store.execute` does. Another thread reads: an interrupt comes in the main
    one wherever that is, and what C calls cannot raise it.
    """
    with ThreadPoolExecutor(1) as executor:
        try:
            return executor.submit(_read, store, stream, statement).result()
        except KeyboardInterrupt as error:
            stream.error = error
            raise


def struct(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401  likewise
    """A struct of columns of one length: numpy's, without nulls, and Arrow's, which are then empty."""
    children = [_whole(each) if isinstance(each, np.ndarray) else each for each in columns.values()]
    schema = na.struct({name: na.Schema(each.schema) for name, each in zip(columns, children, strict=True)})
    return na.c_array_from_buffers(schema, len(children[0]), [None], children=children, validation_level="none")


def rows_of(values: Any, rows: NDArray[np.int32]) -> Any:  # noqa: ANN401  likewise
    """The column that has these rows of another one: Arrow calls it a dictionary."""
    schema = na.dictionary(na.int32(), na.Schema(values.schema))
    array = na.c_array_from_buffers(schema, len(rows), [None, rows], validation_level="none")
    place = array.dictionary._addr()  # noqa: SLF001  nanoarrow's way to the structure
    _RELEASE(_Array.from_address(place).release)(place)
    _, capsule = values.__arrow_c_array__()
    _move(_Array, capsule, place)
    return array


def _read(store: Store, stream: Stream, statement: str) -> list[tuple[Any, ...]]:
    try:
        with store.errors(), closing(store._database.cursor()) as connection:  # noqa: SLF001  likewise
            connection.register("stream", stream)
            result: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    finally:
        if stream.error:
            raise stream.error
    if not stream.ended:
        raise MemoryError  # C has called Python, which could not even begin to tell what is wrong
    return result


def _begun(first: Any, others: Iterator[Any]) -> Iterator[Any]:  # noqa: ANN401  likewise
    yield first
    del first  # it may be large
    yield from others


def _whole(values: NDArray[np.int64]) -> Any:  # noqa: ANN401  likewise
    return na.c_array_from_buffers(na.int64(), len(values), [None, np.ascontiguousarray(values, np.int64)])


def _move(kind: type[_Array | _Schema], capsule: Any, place: int) -> None:  # noqa: ANN401  likewise
    """What is in a capsule, which lets it go, to a place."""
    source = _pointer(capsule, _NAMES[kind])
    ctypes.memmove(place, source, ctypes.sizeof(kind))
    kind.from_address(source).release = None


def _source(stream: Any) -> Stream:  # noqa: ANN401  a pointer
    source: Stream = ctypes.cast(stream.contents.private_data, ctypes.py_object).value
    return source


def _get_schema(stream: Any, place: int) -> int:  # noqa: ANN401  likewise
    _move(_Schema, _source(stream).__arrow_c_schema__(), place)
    return 0


def _get_next(stream: Any, place: int) -> int:  # noqa: ANN401  likewise
    source = _source(stream)
    try:
        capsule = source.next_capsule()
        if capsule:
            _move(_Array, capsule, place)
        else:
            ctypes.memset(place, 0, ctypes.sizeof(_Array))
    except BaseException as error:  # noqa: BLE001  C cannot raise it: who has the stream read does
        source.error = error
        return errno.EIO
    return 0


def _get_last_error(_: Any) -> int:  # noqa: ANN401  likewise
    return ctypes.addressof(_MESSAGE)


def _release(stream: Any) -> None:  # noqa: ANN401  likewise
    source = _source(stream)
    stream.contents.release = _END()
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(source))


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.argtypes, _capsule.restype = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p), ctypes.py_object
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.argtypes, _pointer.restype = (ctypes.py_object, ctypes.c_char_p), ctypes.c_void_p
_CALLS = (_GIVE(_get_schema), _GIVE(_get_next), _TELL(_get_last_error), _END(_release))
