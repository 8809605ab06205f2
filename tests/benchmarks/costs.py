"""What a command costs: CPU seconds, wall seconds and memory, with all processes that it starts.

Imports little: Linux counts the memory of whoever starts a program to that program's peak.
"""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_LOOK_S = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Cost(NamedTuple):
    """CPU seconds of user and system; memory in MB.

    `memory_mb` is the most that all processes together were seen to have resident in 20 looks a second, what they share
    counted for each, and not less than the exact peak of the largest of them.
    """

    cpu_s: float
    wall_s: float
    memory_mb: float


def cost(command: Sequence[str], printed: Path) -> Cost:
    """Runs a command, its output to a file; raises `CalledProcessError` with its messages where it fails."""
    with printed.open("wb") as stream, tempfile.TemporaryFile() as messages:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=stream, stderr=messages)
        watch = _Watch(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - started
        watch.end()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise subprocess.CalledProcessError(
                process.returncode, command, stderr=messages.read().decode(errors="replace")
            )
    return Cost(used.ru_utime + used.ru_stime, elapsed, max(watch.most_bytes, used.ru_maxrss << 10) / 1e6)


def median(costs: Sequence[Cost]) -> Cost:
    """Of each part by itself."""
    return Cost(*(statistics.median(part) for part in zip(*costs, strict=True)))


class _Watch:
    """Looks at the memory of a process and its descendants, until it is ended."""

    def __init__(self, pid: int) -> None:
        self.most_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,))
        self._thread.start()

    def end(self) -> None:
        """Looks no longer."""
        self._ended.set()
        self._thread.join()

    def _look(self, pid: int) -> None:
        while not self._ended.wait(_LOOK_S):
            self.most_bytes = max(self.most_bytes, sum(map(_resident, _family(pid))))


def _family(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with suppress(OSError):  # gone meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:  # gone meanwhile
        return 0
