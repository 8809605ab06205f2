"""Samples in blocks of some megabytes, for work by columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atop_timeline.distinct import Distinct
from atop_timeline.header import Header
from atop_timeline.record import Remark, Sample, TornError, inflate

BLOCK_BYTES = 24 << 20  # of different tasks: some six times as much is taken while parsers work
_LARGE_BLOCK_BYTES = 1 << 26  # where a sample has more
_BLOCK_TASKS = 1 << 17
_STREAM_BYTES = 1 << 24
_BLOCK_SAMPLES = 4096
_KEPT_BYTES = 31 << 20
_NOTHING = np.empty(0, np.void)  # in place of tasks that are with others


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of one log behind one header.

    `first` is the number of the first in its log; `records`, `offsets`, `digests`, `caveats` and `parts`
    (which are not whole) have one entry per sample. Most tasks repeat, byte for byte, what a sample before had of
    them: `tasks` has each such structure once, shape (d,). `which` and `sample` have one entry per task of a sample,
    shape (n,): its structure, as an index into `tasks`, and its sample, as an index into the others. `systems`,
    `cgroups` and `pids` are the samples' further streams, for whoever inflates them, and keeps in `remarks` what is
    wrong with one.

    `going_on` are the same behind the last sample of the block before, for whoever compares samples; None where that
    is not there. If it is, `kept` has what parsers kept there, by their names, when they saw the block before.
    """

    header: Header
    users: Mapping[int, str]
    first: int
    records: NDArray[np.void]
    offsets: NDArray[np.int64]
    digests: list[bytes]
    caveats: list[str]
    parts: NDArray[np.bool_]
    tasks: NDArray[np.void]
    which: NDArray[np.intp]
    sample: NDArray[np.int64]
    systems: list[bytes]
    cgroups: list[bytes]
    pids: list[bytes]
    remarks: list[Remark]
    going_on: "Samples | None" = None
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def is_large(self) -> bool:
        """Whether it takes so much memory that nothing else should at the same time."""
        return self.tasks.nbytes > BLOCK_BYTES

    def system(self, number: int) -> np.void | None:
        """What a sample has of the machine as a whole; None where that is not known, or no layout tells of it."""
        sstat = self.header.layout.sstat
        if sstat.names is None or self.parts[number]:
            return None
        what = f"system-level statistics of the record at offset {self.offsets[number]}"
        try:
            data = inflate(self.systems[number], sstat.itemsize, what)
        except TornError as error:
            self.remark(number, str(error))
            return None
        found: np.void = np.frombuffer(data, sstat)[0]
        return found

    def remark(self, number: int, what: str) -> None:
        """Keeps what of a sample cannot be read."""
        self.remarks.append(Remark(int(self.offsets[number]), what, serious=True))


def blocks_of(samples: Iterable[Sample], users: Mapping[int, str], first: int = 0) -> Iterator[Samples]:
    """Consecutive samples behind one header, together; the tasks of one block give way to the next.

    `first` is the number of the first one.
    """
    np.empty(_KEPT_BYTES, np.uint8)  # freed, it has glibc keep what each sample takes for the next one: mallopt(3)
    block = _Block(users, first)
    for sample in samples:
        if block.add(sample):
            continue
        if block.count:
            yield block.samples()
            block.go_on()
        if sample.tasks.nbytes > _LARGE_BLOCK_BYTES:
            yield block.alone(sample)
            del sample  # the next one may be large as well
        elif not block.add(sample):
            block.begin(sample)
    if block.count:
        yield block.samples()


class _Block:
    """Samples that gather, behind the last one of those before, if that is there; `count` are new."""

    def __init__(self, users: Mapping[int, str], first: int) -> None:
        self.count = 0
        self._users = users
        self._first = first
        self._bytes = BLOCK_BYTES
        self._distinct = Distinct(self._bytes)
        self._begin()

    def _begin(self) -> None:
        self._first, self.count = self._first + self.count, 0
        self._gathered: list[Sample] = []
        self._which: list[NDArray[np.intp]] = []
        self._tasks = self._others = 0
        self._distinct.clear()
        self._kept: dict[str, Any] = {}

    def begin(self, sample: Sample) -> None:
        """Begins a block with a sample, without that of the block before; a larger one if it has to be."""
        if sample.tasks.nbytes > self._bytes:
            self._bytes = _LARGE_BLOCK_BYTES
            self._distinct = Distinct(self._bytes)
        self._begin()
        self.add(sample)

    def add(self, sample: Sample) -> bool:
        """Whether there was room for a further sample: then it is there."""
        if self._gathered and not self._suits(sample):
            return False
        if not self._place(sample):
            return False
        self.count += 1
        self._others += len(sample.system) + len(sample.cgroups) + len(sample.pids)
        return True

    def _suits(self, sample: Sample) -> bool:
        """Whether a further sample may be with those that are there, if its tasks fit in."""
        return (
            sample.header is self._gathered[0].header
            and self._tasks + len(sample.tasks) <= _BLOCK_TASKS
            and self._others <= _STREAM_BYTES
            and self.count < _BLOCK_SAMPLES
        )

    def samples(self) -> Samples:
        """Those that are there."""
        before = len(self._gathered) - self.count
        found = self._from(before)
        if not before:
            return replace(found, kept=self._kept)
        return replace(found, kept=self._kept, going_on=replace(self._from(0), remarks=found.remarks))

    def go_on(self) -> None:
        """Begins a further block, when nobody needs this one any more."""
        last, which, kept = self._gathered[-1], self._which[-1], self._kept
        tasks = self._distinct.tasks(last.header.layout.tstat).take(which)
        self._begin()
        if tasks.nbytes <= BLOCK_BYTES:
            self._kept = kept
            self._place(last._replace(tasks=tasks))

    def alone(self, sample: Sample) -> Samples:
        """A sample that is too large for a block, where no new ones are there."""
        self._begin()
        self.count = 1
        found = _samples(self._users, self._first, [sample], sample.tasks, [np.arange(len(sample.tasks))])
        self._begin()
        return found

    def _place(self, sample: Sample) -> bool:
        """Has a sample behind those that are there, if its tasks fit in; whether they do."""
        if sample.tasks.nbytes > self._bytes or (which := self._distinct.add(sample.tasks)) is None:
            return False
        self._which.append(which)
        self._gathered.append(sample._replace(tasks=_NOTHING))
        self._tasks += len(sample.tasks)
        return True

    def _from(self, begin: int) -> Samples:
        """The samples from one of those that are there on."""
        first = self._first + self.count - len(self._gathered) + begin
        tasks = self._distinct.tasks(self._gathered[0].header.layout.tstat)
        return _samples(self._users, first, self._gathered[begin:], tasks, self._which[begin:])


def _samples(
    users: Mapping[int, str], first: int, samples: list[Sample], tasks: NDArray[np.void], which: list[NDArray[np.intp]]
) -> Samples:
    header = samples[0].header
    return Samples(
        header,
        users,
        first,
        np.array([sample.record for sample in samples], header.layout.rawrecord),
        np.array([sample.offset for sample in samples], np.int64),
        [sample.digest for sample in samples],
        ["; ".join(filter(None, (header.caveat, sample.caveat))) for sample in samples],
        np.array([not sample.whole for sample in samples]),
        tasks,
        np.concatenate(which),
        np.repeat(np.arange(len(samples)), [len(each) for each in which]),
        [sample.system for sample in samples],
        [sample.cgroups for sample in samples],
        [sample.pids for sample in samples],
        [],
    )
