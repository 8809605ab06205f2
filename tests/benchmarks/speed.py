"""Speed of ours and the peers on the same logs, in turn: python -m tests.benchmarks.speed [LOG ...] [OPTIONS].

Without a log one of a million tasks is grown from a real one of atop 2.8.1. Peers that are installed (on the PATH or
beside Python) take part, with --install also those that pip can install: atop (C), atoparser, dissect.target. A peer
that does not read a log's version gets the same tasks as a log of one that it reads, and its row says so. What a peer
prints goes to a file; those that take minutes run once.

Then the growth of ours, each run once: one log of more and more samples, and more and more logs of one machine, one
behind the other in time. Printed are the tables of the README: medians of CPU seconds (user and system, of all
processes), of wall seconds, and of the peak of memory (`Cost` tells of what). Logs and timelines are written to a
temporary folder (TMPDIR); 16 times a million tasks are 11 GB of CSV.
"""

import argparse
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks.contest import Log, Tool, as_read_by, grown, install, log_at, ours, peers
from tests.benchmarks.costs import Cost, cost, median

OURS = (
    ("timesketch CSV", "csv", 1),
    ("Timesketch JSON lines", "jsonl", 1),
    ("Elastic Common Schema", "ndjson", 1),
    ("l2tcsv", "l2tcsv", 1),
    ("TLN", "tln", 1),
    ("body file", "body", 1),
    ("Parquet", "parquet", 1),
    ("timesketch CSV", "csv", 2),
    ("Timesketch JSON lines", "jsonl", 2),
    ("Parquet", "parquet", 2),
)
"""Name and suffix of each format of ours, and how many jobs do it."""

Costs: TypeAlias = Sequence[tuple[str, Sequence[Cost]]]
"""By row of the table."""


def tools(options: argparse.Namespace, folder: Path) -> list[Tool]:
    """Who takes part: the peers first."""
    own = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    path = os.pathsep.join([own, install(folder / "peers")] if options.install else [own])
    others = [each for each in peers(path) if not any(name in each.name for name in options.without)]
    return others + [each for each in (ours(own, *row) for row in OURS) if each]


def measured(log: Log, some: Sequence[Tool], rounds: int, folder: Path) -> Costs:
    """What each costs; who fails is told, and has no row."""
    costs: dict[str, list[Cost]] = {}
    for number in range(rounds):
        for tool in some:
            if number and (tool.is_slow or tool.name not in costs):
                continue
            given = as_read_by(tool, log, folder)
            if used := run(tool, [given], folder):
                costs.setdefault(tool.name, []).append(used)
    return [(row_name(tool, log), costs[tool.name]) for tool in some if tool.name in costs]


def row_name(tool: Tool, log: Log) -> str:
    """What its row says of a tool."""
    is_other = tool.releases and log.release not in tool.releases
    return tool.name + (f", as a log of {tool.like}" if is_other else "") + (", once" if tool.is_slow else "")


