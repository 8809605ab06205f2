"""One sample of a raw log: its record, and the zlib streams that it announces.

The format: rawlog.h and rawlog.c of atop. Every length is checked before it is used, and nothing inflates
beyond what the layout promises.
"""

import hashlib
import zlib
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from atop_timeline.header import Header

LAST_SECOND = 253_402_300_799
"""The end of the year 9999: no reader of timelines takes a later time."""

MOST_TASK_BYTES = 96 << 20
"""More than atop can have in one sample: it skips what exits beyond 50 MiB (acctproc.h)."""

MOST_INFLATION = 1032
"""Of zlib, in bytes per byte; a stream's head and tail come on top."""

BOOT = 0x0001
"""Flag of a record, rawlog.h: the first of a run of atop."""

NETATOP = 0x0004
IO_STATISTICS = 0x0020
GPU_STATISTICS = 0x0080
CGROUPS = 0x0100
"""Flags of a record, rawlog.h: what of its tasks was measured."""

_BLOBS = ("scomplen", "pcomplen", "ccomplen", "icomplen")  # in the order of the file
_MOST_CGROUP_BYTES = 1 << 24
_WINDOW_BYTES = 1 << 20
_FREE_BYTES = 1 << 27
_PIECE_BYTES = 1 << 10
_SECTOR_BYTES = 1 << 9


STREAM_START = b"\x78[\x01\x5e\x9c\xda]"
"""How a zlib stream begins, as a regular expression: RFC 1950; atop's compress() makes 78 9c."""


class TornError(ValueError):
    """A record cannot be what atop wrote."""


class Remark(NamedTuple):
    """What is odd at a place of a log; `serious` where something may be missing or wrong by it."""

    offset: int
    what: str
    serious: bool


class Stream(Protocol):
    """What is read of a file, as of any of Python's; each may raise `OSError`."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a place, and tell where that is."""
        ...

    def read(self, size: int = ..., /) -> bytes:
        """So many bytes from there on, fewer at the end."""
        ...

    def tell(self) -> int:
        """Where that is now."""
        ...


class Bytes:
    """The bytes of a log, anywhere in it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @cached_property
    def size(self) -> int:
        """How many there are; a log that grows later does not change it."""
        return self._stream.seek(0, 2)

    @property
    def position(self) -> int:
        """How many have been read or passed over."""
        return self._stream.tell()

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Exactly these bytes; raises `TornError` where they are not to be had."""
        try:
            self._stream.seek(offset)
            data = self._stream.read(length)
        except OSError as error:
            raise TornError(f"{what} at offset {offset}: cannot be read: {error}") from error
        if len(data) < length:
            raise TornError(f"{what} at offset {offset}: {length} bytes expected, {len(data)} found")
        return data

    def window(self, begin: int, end: int) -> bytes:
        """What there is from one offset to another, with zeros in place of what cannot be read."""
        end = min(end, self.size)
        offsets = range(begin, end, _WINDOW_BYTES)
        return b"".join(self._part(offset, min(end, offset + _WINDOW_BYTES)) for offset in offsets)

    def failure(self) -> str:
        """Why there may have been more bytes than there are; empty where these are all."""
        try:
            self._stream.seek(self.size)
            self._stream.read(1)
        except OSError as error:
            return str(error)
        return ""

    def _part(self, begin: int, end: int) -> bytes:
        try:
            return self.read(begin, end - begin, "")
        except TornError:
            middle = (begin + end + _SECTOR_BYTES) // 2 // _SECTOR_BYTES * _SECTOR_BYTES
            is_apart = begin < middle < end
            return self._part(begin, middle) + self._part(middle, end) if is_apart else bytes(end - begin)


