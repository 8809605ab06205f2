"""What follows from the counters of the whole machine: shares, averages, and rates over the interval."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.events import Column, Kind

_DIGITS = 2
_IDLE = ("cpu_idle_seconds", "cpu_wait_seconds")
_STATES = ("user", "nice", "system", "irq", "softirq", "steal", "idle", "wait")  # all of a processor's time


class Rate(NamedTuple):
    """A column: the sum of some by the sum of others, or by the seconds of the interval; times a factor."""

    column: Column
    of: tuple[str, ...]
    by: tuple[str, ...] = ()
    factor: float = 1

    def values(self, known: Mapping[str, NDArray[Any]], seconds: NDArray[np.int64]) -> NDArray[Any] | None:
        """The column, masked where it is unknown; None where it is so everywhere."""
        if not known.keys() >= {*self.of, *self.by}:
            return None
        below = _sum(known, self.by) if self.by else np.ma.masked_array(seconds)
        unknown = np.ma.getmaskarray(below) | (np.ma.getdata(below) == 0)
        rate = _sum(known, self.of) * self.factor / np.ma.masked_array(np.where(unknown, 1, below), unknown)
        return None if np.ma.getmaskarray(rate).all() else rate.round(_DIGITS)


def _sum(known: Mapping[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    return reduce(add, (known[name].astype(np.float64) for name in names))


def _rate(name: str, unit: str, meaning: str, of: str, by: str = "") -> Rate:
    return Rate(Column(name, Kind.NUMBER, unit, meaning), (of,), tuple(by.split()))


_ALL = tuple(f"cpu_{state}_seconds" for state in _STATES)
CPU = (
    Rate(
        Column(
            "cpu_busy_percent",
            Kind.NUMBER,
            "%",
            "share of the processor's time in which it was neither idle nor waited for disks",
        ),
        tuple(name for name in _ALL if name not in _IDLE),
        _ALL,
        100,
    ),
    *(
        Rate(
            Column(
                f"cpu_{state}_percent",
                Kind.NUMBER,
                "%",
                f"cpu_{state}_seconds as a share of all of the processor's time",
            ),
            (name,),
            _ALL,
            100,
        )
        for state, name in zip(_STATES, _ALL, strict=True)
    ),
    Rate(
        Column("cpu_guest_percent", Kind.NUMBER, "%", "share of virtual machines, which is in that of user and nice"),
        ("cpu_guest_seconds",),
        _ALL,
        100,
    ),
)
DISK = (
    Rate(
        Column("disk_busy_percent", Kind.NUMBER, "%", "share of the interval with a request"),
        ("disk_busy_ms",),
        factor=0.1,
    ),
    _rate("disk_queue_depth", "", "requests while it was busy, on average", "disk_queue_ms", "disk_busy_ms"),
    _rate("disk_read_bytes_per_second", "byte/s", "read, on average", "disk_read_bytes"),
    _rate("disk_write_bytes_per_second", "byte/s", "written, on average", "disk_write_bytes"),
)
INTERFACE = (
    _rate("interface_received_bytes_per_second", "byte/s", "received, on average", "interface_received_bytes"),
    _rate("interface_sent_bytes_per_second", "byte/s", "sent, on average", "interface_sent_bytes"),
)
GPU = (
    _rate("gpu_busy_average_percent", "%", "busy, on average", "gpu_busy_percent_sum", "gpu_sample_count"),
    _rate(
        "gpu_memory_busy_average_percent",
        "%",
        "memory busy, on average",
        "gpu_memory_busy_percent_sum",
        "gpu_sample_count",
    ),
    _rate("gpu_used_average_bytes", "byte", "memory in use, on average", "gpu_used_bytes_sum", "gpu_sample_count"),
)
