"""A log in which nothing repeats: python -m tests.benchmarks.crowded LOG OUT [--processes N] [--samples N] ...

Each sample shows so many processes of the same pids, each with another command line than in the sample before: little
asks for more memory. `python -m tests.benchmarks.speed OUT --growth` measures it. The machine is that of a real log,
and so are the samples but for their tasks. The same arguments give the same bytes.
"""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.benchmarks.altered import Tasks
from tests.benchmarks.grown import counted
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
        tasks, record = _tasks(pattern, crowd, chance), np.array([like.record])
        blob = zlib.compress(tasks.tobytes(), 1)
        second = int(pattern.boot.record["curtime"]) + number * pattern.interval
        fields = counted(tasks) | {"curtime": second, "pcomplen": len(blob)}
        for name in fields.keys() & set(record.dtype.names or ()):
            record[name] = fields[name]
        yield b"".join([record.tobytes(), like.system, blob, like.cgroups, like.pids])


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
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.crowded", description="a log of no repetitions")
    parser.add_argument("log", type=Path, metavar="LOG", help="raw log of atop 2.3 or later to take the machine from")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write")
    for name, default in Crowd._field_defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default: {default}")
    arguments = vars(parser.parse_args())
    log, out = arguments.pop("log"), arguments.pop("out")
    with out.open("wb") as stream:
        stream.writelines(crowded(Pattern(log.read_bytes()), Crowd(**arguments)))


if __name__ == "__main__":
    main()
