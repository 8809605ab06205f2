"""Samples in blocks of some megabytes, for work by columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import Header
from atop_timeline.record import Remark, Sample, TornError, inflate

_BLOCK_BYTES = 1 << 26
_STREAM_BYTES = 1 << 24
_BLOCK_SAMPLES = 4096
_KEPT_BYTES = 31 << 20


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of one log behind one header.

    `first` is the number of the first in its log; `records`, `offsets`, `digests`, `caveats` and `parts`
    (which are not whole) have one entry per sample, `tasks` and `sample` (each task's sample, as an index into
    these) one per task. `systems`, `cgroups` and `pids` are the samples' further streams, for whoever inflates
    them, and keeps in `remarks` what is wrong with one.
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
    sample: NDArray[np.int64]
    systems: list[bytes]
    cgroups: list[bytes]
    pids: list[bytes]
    remarks: list[Remark]

    @property
    def is_large(self) -> bool:
        """Whether a sample has more tasks than fit into a block, and so is alone."""
        return self.tasks.nbytes > _BLOCK_BYTES

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


def blocks_of(samples: Iterable[Sample], users: Mapping[int, str]) -> Iterator[Samples]:
    """Consecutive samples behind one header, together; the tasks of one block give way to the next."""
    np.empty(_KEPT_BYTES, np.uint8)  # freed, it has glibc keep what each sample takes for the next one: mallopt(3)
    first = size = others = 0
    gathered: list[Sample] = []
    buffer = np.empty(_BLOCK_BYTES, np.uint8)
    for sample in samples:
        tasks = sample.tasks.view(np.uint8)
        if gathered and (
            size + len(tasks) > len(buffer)
            or others > _STREAM_BYTES
            or len(gathered) == _BLOCK_SAMPLES
            or sample.header is not gathered[0].header
        ):
            yield _block(users, first, gathered, buffer[:size])
            first += len(gathered)
            gathered, size, others = [], 0, 0
        if len(tasks) > len(buffer):
            yield _block(users, first, [sample], tasks)
            first += 1
            del sample, tasks  # the next one may be large as well
            continue
        end = size + len(tasks)
        buffer[size:end] = tasks
        gathered.append(replace(sample, tasks=buffer[size:end].view(sample.header.layout.tstat)))
        size = end
        others += len(sample.system) + len(sample.cgroups) + len(sample.pids)
    if gathered:
        yield _block(users, first, gathered, buffer[:size])


def _block(users: Mapping[int, str], first: int, samples: list[Sample], tasks: NDArray[np.uint8]) -> Samples:
    header, counts = samples[0].header, [len(sample.tasks) for sample in samples]
    return Samples(
        header,
        users,
        first,
        np.array([sample.record for sample in samples], header.layout.rawrecord),
        np.array([sample.offset for sample in samples], np.int64),
        [sample.digest for sample in samples],
        ["; ".join(filter(None, (header.caveat, sample.caveat))) for sample in samples],
        np.array([not sample.whole for sample in samples]),
        tasks.view(header.layout.tstat),
        np.repeat(np.arange(len(samples)), counts),
        [sample.system for sample in samples],
        [sample.cgroups for sample in samples],
        [sample.pids for sample in samples],
        [],
    )
