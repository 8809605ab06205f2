"""A log in which nothing repeats: python -m tests.benchmarks.crowded LOG OUT [--processes N] [--samples N] ...

Each sample shows so many processes of the same pids, each with another command line than in the sample before: little
asks for more memory. `python -m tests.benchmarks.speed OUT --growth` measures it. The machine is that of a real log,
and so are the samples but for their tasks. The same arguments give the same bytes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tests.benchmarks.altered import Tasks
from tests.benchmarks.grown import as_sample, asked
from tests.benchmarks.patterns import Pattern, is_process, joined

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)


class Crowd(NamedTuple):
    """How many processes, in how many samples, with command lines of how many letters.

    The start of each is so many seconds before that of the one before it: 0 starts all in one second.
    """

    processes: int = 103_900
    samples: int = 3
    letters: int = 250
    apart: int = 0


def crowded(pattern: Pattern, crowd: Crowd) -> Iterator[bytes]:
    """The header of a log, and its samples."""
    chance = np.random.default_rng(0)
    yield pattern.header
    for number, like in enumerate([pattern.boot, *pattern.later][: crowd.samples]):
        second = int(pattern.boot.record["curtime"]) + number * pattern.interval
        yield as_sample(like, _tasks(pattern, crowd, chance), second)


def _tasks(pattern: Pattern, crowd: Crowd, chance: np.random.Generator) -> Tasks:
    """All of a sample."""
    each = np.arange(crowd.processes)
    tasks = joined([pattern.staying[is_process(pattern.staying)][np.zeros(len(each), np.intp)]])
    gen = tasks["gen"]
    gen["pid"] = gen["tgid"] = 2 + each
    gen["ppid"] = gen["nthr"] = 1
    gen["btime"] -= each * crowd.apart
    gen["cmdline"] = chance.choice(_LETTERS, (len(each), crowd.letters)).view(f"S{crowd.letters}")[:, 0]
    return tasks


def main() -> None:
    """Writes a log."""
    log, out, amounts = asked("crowded", "makes a log in which nothing repeats", Crowd._field_defaults)
    with out.open("wb") as stream:
        stream.writelines(crowded(Pattern(log.read_bytes()), Crowd(**amounts)))


if __name__ == "__main__":
    main()
