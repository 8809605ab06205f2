"""Kinds of damage, each done to a whole log: what the README's table has, and tests/test_damage.py."""

import gzip
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.record import announced

LOGS = Path(__file__).parents[2] / "test_data" / "logs"
OTHER = LOGS / "2.6.0" / "atop_raw"


class Log(NamedTuple):
    """A whole log: where its samples begin and end, where their task lists begin, and how many tasks are in each."""

    data: bytes
    offsets: list[int]
    task_lists: list[int]
    counts: list[int]
    record: np.dtype[np.void]
    header: np.dtype[np.void]

    @property
    def middle(self) -> int:
        """Number of a sample with others before and behind it."""
        return len(self.counts) // 2

    def intact(self, damaged: bytes) -> list[int]:
        """Numbers of the samples whose record and task list lie in a damaged log; what is between them may differ."""
        return [number for number in range(len(self.counts)) if self._is_in(damaged, number)]

    def _is_in(self, damaged: bytes, number: int) -> bool:
        start, place, end = self.offsets[number], self.task_lists[number], self.offsets[number + 1]
        record = self.data[start : start + self.record.itemsize]
        found = damaged.find(record)
        return found >= 0 and damaged.startswith(self.data[place:end], found + place - start)


@cache
def read(path: Path) -> Log:
    """A log that is whole."""
    with path.open("rb") as stream:
        log = RawLog(stream)
        samples = list(log.samples())
    layout, data = log.header.layout, path.read_bytes()
    offsets = [*(each.offset for each in samples), len(data)]
    task_lists = [each.offset + layout.rawrecord.itemsize + int(each.record["scomplen"]) for each in samples]
    counts = [announced(each.record) for each in samples]
    return Log(data, offsets, task_lists, counts, layout.rawrecord, layout.rawheader)


