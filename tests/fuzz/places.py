"""Where the samples of a log are, and logs in which a number or a stream of one is another."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.header import RAWHEADER_BYTES, read_header
from atop_timeline.layout import MAGICS, Layout, load

LENGTHS = ("scomplen", "pcomplen", "ccomplen", "icomplen")
"""Fields of a record: how many bytes each of its blobs has, in the order of the file."""

MAGIC = re.compile(b"|".join(map(re.escape, MAGICS)))
"""How a header begins."""

_STREAM = re.compile(b"\x78[\x01\x5e\x9c\xda]")


@dataclass(frozen=True)
class Place:
    """A sample in a log: where its record, its blobs and its end are."""

    layout: Layout
    record: int
    sstat: int
    tasks: int
    others: int
    end: int

    @property
    def bounds(self) -> tuple[int, ...]:
        """All of these offsets, in order."""
        return self.record, self.sstat, self.tasks, self.others, self.end


def places(data: bytes) -> list[Place]:
    """The samples in a log whose two streams begin where their records say, whatever is in them."""
    starts = [match.start() for match in MAGIC.finditer(data)]
    found: list[Place] = []
    for begin, end in zip([0, *starts], [*starts, len(data)], strict=True):
        found += _behind(data, _layout(data[begin : begin + RAWHEADER_BYTES]), begin, end)
    return found


@cache
def leaves(dtype: np.dtype[np.void]) -> list[tuple[int, np.dtype[Any]]]:
    """Offset and type of each field that has no fields itself."""
    found = []
    for part, offset, *_ in (dtype.fields or {}).values():
        base, shape = part.base, part.shape
        if base.fields:
            found += [(offset + inner, leaf) for inner, leaf in leaves(base)]
        else:
            found += [(offset + number * base.itemsize, base) for number in range(int(np.prod(shape, dtype=int)))]
    return found


def field(dtype: np.dtype[np.void], name: str) -> tuple[int, np.dtype[Any]]:
    """Offset and type of a field."""
    fields: Mapping[str, Any] = dtype.fields or {}
    field_dtype, offset, *_ = fields[name]
    return offset, field_dtype


def poked(data: bytes, offset: int, part: tuple[int, np.dtype[Any]], value: int) -> bytes:
    """A log in which a field of a structure at an offset has another value, cut to its width."""
    inner, dtype = part
    raw = (value % (1 << 8 * dtype.itemsize)).to_bytes(dtype.itemsize, "big" if dtype.byteorder == ">" else "little")
    return data[: offset + inner] + raw + data[offset + inner + len(raw) :]


def with_numbers(data: bytes, place: Place, changed: dict[str, int]) -> bytes:
    """The record of a sample with other numbers."""
    record = data[place.record : place.sstat]
    for name, value in changed.items():
        form = place.layout.rawrecord
        record = poked(record, 0, field(form, name if name in (form.names or ()) else "nlist"), value)
    return record


def rewritten(data: bytes, place: Place, stream: bytes, changed: dict[str, int]) -> bytes:
    """A sample with another task list."""
    record = with_numbers(data, place, {"pcomplen": len(stream)} | changed)
    return record + data[place.sstat : place.tasks] + stream + data[place.others : place.end]


def tasks_of(data: bytes, place: Place) -> NDArray[np.uint8] | None:
    """The bytes of the tasks of a sample, shape (n, bytes of one); None where they cannot be had."""
    length = place.layout.tstat.itemsize
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data[place.tasks : place.others], 1 << 24)
    except zlib.error:
        return None
    return None if len(raw) % length else np.frombuffer(raw, np.uint8).reshape(-1, length)


def _layout(header: bytes) -> Layout:
    try:
        return read_header(header).layout
    except (WrongParser, UnknownLayout):
        return load("2.8", "x86-64")


def _behind(data: bytes, layout: Layout, begin: int, end: int) -> Iterator[Place]:
    length = layout.rawrecord.itemsize
    for match in _STREAM.finditer(data, begin + length, end):
        if match.start() - length >= begin:
            place = _place(data, layout, match.start() - length)
            if place.end <= end and _STREAM.match(data, place.tasks):
                begin = place.end
                yield place


def _place(data: bytes, layout: Layout, offset: int) -> Place:
    record = np.frombuffer(data, layout.rawrecord, 1, offset)[0]
    lengths = [int(record[name]) if name in (record.dtype.names or ()) else 0 for name in LENGTHS]
    ends = (offset + layout.rawrecord.itemsize + np.cumsum([0, *lengths])).tolist()
    return Place(layout, offset, ends[0], ends[1], ends[2], ends[4])
