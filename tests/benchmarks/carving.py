"""What carving gives back of logs that were deleted: python -m tests.benchmarks.carving.

File systems are made and mounted, logs of all versions written to them and deleted; then the volume's bytes are
carved and compared with the logs. It needs root, loop devices, mkfs.ext4 and mkfs.xfs, and says so where these are
missing. What is printed is the table of the README.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from atop_timeline.carving import Carving
from tests.rawlogs import NAMES, raw
from tests.rawlogs import whole as samples_of

MIB = 1 << 20
BLOCK = 4096
LOGS = [name for name in NAMES if not name.startswith(("atopcat", "torn"))]
"""Those whose samples are in no other one, and whole."""


class FileSystem(NamedTuple):
    """How a file system is made, and how large."""

    name: str
    mkfs: tuple[str, ...]
    mib: int


FILE_SYSTEMS = (
    FileSystem("ext4", ("mkfs.ext4", "-q", "-F"), 64),
    FileSystem("XFS", ("mkfs.xfs", "-q", "-f"), 300),
)


class Outcome(NamedTuple):
    """Of so many samples of deleted logs, how many were given, and whether rightly.

    `named` and `misnamed` are those with the right host name and with another.
    """

    samples: int
    whole: int
    parts: int
    named: int
    misnamed: int
    wrong: int


def written(folder: Path, _: Random) -> None:
    """Each log at once."""
    for name in LOGS:
        write(folder / f"atop_{name}", raw(name))


def appended(folder: Path, chance: Random) -> None:
    """All logs in turn, one to four blocks at a time, and other files between, which are deleted."""
    fillers: list[Path] = []
    for start in range(0, max(len(raw(name)) for name in LOGS), 4 * BLOCK):
        for name in LOGS:
            left = raw(name)[start : start + 4 * BLOCK]
            while left:
                size = chance.randint(1, 4) * BLOCK
                write(folder / f"atop_{name}", left[:size])
                left = left[size:]
                fillers.append(folder / f"filler{len(fillers)}")
                write(fillers[-1], chance.randbytes(BLOCK))
    for filler in fillers:
        filler.unlink()


def write(path: Path, data: bytes) -> None:
    """Append to a file, and have it on the disk."""
    with path.open("ab") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def nothing(_: Path, __: Random) -> None:
    """Is done behind the deletion."""


def overwritten(folder: Path, chance: Random) -> None:
    """Files of 4 to 64 KiB are written, with half as many bytes as the logs had."""
    left = sum(len(raw(name)) for name in LOGS) // 2
    for number in range(left):
        size = min(chance.randint(1, 16) * BLOCK, left)
        (folder / f"new{number}").write_bytes(chance.randbytes(size))
        left -= size
        if left <= 0:
            return


class Way(NamedTuple):
    """How logs are written, and what happens once they are deleted."""

    name: str
    write: Callable[[Path, Random], None]
    then: Callable[[Path, Random], None]


WAYS = (
    Way("contiguous", written, nothing),
    Way("fragmented", appended, nothing),
    Way("contiguous, then half as much written", written, overwritten),
    Way("fragmented, then half as much written", appended, overwritten),
)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """A folder in which an image is mounted."""
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def extents(folder: Path) -> float:
    """How many a log has on average."""
    logs = [str(path) for path in folder.glob("atop_*")]
    lines = subprocess.run(["filefrag", *logs], check=True, capture_output=True, text=True).stdout.splitlines()
    return sum(int(line.rsplit(": ", 1)[1].split()[0]) for line in lines) / len(lines)


def deleted(system: FileSystem, way: Way, home: Path) -> tuple[Path, float]:
    """An image whose logs are deleted, and how many extents each had."""
    image, folder, chance = home / "image", home / "mounted", Random(1)
    image.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    with image.open("wb") as stream:
        stream.truncate(system.mib * MIB)
    subprocess.run([*system.mkfs, image], check=True, capture_output=True)
    with mounted(image, folder):
        logs = folder / "var" / "log" / "atop"
        logs.mkdir(parents=True)
        way.write(logs, chance)
        pieces = extents(logs)
        shutil.rmtree(logs)
        os.sync()
        way.then(folder, chance)
    return image, pieces


def outcome(image: Path) -> Outcome:
    """What carving an image gives."""
    originals = {sample.record.tobytes(): sample for name in LOGS for sample in samples_of(name)}
    found = set[bytes]()
    parts = named = misnamed = wrong = 0
    with image.open("rb") as stream:
        for sample in Carving(stream).samples():
            original = originals.get(sample.record.tobytes())
            if original is None or not original.tasks.tobytes().startswith(sample.tasks.tobytes()):
                wrong += 1
                continue
            parts += not sample.whole
            named += sample.header.hostname == original.header.hostname
            misnamed += sample.header.hostname not in {original.header.hostname, ""}
            if sample.whole:
                found.add(sample.record.tobytes())
    return Outcome(len(originals), len(found), parts, named, misnamed, wrong)


def row(system: FileSystem, way: Way, home: Path) -> str:
    """A line of the table."""
    image, pieces = deleted(system, way, home)
    of = outcome(image)
    whole = f"{of.whole} ({of.whole / of.samples:.0%})"
    cells = (system.name, way.name, f"{pieces:.1f}", of.samples, whole, of.parts, of.named, of.misnamed, of.wrong)
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Prints the table."""
    needed = ("mkfs.ext4", "mkfs.xfs", "mount", "filefrag")
    missing = [tool for tool in needed if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if os.geteuid() or missing:
        sys.exit(f"needs root{''.join(f', {tool}' for tool in missing)}")
    heads = (
        "file system",
        "deleted logs",
        "extents per log",
        "samples",
        "given whole",
        "in part",
        "host name right",
        "another",
        "wrong",
    )
    print("|", " | ".join(heads), "|")
    print("|---" * len(heads) + "|")
    with tempfile.TemporaryDirectory() as home:
        for system in FILE_SYSTEMS:
            for way in WAYS:
                print(row(system, way, Path(home)), flush=True)


if __name__ == "__main__":
    main()