def cut_in_record(log: Log) -> bytes:
    """All but the last sample, and half the last one's record."""
    return log.data[: log.offsets[-2] + log.record.itemsize // 2]


def cut_in_task_list(log: Log) -> bytes:
    """All but the last half of the last task list."""
    return log.data[: (log.task_lists[-1] + len(log.data)) // 2]


def torn_in_middle(log: Log) -> bytes:
    """What atop leaves that goes on behind a sample torn by a crash."""
    start, end = log.offsets[log.middle : log.middle + 2]
    return log.data[: (start + end) // 2] + log.data[end:]


def overwritten(log: Log, filling: Callable[[int], bytes]) -> bytes:
    """From the middle of one sample to the middle of the next but one."""
    begin, end = (sum(log.offsets[log.middle + more : log.middle + more + 2]) // 2 for more in (-1, 1))
    return log.data[:begin] + filling(end - begin) + log.data[end:]


def garbage(length: int) -> bytes:
    """The same on every run."""
    return Random(length).randbytes(length)


def inserted(log: Log) -> bytes:
    """Garbage between two samples."""
    place = log.offsets[log.middle]
    return log.data[:place] + garbage(1000) + log.data[place:]


def flipped(data: bytes, offset: int) -> bytes:
    """One byte is another one."""
    return data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]


def flipped_in_task_list(log: Log) -> bytes:
    """In the middle of it."""
    return flipped(log.data, (log.task_lists[log.middle] + log.offsets[log.middle + 1]) // 2)


def flipped_in_system_blob(log: Log) -> bytes:
    """In the middle of it."""
    start = log.offsets[log.middle] + log.record.itemsize
    return flipped(log.data, (start + log.task_lists[log.middle]) // 2)


def with_field(log: Log, names: str, change: Callable[[int], int]) -> bytes:
    """A field of one record is another number; of some names the one that this version has."""
    offset = log.offsets[log.middle]
    record = np.frombuffer(log.data, log.record, 1, offset).copy()
    name = next(name for name in names.split() if name in (log.record.names or ()))
    record[name] = change(int(record[name][0]))
    return log.data[:offset] + record.tobytes() + log.data[offset + log.record.itemsize :]


def with_tstatlen(log: Log) -> bytes:
    """The header says that tasks are 8 bytes longer than they are."""
    header = np.frombuffer(log.data, log.header, 1).copy()
    header["tstatlen"] += 8
    return header.tobytes() + log.data[len(header.tobytes()) :]


def in_two_files(log: Log) -> bytes:
    """Two logs of the machine, one behind the other."""
    place = log.offsets[log.middle]
    return log.data[:place] + log.data[:RAWHEADER_BYTES] + log.data[place:]


def gzip_cut(log: Log) -> bytes:
    """The first 70 % of a gzip file."""
    whole = gzip.compress(log.data, mtime=0)
    return whole[: len(whole) * 7 // 10]


class Kind(NamedTuple):
    """A kind of damage, and how the name of such a file ends."""

    what: str
    damaged: Callable[[Log], bytes]
    suffix: str = ""


COUNT = "ndeviat nlist"
KINDS = (
    Kind("whole log", lambda log: log.data),
    Kind("last sample cut in its record", cut_in_record),
    Kind("last sample cut in its task list", cut_in_task_list),
    Kind("torn sample, intact ones appended", torn_in_middle),
    Kind("zeros over a stretch in the middle", lambda log: overwritten(log, bytes)),
    Kind("garbage over a stretch in the middle", lambda log: overwritten(log, garbage)),
    Kind("garbage between two samples", inserted),
    Kind("zeros appended", lambda log: log.data + bytes(4096)),
    Kind("one byte of a task list", flipped_in_task_list),
    Kind("one byte of the system-level data", flipped_in_system_blob),
    Kind("one bit of `scomplen`", lambda log: with_field(log, "scomplen", lambda length: length ^ 0x10)),
    Kind("one bit of `pcomplen`", lambda log: with_field(log, "pcomplen", lambda length: length ^ 0x10)),
    Kind("one bit of a sample's time", lambda log: with_field(log, "curtime", lambda second: second ^ 1 << 20)),
    Kind("task count one too high", lambda log: with_field(log, COUNT, lambda count: count + 1)),
    Kind("task count one too low", lambda log: with_field(log, COUNT, lambda count: count - 1)),
    Kind("task count 100,000", lambda log: with_field(log, COUNT, lambda _: 100_000)),
    Kind("task count 4,294,967,295", lambda log: with_field(log, COUNT, lambda _: 2**32 - 1)),
    Kind("header only", lambda log: log.data[:RAWHEADER_BYTES]),
    Kind("header overwritten with zeros", lambda log: bytes(RAWHEADER_BYTES) + log.data[RAWHEADER_BYTES:]),
    Kind("header missing", lambda log: log.data[RAWHEADER_BYTES:]),
    Kind("header and half a sample missing", lambda log: log.data[sum(log.offsets[:2]) // 2 :]),
    Kind("one byte of the magic", lambda log: flipped(log.data, 1)),
    Kind("`tstatlen` of the header 8 too high", with_tstatlen),
    Kind("two logs of a machine, by `cat`", in_two_files),
    Kind("logs of two versions, by `cat`", lambda log: log.data + read(OTHER).data),
    Kind("`gzip`", lambda log: gzip.compress(log.data, mtime=0), ".gz"),
    Kind("`gzip`, cut", gzip_cut, ".gz"),
    Kind("empty file", lambda _: b""),
    Kind("text file", lambda _: b"no atop log\n" * 100),
)


def plain(damaged: bytes) -> bytes:
    """What is in a file, once it is decompressed as far as possible."""
    return zlib.decompressobj(31).decompress(damaged) if damaged[:2] == b"\x1f\x8b" else damaged


def first_difference(some: bytes, other: bytes) -> int:
    """Where bytes begin to differ, or where the first of them end."""
    pairs = enumerate(zip(some, other, strict=False))
    return next((place for place, (one, two) in pairs if one != two), min(len(some), len(other)))
