"""Samples in blocks of some megabytes, for work by columns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import Header
from atop_timeline.record import Sample

_BLOCK_BYTES = 1 << 26
_BLOCK_SAMPLES = 4096


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of one log behind one header.

    `first` is the number of the first in its log; `records`, `offsets`, `digests`, `caveats` and `parts`
    (which are not whole) have one entry per sample, `tasks` and `sample` (each task's sample, as an index into
    these) one per task.
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


def blocks_of(samples: Iterable[Sample], users: Mapping[int, str]) -> Iterator[Samples]:
    """Consecutive samples behind one header, together; the tasks of one block give way to the next."""
    first = size = 0
    gathered: list[Sample] = []
    buffer = np.empty(_BLOCK_BYTES, np.uint8)
    for sample in samples:
        tasks = sample.tasks.view(np.uint8)
        if gathered and (
            size + len(tasks) > len(buffer)
            or len(gathered) == _BLOCK_SAMPLES
            or sample.header is not gathered[0].header
        ):
            yield _block(users, first, gathered, buffer[:size])
            first += len(gathered)
            gathered, size = [], 0
        if len(tasks) > len(buffer):
            yield _block(users, first, [sample], tasks)
            first += 1
            del sample, tasks  # the next one may be large as well
            continue
        end = size + len(tasks)
        buffer[size:end] = tasks
        gathered.append(replace(sample, tasks=buffer[size:end].view(sample.header.layout.tstat)))
        size = end
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
    )
