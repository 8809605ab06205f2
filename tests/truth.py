"""What the recorded workload did, by its own account: the truth about a part of the processes in a log.

What the fields of truth.json mean and how the logs came about: test_data/README.md.
"""

import json
import re
from itertools import pairwise
from math import floor, inf
from pathlib import Path
from typing import Any, NamedTuple

_FOREVER = 1 << 40
_EXECUTED = {"exec_chain": ("fx_victim",), "nice10": ("nice", "fx_sleeper"), "argv_empty0": ("fx_sh",)}
_CHILD = re.compile(r"(?:^|\./)((?:sleep|fx_sleeper) [\d.]+)[;& ]")


class Process(NamedTuple):
    """A process of the workload; times are seconds since 1970, `exit_seen` is infinite where nobody saw it end.

    `ppid` is the driver's, which forks them all and lives longer. A process is a copy of the driver until it
    executes its arguments, and is there as a zombie from its exit until it is `reaped`. At `run_end` another run
    of the workload began, after a boot.
    """

    label: str
    pid: int
    ppid: int
    uid: int
    gid: int
    fork_before: float
    fork_after: float
    exit_seen: float = inf
    exit_code: int | None = None
    signal: int | None = None
    core: bool = False
    reaped: float = inf
    argv_latin1: tuple[str, ...] = ()
    run_start: float = 0
    run_end: float = inf

    def start_seconds(self, tolerance: int) -> range:
        """The seconds in which an event may have its start."""
        return range(floor(self.fork_before) - tolerance, floor(self.fork_after) + tolerance + 1)

    def exit_seconds(self) -> range:
        """The seconds in which an event may have its exit, which was seen when it happened or a moment later."""
        if self.exit_seen == inf:
            return range(floor(self.fork_before), floor(min(_FOREVER, self.run_end)))
        return range(floor(self.exit_seen) - 1, floor(self.exit_seen) + 1)

    @property
    def gone(self) -> float:
        """When it was no longer there, not even as a zombie, at the latest."""
        return min(self.reaped, self.run_end)

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs that it executed after its own."""
        return _EXECUTED.get(self.label, ())

    @property
    def child(self) -> str:
        """The command of the one process that its shell starts and that truth.json does not list; or nothing."""
        found = [match[1] for match in map(_CHILD.search, self.argv_latin1) if match]
        return found[0] if found else ""


def processes(folder: Path) -> list[Process]:
    """The processes of all runs of the workload, in the order of their start."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("truth*.json"))]
    starts = [*(float(run["t0"]) for run in runs), inf]
    spans = [{"run_start": start, "run_end": end} for start, end in pairwise(starts)]
    return [_process(each | span) for run, span in zip(runs, spans, strict=True) for each in run["processes"]]


def _process(told: dict[str, Any]) -> Process:
    known = told | {"argv_latin1": tuple(told["argv_latin1"])}
    return Process(**{name: known[name] for name in Process._fields if name in known})
