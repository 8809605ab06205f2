"""The cgroups of a sample (atop 2.11 and later): what each is, its path, and whom it holds.

The format: cgroups.h, cgroups.c and rawlog.c of atop. Each cgroup is a cstat with its name behind it, parents
before their children; the pids of all are in a second stream, one cgroup's behind another's.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atop_timeline.blocks import Samples
from atop_timeline.record import TornError, inflate
from atop_timeline.texts import UNKNOWN, Texts, decode

LIMITS = ("cpuweight", "cpumax", "memmax", "swpmax")
"""Fields of cstat.conf: -1 is no limit, -2 that there is none to have; memory in pages."""

_MOST_PIDS = 1 << 22  # threads.h: PID_MAX_LIMIT
_MOST_NAME_BYTES = 255  # limits.h: NAME_MAX
_MOST_PATH_BYTES = 4095  # limits.h: PATH_MAX, without the NUL
_MOST_PATHS_BYTES = 1 << 24
_ROUNDING_BYTES = 8  # of structlen, with the NUL behind the name

_Known: TypeAlias = dict[tuple[bytes, tuple[int, ...]], int]


@dataclass(frozen=True)
class Cgroups:
    """The cgroups of a sample, parents first.

    `groups` are their structures, shape (g,), and `paths` their paths, `/` and the names from the root down.
    `pids` has the processes of all of them, shape (m,), and `group` the cgroup of each, as an index into `groups`.
    """

    groups: NDArray[np.void]
    paths: tuple[bytes, ...]
    pids: NDArray[np.int64]
    group: NDArray[np.intp]

    def holding(self, pids: NDArray[np.int64]) -> NDArray[np.intp]:
        """The cgroup of each of these processes, shape (n,); -1 where none lists it, the first where several do."""
        if not len(self.pids):
            return np.full(len(pids), -1)
        order = np.argsort(self.pids, kind="stable")
        listed = self.pids[order]
        place = np.minimum(np.searchsorted(listed, pids), len(listed) - 1)
        return np.where(listed[place] == pids, self.group[order][place], -1)


class Memberships(NamedTuple):
    """What the tasks of some samples have of their cgroups: path and limits.

    `kind`, shape (n,), is an index into the others, of each task, and -1 where its cgroup is not known; of a thread
    it is its process's. `paths` are numbers of texts, shape (k,). `limits` are `LIMITS` as
    atop has them, shape (k, 4).
    """

    kind: NDArray[np.int64]
    paths: NDArray[np.int64]
    limits: NDArray[np.int64]

    def path(self, tasks: NDArray[np.intp]) -> NDArray[np.int64]:
        """The numbers of the paths of some tasks, `UNKNOWN` where they are not known."""
        return np.append(self.paths, UNKNOWN)[self.kind[tasks]]


def of_sample(samples: Samples, number: int) -> Cgroups | None:
    """The cgroups of one of some samples; None where it has none, or where they are damaged, which is remarked."""
    cstat, record = samples.header.layout.cstat, samples.records[number]
    if cstat is None or samples.parts[number] or not record["ccomplen"]:
        return None
    what = f"cgroups of the record at offset {samples.offsets[number]}"
    try:
        return read(cstat, record, samples.cgroups[number], samples.pids[number], what)
    except TornError as error:
        samples.remark(number, str(error))
        return None


def read(cstat: np.dtype[np.void], record: np.void, cgroups: bytes, pids: bytes, what: str) -> Cgroups:
    """The cgroups that the two streams of a record hold; raises `TornError` where atop did not write them so."""
    count, pid_count = int(record["ncgroups"]), int(record["ncgpids"])
    most = count * (cstat.itemsize + _MOST_NAME_BYTES + _ROUNDING_BYTES)
    data = _inflated(cgroups, int(record["coriglen"]), most, what)
    pid_data = _inflated(pids, pid_count * 4, _MOST_PIDS * 4, f"pids of the {what}")
    starts = _starts(data, count, cstat, what)
    groups = np.frombuffer(b"".join(data[start : start + cstat.itemsize] for start in starts), cstat)
    _check(groups["gen"], pid_count, cstat.itemsize, what)
    group = np.repeat(np.arange(count), groups["gen"]["nprocs"])
    listed = np.frombuffer(pid_data, cstat["gen"]["nprocs"]).astype(np.int64)
    return Cgroups(groups, _paths(data, starts, groups, what), listed, group)


def memberships(samples: Samples, texts: Texts) -> Memberships:
    """To which cgroup each task belongs; the paths are added to the texts."""
    kind = np.full(len(samples.which), -1)
    known: _Known = {}
    bounds = np.searchsorted(samples.sample, np.arange(len(samples.records) + 1))
    for number, (begin, end) in enumerate(pairwise(bounds.tolist())):
        cgroups = of_sample(samples, number)
        if cgroups is not None and len(cgroups.pids):
            group = cgroups.holding(_process_ids(samples.tasks["gen"], samples.which[begin:end]))
            kind[begin:end] = _kinds(cgroups, group, known)
    paths = np.array([texts.number(decode(path)) for path, _ in known], np.int64)
    return Memberships(kind, paths, np.array([limits for _, limits in known], np.int64).reshape(-1, len(LIMITS)))


def _process_ids(gen: NDArray[np.void], which: NDArray[np.intp]) -> NDArray[np.int64]:
    return np.where(gen["isproc"][which] != 0, gen["pid"][which], gen["tgid"][which]).astype(np.int64)


def _kinds(cgroups: Cgroups, group: NDArray[np.intp], known: _Known) -> NDArray[np.int64]:
    """The number among all known paths and limits of each of these cgroups; those that are new become known."""
    numbers = np.full(len(cgroups.groups) + 1, -1)
    used = np.unique(group[group >= 0])
    conf = cgroups.groups["conf"][used]
    limits = np.stack([conf[name].astype(np.int64) for name in LIMITS], axis=1).tolist()
    for index, values in zip(used.tolist(), limits, strict=True):
        numbers[index] = known.setdefault((cgroups.paths[index], tuple(values)), len(known))
    return numbers[group]


def _inflated(blob: bytes, length: int, most: int, what: str) -> bytes:
    if length > most:
        raise TornError(f"{what}: at most {most} bytes expected, {length} announced")
    return inflate(blob, length, what)


def _starts(data: bytes, count: int, cstat: np.dtype[np.void], what: str) -> list[int]:
    """Where each cgroup begins, as the lengths of those before it tell."""
    size, structlen = cstat.itemsize, struct.Struct(f"{cstat['gen']['structlen'].str[0]}i")
    starts, start = [], 0
    for number in range(count):
        room = len(data) - start
        length = structlen.unpack_from(data, start)[0] if room > size else 0
        if not size < length <= room:
            raise TornError(f"{what}: length of group {number}: {size + 1} to {room} bytes expected, {length} found")
        starts.append(start)
        start += length
    if start < len(data):
        raise TornError(f"{what}: {start} bytes expected in {count} groups, {len(data)} found")
    return starts


def _check(gen: NDArray[np.void], pid_count: int, size: int, what: str) -> None:
    """Raises `TornError` where what is said of a cgroup's place, name and processes cannot be."""
    number = np.arange(len(gen))
    namelen, parent, depth = (gen[name].astype(np.int64) for name in ("namelen", "parentseq", "depth"))
    is_root = parent == -1
    above = np.where((parent >= 0) & (parent < number), parent, 0)
    longest = np.minimum(gen["structlen"] - size - 1, _MOST_NAME_BYTES)
    rules = (
        ("sequence", gen["sequence"] == number, "its place in the list"),
        ("parentseq", is_root | (parent >= 0) & (parent < number), "that of a group before, or -1"),
        ("depth", depth == np.where(is_root, 0, depth[above] + 1), "one more than its parent's"),
        ("namelen", (namelen >= ~is_root) & (namelen <= longest), "what is left behind the structure, at most 255"),
        ("nprocs", (gen["nprocs"] >= 0) & (gen["nprocs"] <= pid_count), f"0 to {pid_count}"),
    )
    for name, holds, expected in rules:
        if not holds.all():
            wrong = int(np.argmin(holds))
            raise TornError(f"{what}: {name} of group {wrong}: {expected} expected, {gen[name][wrong]} found")
    if (total := int(gen["nprocs"].sum(dtype=np.int64))) != pid_count:
        raise TornError(f"{what}: {pid_count} pids expected, {total} found in nprocs")


def _paths(data: bytes, starts: list[int], groups: NDArray[np.void], what: str) -> tuple[bytes, ...]:
    """The path of each cgroup: `/` and the names from the root down."""
    paths: list[bytes] = []
    size, left = groups.dtype.itemsize, _MOST_PATHS_BYTES
    named = zip(starts, groups["gen"]["namelen"].tolist(), groups["gen"]["parentseq"].tolist(), strict=True)
    for number, (start, length, parent) in enumerate(named):
        name, end = data[start + size : start + size + length], start + size + length
        if b"\0" in name or data[end]:
            raise TornError(f"{what}: name of group {number}: {length} bytes and a NUL expected, {name!r} found")
        path = b"/" + name if parent < 0 or paths[parent] == b"/" else paths[parent] + b"/" + name
        left -= len(path)
        if len(path) > _MOST_PATH_BYTES or left < 0:
            raise TornError(f"{what}: path of group {number}: {len(path)} bytes are too many")
        paths.append(path)
    return tuple(paths)
