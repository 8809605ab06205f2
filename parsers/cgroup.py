"""The cgroups of each sample (atop 2.11 and later): what they may use, what they used, and whom they hold.

What the fields of a group mean: cgroups.h and cgroups.c of atop.
"""

from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.cgroups import LIMITS, Cgroups, Memberships, of_sample
from atop_timeline.events import Column, Events, EventType, Kind
from atop_timeline.texts import decode
from atop_timeline.timeline import Timeline

from . import tstat

SHOWN_PIDS = 50
"""Of a group, at most; there may be millions."""

_BATCH_GROUPS = 1 << 14
_MOST = np.iinfo(np.int64).max


class Scale(Enum):
    """What a number of atop's counts, and how it is told."""

    COUNT = "as it is"
    SECONDS = "microseconds, told as seconds"
    BYTES = "pages, told as bytes"
    KIB = "pages, told as KiB"


class Field(NamedTuple):
    """A column, the field of cstat that it comes from, and the least value that is one; lower ones are unknown."""

    column: Column
    source: str
    scale: Scale = Scale.COUNT
    least: int = 0

    def values(self, groups: NDArray[np.void], pagesize: int) -> NDArray[Any]:
        """The column of these groups, masked where it is unknown."""
        struct, name = self.source.split(".")
        return _scaled(groups[struct][name].astype(np.int64), self.scale, self.least, pagesize)


def _count(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.INTEGER, "", meaning), source)


def _seconds(name: str, source: str, meaning: str) -> Field:
    return Field(Column(name, Kind.NUMBER, "s", meaning), source, Scale.SECONDS)


def _bytes(name: str, source: str, meaning: str, scale: Scale = Scale.BYTES) -> Field:
    return Field(Column(name, Kind.INTEGER, "byte", meaning), source, scale)


_OF_A_TASK = {each.column.name: each.column for each in tstat.CPU_TIME + tstat.DISK + tstat.CGROUP_LIMITS}
_PLACE = (
    _count("cgroup_depth", "gen.depth", "how many groups are above it"),
    _count("cgroup_process_count", "gen.nprocs", "processes in it"),
    _count("cgroup_processes_below", "gen.procsbelow", "processes in the groups below it"),
)
_LIMITS = (
    Field(_OF_A_TASK["cgroup_cpu_weight"], "conf.cpuweight", least=-1),
    Field(_OF_A_TASK["cgroup_cpu_max_percent"], "conf.cpumax", least=-1),
    Field(_OF_A_TASK["cgroup_memory_max_kib"], "conf.memmax", Scale.KIB, -1),
    Field(_OF_A_TASK["cgroup_swap_max_kib"], "conf.swpmax", Scale.KIB, -1),
)
_DISK_WEIGHT = Field(
    Column("cgroup_disk_weight", Kind.INTEGER, "", "the cgroup's weight for disks; -1: no limit"),
    "conf.dskweight",
    least=-1,
)
_USE = (
    Field(_OF_A_TASK["user_cpu_seconds"], "cpu.utime", Scale.SECONDS),
    Field(_OF_A_TASK["system_cpu_seconds"], "cpu.stime", Scale.SECONDS),
    _seconds("cgroup_cpu_some_pressure_seconds", "cpu.somepres", "time in which some task waited for a processor"),
    _seconds("cgroup_cpu_full_pressure_seconds", "cpu.fullpres", "time in which all tasks did"),
    _bytes("cgroup_memory_bytes", "mem.current", "memory in use"),
    _bytes("cgroup_anonymous_bytes", "mem.anon", "of it not of files"),
    _bytes("cgroup_file_bytes", "mem.file", "of it cached files"),
    _bytes("cgroup_kernel_bytes", "mem.kernel", "of it the kernel's"),
    _bytes("cgroup_shared_bytes", "mem.shmem", "of it shared memory and tmpfs"),
    _seconds("cgroup_memory_some_pressure_seconds", "mem.somepres", "time in which some task waited for memory"),
    _seconds("cgroup_memory_full_pressure_seconds", "mem.fullpres", "time in which all tasks did"),
    Field(_OF_A_TASK["disk_read_bytes"], "dsk.rbytes"),
    Field(_OF_A_TASK["disk_write_bytes"], "dsk.wbytes"),
    _count("cgroup_disk_reads", "dsk.rios", "read operations in the interval"),
    _count("cgroup_disk_writes", "dsk.wios", "write operations in the interval"),
    _seconds("cgroup_disk_some_pressure_seconds", "dsk.somepres", "time in which some task waited for disks"),
    _seconds("cgroup_disk_full_pressure_seconds", "dsk.fullpres", "time in which all tasks did"),
)
_FIELDS = (*_PLACE, *_LIMITS, _DISK_WEIGHT, *_USE)

