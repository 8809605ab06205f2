"""Real logs, altered as an intruder, an administrator or a bad clock would: for tests of what is told of it."""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.record import BOOT
from tests.rawlogs import raw

ACCOUNTING = 0x10
_EXITED = ord("E")


@dataclass(frozen=True)
class Part:
    """One sample: its record, its system-level statistics and its tasks."""

    record: NDArray[np.void]
    system: NDArray[np.void]
    tasks: NDArray[np.void]

    @property
    def second(self) -> int:
        """Its time."""
        return int(self.record["curtime"][0])

    def with_fields(self, **fields: int) -> "Part":
        """The same with other values in its record."""
        record = self.record.copy()
        for name, value in fields.items():
            record[name] = value
        return replace(self, record=record)

    def written(self) -> bytes:
        """As it lies in a log, without cgroups."""
        streams = [zlib.compress(each.tobytes()) for each in (self.system, self.tasks)]
        lengths = dict(zip(("scomplen", "pcomplen"), map(len, streams), strict=True))
        others = {"ccomplen", "coriglen", "icomplen", "ncgpids"} & set(self.record.dtype.names or ())
        record = self.with_fields(**lengths, **dict.fromkeys(others, 0)).record
        return b"".join([record.tobytes(), *streams])


def parts_of(name: str) -> list[Part]:
    """The samples of a log of test_data."""
    log = RawLog(io.BytesIO(raw(name)))
    return [
        Part(
            np.array([sample.record]),
            np.frombuffer(zlib.decompress(sample.system), sample.header.layout.sstat),
            sample.tasks,
        )
        for sample in log.samples()
    ]


def written(name: str, parts: Sequence[Part]) -> bytes:
    """A log with the header of one of test_data."""
    return b"".join([raw(name)[:RAWHEADER_BYTES], *(each.written() for each in parts)])


def retimed(
    parts: Sequence[Part], clock: Callable[[int], int], starts: Callable[[int], int] | None = None
) -> list[Part]:
    """The same by another clock; the starts of processes that came since the first sample by that or another one.

    The machine is up for as much longer as the first sample is later.
    """
    first, seconds = parts[0].second, [clock(each.second) for each in parts]
    uptime = int(parts[0].record["interval"][0]) + seconds[0] - first
    intervals = [uptime, *(max(int(each), 1) for each in np.diff(seconds))]
    move = np.vectorize(starts or clock, otypes=[np.int64])
    found = []
    for part, second, interval in zip(parts, seconds, intervals, strict=True):
        tasks = part.tasks.copy()
        begun = tasks["gen"]["btime"]
        tasks["gen"]["btime"] = np.where(begun > first, move(begun), begun)
        found.append(replace(part.with_fields(curtime=second, interval=interval), tasks=tasks))
    return found


def slowed(parts: Sequence[Part], factor: int) -> list[Part]:
    """The same with an interval that is so many times as long; the processors ran for as much longer."""
    first = parts[0].second
    slow = retimed(parts, lambda second: first + (second - first) * factor)
    return [slow[0], *(ticking(each, factor) for each in slow[1:])]


def moved(parts: Sequence[Part], seconds: int) -> list[Part]:
    """The same at another time, with all processes."""
    moved = []
    for part in parts:
        tasks = part.tasks.copy()
        tasks["gen"]["btime"] += seconds
        moved.append(replace(part.with_fields(curtime=part.second + seconds), tasks=tasks))
    return moved


def ticking(part: Part, factor: float) -> Part:
    """The same, but all processors ran for so many times as long."""
    system = part.system.copy()
    for name in ("utime", "ntime", "stime", "itime", "wtime", "Itime", "Stime", "steal"):
        system["cpu"]["all"][name] = system["cpu"]["all"][name] * factor
    return replace(part, system=system)


def rebooted(part: Part, uptime: int) -> Part:
    """The same as the first sample of a run of atop, the machine being up for so long."""
    return part.with_fields(flags=int(part.record["flags"][0]) | BOOT, interval=uptime)


def without_accounting(part: Part) -> Part:
    """The same where exits are not recorded."""
    live = part.tasks[part.tasks["gen"]["state"] != _EXITED]
    flags = int(part.record["flags"][0]) & ~ACCOUNTING
    return replace(part.with_fields(flags=flags, nexit=0, ndeviat=len(live)), tasks=live)


def with_memory(part: Part, factor: int) -> Part:
    """The same on a machine with so many times the memory."""
    system = part.system.copy()
    system["mem"]["physmem"] = system["mem"]["physmem"] * factor
    return replace(part, system=system)
