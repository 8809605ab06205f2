"""What each sample tells of the recording itself: runs of atop, clock, process accounting, hardware.

What the fields mean: rawlog.h, atop.h, photoproc.h and photosyst.h of atop.
"""

from collections.abc import Iterator, Sized
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.header import HERTZ
from atop_timeline.record import BOOT, LAST_SECOND

from . import tstat

TRACE = EventType(
    "recording_traces",
    own=(
        Column("record_offset", Kind.INTEGER, "byte", "where it begins in the log"),
        Column("is_boot", Kind.FLAG, "", "the first of a run of atop; its interval is how long the machine was up"),
        Column("seconds", Kind.INTEGER, "s", "its interval, by the clock"),
        Column("ticked", Kind.NUMBER, "s", "its interval, by the processors; only where the other one is unusual"),
        Column("has_accounting", Kind.FLAG, "", "whether exits were recorded"),
        Column("skipped_exits", Kind.INTEGER, "", "exits that were too many to be recorded"),
        Column("newest_start", Kind.INTEGER, "s", "the latest start of a live process, since 1970"),
        Column("newest_new", Kind.INTEGER, "s", "the same of those that are new in this sample"),
        Column("oldest_start", Kind.INTEGER, "s", "the earliest start of a live process"),
        Column("init_start", Kind.INTEGER, "s", "the start of process 1"),
        Column("processors", Kind.INTEGER, "", "online; only of the first of a run, as the next one"),
        Column("memory_bytes", Kind.INTEGER, "byte", "physical memory"),
    ),
)
"""One per sample."""

HEADER = EventType(
    "recording_headers",
    own=(
        Column("kernel", Kind.TEXT, "", "release"),
        Column("kernel_version", Kind.TEXT, "", "version"),
        Column("machine", Kind.TEXT, "", "architecture"),
        Column("pagesize", Kind.INTEGER, "byte", "of memory"),
    ),
)
"""What the header of some samples tells of the machine: one per block of them."""

_ACCOUNTING_SAYS_HEADER, _ACCOUNTING_SAYS_RECORD = 0x1, 0x10
_LOOK_AT_RECORDS = 0x35  # atop.h, RAWLOGNG: in every header since 2.2.6
_FIRST_TO_LOOK_AT_RECORDS = (2, 2)
_EXITED = ord("E")
_INIT = 1
_TICKS = ("utime", "ntime", "stime", "Itime", "Stime", "steal", "itime", "wtime")  # those of guests are in utime
_MOST_PROCESSORS = 1 << 16
_MOST_PAGES = 1 << 40
_SLACK = 0.02
_SLACK_SECONDS = 1


def traces(samples: Samples) -> Iterator[Events]:
    """The events of both types."""
    yield Events(TRACE, _columns(samples))
    header = samples.header
    texts = {"kernel": header.kernel, "kernel_version": header.kernel_version, "machine": header.machine}
    keys = {name: values[:1] for name, values in _keys(samples).items()}
    yield Events(
        HEADER, keys | {name: [text] for name, text in texts.items()} | {"pagesize": np.array([header.pagesize])}
    )


def _columns(samples: Samples) -> dict[str, Any]:
    records = samples.records
    is_boot = records["flags"] & BOOT != 0
    seconds = records["interval"].astype(np.int64)
    return {
        **_keys(samples),
        "record_offset": samples.offsets,
        "is_boot": is_boot,
        "seconds": seconds,
        "has_accounting": _has_accounting(samples),
        "skipped_exits": _skipped(records),
        **_starts(samples),
        **_machines(samples, is_boot, _are_odd(seconds, is_boot)),
    }


def _keys(samples: Samples) -> dict[str, NDArray[np.int64]]:
    number = np.arange(len(samples.records))
    names = ("entry", "row_id", "early_s", "late_s")
    return {
        "time_us": samples.records["curtime"].astype(np.int64) * 1_000_000,
        "sample": samples.first + number,
        **dict.fromkeys(names, np.zeros(len(number), np.int64)),
    }


