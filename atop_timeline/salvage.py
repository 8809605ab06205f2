"""What is left of a damaged sample: the tasks that its list still gives before it breaks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import Header
from atop_timeline.plausible import plausible
from atop_timeline.record import (
    STREAM_START,
    Budget,
    Bytes,
    Sample,
    announced,
    digest_of,
    has_time,
    inflate_partly,
)

_MOST_PLACES = 16
_EXITED = ord("E")
_DOUBTFUL = 2  # tasks before the first that is wrong: what broke the stream may have changed fields that show nothing
_MOST_BYTES = 1 << 25


class _Part(NamedTuple):
    """The first tasks of a list of so many bytes; `whole` if they are all, which its checksum proves."""

    tasks: NDArray[np.void]
    length: int
    whole: bool


@dataclass(frozen=True)
class Salvage:
    """Looks for tasks in damaged samples behind a header; `ends` where the data ends in a log that was cut."""

    data: Bytes
    budget: Budget
    header: Header
    ends: bool = True

    def samples(self, traces: Sequence[int], end: int) -> Iterator[Sample]:
        """Parts of the samples whose damaged records begin at some offsets, in order; none reaches beyond `end`."""
        form = self.header.layout.rawrecord
        for offset, following in pairwise([*traces, end]):
            head = self.data.window(offset, offset + form.itemsize)
            if len(head) == form.itemsize and has_time(record := np.frombuffer(head, form)[0]):
                part = self._part(record, offset + form.itemsize, following, end)
                if part:
                    digest = digest_of(self.header, head, part.tasks.tobytes())
                    yield Sample(self.header, offset, record, part.tasks, digest, _caveat(record, part), whole=False)

    def _part(self, record: np.void, start: int, following: int, end: int) -> _Part | None:
        """Where the record says that its tasks are, else a whole list of the right length before the next trace.

        Any other list might be another sample's.
        """
        place = start + int(record["scomplen"])
        window = self.data.window(start, min(following, start + _MOST_BYTES))
        others = (start + match.start() for match in islice(re.finditer(STREAM_START, window), _MOST_PLACES))
        part = self._tasks(place, end, int(record["curtime"]))
        if len(part.tasks):
            return part
        found = (self._tasks(other, following, int(record["curtime"])) for other in others)
        return next((each for each in found if each.whole and each.length == record["pcomplen"]), None)

    def _tasks(self, begin: int, end: int, second: int) -> _Part:
        """The tasks that make sense at the start of a stream.

        The last of them are left out where no checksum proves them.
        """
        tstat = self.header.layout.tstat
        blob = b"" if self.budget.exhausted else self.data.window(begin, min(end, begin + _MOST_BYTES))
        for most in (tstat.itemsize, _MOST_BYTES):  # what begins with no task is not inflated further
            found = inflate_partly(blob, most, tstat.itemsize)
            self.budget.spend(len(blob) + len(found.data))
            tasks = np.frombuffer(found.data, tstat, len(found.data) // tstat.itemsize)
            sane = plausible(tasks, second) & in_order(tasks)
            if not sane[:1].all():
                break
        is_right = found.proved or (not found.broken and self.ends and end == self.data.size)
        if sane.all() and is_right:
            return _Part(tasks, found.length, found.proved and tasks.nbytes == len(found.data))
        first_wrong = len(sane) if sane.all() else int(sane.argmin())
        return _Part(tasks[: max(first_wrong - _DOUBTFUL, 0)], found.length, whole=False)


def in_order(tasks: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which tasks are where atop has them: living processes by pid, none twice, then those that exited; shape (n,).

    Bytes that go on wrongly mostly repeat earlier tasks. Measured over 1.3 million tasks of 65 logs: 4 are not.
    """
    gen = tasks["gen"]
    exited = gen["state"] == _EXITED
    is_process = ~exited & (gen["isproc"] == 1) if "isproc" in (gen.dtype.names or ()) else ~exited
    highest = np.maximum.accumulate(np.where(is_process, gen["pid"], 0))
    told = np.stack([gen["pid"], gen["btime"], gen["elaps"], is_process], axis=1)
    first = np.zeros(len(gen), np.bool_)
    first[np.unique(told, axis=0, return_index=True)[1]] = True
    rises = np.diff(highest, prepend=0) > 0
    kept: NDArray[np.bool_] = first & (rises | ~is_process) & (exited | ~np.logical_or.accumulate(exited))
    return kept


def _caveat(record: np.void, part: _Part) -> str:
    if not part.whole:
        return f"damaged sample: the first {len(part.tasks)} of {announced(record)} tasks, not proved by a checksum"
    if len(part.tasks) != announced(record):
        return f"damaged record: announces {announced(record)} tasks, but its task list is whole with {len(part.tasks)}"
    return "damaged record: its lengths are wrong, but its task list is whole"
