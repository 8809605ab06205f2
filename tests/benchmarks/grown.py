"""A log of any size, grown from a real small one: python -m tests.benchmarks.grown LOG OUT [--samples N] ...

Processes that stay are those of a sample of the real log, and copies of them under other pids, with their threads.
In each sample some of them were active, with counters of others that were. In each interval others come, and all but
a few of them exit before the sample that ends it: these are in the log as exit records only, as in real logs. All look
like one of the real log; the machine's own statistics, and its cgroups, are those of the real samples in turn. The same
arguments give the same bytes.
"""

import argparse
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import HERTZ
from atop_timeline.record import Sample
from tests.benchmarks.altered import Tasks, writable
from tests.benchmarks.patterns import ZOMBIE, Pattern, has_exited, is_process, joined

COUNTERS = {
    "cpu": ("utime", "stime", "rundelay", "blkdelay", "nvcsw", "nivcsw"),
    "dsk": ("rio", "rsz", "wio", "wsz", "cwsz"),
    "mem": ("minflt", "majflt", "vgrow", "rgrow"),
}
"""What counts the interval, and is 0 for a task that was not active."""

_IS_NEW = -(1 << 31)  # deviate.c: bit 31 of excode
_STATUS = (1 << 31) - 1
_PIDS = 1 << 22  # pid_max of 64-bit kernels
_ACTIVE_PER_MILLE = 30
_EACH_LINGERING = 6
"""One of so many that come in an interval is alive at its end."""


class Growth(NamedTuple):
    """How many samples, processes that stay, and others that come in each interval.

    `first` is the number of the first sample: the log continues one of so many samples, after a restart of atop.
    """

    samples: int = 500
    processes: int = 1500
    churn: int = 50
    first: int = 0
    seed: int = 0


class Counts(NamedTuple):
    """What a log shows: samples, tasks (with threads), live processes, new ones, and exits."""

    samples: int
    tasks: int
    observations: int
    starts: int
    exits: int


