"""Reading a log out of disk images by ours against dfVFS alone: python -m tests.benchmarks.images [MIB] [ROUNDS] [LOG].

Images are made with the real tools in a temporary folder (TMPDIR), and hold copies of a real log, one behind the
other, up to so many MiB. Each way of reading is a process of its own that reads a log once from its first byte to its
last, in turn with the others; the time to start and to find the log does not count. Medians are printed as a table;
a ratio is how fast ours is, in per cent of how fast dfVFS alone is on the same file.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from atop_timeline.evidence import LogFile, open_evidence
from atop_timeline.rawlog import RawLog
from tests import disks
from tests.tools import MIB, blank, mounted

LOG = Path(__file__).parents[2] / "test_data" / "logs" / "2.13.0" / "atop_raw"
NAME = "atop_20260101"
PLACE = f"/var/log/atop/{NAME}"
FRAGMENT_BYTES = 64 << 10


class Cost(NamedTuple):
    """What reading a log took."""

    cpu_s: float
    wall_s: float


class Timer:
    """Measures from where it is made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def cost(self) -> Cost:
        """Up to here."""
        return Cost(time.process_time() - self._cpu, time.perf_counter() - self._wall)


# Each way of reading, in a process of its own.


def by_dfvfs(image: str, _reads: list[tuple[int, int]]) -> Cost:
    """By dfVFS's own resolver, 1 MiB at a time."""
    file_entry = _entry(image)
    timer = Timer()
    _read_on(file_entry.GetFileObject())
    return timer.cost()


def by_dfvfs_hashed(image: str, _reads: list[tuple[int, int]]) -> Cost:
    """The same, with the SHA-256."""
    file_entry = _entry(image)
    timer = Timer()
    stream, digest = file_entry.GetFileObject(), hashlib.sha256()
    while data := stream.read(MIB):
        digest.update(data)
    digest.hexdigest()
    return timer.cost()


def _entry(image: str) -> Any:  # noqa: ANN401  dfVFS has no types
    """The log in an image, as dfVFS's own scanner finds it."""
    from dfvfs.helpers import source_scanner  # noqa: PLC0415  of this process alone
    from dfvfs.path import factory  # noqa: PLC0415  likewise
    from dfvfs.resolver import resolver  # noqa: PLC0415  likewise

    scanner, scan = source_scanner.SourceScanner(), source_scanner.SourceScannerContext()
    scan.OpenSourcePath(image)
    scanner.Scan(scan)
    node = scan.GetRootScanNode()
    while node.sub_nodes:
        node = node.sub_nodes[0]
    spec = factory.Factory.NewPathSpec(node.path_spec.type_indicator, location=PLACE, parent=node.path_spec.parent)
    return resolver.Resolver.OpenFileEntry(spec)


def by_open(image: str, _reads: list[tuple[int, int]]) -> Cost:
    """By `LogFile.open`, 1 MiB at a time."""
    log = _log(image)
    timer = Timer()
    with log.open() as stream:
        _read_on(stream)
    return timer.cost()


def by_open_hashed(image: str, _reads: list[tuple[int, int]]) -> Cost:
    """By `LogFile.open_hashed`, 1 MiB at a time, with the SHA-256."""
    log = _log(image)
    timer = Timer()
    stream, hashed = log.open_hashed()
    with stream:
        _read_on(stream)
        hashed.sha256()
    return timer.cost()


def by_reads_of_rawlog(image: str, reads: list[tuple[int, int]]) -> Cost:
    """By `LogFile.open_hashed`, piece by piece as a raw log is read, with the SHA-256."""
    log = _log(image)
    timer = Timer()
    stream, hashed = log.open_hashed()
    with stream:
        for offset, size in reads:
            stream.seek(offset)
            stream.read(size)
        hashed.sha256()
    return timer.cost()


def _log(image: str) -> LogFile:
    (evidence,) = open_evidence([image])
    (log,) = evidence.logs()
    log.open().close()
    return log


def _read_on(stream: Any) -> None:  # noqa: ANN401  dfVFS has no types
    while stream.read(MIB):
        pass


WAYS: Mapping[str, Callable[[str, list[tuple[int, int]]], Cost]] = {
    "dfVFS alone": by_dfvfs,
    "dfVFS alone, SHA-256": by_dfvfs_hashed,
    "ours": by_open,
    "ours, SHA-256": by_open_hashed,
    "ours, SHA-256, as a log is read": by_reads_of_rawlog,
}

AGAINST = {
    "ours": "dfVFS alone",
    "ours, SHA-256": "dfVFS alone, SHA-256",
    "ours, SHA-256, as a log is read": "dfVFS alone, SHA-256",
}


