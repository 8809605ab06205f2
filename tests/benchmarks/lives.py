"""What is told of processes against the truth about each log's workload: python -m tests.benchmarks.lives [FOLDER ...].

A folder has an `atop_raw` and `truth*.json`, or folders with these; by default it is test_data/logs. What is printed is
the table of the README; what is missing or wrong, log by log, goes to stderr. How it is judged: tests/judge.py.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests import shown, truth
from tests.benchmarks import altered
from tests.judge import Judge, Tally, events_of

LOGS = Path(__file__).parents[2] / "test_data" / "logs"
ROOT = {"euid": 0}
RISING = ("uid1000", "nobody", "uid_large", "setgid_50")
"""Whose effective user becomes root in an altered log."""

AS_IT_IS = {
    "process is one life": Judge.lives,
    "start": Judge.starts,
    "exit, in its second": Judge.exits,
    "status of the exit": Judge.statuses,
    "user and group of the exit": Judge.users,
    "parent: pid, name, life": Judge.parents,
    "parent of what shells started": Judge.children,
    "program change": Judge.programs,
    "inferred end, where exits are recorded": Judge.ends,
    "still running": Judge.running,
}
WITHOUT_EXITS = {
    "process is one life, without exit records": Judge.lives,
    "start, without exit records": Judge.starts,
    "inferred end, without exit records": Judge.ends,
    "still running, without exit records": Judge.running,
}
RESTARTED = {"process is one life, atop restarted": Judge.lives, "exit, atop restarted": Judge.exits}
RISEN = {"user change": Judge.changed_users}
TWICE = {"process is one life, from halves and whole": Judge.lives}
HALVES = "same life in half the log, seen alive"
EXITS_OF_HALVES = "same life in half the log, exit record only"


class Workload(NamedTuple):
    """A log and the truth about it, and a folder for others made of it."""

    folder: Path
    scratch: Path

    @property
    def raw(self) -> bytes:
        """The log's bytes."""
        return (self.folder / "atop_raw").read_bytes()

    def judge(self, log: Path, *others: Path, more: int = 0) -> Judge:
        """What is told of some logs against the truth, where the first one shows what the others do."""
        entries = shown.read(log)
        tolerance = (2 if entries.version < (2, 0) else 1) + more
        return Judge(entries, truth.processes(self.folder), events_of(log, *others), tolerance)

    def kept(self, name: str, data: bytes) -> Path:
        """An altered log, as a file."""
        path = self.scratch / name
        path.write_bytes(data)
        return path


def as_it_is(workload: Workload) -> Judge:
    """The log itself."""
    return workload.judge(workload.folder / "atop_raw")


def without_exits(workload: Workload) -> Judge:
    """The log as without accounting."""
    return workload.judge(workload.kept("without_exits", altered.without_exits(workload.raw)))


def restarted(workload: Workload) -> Judge:
    """The log as if atop had been restarted in its middle."""
    return workload.judge(workload.kept("restarted", altered.restarted(workload.raw)), more=1)


def risen(workload: Workload) -> Judge:
    """The log as if some had become root, from the second sample on that shows the first of them."""
    judge = as_it_is(workload)
    cases = [case for case in judge.cases if case.process.label in RISING]
    samples = sorted(case.seen[1].sample for case in cases if len(case.seen) > 1)
    pids = {case.process.pid for case in cases}
    data = altered.with_ids(workload.raw, pids, samples[0], **ROOT) if samples else workload.raw
    return workload.judge(workload.kept("risen", data))


def twice(workload: Workload) -> Judge:
    """The log, and each half of it."""
    whole, first, second = halved(workload)
    return workload.judge(whole, first, second)


def halved(workload: Workload) -> tuple[Path, Path, Path]:
    """A log, and its halves as logs of their own."""
    first, second = altered.halves(workload.raw)
    return workload.folder / "atop_raw", workload.kept("first_half", first), workload.kept("second_half", second)


def halves(workload: Workload) -> dict[str, Tally]:
    """Whether each half of a log tells the guids that the whole one does, of the living and of others."""
    whole, *parts = halved(workload)
    guids = {case.name: case.guids for case in workload.judge(whole).cases}
    tallies = {HALVES: Tally(), EXITS_OF_HALVES: Tally()}
    for part in parts:
        for case in workload.judge(part).known:
            told = [case.name if case.guids == guids[case.name] else (case.name, part.name, *case.guids)]
            tallies[HALVES if case.seen else EXITS_OF_HALVES].add([case.name], told)
    return tallies


def tallies(workload: Workload) -> Iterator[tuple[str, Tally]]:
    """All that is judged of a log, and of what is made of it."""
    for make, questions in (
        (as_it_is, AS_IT_IS),
        (without_exits, WITHOUT_EXITS),
        (restarted, RESTARTED),
        (risen, RISEN),
        (twice, TWICE),
    ):
        judge = make(workload)
        yield from ((name, question(judge)) for name, question in questions.items())
    yield from halves(workload).items()


def folders(paths: list[str]) -> list[Path]:
    """Those with a log and its truth, in and below some."""
    logs = sorted(log for path in paths for log in Path(path).rglob("atop_raw"))
    return [log.parent for log in logs if list(log.parent.glob("truth*.json"))]


def table(sums: Mapping[str, Tally], logs: int) -> Iterator[str]:
    """The README's."""
    yield f"| over {logs} logs | in the truth | told | right | precision | recall |"
    yield "|---|---|---|---|---|---|"
    for name, tally in sums.items():
        expected, told, right = tally.expected.total(), tally.told.total(), tally.right
        yield f"| {name} | {expected} | {told} | {right} | {_percent(right, told)} | {_percent(right, expected)} |"


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that only all is 100 %."""
    return f"{part * 10_000 // whole / 100:.4g} %" if whole else "-"


def main() -> None:
    """Prints the table."""
    sums: dict[str, Tally] = defaultdict(Tally)
    found = folders(sys.argv[1:] or [str(LOGS)])
    for folder in found:
        with tempfile.TemporaryDirectory() as scratch:
            for name, tally in tallies(Workload(folder, Path(scratch))):
                sums[name].merge(folder.name, tally)
                for what, facts in (("missing", tally.missing), ("wrong", tally.wrong)):
                    for fact in facts:
                        print(f"{folder.name}: {name}: {what}: {fact}", file=sys.stderr)
    print("\n".join(table(sums, len(found))))


if __name__ == "__main__":
    main()