def run(tool: Tool, logs: Sequence[Log], folder: Path) -> Cost | None:
    """What it costs once; None where it fails, or prints and writes less than a byte a task."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        output = Path(name) / "output"
        try:
            used = cost(tool.command([each.path for each in logs], output), output)
        except subprocess.CalledProcessError as error:
            _tell(f"{tool.name}: exit status {error.returncode}: {error.stderr[-200:].strip()}")
            return None
        written = sum(each.stat().st_size for each in output.parent.glob("output*"))
    _tell(f"{tool.name}: {used.cpu_s:.1f} CPU s, {used.wall_s:.1f} s, {used.memory_mb:.0f} MB, {written:,} bytes")
    return used if written >= sum(each.tasks for each in logs) else None


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def table(log: Log, costs: Costs) -> Iterator[str]:
    """That of all tools, with the CPU seconds of each in those of atop, which is the first if it is there."""
    name, first = costs[0]
    reference = median(first).cpu_s if name.startswith("atop ") else math.nan
    yield "| | CPU s | of atop's | tasks per CPU s | wall s | MB |"
    yield "|---|---|---|---|---|---|"
    for name, each in costs:
        cpu_s, wall_s, memory_mb = median(each)
        ratio, rate = f"{cpu_s / reference:.2f}", f"{log.tasks / cpu_s:,.0f}"
        yield f"| {name} | {cpu_s:.1f} | {ratio} | {rate} | {wall_s:.1f} | {memory_mb:.0f} |"


def heading(log: Log, rounds: int) -> str:
    """What was measured, where and when."""
    name = "grown" if log.path.name == "grown" else f"{log.path.parent.name}/{log.path.name}"
    what = f"{log.tasks:,} tasks in {log.samples:,} samples ({name}, {log.bytes / 1e6:.1f} MB, atop {log.release})"
    return f"\n{what} on {machine()}, medians of {rounds}:\n"


def machine() -> str:
    """What runs this, and the day."""
    model = re.search(r"(?m)^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    cores = len(os.sched_getaffinity(0))
    where = f"{cores} cores of {model[1] if model else platform.machine()}"
    return f"{where}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"


def growth(sizes: Sequence[int], samples: int, some: Sequence[Tool], folder: Path) -> Iterator[str]:
    """The table of some tools on one log that gets longer, and on more and more logs."""
    yield f"\nGrowth on {machine()}, each run once:\n"
    yield "| | logs | tasks | CPU s | wall s | MB |\n|---|---|---|---|---|---|"
    exponents = []
    for is_one in (True, False):
        points: dict[str, list[tuple[int, Cost]]] = {}
        for tool, logs, used in grow(sizes, samples, some, folder, is_one=is_one):
            tasks = sum(each.tasks for each in logs)
            points.setdefault(tool.name, []).append((tasks, used))
            amounts = f"{len(logs)} | {tasks:,} | {used.cpu_s:.1f} | {used.wall_s:.1f} | {used.memory_mb:.0f}"
            yield f"| {tool.name} | {amounts} |"
        kind = "one log" if is_one else "logs"
        exponents += [f"{name}, {kind}: {exponent(each):.2f}" for name, each in points.items() if len(each) > 1]
    yield "\nGrowth exponent of CPU seconds: " + "; ".join(exponents)


def grow(
    sizes: Sequence[int], samples: int, some: Sequence[Tool], folder: Path, *, is_one: bool
) -> Iterator[tuple[Tool, list[Log], Cost]]:
    """What tools cost on so many times the samples, in one log or in so many."""
    for size in sizes:
        logs = grown_logs(size, samples, folder, is_one=is_one)
        for tool in some:
            used = run(tool, logs, folder)
            if used:
                yield tool, logs, used
        for each in logs:
            each.path.unlink()


def grown_logs(size: int, samples: int, folder: Path, *, is_one: bool) -> list[Log]:
    """One log of so many times the samples, or so many logs one behind the other."""
    if is_one:
        return [grown(folder / "atop_all", samples * size)]
    return [grown(folder / f"atop_{number}", samples, samples * number) for number in range(size)]


def exponent(points: Sequence[tuple[int, Cost]]) -> float:
    """The slope of CPU seconds over tasks, both as logarithms: 1 where twice as many cost twice as much."""
    tasks, seconds = zip(*((math.log(count), math.log(used.cpu_s)) for count, used in points), strict=True)
    return statistics.linear_regression(tasks, seconds).slope


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed", description=__doc__.partition("\n")[0])
    parser.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="raw logs; default: one that is grown")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--samples", type=int, default=500, metavar="N", help="of a grown log, 2,000 tasks each")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leaves a peer out; repeatable")
    parser.add_argument("--install", action="store_true", help="installs peers in a temporary environment")
    parser.add_argument("--growth", nargs="*", type=int, default=[1, 4, 16], metavar="N", help="sizes; none: no growth")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        compare(options, Path(name))


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Prints the tables, with logs and outputs in a folder."""
    some = tools(options, folder)
    for path in options.logs or [grown(folder / "grown", options.samples).path]:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            log = log_at(path.resolve())
            print(heading(log, options.rounds), *table(log, measured(log, some, options.rounds, Path(name))), sep="\n")
    if options.growth:
        csv = [each for each in some if each.name.startswith("atop-timeline, timesketch")]
        print(*growth(options.growth, options.samples, csv, folder), sep="\n")


if __name__ == "__main__":
    main()
