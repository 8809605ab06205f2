"""A log with the structures of another version of atop, for tools that read no others.

python -m tests.benchmarks.converted LOG [OUT LIKE] writes OUT with those of the log LIKE, and tells as JSON what is in
LOG. What both versions know of a task is kept, the rest is 0; the machine's own statistics are those of LIKE, and there
are no cgroups.
"""

import argparse
import io
import json
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.layout import Layout
from atop_timeline.rawlog import RawLog
from atop_timeline.record import Sample
from tests.benchmarks.grown import counted


def convert(log: RawLog, like: bytes, stream: BinaryIO) -> None:
    """Writes the samples of a log with the structures of another one, of atop 1.27 or later."""
    model = RawLog(io.BytesIO(like))
    system = next(model.samples()).system
    stream.write(like[:RAWHEADER_BYTES])
    stream.writelines(_converted(sample, model.header.layout, system) for sample in log.samples())


def _converted(sample: Sample, layout: Layout, system: bytes) -> bytes:
    record, tasks = np.zeros(1, layout.rawrecord), np.zeros(len(sample.tasks), layout.tstat)
    tasks["gen"]["isproc"], tasks["gen"]["tgid"] = 1, sample.tasks["gen"]["pid"]  # atop 1.26 has no threads
    _fill(tasks, sample.tasks)
    blob = zlib.compress(tasks.tobytes())
    lengths = {"scomplen": len(system), "pcomplen": len(blob)}
    fields = {name: sample.record[name] for name in ("curtime", "flags", "interval")} | counted(tasks) | lengths
    for name in fields.keys() & set(record.dtype.names or ()):
        record[name] = fields[name]
    return b"".join([record.tobytes(), system, blob])


def _fill(target: NDArray[np.void], source: NDArray[np.void]) -> None:
    """Copies what both forms of a structure know."""
    for name in set(target.dtype.names or ()) & set(source.dtype.names or ()):
        if target[name].dtype.names:
            _fill(target[name], source[name])
        elif target[name].shape == source[name].shape:
            target[name] = source[name]


def facts(log: RawLog) -> dict[str, str | int]:
    """What a log is, and how much is in it."""
    tasks = [len(sample.tasks) for sample in log.samples()]
    return {"release": log.header.release, "bytes": log.size, "samples": len(tasks), "tasks": sum(tasks)}


def main() -> None:
    """Writes a log if one is asked for, and tells what the other one is."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.converted")
    parser.add_argument("log", type=Path, metavar="LOG", help="raw log of any version of atop")
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT", help="file to write")
    parser.add_argument(
        "like", nargs="?", type=Path, metavar="LIKE", help="raw log of the version to write, 1.27 or later"
    )
    arguments = parser.parse_args()
    with arguments.log.open("rb") as stream:
        log = RawLog(stream)
        if arguments.out:
            with arguments.out.open("wb") as out:
                convert(log, arguments.like.read_bytes(), out)
        print(json.dumps(facts(log)))


if __name__ == "__main__":
    main()
