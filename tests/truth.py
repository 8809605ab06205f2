"""What the recorded workload did, by its own account: the truth about some of the processes in a log.

See /test_data/README.md for how the logs came about, and for the fields of truth.json.
"""

import json
from math import floor
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One process of the workload; times in seconds since 1970. `exit_seen` is an upper bound, None: not seen."""

    label: str
    pid: int
    ppid: int
    uid: int
    gid: int
    fork_before: float
    fork_after: float
    exit_seen: float | None
    exit_code: int | None
    signal: int | None
    core: bool

    @property
    def exit_seconds(self) -> tuple[int, ...]:
        """The seconds that its exit may have: the workload saw some of them a little later than they were."""
        return () if self.exit_seen is None else (floor(self.exit_seen), floor(self.exit_seen) - 1)


def processes(folder: Path) -> list[Process]:
    """All processes of the workload, and of each of its runs if there were more; in the order of their start."""
    runs = [json.loads(path.read_text())["processes"] for path in sorted(folder.glob("truth*.json"))]
    return [_process(each) for run in runs for each in run]


def _process(each: dict[str, object]) -> Process:
    return Process(**{name: each.get(name) for name in Process._fields})  # type: ignore[arg-type]  # as JSON has it