def _has_accounting(samples: Samples) -> NDArray[Any]:
    """Whether exits were recorded; unknown where only a header could tell that is not there."""
    header, records = samples.header, samples.records
    if header.supportflags & _LOOK_AT_RECORDS == _LOOK_AT_RECORDS:
        known = header.version > _FIRST_TO_LOOK_AT_RECORDS or not header.caveat
        has = records["flags"] & _ACCOUNTING_SAYS_RECORD != 0
    else:
        known = not header.caveat
        says = header.supportflags & _ACCOUNTING_SAYS_HEADER != 0
        has = np.full(len(records), says or bool(records["nexit"].any()))
    has_exits = records["nexit"] > 0
    return np.ma.masked_array(has | has_exits, ~has_exits & (not known))


def _unknown(some: Sized, kind: str) -> NDArray[Any]:
    return np.ma.masked_array(np.zeros(len(some), kind), mask=True)


def _skipped(records: NDArray[np.void]) -> NDArray[Any]:
    if "noverflow" not in (records.dtype.names or ()):
        return _unknown(records, "q")
    return records["noverflow"].astype(np.int64)


def _starts(samples: Samples) -> dict[str, NDArray[Any]]:
    gen, which = samples.tasks["gen"], samples.which
    isproc = tstat.field(samples.tasks, "gen.isproc")
    btime = gen["btime"].astype(np.int64)
    live = (gen["state"] != _EXITED) & (btime > 0) & (btime <= LAST_SECOND)
    if isproc is not None:
        live &= isproc != 0
    started, there = btime[which], live[which] & ~samples.parts[samples.sample]
    return {
        "newest_start": _of_each(samples, np.maximum, started, there),
        "newest_new": _of_each(samples, np.maximum, started, there & (gen["excode"] < 0)[which]),
        "oldest_start": _of_each(samples, np.minimum, started, there),
        "init_start": _of_each(samples, np.minimum, started, there & (gen["pid"] == _INIT)[which]),
    }


def _of_each(samples: Samples, best: np.ufunc, values: NDArray[np.int64], some: NDArray[np.bool_]) -> NDArray[Any]:
    """The best value of some tasks of each sample; unknown where it has none of them."""
    found = _unknown(samples.records, "q")
    chosen = np.flatnonzero(some)
    if len(chosen):
        owners = samples.sample[chosen]
        begins = np.flatnonzero(np.diff(owners, prepend=-1))
        found[owners[begins]] = best.reduceat(values[chosen], begins)
    return found


def _are_odd(seconds: NDArray[np.int64], is_boot: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which intervals are not about as long as most of their run."""
    odd = np.zeros(len(seconds), np.bool_)
    for run in np.split(np.arange(len(seconds)), np.flatnonzero(is_boot)):
        others = run[~is_boot[run]]
        usual = np.median(seconds[others]) if len(others) else 0
        odd[others] = np.abs(seconds[others] - usual) > _SLACK * usual + _SLACK_SECONDS
    return odd


class _Machine(NamedTuple):
    """What a sample has of the machine as a whole: None where that is not known."""

    ticked: float | None = None
    processors: int | None = None
    memory_bytes: int | None = None


def _machines(samples: Samples, is_boot: NDArray[np.bool_], is_odd: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """The columns of the machine, of the samples that have to be inflated for them."""
    found = {name: _unknown(is_boot, kind) for name, kind in zip(_Machine._fields, "dqq", strict=True)}
    for number in np.flatnonzero(is_boot | is_odd).tolist():
        machine = _machine(samples, number)
        shown = ("ticked",) if is_odd[number] else ("processors", "memory_bytes")
        for name in shown:
            if getattr(machine, name) is not None:
                found[name][number] = getattr(machine, name)
    return found


def _machine(samples: Samples, number: int) -> _Machine:
    sstat = samples.system(number)
    if sstat is None:
        return _Machine()
    processors, pages = int(sstat["cpu"]["nrcpu"]), int(sstat["mem"]["physmem"])
    ticks = sum(float(sstat["cpu"]["all"][name]) for name in _TICKS if name in sstat["cpu"]["all"].dtype.names)
    is_known = 0 < processors <= _MOST_PROCESSORS
    return _Machine(
        ticks / HERTZ / processors if is_known and ticks >= 0 else None,
        processors if is_known else None,
        pages * samples.header.pagesize if 0 < pages <= _MOST_PAGES else None,
    )
