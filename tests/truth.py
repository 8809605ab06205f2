"""What the recorded workload did, by its own account: the truth about a part of the processes in a log.

What the fields of truth.json mean and how the logs came about: test_data/README.md.
"""

import json
from math import floor, inf
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process of the workload; times are seconds since 1970, `exit_seen` is infinite where nobody saw it end."""

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

    def start_seconds(self, tolerance: int) -> range:
        """The seconds in which an event may have its start."""
        return range(floor(self.fork_before) - tolerance, floor(self.fork_after) + tolerance + 1)

    def exit_seconds(self) -> range:
        """The seconds in which an event may have its exit, which was seen when it happened or a moment later."""
        if self.exit_seen == inf:
            return range(floor(self.fork_before), 1 << 40)
        return range(floor(self.exit_seen) - 1, floor(self.exit_seen) + 1)


def processes(folder: Path) -> list[Process]:
    """The processes of all runs of the workload, in the order of their start."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("truth*.json"))]
    return [_process(each) for run in runs for each in run["processes"]]


def _process(told: dict[str, object]) -> Process:
    return Process(**{name: told[name] for name in Process._fields if name in told})  # type: ignore[arg-type]  # JSON