def multiplied(tasks: Tasks, processes: int) -> Tasks:
    """So many processes with their threads: those of a sample, then copies of each under pids of their own."""
    rounds = -(-processes // int(is_process(tasks).sum()))
    many = tasks[np.arange(len(tasks) * rounds) % len(tasks)]
    many = many[: [*np.flatnonzero(is_process(many)), len(many)][processes]]
    copied = np.arange(len(tasks), len(many)) % len(tasks)
    owner = np.cumsum(is_process(tasks))
    copies = joined([many[: len(tasks)], tasks[copied[np.argsort(owner[copied], kind="stable")]]])
    owners = np.flatnonzero(is_process(copies))[np.cumsum(is_process(copies)) - 1]
    gen, is_copy = copies["gen"], np.arange(len(copies)) >= len(tasks)
    pids = int(tasks["gen"]["pid"].max()) + 1 + np.arange(len(copies))
    is_leader = gen["pid"] == _tgid(gen)
    gen["pid"][is_copy] = np.where(is_leader, pids[owners], pids)[is_copy]
    _set(copies, "tgid", pids[owners][is_copy], is_copy)
    gen["ppid"][is_copy & (gen["ppid"] == 0)] = 1
    return copies


def _tgid(gen: Tasks) -> NDArray[np.int32]:
    tgid: NDArray[np.int32] = gen["tgid" if "tgid" in (gen.dtype.names or ()) else "pid"]
    return tgid


def _set(
    tasks: Tasks, name: str, value: "int | NDArray[np.int64]", chosen: "NDArray[Any] | slice" = slice(None)
) -> None:
    """Changes what of `gen` this version may not have."""
    if name in (tasks["gen"].dtype.names or ()):
        tasks["gen"][name][chosen] = value


def _counters(tasks: Tasks) -> Iterator[tuple[str, str]]:
    for group, names in COUNTERS.items():
        yield from ((group, name) for name in names if name in (tasks[group].dtype.names or ()))


class Grown:
    """The samples of a log that is grown."""

    def __init__(self, pattern: Pattern, growth: Growth) -> None:
        self.pattern, self.growth = pattern, growth
        self.staying = multiplied(pattern.staying, growth.processes)
        self.first_pid = int(self.staying["gen"]["pid"].max()) + 1

    def tasks(self, number: int) -> Tasks:
        """All of a sample, in atop's order."""
        lingering = self._came(number)[0]
        if number == self.growth.first:
            return joined([self._as_new(), lingering])
        return joined([self._going_on(number), lingering, self._exits(number)])

    def written(self, number: int, tasks: Tasks) -> bytes:
        """A sample with these tasks, as it lies in a log."""
        later, is_first = self.pattern.later, number == self.growth.first
        like = self.pattern.boot if is_first else later[number % len(later)]
        return as_sample(like, tasks, self._second(number), number * self.pattern.interval if is_first else 0)

    def _second(self, number: int) -> int:
        """When a sample is taken."""
        return int(self.pattern.boot.record["curtime"]) + number * self.pattern.interval

    def _chance(self, number: int, what: int) -> np.random.Generator:
        return np.random.default_rng((self.growth.seed, number, what))

    def _as_new(self) -> Tasks:
        """Who stays, with counters since their start."""
        tasks = self.staying.copy()
        tasks["gen"]["excode"] = _IS_NEW
        _set(tasks, "wasinactive", 0)
        return tasks

    def _going_on(self, number: int) -> Tasks:
        """Who stays, some of them active."""
        tasks, chance = self._idle.copy(), self._chance(number, 0)
        chosen = chance.choice(len(tasks), len(tasks) * _ACTIVE_PER_MILLE // 1000, replace=False)
        likes = chance.choice(self.pattern.active, len(chosen))
        for group, name in _counters(tasks):
            tasks[group][name][chosen] = likes[group][name]
        _set(tasks, "wasinactive", 0, chosen)
        return tasks

    @cached_property
    def _idle(self) -> Tasks:
        tasks = self.staying.copy()
        for group, name in _counters(tasks):
            tasks[group][name] = 0
        tasks["gen"]["excode"] = 0
        _set(tasks, "wasinactive", 1)
        return tasks

    def _came(self, number: int) -> tuple[Tasks, Tasks]:
        """Who came in the interval before a sample: those alive in it, and those already gone."""
        churn, chance, each = self.growth.churn, self._chance(number, 1), np.arange(self.growth.churn)
        tasks, is_lingering = chance.choice(self.pattern.coming, churn), each % _EACH_LINGERING == 0
        gen, pids = tasks["gen"], self.first_pid + (number * churn + each) % (_PIDS - self.first_pid)
        gen["pid"] = pids
        _set(tasks, "tgid", pids)
        gen["ppid"] = chance.choice(self.staying["gen"]["pid"][is_process(self.staying)], churn)
        gen["btime"] = self._second(number) - each % self.pattern.interval
        return tasks[is_lingering], tasks[~is_lingering]

    def _exits(self, number: int) -> Tasks:
        """The exit records of a sample: of those alive in the one before, and of those that came and went since."""
        seen, unseen = self._came(number - 1)[0], self._came(number)[1]
        came = joined([seen, unseen])["gen"]
        chance, is_seen, each = self._chance(number, 2), np.arange(len(came)) < len(seen), np.arange(len(came))
        exits = chance.choice(self.pattern.exits, len(came))
        for name in ("pid", "tgid", "ppid", "name", "ruid", "rgid"):
            _set(exits, name, came[name if name in (came.dtype.names or ()) else "pid"])
        gen, seconds = exits["gen"], self._second(number - 1) + 1 + each * self.pattern.interval // len(came)
        gen["cmdline"] = np.where(is_seen, came["cmdline"], b"")
        gen["excode"] = gen["excode"] & _STATUS | np.where(is_seen, 0, _IS_NEW)
        gen["btime"] = np.where(is_seen, came["btime"] + each % 2, seconds)
        gen["elaps"] = (seconds - gen["btime"]) * HERTZ + chance.integers(HERTZ, size=len(came))
        return exits


def counted(tasks: Tasks) -> dict[str, int]:
    """What a record tells of all tasks of the machine, under the names of every version."""
    gen, is_alive, processes = tasks["gen"], ~has_exited(tasks), is_process(tasks)
    names, is_zombie = gen.dtype.names or (), processes & (gen["state"] == ZOMBIE)
    has_all = "wasinactive" in names  # atop 2.3: inactive ones are stored as well, and the exited are counted in
    present = np.ones(len(tasks), bool) if has_all else is_alive
    active = gen["wasinactive"] == 0 if has_all else np.ones(len(tasks), bool)
    states = {
        state: int(gen[f"nthr{state}"][processes & ~is_zombie].sum())
        for state in ("run", "slpi", "slpu", "idle")
        if f"nthr{state}" in names
    }
    return {
        **dict.fromkeys(("nlist", "ndeviat"), len(tasks)),
        **dict.fromkeys(("npresent", "ntask"), int(present.sum())),
        "totproc": int((processes & present).sum()),
        "nactproc": int((processes & active).sum()),
        "nexit": int((~is_alive).sum()),
        **{f"tot{state}": count for state, count in states.items()},
        **{f"nt{state}": count for state, count in states.items()},
        **dict.fromkeys(("nzombie", "totzomb"), int(is_zombie.sum())),
    }


def as_sample(like: Sample, tasks: Tasks, second: int, uptime: int = 0) -> bytes:
    """A sample as it lies in a log: like another one, with these tasks, at this time, its interval so much longer."""
    record, blob = writable(like.record), zlib.compress(tasks.tobytes())
    fields = counted(tasks) | {"curtime": second, "pcomplen": len(blob)}
    for name in fields.keys() & set(record.dtype.names or ()):
        record[name] = fields[name]
    record["interval"] += np.uint32(uptime)
    return b"".join([record.tobytes(), like.system, blob, like.cgroups, like.pids])


def write(pattern: Pattern, growth: Growth, stream: BinaryIO) -> Counts:
    """Writes a log, and tells what it shows."""
    grown, counts = Grown(pattern, growth), []
    stream.write(pattern.header)
    for number in range(growth.first, growth.first + growth.samples):
        tasks = grown.tasks(number)
        stream.write(grown.written(number, tasks))
        counts.append((1, *_shown(tasks)))
    return Counts(*map(int, np.sum(counts, axis=0)))


def _shown(tasks: Tasks) -> tuple[int, ...]:
    exited, processes = has_exited(tasks), is_process(tasks)
    shown = processes & ~exited, processes & (tasks["gen"]["excode"] < 0), exited
    return len(tasks), *(int(each.sum()) for each in shown)


def asked(module: str, what: str, amounts: Mapping[str, int]) -> tuple[Path, Path, dict[str, int]]:
    """The log and the file to write that a command of this folder is given, and its options, with these defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.{module}", description=what)
    parser.add_argument("log", type=Path, metavar="LOG", help="raw log to take apart")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write")
    for name, default in amounts.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default: {default}")
    arguments = vars(parser.parse_args())
    return arguments.pop("log"), arguments.pop("out"), arguments


def main() -> None:
    """Writes a log."""
    log, out, amounts = asked("grown", "grows a raw log of any version of atop", Growth._field_defaults)
    with out.open("wb") as stream:
        counts = write(Pattern(log.read_bytes()), Growth(**amounts), stream)
    print(*(f"{count:,} {name}" for name, count in counts._asdict().items()), sep=", ")


if __name__ == "__main__":
    main()
