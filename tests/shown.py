"""Which processes the samples of a log show, read without parsers and timeline: what these are judged by."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atop_timeline.rawlog import RawLog
from atop_timeline.texts import decode
from tests.truth import Process

_HERTZ = 100


class Shown(NamedTuple):
    """A process as one sample shows it; `ids` are its user and effective user, `ended` the second of its exit."""

    sample: int
    second: int
    pid: int
    ppid: int
    btime: int
    name: str
    command_line: str
    state: str
    ids: tuple[int, int]
    ended: int


@dataclass
class Log:
    """The second of each sample, whether it has everybody, and what all of them show.

    A sample may lack those of the highest pids though its counts agree and they go on to live (2.6.0, 2.13.0, 1 sample
    each): atop stops reading /proc at times, it seems where a process exits that it is just reading. It is known to
    lack somebody whom the samples before and behind it show.
    """

    version: tuple[int, int]
    seconds: list[int] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)
    living: list[Shown] = field(default_factory=list)
    exited: list[Shown] = field(default_factory=list)

    def of_run(self, process: Process) -> list[int]:
        """The seconds of the samples that were taken in a process's run of the workload, or just before."""
        return [each for each in self.seconds if process.run_start - 2 <= each < process.run_end]

    def gone_by(self, sample: int) -> int | None:
        """The second of the next sample behind this one that has everybody."""
        behind = zip(self.seconds[sample + 1 :], self.complete[sample + 1 :], strict=True)
        return next((second for second, complete in behind if complete), None)


def read(path: Path) -> Log:
    """What a log shows."""
    with path.open("rb") as stream:
        raw = RawLog(stream)
        log = Log(raw.header.version)
        for number, sample in enumerate(raw.samples()):
            _add(log, number, sample.record, sample.tasks["gen"])
    _find_cut(log)
    return log


def _find_cut(log: Log) -> None:
    """Samples that lack somebody have not everybody."""
    alive: list[set[tuple[int, int]]] = [set() for _ in log.seconds]
    for each in log.living:
        alive[each.sample].add((each.pid, each.btime))
    for number in range(1, len(alive) - 1):
        log.complete[number] &= alive[number - 1] & alive[number + 1] <= alive[number]


def _add(log: Log, number: int, record: np.void, tasks: np.ndarray[tuple[int, ...], np.dtype[np.void]]) -> None:
    second, exits = int(record["curtime"]), int((tasks["state"] == ord("E")).sum())
    present = int(record["ntask" if "ntask" in (record.dtype.names or ()) else "npresent"])
    log.seconds.append(second)
    log.complete.append(present in {len(tasks), len(tasks) - exits})
    has_threads = "isproc" in (tasks.dtype.names or ())
    for each in tasks:
        if each["state"] == ord("E"):
            log.exited.append(_entry(number, second, each))
        elif not has_threads or each["isproc"]:
            log.living.append(_entry(number, second, each))


def _entry(number: int, second: int, task: np.void) -> Shown:
    user, effective = (int(task[name]) & 0xFFFFFFFF for name in ("ruid", "euid"))
    name, command_line = (decode(bytes(task[name])) for name in ("name", "cmdline"))
    pid, ppid, btime = (int(task[name]) for name in ("pid", "ppid", "btime"))
    ended = btime + int(task["elaps"]) // _HERTZ
    return Shown(number, second, pid, ppid, btime, name, command_line, chr(task["state"]), (user, effective), ended)
