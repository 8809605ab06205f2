"""Each answer of atop-hunt, checked against what the workload did or what atop printed of the same log."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from atop_timeline import cli
from atop_timeline.extraction import extract
from tests.hunts import Row, ask, entries, iso, log, printed, second, told
from tests.truth import Process

LOGS = ("1.26-a", "2.3.0", "2.8.1", "2.13.0", "odd-2.10.0", "debian-2.8.1-s390x", "debian-2.8.1-3boots")
every_log = pytest.mark.parametrize("name", LOGS)
HERTZ = 100


@pytest.fixture(name="timeline", scope="module")
def _timeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The Parquet timeline of a log."""
    folder = tmp_path_factory.mktemp("timelines")

    def made(name: str) -> str:
        path = folder / f"{name}.parquet"
        assert path.exists() or cli.main([log(name), "-q", "-o", str(path)]) == 0
        return str(path)

    return made


def pids(rows: list[Row]) -> list[int]:
    return sorted(row["pid"] for row in rows)


def of_process(process: Process, rows: list[Row]) -> list[Row]:
    """The rows of a process, by its pid and start."""
    starts = process.start_seconds(1)
    return [row for row in rows if row["pid"] == process.pid and second(row["started"]) in starts]


def texts(entry: dict[str, Any], *fields: str) -> tuple[Any, ...]:
    """Fields of ASCII as texts, others as they are."""
    return tuple(each.decode() if isinstance(each, bytes) else each for each in (entry[field] for field in fields))


def is_plain(entry: dict[str, Any]) -> bool:
    """Whether its texts are the same in an answer: no escapes, and the whole was recorded when it was alive."""
    return bool(re.fullmatch(rb"[ -~]+", entry["cmdline"]) and re.fullmatch(rb"[ -~]+", entry["name"]))


@every_log
def test_first_last(name: str) -> None:
    """Of every program and command line that was seen alive: the last sample or exit second, and how many had it."""
    last: dict[tuple[Any, ...], int] = defaultdict(int)
    having: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for time, entry in entries(name):
        if is_plain(entry):
            key = texts(entry, "name", "cmdline", "ruid")
            exited = entry["btime"] + entry["elaps"] // HERTZ
            last[key] = max(last[key], exited if entry["state"] == b"E" else time)
            having[key].add(entry["pid"])
    rows = {(each["process"], each["command_line"], int(each["user"])): each for each in ask("first-last", log(name))}
    assert rows.keys() >= last.keys()
    assert {key for key in last if abs(second(rows[key]["last_seen"]) - last[key]) > 1} == set()
    assert {key for key in having if rows[key]["processes"] < len(having[key])} == set()


def exits_unseen(name: str) -> Counter[int]:
    """The exit records of each pid that are of none that was seen alive."""
    alive = {(entry["pid"], entry["btime"]) for _, entry in entries(name) if entry["state"] not in (b"E", b"Z")}
    exits = [(entry["pid"], entry["btime"]) for _, entry in entries(name) if entry["state"] == b"E"]
    for pid, start in sorted(alive):
        near = [each for each in ((pid, start), (pid, start + 1), (pid, start - 1)) if each in exits]
        if near:
            exits.remove(near[0])
    return Counter(pid for pid, _ in exits)


@every_log
def test_short_lived(name: str) -> None:
    assert Counter(pids(ask("short-lived", log(name)))) == exits_unseen(name)


def test_short_lived_tells_how_they_ended() -> None:
    found = of_process({each.label: each for each in told("2.8.1")}["sh_exit3_short"], ask("short-lived", log("2.8.1")))
    assert [(each["end"], each["process"], each["parent"], each["lived_seconds"] < 0.3) for each in found] == [
        ("exit code 3", "dash", "python3", True)
    ]


def lives_surely(process: Process, moment: int) -> bool:
    return process.fork_after + 1 < moment < process.exit_seen - 1 < inf


