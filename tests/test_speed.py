"""What the comparison of speeds counts, and how it says so."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks.contest import LOGS, Log, Tool, as_read_by, log_at, peers
from tests.benchmarks.costs import Cost, cost, median
from tests.benchmarks.speed import exponent, row_name, run, table

LOG = Log(Path("atop_raw"), "2.8", 19_000, 450, 100_000)


def tool(*command: str, releases: tuple[str, ...] = (), like: str = "", is_slow: bool = False) -> Tool:
    return Tool("some", lambda _, __: list(command), frozenset(releases), like, is_slow)


def test_all_processes_count(tmp_path: Path) -> None:
    pipe = "head -c 60000000 /dev/zero | tail -c 50000000 | wc -c"
    used = cost(["sh", "-c", pipe], tmp_path / "printed")
    assert (tmp_path / "printed").read_text() == "50000000\n"
    assert used.cpu_s > 0
    assert used.memory_mb > 50


def test_a_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="status 3") as raised:
        cost(["sh", "-c", "echo failed >&2; exit 3"], tmp_path / "printed")
    assert raised.value.stderr == "failed\n"


@pytest.mark.parametrize("command", ["exit 3", "echo too little"])
def test_who_fails_has_no_cost(command: str, tmp_path: Path) -> None:
    assert run(tool("sh", "-c", command), [LOG], tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_medians_are_of_each_part() -> None:
    assert median([Cost(1, 6, 2), Cost(2, 5, 3), Cost(9, 4, 1)]) == Cost(2, 5, 2)


def test_the_table_compares_with_atop() -> None:
    costs = [("atop 2.8.1 (C)", [Cost(4, 5, 16)]), ("ours", [Cost(2, 2.5, 300)])]
    assert list(table(LOG, costs))[2:] == [
        "| atop 2.8.1 (C) | 4.0 | 1.00 | 25,000 | 5.0 | 16 |",
        "| ours | 2.0 | 0.50 | 50,000 | 2.5 | 300 |",
    ]


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        (tool(), "some"),
        (tool(releases=("2.8",), like="2.8.1"), "some"),
        (tool(releases=("2.7",), like="2.7.1"), "some, as a log of 2.7.1"),
        (tool(releases=("2.7",), like="2.7.1", is_slow=True), "some, as a log of 2.7.1, once"),
    ],
    ids=["reads all", "reads this", "reads another", "slow"],
)
def test_a_row_tells_what_was_read(some: Tool, expected: str) -> None:
    assert row_name(some, LOG) == expected


@pytest.mark.parametrize(("power", "seconds"), [(1, (1, 4, 16)), (0.5, (1, 2, 4)), (2, (1, 16, 256))])
def test_the_exponent_of_growth(power: float, seconds: tuple[int, ...]) -> None:
    points = [(tasks, Cost(each, 0, 0)) for tasks, each in zip((1000, 4000, 16000), seconds, strict=True)]
    assert exponent(points) == pytest.approx(power)


def test_atop_gets_the_tasks_as_its_own_version_writes_them(tmp_path: Path) -> None:
    found = [each for each in peers(os.environ["PATH"]) if each.name.startswith("atop ")]
    if not found:
        pytest.skip("no atop whose version has a log in test_data is installed")
    log = log_at(LOGS / "2.11.1" / "atop_raw")
    given = log_at(as_read_by(found[0], log, tmp_path).path)
    assert (given.release in found[0].releases, given.samples, given.tasks) == (True, log.samples, log.tasks)
    printed = subprocess.run(
        found[0].command([given.path], tmp_path / "output"), check=True, capture_output=True
    ).stdout
    assert sum(row.startswith(b"PRG ") for row in printed.splitlines()) == log.tasks