CGROUP = EventType(
    "cgroups",
    "linux:atop:cgroup",
    "Sample Time",
    own=(
        Column("cgroup_path", Kind.TEXT, "", "cgroup v2 path"),
        *(each.column for each in _FIELDS),
        Column("cpu_percent", Kind.NUMBER, "%", "processor time of the interval, 100: one processor"),
        Column("pids", Kind.TEXT, "", f"its processes, at most the first {SHOWN_PIDS}"),
    ),
)


class CgroupParser:
    """Cgroups; see the module."""

    name = "cgroup"
    default = False
    event_types = (CGROUP,)
    staging: tuple[EventType, ...] = ()

    def parse(self, samples: Samples, wanted: Collection[str]) -> Iterator[Events]:
        """An event of each cgroup in each of some samples."""
        batch: list[tuple[int, Cgroups]] = []
        count = 0
        for number in range(len(samples.records) if CGROUP.name in wanted else 0):
            cgroups = of_sample(samples, number)
            if cgroups is not None and len(cgroups.groups):
                batch.append((number, cgroups))
                count += len(cgroups.groups)
            if count > _BATCH_GROUPS:
                yield _events(samples, batch)
                batch, count = [], 0
        if batch:
            yield _events(samples, batch)

    def finish(self, timeline: Timeline) -> None:
        """Nothing is left to do: each sample tells all of its cgroups."""


def limits_of(memberships: Memberships, tasks: NDArray[np.intp], pagesize: int) -> dict[str, NDArray[Any]]:
    """The limits of the cgroups of some tasks as columns, masked where they are unknown."""
    fields = {each.source.removeprefix("conf."): each for each in _LIMITS}
    known = np.vstack([memberships.limits, np.full(len(LIMITS), -2)])[memberships.kind[tasks]]
    columns = {fields[name]: known[:, place] for place, name in enumerate(LIMITS)}
    return {each.column.name: _scaled(values, each.scale, each.least, pagesize) for each, values in columns.items()}


def _events(samples: Samples, batch: list[tuple[int, Cgroups]]) -> Events:
    """The events of the cgroups of some samples, given with their numbers."""
    counts = [len(cgroups.groups) for _, cgroups in batch]
    sample = np.repeat([number for number, _ in batch], counts)
    groups = np.concatenate([cgroups.groups for _, cgroups in batch])
    texts = {path: decode(path) for _, cgroups in batch for path in set(cgroups.paths)}
    columns = {each.column.name: each.values(groups, samples.header.pagesize) for each in _FIELDS}
    cpu = columns["user_cpu_seconds"] + columns["system_cpu_seconds"]
    seconds = np.maximum(samples.records["interval"][sample].astype(np.int64), 1)
    exact = np.zeros(len(groups), np.int64)
    return Events(
        CGROUP,
        {
            "time_us": samples.records["curtime"][sample].astype(np.int64) * 1_000_000,
            "sample": samples.first + sample,
            "entry": groups["gen"]["sequence"].astype(np.int64),
            "early_s": exact,
            "late_s": exact,
            "cgroup_path": [texts[path] for _, cgroups in batch for path in cgroups.paths],
            **columns,
            "cpu_percent": np.round(cpu * 100 / seconds, 2),
            "pids": [text for _, cgroups in batch for text in _pids(cgroups)],
        },
    )


def _pids(cgroups: Cgroups) -> Iterator[str]:
    """The pids of each group, parted by blanks."""
    begin = 0
    for count in cgroups.groups["gen"]["nprocs"].tolist():
        shown = cgroups.pids[begin : begin + min(count, SHOWN_PIDS)].tolist()
        yield " ".join(map(str, shown))
        begin += count


def _scaled(values: NDArray[np.int64], scale: Scale, least: int, pagesize: int) -> NDArray[Any]:
    """Numbers of atop's as they are told, masked where they are unknown or no whole number holds them."""
    unknown = values < least
    if scale in (Scale.BYTES, Scale.KIB):
        unknown |= values > _MOST // max(pagesize, 1)
        told = np.where(unknown, 0, values) * pagesize // (1024 if scale is Scale.KIB else 1)
        return np.ma.masked_array(np.where(values < 0, values, told), unknown)
    return np.ma.masked_array(values / 1_000_000 if scale is Scale.SECONDS else values, unknown)