def moments(name: str) -> list[int]:
    """Some seconds in which the workload ran."""
    every = range(printed(name)[0].time, printed(name)[-1].time)
    busy = [each for each in every if sum(lives_surely(process, each) for process in told(name)) > 5]
    return busy[:: len(busy) // 8 + 1]


@every_log
def test_tree_at_a_time(name: str, timeline: Callable[[str], str]) -> None:
    """All that surely lived in that second are there, below their parent; none is that surely did not."""
    reused = {pid for pid, count in Counter(each.pid for each in told(name)).items() if count > 1}
    checked = set()
    for moment in moments(name):
        rows = ask("tree", "--at", iso(moment), timeline(name))
        alive = [row for row in rows if row["state"] != "ended"]
        for each in [each for each in told(name) if each.pid not in reused and each.exit_seen != inf]:
            parents = [parent_in(rows, row) for row in of_process(each, alive)]
            if lives_surely(each, moment):
                assert parents == [each.ppid], each
                checked.add(each.pid)
            elif each.fork_before - 1 > moment or each.exit_seen + 1 < moment:
                assert parents == [], each
    assert len(checked) > 15


@every_log
def test_tree_has_whom_no_sample_shows(name: str, timeline: Callable[[str], str]) -> None:
    unseen = exits_unseen(name)
    some = [each for each in told(name) if unseen[each.pid] == 1][:6]
    assert len(some) == 6
    for each in some:
        trees = [ask("tree", "--at", iso(moment), timeline(name)) for moment in each.start_seconds(1)]
        found = [(parent_in(tree, row), row["state"]) for tree in trees for row in of_process(each, tree)]
        assert set(found) == {(each.ppid, "alive")}


def parent_in(tree: list[Row], row: Row) -> int:
    """The pid of the row's parent: the last one before it that is one less deep."""
    before = tree[: tree.index(row)]
    return next(int(each["pid"]) for each in reversed(before) if each["depth"] == row["depth"] - 1)


@every_log
def test_tree_of_a_pid(name: str, timeline: Callable[[str], str]) -> None:
    """Each process of the workload that had the pid, below the workload."""
    pid, count = Counter(each.pid for each in told(name)).most_common(1)[0]
    rows = ask("tree", "--pid", str(pid), timeline(name))
    asked_for = [row for row in rows if row["state"] == "asked for"]
    lives = [each for each in told(name) if each.pid == pid]
    assert {row["pid"] for row in asked_for} == {pid}
    for each in lives:
        assert {parent_in(rows, row) for row in of_process(each, asked_for)} >= {each.ppid}
    assert len(asked_for) >= count


def test_tree_of_a_pid_has_descendants(timeline: Callable[[str], str]) -> None:
    (parent,) = {each.ppid for each in told("2.8.1")}
    rows = ask("tree", "--pid", str(parent), timeline("2.8.1"))
    assert {each.pid for each in told("2.8.1")} <= {row["pid"] for row in rows}
    assert [row["process"] for row in rows[:3]] == ["systemd", "job.sh", "python3"]


@every_log
def test_children_of(name: str, timeline: Callable[[str], str]) -> None:
    """Every process of the workload, once: its parent is the workload, at that time and whatever came then."""
    rows = ask("children-of", "python3", timeline(name))
    assert {each.pid: 1 for each in told(name)}.keys() <= set(pids(rows))
    assert {row["parent"] for row in rows} == {"python3"}
    parents = {each.ppid for each in told(name)}
    assert Counter(row["pid"] for row in rows if row["parent_pid"] in parents) == Counter(
        each.pid for each in told(name)
    )


def test_children_of_deep(timeline: Callable[[str], str]) -> None:
    """Whoever is below in what atop printed, by any of the parents that it printed."""
    parents: dict[int, set[int]] = defaultdict(set)
    for _, entry in entries("2.8.1"):
        parents[entry["ppid"]].add(entry["pid"])
    below: set[int] = set()
    todo = [248]
    while todo:
        new = parents[todo.pop()] - below
        below |= new
        todo += new
    assert set(pids(ask("children-of", "job.sh", "--deep", timeline("2.8.1")))) >= below


def test_search(timeline: Callable[[str], str]) -> None:
    rows = ask("search", "^fx_victim$", timeline("2.8.1"))
    assert {row["pid"] for row in rows} == {
        entry["pid"] for _, entry in entries("2.8.1") if b"fx_victim" in (entry["name"], entry["cmdline"])
    }
    assert ask("search", "^FX_VICTIM$", timeline("2.8.1")) == []
    assert ask("search", "-i", "^FX_VICTIM$", timeline("2.8.1")) == rows


def test_search_tells_what_was_run_before_and_after(timeline: Callable[[str], str]) -> None:
    chain = {each.label: each for each in told("2.8.1")}["exec_chain"]
    rows = [row for row in ask("search", "fx_victim 3.05", timeline("2.8.1")) if row["pid"] == chain.pid]
    assert [row["process"] for row in rows] == ["fx_sh", "fx_victim"]
    assert second(rows[0]["last_seen"]) < second(rows[1]["first_seen"])


def test_gaps(timeline: Callable[[str], str]) -> None:
    """The first boot ends cleanly, the second by a crash, which is how it was recorded."""
    rows = ask("gaps", timeline("debian-2.8.1-3boots"))
    boots = [sample.time for sample in printed("debian-2.8.1-3boots") if sample.reset]
    assert [second(row["time"]) for row in rows if row["event"] == "atop started"] == boots
    assert Counter(row["event"] for row in rows) == {
        "machine booted": 3,
        "atop started": 3,
        "atop ended": 2,
        "machine down": 2,
        "gap": 2,
        "recording ends": 1,
    }
    times = [sample.time for sample in printed("debian-2.8.1-3boots")]
    lengths = [now - before for before, now in pairwise(times) if now in boots]
    assert [row["gap_seconds"] for row in rows if row["event"] == "gap"] == lengths


def test_gaps_are_all_that_is_told_of_the_recording(timeline: Callable[[str], str]) -> None:
    with extract([log("debian-2.8.1-3boots")], only=["recording"]).timeline as whole:
        events = [(iso(each.date_time.timestamp // 1_000_000) + "Z", each.description) for each in whole.events()]
    rows = ask("gaps", timeline("debian-2.8.1-3boots"))
    assert sorted((row["time"], row["description"]) for row in rows) == sorted(events)
