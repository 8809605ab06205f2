"""A real log, taken apart: what tests/benchmarks/grown.py makes others of."""

import io
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.record import BOOT, Sample
from tests.benchmarks.altered import Tasks

ZOMBIE = ord("Z")
"""State of a task that has ended, and whose parent has not asked for it yet."""

_EXITED = ord("E")


class Pattern:
    """A real log, taken apart: what others can be made of.

    Raises `ValueError` where it lacks something: its second sample must be of the same run of atop, and there must be
    processes of one thread that come while it is recorded, and exits.
    """

    def __init__(self, data: bytes) -> None:
        self.header = data[:RAWHEADER_BYTES]
        self.boot, *more = RawLog(io.BytesIO(data)).samples()
        self.later = [each for each in more if not _is_first(each) and _interval(each) == _interval(more[0])]
        if not (len(self.later) and len(self.coming) and len(self.exits)):
            raise ValueError("the log shows nobody who came and nobody who exited: it cannot be grown")

    @property
    def interval(self) -> int:
        """In seconds."""
        return _interval(self.later[0])

    @cached_property
    def staying(self) -> Tasks:
        """Who is alive in the sample that has the most tasks, as if all had been there at the first."""
        most = max(self.later, key=lambda each: len(each.tasks)).tasks
        tasks = joined([most[~has_exited(most) & (most["gen"]["state"] != ZOMBIE)]])
        tasks["gen"]["btime"] = np.minimum(tasks["gen"]["btime"], self.boot.record["curtime"])
        return tasks

    @cached_property
    def active(self) -> Tasks:
        """Who used the processor in an interval, and lived on."""
        tasks = self._of_later
        active: Tasks = tasks[~has_exited(tasks) & ((tasks["cpu"]["utime"] + tasks["cpu"]["stime"]) > 0)]
        return active

    @cached_property
    def coming(self) -> Tasks:
        """Who came in an interval, and lived on."""
        tasks, gen = self._of_later, self._of_later["gen"]
        is_simple = (gen["nthr"] == 1) & (gen["state"] != ZOMBIE) & is_process(tasks)
        coming: Tasks = tasks[~has_exited(tasks) & is_simple & (gen["excode"] < 0)]
        return coming

    @cached_property
    def exits(self) -> Tasks:
        """Exit records."""
        return self._of_later[has_exited(self._of_later)]

    @cached_property
    def _of_later(self) -> Tasks:
        return joined([each.tasks for each in self.later])


def _is_first(sample: Sample) -> bool:
    return bool(sample.record["flags"] & BOOT)


def _interval(sample: Sample) -> int:
    return int(sample.record["interval"])


def has_exited(tasks: Tasks) -> NDArray[np.bool_]:
    """Which tasks are exit records."""
    exited: NDArray[np.bool_] = tasks["gen"]["state"] == _EXITED
    return exited


def is_process(tasks: Tasks) -> NDArray[np.bool_]:
    """Which tasks are no threads; atop 1.26 has none."""
    gen = tasks["gen"]
    return gen["isproc"] != 0 if "isproc" in (gen.dtype.names or ()) else np.ones(len(gen), bool)


def joined(parts: Sequence[Tasks]) -> Tasks:
    """A copy of all in a row, with zeros between the fields."""
    whole = np.zeros(sum(map(len, parts)), parts[0].dtype)
    np.concatenate(parts, out=whole)
    return whole
