"""What ours and the peers make of damaged logs: python -m tests.benchmarks.damage [LOG ...].

Each kind of damage is done to each log, by default one of atop 2.8.1 and one of 2.7.1. A peer is measured on the first
of them that it reads whole, ours on all; a peer that is not installed (on the PATH or beside Python) has no column.

A sample counts as intact if its record and its task list are in the damaged file byte by byte, and as given out if a
tool prints all its tasks, in their order and each as it does from the whole log. Rows that it does not print from the
whole log are wrong rows, also where they only tell less. dissect.target prints no times of samples, so none is wrong.
What is printed is the table of the README.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from atop_timeline.header import RAWHEADER_BYTES
from tests.benchmarks.damages import KINDS, LOGS, OTHER, Kind, first_difference, plain, read

DEFAULTS = (LOGS / "2.8.1" / "atop_raw", LOGS / "2.7.1" / "atop_raw")

MOST_S = 180
BOUNDS = ("prlimit", "--cpu=60", f"--fsize={1 << 30}", f"--as={1 << 32}")
"""What a tool may take, in seconds and bytes, lest it take the machine with it."""


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
