"""What ours and the peers make of damaged logs: python tests/benchmarks/damage.py [LOG ...].

Each kind of damage is done to each log, by default one of atop 2.8.1 and one of 2.7.1. A peer is measured on the first
of them that it reads whole, ours on all; a peer that is not installed (on the PATH or beside Python) has no column.

A sample counts as intact if its record and its task list are in the damaged file byte by byte, and as given out if a
tool prints all its tasks, in their order and each as it does from the whole log. Rows that it does not print from the
whole log are wrong rows, also where they only tell less. dissect.target prints no times of samples, so none is wrong.
What is printed is the table of the README.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.record import announced

LOGS = Path(__file__).parents[2] / "test_data" / "logs"
DEFAULTS = (LOGS / "2.8.1" / "atop_raw", LOGS / "2.7.1" / "atop_raw")
OTHER = LOGS / "2.6.0" / "atop_raw"

MOST_S = 180
BOUNDS = ("prlimit", "--cpu=60", f"--fsize={1 << 30}", f"--as={1 << 32}")
"""What a tool may take, in seconds and bytes, lest it take the machine with it."""


class Log(NamedTuple):
    """A whole log: where its samples begin and end, where their task lists begin, and how many tasks are in each."""

    data: bytes
    offsets: list[int]
    task_lists: list[int]
    counts: list[int]
    record: np.dtype[np.void]
    header: np.dtype[np.void]

    @property
    def middle(self) -> int:
        """Number of a sample with others before and behind it."""
        return len(self.counts) // 2

    def intact(self, damaged: bytes) -> list[int]:
        """Numbers of the samples whose record and task list lie in a damaged log; what is between them may differ."""
        return [number for number in range(len(self.counts)) if self._is_in(damaged, number)]

    def _is_in(self, damaged: bytes, number: int) -> bool:
        start, place, end = self.offsets[number], self.task_lists[number], self.offsets[number + 1]
        record = self.data[start : start + self.record.itemsize]
        found = damaged.find(record)
        return found >= 0 and damaged.startswith(self.data[place:end], found + place - start)


@cache
def read(path: Path) -> Log:
    """A log that is whole."""
    with path.open("rb") as stream:
        log = RawLog(stream)
        samples = list(log.samples())
    layout, data = log.header.layout, path.read_bytes()
    offsets = [*(each.offset for each in samples), len(data)]
    task_lists = [each.offset + layout.rawrecord.itemsize + int(each.record["scomplen"]) for each in samples]
    counts = [announced(each.record) for each in samples]
    return Log(data, offsets, task_lists, counts, layout.rawrecord, layout.rawheader)


def cut_in_record(log: Log) -> bytes:
    """All but the last sample, and half the last one's record."""
    return log.data[: log.offsets[-2] + log.record.itemsize // 2]


def cut_in_task_list(log: Log) -> bytes:
    """All but the last half of the last task list."""
    return log.data[: (log.task_lists[-1] + len(log.data)) // 2]


def torn_in_middle(log: Log) -> bytes:
    """What atop leaves that goes on behind a sample torn by a crash."""
    start, end = log.offsets[log.middle : log.middle + 2]
    return log.data[: (start + end) // 2] + log.data[end:]


def overwritten(log: Log, filling: Callable[[int], bytes]) -> bytes:
    """From the middle of one sample to the middle of the next but one."""
    begin, end = (sum(log.offsets[log.middle + more : log.middle + more + 2]) // 2 for more in (-1, 1))
    return log.data[:begin] + filling(end - begin) + log.data[end:]


def garbage(length: int) -> bytes:
    """The same on every run."""
    return Random(length).randbytes(length)


def inserted(log: Log) -> bytes:
    """Garbage between two samples."""
    place = log.offsets[log.middle]
    return log.data[:place] + garbage(1000) + log.data[place:]


def flipped(data: bytes, offset: int) -> bytes:
    """One byte is another one."""
    return data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]


def flipped_in_task_list(log: Log) -> bytes:
    """In the middle of it."""
    return flipped(log.data, (log.task_lists[log.middle] + log.offsets[log.middle + 1]) // 2)


def flipped_in_system_blob(log: Log) -> bytes:
    """In the middle of it."""
    start = log.offsets[log.middle] + log.record.itemsize
    return flipped(log.data, (start + log.task_lists[log.middle]) // 2)


def with_field(log: Log, names: str, change: Callable[[int], int]) -> bytes:
    """A field of one record is another number; of some names the one that this version has."""
    offset = log.offsets[log.middle]
    record = np.frombuffer(log.data, log.record, 1, offset).copy()
    name = next(name for name in names.split() if name in (log.record.names or ()))
    record[name] = change(int(record[name][0]))
    return log.data[:offset] + record.tobytes() + log.data[offset + log.record.itemsize :]


def with_tstatlen(log: Log) -> bytes:
    """The header says that tasks are 8 bytes longer than they are."""
    header = np.frombuffer(log.data, log.header, 1).copy()
    header["tstatlen"] += 8
    return header.tobytes() + log.data[len(header.tobytes()) :]


def in_two_files(log: Log) -> bytes:
    """Two logs of the machine, one behind the other."""
    place = log.offsets[log.middle]
    return log.data[:place] + log.data[:RAWHEADER_BYTES] + log.data[place:]


def gzip_cut(log: Log) -> bytes:
    """The first 70 % of a gzip file."""
    whole = gzip.compress(log.data, mtime=0)
    return whole[: len(whole) * 7 // 10]


class Kind(NamedTuple):
    """A kind of damage, and how the name of such a file ends."""

    what: str
    damaged: Callable[[Log], bytes]
    suffix: str = ""


COUNT = "ndeviat nlist"
KINDS = (
    Kind("whole log", lambda log: log.data),
    Kind("last sample cut in its record", cut_in_record),
    Kind("last sample cut in its task list", cut_in_task_list),
    Kind("torn sample, intact ones appended", torn_in_middle),
    Kind("zeros over a stretch in the middle", lambda log: overwritten(log, bytes)),
    Kind("garbage over a stretch in the middle", lambda log: overwritten(log, garbage)),
    Kind("garbage between two samples", inserted),
    Kind("zeros appended", lambda log: log.data + bytes(4096)),
    Kind("one byte of a task list", flipped_in_task_list),
    Kind("one byte of the system-level data", flipped_in_system_blob),
    Kind("one bit of `scomplen`", lambda log: with_field(log, "scomplen", lambda length: length ^ 0x10)),
    Kind("one bit of `pcomplen`", lambda log: with_field(log, "pcomplen", lambda length: length ^ 0x10)),
    Kind("one bit of a sample's time", lambda log: with_field(log, "curtime", lambda second: second ^ 1 << 20)),
    Kind("task count one too high", lambda log: with_field(log, COUNT, lambda count: count + 1)),
    Kind("task count one too low", lambda log: with_field(log, COUNT, lambda count: count - 1)),
    Kind("task count 100,000", lambda log: with_field(log, COUNT, lambda _: 100_000)),
    Kind("task count 4,294,967,295", lambda log: with_field(log, COUNT, lambda _: 2**32 - 1)),
    Kind("header only", lambda log: log.data[:RAWHEADER_BYTES]),
    Kind("header overwritten with zeros", lambda log: bytes(RAWHEADER_BYTES) + log.data[RAWHEADER_BYTES:]),
    Kind("header missing", lambda log: log.data[RAWHEADER_BYTES:]),
    Kind("header and half a sample missing", lambda log: log.data[sum(log.offsets[:2]) // 2 :]),
    Kind("one byte of the magic", lambda log: flipped(log.data, 1)),
    Kind("`tstatlen` of the header 8 too high", with_tstatlen),
    Kind("two logs of a machine, by `cat`", in_two_files),
    Kind("logs of two versions, by `cat`", lambda log: log.data + read(OTHER).data),
    Kind("`gzip`", lambda log: gzip.compress(log.data, mtime=0), ".gz"),
    Kind("`gzip`, cut", gzip_cut, ".gz"),
    Kind("empty file", lambda _: b""),
    Kind("text file", lambda _: b"no atop log\n" * 100),
)


def plain(damaged: bytes) -> bytes:
    """What is in a file, once it is decompressed as far as possible."""
    return zlib.decompressobj(31).decompress(damaged) if damaged[:2] == b"\x1f\x8b" else damaged


class Run(NamedTuple):
    """What a tool did: its exit status (negative: the signal that ended it), and what it printed."""

    status: int
    output: str
    messages: str
    summary: dict[str, Any]

    @property
    def ending(self) -> str:
        """In a few words."""
        if self.status in {-signal.SIGXCPU, -signal.SIGKILL}:
            return "endless loop"
        if self.status < 0:
            return f"crash by {signal.Signals(-self.status).name}"
        if "Traceback" in self.messages:
            return "exception"
        if self.status:
            return f"exit status {self.status}"
        return "message" if self.messages else "silent"

    def tells(self, place: int) -> bool:
        """Whether the summary, which ours alone has, tells the place of the damage: in a range, or at a header."""
        logs = self.summary.get("logs", [])
        told = [each for log in logs for each in [*log["damages"], *log["remarks"]]]
        return any(each["offset"] <= place <= each["offset"] + each.get("length", RAWHEADER_BYTES) for each in told)


class Tool(NamedTuple):
    """A program, its arguments for a log (and a folder of its own), and the tasks in its output, as atop has them."""

    name: str
    program: str
    arguments: Callable[[Path, Path], list[str]]
    rows: Callable[[str], list[str]]


def tools() -> list[Tool]:
    """Those that are installed; ours is the last."""
    known = (
        Tool("atop", "atop", lambda log, _: ["-r", str(log), "-P", "PRG"], atop_rows),
        Tool("dissect.target", "target-query", dissect_arguments, str.splitlines),
        Tool("atoparser", "atoparser", lambda log, _: ["--tstats", str(log)], atoparser_rows),
        Tool("atop-timeline", "atop-timeline", our_arguments, our_rows),
    )
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = [tool._replace(program=shutil.which(tool.program, path=places) or "") for tool in known]
    return [tool for tool in found if tool.program]


def dissect_arguments(log: Path, folder: Path) -> list[str]:
    """It reads logs as part of a machine's files."""
    home = folder / "machine" / "var" / "log" / "atop"
    home.mkdir(parents=True)
    (folder / "machine" / "etc").mkdir()
    shutil.copy(log, home)
    return ["-f", "atop", "-s", str(folder / "machine")]


def our_arguments(log: Path, folder: Path) -> list[str]:
    """JSON lines, with threads as the others have them."""
    summary = str(folder / "summary")
    return ["-q", "--threads", "--summary-json", summary, "--format", "timesketch-jsonl", "-o", "-", str(log)]


def atop_rows(output: str) -> list[str]:
    """The entries of `-P PRG`."""
    return [line for line in output.splitlines() if line.startswith("PRG ")]


def atoparser_rows(output: str) -> list[str]:
    """From one JSON array of samples, which is printed whole or not at all."""
    samples = json.loads(output or "[]")
    return [json.dumps([sample["record"]["curtime"], task]) for sample in samples for task in sample["tstat"]]


NOT_OF_THE_TASK = (
    *("hostname", "evidence", "filename", "offset", "atop_version", "caveat"),
    *("parent_process", "parent_command_line", "message"),
)
"""What ours says of a task's log, sample and parent."""


def our_rows(output: str) -> list[str]:
    """Observations and exits, sample by sample; a process's start is told once in a timeline, wherever it is seen."""
    tasks = [event for event in map(json.loads, output.splitlines()) if event["timestamp_desc"] != "Start Time"]
    tasks.sort(key=lambda task: int(task["offset"]))
    return [json.dumps({name: task[name] for name in sorted(task.keys() - set(NOT_OF_THE_TASK))}) for task in tasks]


def run(tool: Tool, data: bytes, suffix: str = "") -> Run:
    """Of a tool on a log, within bounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, printed, messages, summary = (folder / name for name in (f"atop_20261118{suffix}", "1", "2", "summary"))
        log.write_bytes(data)
        command = [*BOUNDS, tool.program, *tool.arguments(log, folder)]
        with printed.open("wb") as output, messages.open("wb") as errors:
            try:
                status = subprocess.run(command, stdout=output, stderr=errors, timeout=MOST_S, check=False).returncode
            except subprocess.TimeoutExpired:
                status = -signal.SIGKILL
        return Run(
            status,
            printed.read_text(errors="surrogateescape"),
            messages.read_text(errors="replace"),
            json.loads(summary.read_text()) if summary.exists() else {},
        )


@cache
def by_sample(tool: Tool, path: Path) -> list[list[str]]:
    """The tasks that a tool prints of a whole log, sample by sample; none if it does not print all."""
    log = read(path)
    rows = tool.rows(run(tool, log.data).output)
    ends = list(accumulate(log.counts, initial=0))
    return [rows[begin:end] for begin, end in pairwise(ends)] if len(rows) == ends[-1] else []


def given_out(rows: list[str], samples: list[list[str]]) -> int:
    """How many of some samples are in what a tool printed: each whole, one behind the other."""
    text, position, count = as_text(rows), 0, 0
    for sample in samples:
        found = text.find(as_text(sample), position)
        if found >= 0:
            position, count = found + len(as_text(sample)) - 1, count + 1
    return count


def as_text(rows: list[str]) -> str:
    """In which rows can be found."""
    return "\n".join(["", *rows, ""])


def first_difference(some: bytes, other: bytes) -> int:
    """Where bytes begin to differ, or where the first of them end."""
    pairs = enumerate(zip(some, other, strict=False))
    return next((place for place, (one, two) in pairs if one != two), min(len(some), len(other)))


def cell(kind: Kind, tool: Tool, path: Path) -> str:
    """What a tool makes of a log with a kind of damage."""
    log, damaged = read(path), kind.damaged(read(path))
    result, inside = run(tool, damaged, kind.suffix), plain(damaged)
    rows, intact = tool.rows(result.output), log.intact(inside)
    intact_of_other = read(OTHER).intact(inside)
    printed, printed_of_other = by_sample(tool, path), by_sample(tool, OTHER)
    expected = [printed[number] for number in intact if printed]
    expected += [printed_of_other[number] for number in intact_of_other if printed_of_other]
    known = {row for sample in (*printed, *printed_of_other) for row in sample}
    wrong = sum(row not in known for row in rows)
    most = len(intact) + len(intact_of_other)
    words = [
        f"{given_out(rows, expected)} of {most}" if most else "",
        f"{result.summary['partial_samples']} more in part" if result.summary.get("partial_samples") else "",
        f"{wrong:,} wrong row{'s' * (wrong > 1)}" if wrong else "",
        result.ending,
        "place told" if result.tells(first_difference(inside, log.data)) else "",
    ]
    return ", ".join(word for word in words if word)


def first_read(tool: Tool, paths: list[Path]) -> Path:
    """The first log that a tool reads whole."""
    return next((path for path in paths if by_sample(tool, path)), paths[0])


def main() -> None:
    """Prints the table, and what was measured on which log."""
    paths = [Path(name) for name in sys.argv[1:]] or list(DEFAULTS)
    *peers, ours = tools()
    running = [*peers, *[ours] * len(paths)]
    logs = [*(first_read(tool, paths) for tool in peers), *paths]
    names = [tool.name for tool in (*peers, ours)]
    print("| damage |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for kind in KINDS:
            cells = list(pool.map(partial(cell, kind), running, logs))
            of_ours = " / ".join(dict.fromkeys(cells[len(peers) :]))
            print("|", " | ".join([kind.what, *cells[: len(peers)], of_ours]), "|", flush=True)
    measured = [f"{tool.name} on {path.parent.name}/{path.name}" for tool, path in zip(running, logs, strict=True)]
    print(f"\nMeasured: {', '.join(measured)}.")


if __name__ == "__main__":
    main()
