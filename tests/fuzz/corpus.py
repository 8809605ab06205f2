"""Small logs to begin with: the header and a few samples of each log in test_data, one per version and machine.

`python -m tests.fuzz.corpus FOLDER` writes them as files.
"""

import io
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog

LOGS = Path(__file__).parents[2] / "test_data" / "logs"
NAMES = tuple(sorted(path.parent.name for path in LOGS.glob("*/atop_raw") if not path.parent.name.startswith("torn")))
_MOST_TASKS = 40


class Pristine(NamedTuple):
    """A sample as atop wrote it: all its bytes, the record at their start, and the tasks that they hold."""

    data: bytes
    record: bytes
    tasks: bytes


@cache
def pristine(name: str) -> tuple[Pristine, ...]:
    """All samples of a log."""
    data = (LOGS / name / "atop_raw").read_bytes()
    samples = list(RawLog(io.BytesIO(data)).samples())
    offsets = [*(each.offset for each in samples), len(data)]
    return tuple(
        Pristine(data[begin:end], sample.record.tobytes(), sample.tasks.tobytes())
        for sample, (begin, end) in zip(samples, pairwise(offsets), strict=True)
    )


@cache
def header(name: str) -> bytes:
    """The header of a log."""
    return (LOGS / name / "atop_raw").read_bytes()[:RAWHEADER_BYTES]


@cache
def chosen(name: str, count: int = 3) -> tuple[Pristine, ...]:
    """The first samples of a log, other than large ones."""
    few = [each for each in pristine(name) if len(each.data) < 1 << 13]
    return tuple(few[:count])


@cache
def small(name: str) -> bytes:
    """A log of few samples."""
    return b"".join([header(name), *(each.data for each in chosen(name))])


@cache
def all_pristine() -> tuple[Pristine, ...]:
    """The samples of all small logs, each once."""
    return tuple(dict.fromkeys(each for name in NAMES for each in chosen(name)))


def _seeds() -> Iterator[tuple[str, bytes]]:
    for name in NAMES:
        yield name, small(name)
        yield f"{name}-one", header(name) + chosen(name)[0].data
        yield f"{name}-headless", chosen(name)[1].data


def main(folder: Path) -> None:
    """Writes the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in _seeds():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
