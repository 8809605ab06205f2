"""CPU seconds and memory of ours and the peers on the same log, in turn: python tests/benchmarks/speed.py LOG [ROUNDS].

Peers that are installed take part: atop (which reads its own version's logs only) printing to a file, atoparser and
dissect.target. Medians are printed as the table of the README; machines are noisy, small differences mean nothing.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

OURS = (("timesketch CSV", "csv"), ("Timesketch JSON lines", "jsonl"), ("l2tcsv", "l2tcsv"), ("Parquet", "parquet"))


class Cost(NamedTuple):
    """What a command used."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def commands(log: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What to run, by name."""
    here = Path(sys.executable).parent
    if shutil.which("atop"):
        yield "atop `-P PRG,PRC,PRM,PRD` (C)", ["atop", "-r", log, "-P", "PRG,PRC,PRM,PRD"]
    if (here / "target-query").exists():
        yield "dissect.target `-f atop`", [str(here / "target-query"), "-f", "atop", "-q", log]
    if (here / "atoparser").exists():
        yield "atoparser `--tstats`", [str(here / "atoparser"), "--tstats", log]
    for name, suffix in OURS:
        output = str(folder / f"timeline.{suffix}")
        yield f"atop-timeline, {name}", [str(here / "atop-timeline"), "-q", "--overwrite", "-o", output, log]


def cost(command: list[str], folder: Path) -> Cost:
    """Runs a command, its output to a file; raises where it fails."""
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.DEVNULL)
        started = os.times().elapsed
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, command)
    return Cost(used.ru_utime + used.ru_stime, os.times().elapsed - started, used.ru_maxrss / 1024)


def median(costs: list[Cost], part: Callable[[Cost], float]) -> float:
    """Of one part of the costs."""
    return statistics.median(part(each) for each in costs)


def main() -> None:
    """Prints the table."""
    log, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(rounds):
            for what, command in commands(log, Path(name)):
                costs.setdefault(what, []).append(cost(command, Path(name)))
    print("| | CPU s | wall s | memory MB |\n|---|---|---|---|")
    for what, each in costs.items():
        cpu, wall, memory = (
            median(each, part) for part in (lambda c: c.cpu_s, lambda c: c.wall_s, lambda c: c.memory_mb)
        )
        print(f"| {what} | {cpu:.1f} | {wall:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