class Budget:
    """What may be inflated in search: as much as honest streams in a log of a size could hold, and no more."""

    def __init__(self, size: int) -> None:
        self._left = _FREE_BYTES + MOST_INFLATION * size

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left of it."""
        return self._left <= 0

    def spend(self, size: int) -> None:
        """Takes so many bytes off."""
        self._left -= size


class Sample(NamedTuple):
    """One sample: its record, where that begins in the log, and all tasks in atop's order, shape (n,).

    `digest` is the same for the same sample in another log of the machine. `whole` unless it is what could be
    saved of a damaged one. `caveat` says what is wrong with it, empty where nothing is known. `system`, `cgroups`
    and `pids` are the streams of sstat, of cstat and of the cgroups' pids as they lie in the log, to be inflated
    by whoever asks for them; empty where there is none, or none that could be.
    """

    header: Header
    offset: int
    record: np.void
    tasks: NDArray[np.void]
    digest: bytes
    caveat: str = ""
    whole: bool = True
    system: bytes = b""
    cgroups: bytes = b""
    pids: bytes = b""


def read_sample(data: Bytes, header: Header, offset: int, most_bytes: int = MOST_TASK_BYTES) -> tuple[Sample, int, int]:
    """The sample whose record begins at this offset, where its task list ends, and where the sample does.

    Raises `TornError` where atop did not write it so, `MemoryError` where its tasks have more than so many bytes.
    """
    layout = header.layout
    head = data.read(offset, layout.rawrecord.itemsize, "record")
    record = np.frombuffer(head, layout.rawrecord)[0]
    if not has_time(record):
        raise TornError(f"record at offset {offset}: time {record['curtime']} is no second of the years to 9999")
    start, end = offset + len(head), offset + stored_bytes(record)
    if end > data.size:
        raise TornError(
            f"record at offset {offset}: announces {end - start} bytes behind it, {data.size - start} are left"
        )
    place, compressed = start + int(record["scomplen"]), int(record["pcomplen"])
    count = announced(record)
    length = count * layout.tstat.itemsize
    if length > min(MOST_TASK_BYTES, (compressed + 1) * MOST_INFLATION) or not could_hold(compressed, length):
        raise TornError(f"task list at offset {place}: {count} tasks in {compressed} bytes are not possible")
    if length > most_bytes:
        raise MemoryError(f"task list at offset {place}: {length} bytes")
    blob = data.read(place, compressed, "task list")
    tasks = inflate(blob, length, f"task list at offset {place}")
    sample = Sample(
        header,
        offset,
        record,
        np.frombuffer(tasks, layout.tstat),
        digest_of(header, head, blob),
        "",
        True,  # noqa: FBT003  whole
        *_other_streams(data, header, record, start),
    )
    return sample, place + len(blob), end


def _other_streams(data: Bytes, header: Header, record: np.void, start: int) -> tuple[bytes, bytes, bytes]:
    """A sample's streams of sstat, of cstat and of pids; empty where it cannot be that, or cannot be read."""
    system = _read_possible(data, start, int(record["scomplen"]), header.layout.sstat.itemsize)
    if header.layout.cstat is None:
        return system, b"", b""
    behind, length = start + int(record["scomplen"]) + int(record["pcomplen"]), int(record["ccomplen"])
    cgroups = _read_possible(data, behind, length, int(record["coriglen"]))
    return system, cgroups, _read_possible(data, behind + length, int(record["icomplen"]), int(record["ncgpids"]) * 4)


def _read_possible(data: Bytes, offset: int, length: int, inflated: int) -> bytes:
    if inflated > _MOST_CGROUP_BYTES or not could_hold(length, inflated):
        return b""
    try:
        return data.read(offset, length, "")
    except TornError:
        return b""


def has_time(record: np.void) -> bool:
    """Whether the time of a record is one."""
    return 0 < int(record["curtime"]) <= LAST_SECOND


def stored_bytes(record: np.void) -> int:
    """How many bytes of the log a record and its streams have, as it says."""
    names = record.dtype.names or ()
    return record.dtype.itemsize + sum(int(record[name]) for name in _BLOBS if name in names)


def announced(record: np.void) -> int:
    """The number of tasks that a record announces."""
    return int(record["ndeviat" if "ndeviat" in (record.dtype.names or ()) else "nlist"])


def digest_of(header: Header, record: bytes, blob: bytes) -> bytes:
    """What samples that are the same have in common."""
    return hashlib.blake2b(header.hostname.encode() + record + blob, digest_size=16).digest()


def could_hold(compressed: "int | NDArray[np.integer]", length: int) -> "bool | NDArray[np.bool_]":
    """Whether zlib would make no fewer than so many bytes of this length; see its compressBound()."""
    return compressed <= length + (length >> 10) + 64


def inflate(blob: bytes, length: int, what: str) -> bytes:
    """What a zlib stream holds; raises `TornError` unless it is whole, of this length, and all of the blob."""
    inflater = isal_zlib.decompressobj()
    try:
        data = inflater.decompress(blob, length + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # it is an exception, but has no type
        raise TornError(f"{what}: does not inflate: {error}") from error
    if len(data) != length or not inflater.eof:
        found = f"{len(data)} bytes" if inflater.eof else f"{len(data)} bytes and no end"
        raise TornError(f"{what}: {length} bytes expected, inflates to {found}")
    if inflater.unused_data:
        raise TornError(f"{what}: ends {len(inflater.unused_data)} bytes before it should")
    return bytes(data)


class Inflated(NamedTuple):
    """What a damaged zlib stream gave, and from how many bytes; `proved` by its checksum, or `broken` at an error."""

    data: bytearray
    length: int
    proved: bool
    broken: bool


def inflate_partly(blob: bytes, most: int, step: int) -> Inflated:
    """What a zlib stream holds up to where it ends or breaks, to within a step.

    By zlib, whose output is exact up to the place where it breaks.
    """
    inflater = zlib.decompressobj()
    found, read = bytearray(), 0
    for begin in range(0, len(blob), _PIECE_BYTES):
        if inflater.eof:
            break
        piece, more = blob[begin : begin + _PIECE_BYTES], True
        read = begin + len(piece)
        while more and len(found) < most and not inflater.eof:
            try:
                part = inflater.decompress(piece, step)
            except zlib.error:
                return Inflated(found, len(blob), proved=False, broken=True)
            found += part
            piece, more = inflater.unconsumed_tail, bool(part or inflater.unconsumed_tail)
    return Inflated(found, read - len(inflater.unused_data), proved=inflater.eof, broken=False)
