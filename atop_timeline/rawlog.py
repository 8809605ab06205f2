"""An atop raw log: its header, then samples, each a record and the zlib streams that it announces.

The format: rawlog.h and rawlog.c of atop. Every length is checked before it is used, and nothing inflates
beyond what the layout promises.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from atop_timeline.errors import WrongParser
from atop_timeline.layout import layout_of, read_rawheader
from atop_timeline.texts import decode

NETATOP = 0x0004
IO_STATISTICS = 0x0020
GPU_STATISTICS = 0x0080
CGROUPS = 0x0100
"""Flags of a record, rawlog.h: what of its tasks was measured."""

RAWHEADER_BYTES = 480
"""Where the first record begins, in every version and on every machine."""

LAST_SECOND = 253_402_300_799
"""The end of the year 9999: no reader of timelines takes a later time."""

_MOST_TASK_BYTES = 1 << 28
_MOST_INFLATION = 1032  # zlib's limit, plus a stream's head and tail
_BLOCK_BYTES = 1 << 26
_BLOCK_SAMPLES = 4096


class Damage(NamedTuple):
    """Bytes of a log from which nothing could be read."""

    offset: int
    length: int
    what: str


class _TornError(ValueError):
    """A record cannot be what atop wrote."""


@dataclass(frozen=True)
class Sample:
    """One sample: its record, where that begins in the log, and all tasks in atop's order, shape (n,)."""

    offset: int
    record: np.void
    tasks: NDArray[np.void]
    digest: bytes


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of one log.

    `first` is the number of the first in its log; `records`, `offsets` and `digests` have one entry per
    sample, `tasks` and `sample` (each task's sample, as an index into these) one per task.
    """

    log: "RawLog"
    first: int
    records: NDArray[np.void]
    offsets: NDArray[np.int64]
    digests: list[bytes]
    tasks: NDArray[np.void]
    sample: NDArray[np.int64]


class RawLog:
    """A raw log, read from a seekable stream that the caller closes; `users` are the machine's names by user id.

    Raises `WrongParser` where the stream does not begin as a raw log, `UnknownLayout` where no known atop
    wrote it. `damages` is complete once the samples have been read to their end.
    """

    def __init__(self, stream: BinaryIO, users: Mapping[int, str] = MappingProxyType({})) -> None:
        self._stream = stream
        self.users = users
        stream.seek(0)
        self.header = read_rawheader(stream.read(RAWHEADER_BYTES))
        self.layout = layout_of(self.header)
        if not self.header["hertz"]:
            raise WrongParser("raw log header at offset 0: hertz is 0, atop writes 100")
        self.damages: list[Damage] = []

    @cached_property
    def hostname(self) -> str:
        """As the header has it."""
        return decode(bytes(self.header["utsname"]["nodename"]))

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of the atop that wrote the header; it does not tell its patch level."""
        version = int(self.header["aversion"])
        return version >> 8 & 0x7F, version & 0xFF

    @property
    def atop_version(self) -> str:
        """The same as text, such as `2.8`."""
        return "{}.{}".format(*self.version)

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return self._stream.seek(0, 2)

    @property
    def position(self) -> int:
        """How many bytes have been read or passed over."""
        return self._stream.tell()

    def samples(self) -> Iterator[Sample]:
        """The samples in the order of the file; what cannot be read becomes one of `damages`."""
        self.damages.clear()
        offset = RAWHEADER_BYTES
        if offset == self.size:
            self.damages.append(Damage(offset, 0, "header only, no sample behind it"))
        while offset < self.size:
            try:
                sample, end = self._sample(offset)
            except _TornError as error:
                self.damages.append(Damage(offset, self.size - offset, str(error)))
                return
            yield sample
            offset = end

    def blocks(self) -> Iterator[Samples]:
        """The samples in blocks of some megabytes, for work by columns; the tasks of one give way to the next."""
        first = size = 0
        gathered: list[Sample] = []
        buffer = np.empty(_BLOCK_BYTES, np.uint8)
        for sample in self.samples():
            tasks = sample.tasks.view(np.uint8)
            if gathered and (size + len(tasks) > len(buffer) or len(gathered) == _BLOCK_SAMPLES):
                yield _block(self, first, gathered, buffer[:size])
                first += len(gathered)
                gathered, size = [], 0
            if len(tasks) > len(buffer):
                buffer = np.empty(len(tasks), np.uint8)
            end = size + len(tasks)
            buffer[size:end] = tasks
            gathered.append(replace(sample, tasks=buffer[size:end].view(self.layout.tstat)))
            size = end
        if gathered:
            yield _block(self, first, gathered, buffer[:size])

    def _sample(self, offset: int) -> tuple[Sample, int]:
        """The sample whose record begins at this offset, and where it ends."""
        data = self._read(offset, self.layout.rawrecord.itemsize, "record")
        record = np.frombuffer(data, self.layout.rawrecord)[0]
        if not 0 < int(record["curtime"]) <= LAST_SECOND:
            raise _TornError(f"record at offset {offset}: time {record['curtime']} is no second of the years to 9999")
        lengths = [int(record[name]) for name in _BLOBS if name in (self.layout.rawrecord.names or ())]
        start = offset + len(data)
        if start + sum(lengths) > self.size:
            raise _TornError(
                f"record at offset {offset}: announces {sum(lengths)} bytes behind it, {self.size - start} are left"
            )
        blob = self._read(start + lengths[0], lengths[1], "task list")
        tasks = self._tasks(record, blob, start + lengths[0])
        digest = hashlib.blake2b(bytes(self.header["utsname"]["nodename"]) + data + blob, digest_size=16)
        return Sample(offset, record, tasks, digest.digest()), start + sum(lengths)

    def _tasks(self, record: np.void, blob: bytes, offset: int) -> NDArray[np.void]:
        count = int(record["ndeviat" if "ndeviat" in (self.layout.rawrecord.names or ()) else "nlist"])
        length = count * self.layout.tstat.itemsize
        if length > min(_MOST_TASK_BYTES, (len(blob) + 1) * _MOST_INFLATION):
            raise _TornError(f"task list at offset {offset}: {count} tasks in {len(blob)} bytes are not possible")
        return np.frombuffer(_inflate(blob, length, f"task list at offset {offset}"), self.layout.tstat)

    def _read(self, offset: int, length: int, what: str) -> bytes:
        try:
            self._stream.seek(offset)
            data = self._stream.read(length)
        except OSError as error:
            raise _TornError(f"{what} at offset {offset}: cannot be read: {error}") from error
        if len(data) < length:
            raise _TornError(f"{what} at offset {offset}: {length} bytes expected, {len(data)} found")
        return data


_BLOBS = ("scomplen", "pcomplen", "ccomplen", "icomplen")  # in the order of the file


def _inflate(blob: bytes, length: int, what: str) -> bytes:
    inflater = isal_zlib.decompressobj()
    try:
        data = inflater.decompress(blob, length + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # it is an exception, but has no type
        raise _TornError(f"{what}: does not inflate: {error}") from error
    if len(data) != length or not inflater.eof:
        found = f"{len(data)} bytes" if inflater.eof else f"{len(data)} bytes and no end"
        raise _TornError(f"{what}: {length} bytes expected, inflates to {found}")
    return data


def _block(log: RawLog, first: int, samples: list[Sample], tasks: NDArray[np.uint8]) -> Samples:
    counts = [len(sample.tasks) for sample in samples]
    return Samples(
        log,
        first,
        np.array([sample.record for sample in samples], log.layout.rawrecord),
        np.array([sample.offset for sample in samples], np.int64),
        [sample.digest for sample in samples],
        tasks.view(log.layout.tstat),
        np.repeat(np.arange(len(samples)), counts),
    )
