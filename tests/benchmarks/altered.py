"""Logs with something changed whose truth is known: what tests/benchmarks/lives.py judges besides the real ones."""

import io
import zlib
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.record import BOOT

_EXITED = ord("E")
_ACCOUNTING = 0x0010  # rawlog.h, RRACCTACTIVE
_IS_NEW = -(1 << 31)  # deviate.c: bit 31 of excode

Tasks: TypeAlias = NDArray[np.void]
Change: TypeAlias = Callable[[int, NDArray[np.void], Tasks], Tasks]
"""Of the number of a sample, its record (shape (1,)) and its tasks, to be changed in place, the tasks to keep."""


def rewritten(data: bytes, change: Change) -> bytes:
    """A log whose every sample has been changed; its other streams stay as they are."""
    log, parts = RawLog(io.BytesIO(data)), [data[:RAWHEADER_BYTES]]
    for number, sample in enumerate(log.samples()):
        record, tasks = writable(sample.record), writable(sample.tasks)
        blob = zlib.compress(change(number, record, tasks).tobytes())
        record["pcomplen"] = len(blob)
        parts += [record.tobytes(), sample.system, blob, sample.cgroups, sample.pids]
    return b"".join(parts)


def writable(values: Tasks | np.void) -> Tasks:
    """A copy with all bytes, also those between the fields."""
    return np.frombuffer(bytearray(values.tobytes()), values.dtype)


def without_exits(data: bytes) -> bytes:
    """A log as atop writes it without process accounting: no exit records, and the counts of the rest."""
    has_all = RawLog(io.BytesIO(data)).header.version >= (2, 3)
    counts = ("nlist", "ndeviat", "nactproc", *(("ntask", "totproc") if has_all else ()))

    def change(_: int, record: NDArray[np.void], tasks: Tasks) -> Tasks:
        exits = np.uint32((tasks["gen"]["state"] == _EXITED).sum())
        for name in set(counts) & set(record.dtype.names or ()):
            record[name] -= exits
        record["nexit"] = 0
        record["flags"] &= np.uint16(~_ACCOUNTING & 0xFFFF)
        return tasks[: len(tasks) - int(exits)]  # they are the last

    return rewritten(data, change)


def restarted(data: bytes) -> bytes:
    """A log in whose middle atop was started again, and measured the time of the boot 1 s later than before."""
    middle = len(list(RawLog(io.BytesIO(data)).samples())) // 2

    def change(number: int, record: NDArray[np.void], tasks: Tasks) -> Tasks:
        is_alive = tasks["gen"]["state"] != _EXITED
        if number == middle:
            record["flags"] |= BOOT
            tasks["gen"]["excode"][is_alive] = _IS_NEW
        if number >= middle:
            tasks["gen"]["btime"][is_alive] += 1
        return tasks

    return rewritten(data, change)


def with_ids(data: bytes, pids: Collection[int], middle: int, **ids: Any) -> bytes:  # noqa: ANN401  numpy's numbers
    """A log in which the living of some pids have other ids (such as `euid`) from a sample on."""

    def change(number: int, _: NDArray[np.void], tasks: Tasks) -> Tasks:
        changed = np.isin(tasks["gen"]["pid"], list(pids)) & (tasks["gen"]["state"] != _EXITED) & (number >= middle)
        for name, value in ids.items():
            tasks["gen"][name][changed] = value
        return tasks

    return rewritten(data, change)


def halves(data: bytes) -> tuple[bytes, bytes]:
    """The first half of a log's samples, and the second one behind the same header."""
    offsets = [sample.offset for sample in RawLog(io.BytesIO(data)).samples()]
    middle = offsets[len(offsets) // 2]
    return data[:middle], data[:RAWHEADER_BYTES] + data[middle:]
