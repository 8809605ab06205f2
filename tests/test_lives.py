"""Lives, parents, changes and ends of processes against the truth of every log, and of logs altered in known ways."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests import rawlogs
from tests.benchmarks import lives
from tests.benchmarks.lives import LOGS, Workload
from tests.judge import Judge, Row, Tally, events_of

KNOWN = sorted({path.parent.name for path in LOGS.glob("*/truth*.json")})
SOME = ["1.27-git8c9de7a", "debian-2.8.1-s390x", "odd-2.10.0"]
MISLEADING = {"2.6.0": "fan17 "}
MISLEADING_RESTARTS = {"odd-2.10.0": "pid_reuse_b "}
"""Who is missing in a sample of the highest pid but went on to live, which nothing in the log tells."""


@cache
def judge(folder: str) -> Judge:
    return lives.as_it_is(Workload(LOGS / folder, Path()))


def faults(tally: Tally, but: str = "") -> dict[str, list[object]]:
    """What is missing or wrong, but for a process."""
    facts = {"missing": tally.missing, "wrong": tally.wrong}
    return {name: [each for each in found if not but or but not in str(each)] for name, found in facts.items()}


NONE: dict[str, list[object]] = {"missing": [], "wrong": []}


@pytest.mark.parametrize("question", lives.AS_IT_IS.values(), ids=[each.replace(" ", "-") for each in lives.AS_IT_IS])
@pytest.mark.parametrize("folder", KNOWN)
def test_the_truth_is_told(folder: str, question: Callable[[Judge], Tally]) -> None:
    assert faults(question(judge(folder))) == NONE


def test_what_is_judged_is_not_nothing() -> None:
    expected = {name: sum(ask(judge(each)).expected.total() for each in KNOWN) for name, ask in lives.AS_IT_IS.items()}
    assert expected == {
        "process is one life": 2026,
        "start": 2026,
        "exit, in its second": 1937,
        "status of the exit": 1935,
        "user and group of the exit": 1937,
        "parent: pid, name, life": 2026,
        "parent of what shells started": 166,
        "program change": 41,
        "inferred end, where exits are recorded": 0,
        "still running": 67,
    }


@pytest.mark.parametrize("folder", KNOWN)
def test_without_exit_records(folder: str, tmp_path: Path) -> None:
    judged = lives.without_exits(Workload(LOGS / folder, tmp_path))
    but = MISLEADING.get(folder, "")
    found = {name: faults(question(judged), but) for name, question in lives.WITHOUT_EXITS.items()}
    assert found == dict.fromkeys(lives.WITHOUT_EXITS, NONE)


@pytest.mark.parametrize("folder", SOME)
def test_atop_restarted(folder: str, tmp_path: Path) -> None:
    judged = lives.restarted(Workload(LOGS / folder, tmp_path))
    but = MISLEADING_RESTARTS.get(folder, "")
    assert [faults(question(judged), but) for question in lives.RESTARTED.values()] == [NONE, NONE]


@pytest.mark.parametrize("folder", [*SOME, "debian-2.8.1-i386"])
def test_who_becomes_root(folder: str, tmp_path: Path) -> None:
    changes = lives.risen(Workload(LOGS / folder, tmp_path)).changed_users()
    assert (faults(changes), changes.right > 0) == (NONE, True)


@pytest.mark.parametrize("folder", SOME)
def test_half_a_log_tells_the_same_lives(folder: str, tmp_path: Path) -> None:
    tallies = lives.halves(Workload(LOGS / folder, tmp_path))
    assert faults(tallies[lives.HALVES]) == NONE
    exits = tallies[lives.EXITS_OF_HALVES]
    assert exits.right >= 0.9 * exits.expected.total()


@pytest.mark.parametrize("folder", SOME)
def test_halves_together_are_the_whole(folder: str, tmp_path: Path) -> None:
    whole, *halves = lives.halved(Workload(LOGS / folder, tmp_path))
    assert list(map(story, (halves, [whole, *halves]))) == [story([whole])] * 2


def story(paths: list[Path]) -> list[tuple[object, ...]]:
    """The events of some logs, without where they lie."""
    names = ("kind", "second", "pid", "process", "process_guid", "parent_guid", "changed", "fate", "gone_by")
    return [tuple(row[name] for name in names) for row in events_of(*paths)]


def test_two_machines_share_no_life() -> None:
    rows = events_of(LOGS / "odd-2.8.1" / "atop_raw", LOGS / "2.8.1" / "atop_raw")
    guids = [{row["process_guid"] for row in rows if row["hostname"] == host} for host in {r["hostname"] for r in rows}]
    assert [len(guids), set.intersection(*guids)] == [2, set()]


@pytest.mark.parametrize("folder", rawlogs.NAMES)
def test_every_event_has_a_life(folder: str) -> None:
    events = judge(folder).events if folder in KNOWN else events_of(LOGS / folder / "atop_raw")
    assert [row for row in events if row["process_guid"] is None] == []


def without_its_exit(row: Row) -> list[Row]:
    return [row] if row["kind"] != "exits" else []


def with_two_starts(row: Row) -> list[Row]:
    return [row, row | {}] if row["kind"] == "starts" else [row]


def with_another_parent(row: Row) -> list[Row]:
    return [row | {"parent_guid": row["process_guid"]}]


def with_two_lives(row: Row) -> list[Row]:
    return [row | ({"process_guid": "another"} if row["kind"] == "exits" else {})]


def without_lives(row: Row) -> list[Row]:
    return [row | {"process_guid": None}]


def with_a_late_exit(row: Row) -> list[Row]:
    return [row | ({"second": int(row["second"] or 0) + 1} if row["kind"] == "exits" else {})]


def with_an_early_start(row: Row) -> list[Row]:
    return [row | ({"second": int(row["second"] or 0) - 2} if row["kind"] == "starts" else {})]


def with_another_status(row: Row) -> list[Row]:
    return [row | {"exit_code": 1}]


def as_root(row: Row) -> list[Row]:
    return [row | ({"euid": 0} if row["kind"] == "exits" else {})]


def without_its_change(row: Row) -> list[Row]:
    return [row] if row["kind"] != "changes" else []


def with_an_end(row: Row) -> list[Row]:
    end: Row = {"kind": "ends", "fate": "gone", "gone_by": "2026-11-23T03:33:55+00:00"}
    return [row, row | end] if row["kind"] == "observations" else [row]


@pytest.mark.parametrize(
    ("label", "alter", "questions"),
    [
        ("live_exit0", without_its_exit, {"exit, in its second"}),
        ("live_exit0", with_a_late_exit, {"process is one life", "exit, in its second"}),
        ("live_exit0", with_another_status, {"status of the exit"}),
        ("live_exit0", as_root, {"user and group of the exit"}),
        ("live_exit0", with_two_starts, {"process is one life", "start"}),
        ("live_exit0", with_an_early_start, {"process is one life", "start"}),
        ("live_exit0", with_two_lives, {"process is one life"}),
        ("live_exit0", without_lives, {"process is one life"}),
        ("live_exit0", with_another_parent, {"parent: pid, name, life"}),
        ("live_exit0", with_an_end, {"inferred end, where exits are recorded"}),
        ("exec_chain", without_its_change, {"program change"}),
    ],
)
def test_the_judge_finds(label: str, alter: Callable[[Row], list[Row]], questions: set[str]) -> None:
    right = judge("odd-2.13.0")
    (pid,) = {case.process.pid for case in right.cases if case.process.label == label}
    events = [each for row in right.events for each in (alter(dict(row)) if row["pid"] == pid else [row])]
    judged = Judge(right.log, [case.process for case in right.cases], events, right.tolerance)
    assert {name for name, question in lives.AS_IT_IS.items() if faults(question(judged)) != NONE} == questions