# What is read.


class Recorded:
    """A stream of a log, and the pieces in which it was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.reads: list[tuple[int, int]] = []

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `record.Stream`."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """See `record.Stream`."""
        return self._stream.tell()

    def read(self, size: int = -1, /) -> bytes:
        """See `record.Stream`."""
        self.reads.append((self.tell(), size))
        return self._stream.read(size)


def reads_of(log: Path, copies: int) -> list[tuple[int, int]]:
    """The pieces in which so many copies of a log are read."""
    with log.open("rb") as stream:
        recorded = Recorded(stream)
        for _ in RawLog(recorded).samples():  # type: ignore[arg-type]  # it asks for no more than this has
            pass
    size = log.stat().st_size
    return [(copy * size + offset, length) for copy in range(copies) for offset, length in recorded.reads]


def images(tree: Path, log: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Images with a tree, or with a log in small pieces."""
    mib = 2 * (log.stat().st_size // MIB) + 64
    ext4, xfs, pieces = (folder / f"{name}.raw" for name in ("ext4", "xfs", "pieces"))
    disks.run("mkfs.ext4", "-q", "-F", "-d", tree, blank(ext4, mib * MIB))
    (folder / "proto").write_text(
        f"/none\n0 0\nd--755 0 0\nvar d--755 0 0\nlog d--755 0 0\natop d--755 0 0\n"
        f"{NAME} ---644 0 0 {log}\n$\n$\n$\n$\n"
    )
    disks.run("mkfs.xfs", "-q", "-d", "agcount=2", "-p", folder / "proto", blank(xfs, 2 * mib * MIB))
    for name, raw in (("ext4", ext4), ("XFS", xfs)):
        yield f"{name} in raw", raw
        yield f"{name} in E01", disks.ewf(raw, raw.with_suffix(".E01"))
        yield f"{name} in qcow2", disks.qemu(raw, raw.with_suffix(".qcow2"), "qcow2")
    yield "ext4 in split raw", disks.split_by_letters(ext4, folder / "split.aa", mib * MIB // 3)
    yield "ext4 in raw, log in pieces", _in_pieces(log, pieces, mib)


def _in_pieces(log: Path, image: Path, mib: int) -> Path:
    """A log that grew beside another file."""
    disks.run("mkfs.ext4", "-q", "-F", blank(image, mib * MIB))
    with mounted(image) as folder:
        home = folder / PLACE[1:]
        home.parent.mkdir(parents=True)
        with log.open("rb") as source, home.open("wb") as target, (folder / "other").open("wb") as other:
            while piece := source.read(FRAGMENT_BYTES):
                for file in (target, other):
                    file.write(piece[: FRAGMENT_BYTES if file is target else 4096])
                    file.flush()
                    os.fdatasync(file.fileno())
    return image


# What it took.


def cost(way: str, image: Path, reads: Path) -> Cost:
    """Of one way to read the log in an image."""
    command = [sys.executable, "-m", "tests.benchmarks.images", way, str(image), str(reads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(*json.loads(done.stdout))


def row(name: str, costs: Mapping[str, list[Cost]]) -> str:
    """Medians, and how fast ours is in CPU time."""
    cpu = {way: statistics.median(each.cpu_s for each in found) for way, found in costs.items()}
    wall = {way: statistics.median(each.wall_s for each in found) for way, found in costs.items()}
    ratios = {way: f" ({100 * cpu[base] / cpu[way]:.0f} %)" for way, base in AGAINST.items()}
    return f"| {name} | {' | '.join(f'{cpu[way]:.3f} / {wall[way]:.3f}{ratios.get(way, str())}' for way in WAYS)} |"


def main(mib: int, rounds: int, log: str = str(LOG)) -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies = -(-mib * MIB // Path(log).stat().st_size)
        grown, reads = folder / "tree" / PLACE[1:], folder / "reads"
        grown.parent.mkdir(parents=True)
        grown.write_bytes(Path(log).read_bytes() * copies)
        reads.write_text(json.dumps(reads_of(Path(log), copies)))
        print(
            f"| CPU / wall s for {grown.stat().st_size >> 20} MiB | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 1)}"
        )
        for what, image in images(folder / "tree", grown, folder):
            costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, found in costs.items():
                    found.append(cost(way, image, reads))
            print(row(what, costs), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in WAYS:
        print(json.dumps(WAYS[sys.argv[1]](sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))))
    else:
        numbers = map(int, sys.argv[1:3])
        main(next(numbers, 256), next(numbers, 5), *sys.argv[3:4])
