"""What processes and users used, by atop-hunt, checked against what atop printed of the same log."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atop_timeline.extraction import extract
from tests.hunts import Row, ask, entries, iso, log, printed, told

LOGS = ("1.26-a", "2.3.0", "2.8.1", "2.13.0", "odd-2.10.0", "debian-2.8.1-s390x", "debian-2.8.1-3boots")
every_log = pytest.mark.parametrize("name", LOGS)
TEST_DATA = Path(__file__).parents[1] / "test_data"
BOOTED_AGAIN_US = 1_795_407_000_000_000
HERTZ, SECTOR, KIB = 100, 512, 1024


def sums(name: str, *fields: str, first: int = 1, last: int | None = None) -> dict[int, int]:
    """What each pid used, without what the first sample counts since boot."""
    used: dict[int, int] = defaultdict(int)
    for number, sample in enumerate(printed(name)[:last]):
        for entry in sample.entries:
            if entry.get("isproc", True) and (number >= first or entry["state"] == b"E"):
                used[int(entry["pid"])] += sum(int(entry[field]) for field in fields)
    return used


def told_twice(name: str) -> set[int]:
    """Pids of which atop prints something again: of zombies, and of what it takes for new but printed before."""
    twice, before = set(), set()
    for sample in printed(name):
        for entry in sample.entries:
            known = (entry["pid"], entry["btime"]) in before
            if entry["state"] == b"Z" or (entry.get("isnew") and known and entry["state"] != b"E"):
                twice.add(int(entry["pid"]))
        before |= {(entry["pid"], entry["btime"]) for entry in sample.entries}
    return twice


def without(amounts: Mapping[int, float], pids: set[int]) -> dict[int, float]:
    return {pid: amount for pid, amount in amounts.items() if pid not in pids}


def by_pid(rows: list[Row], column: str) -> dict[int, float]:
    found: dict[int, float] = defaultdict(float)
    for row in rows:
        found[row["pid"]] += row[column]
    return found


@every_log
def test_processor_time(name: str) -> None:
    rows = ask("top", "--by", "cpu", "--most", "100000", log(name))
    used = {pid: ticks / HERTZ for pid, ticks in sums(name, "utime", "stime").items() if ticks}
    again = told_twice(name)
    assert without(by_pid(rows, "cpu_seconds"), again) == pytest.approx(without(used, again))
    assert [row["cpu_seconds"] for row in rows] == sorted((row["cpu_seconds"] for row in rows), reverse=True)


@every_log
def test_memory(name: str) -> None:
    most: dict[int, int] = defaultdict(int)
    for _, entry in entries(name):
        most[entry["pid"]] = max(most[entry["pid"]], entry["rmem"] * KIB)
    rows = ask("top", "--by", "memory", "--most", "100000", log(name))
    found: dict[int, int] = defaultdict(int)
    for row in rows:
        found[row["pid"]] = max(found[row["pid"]], row["resident_bytes"])
    assert found == {pid: size for pid, size in most.items() if size}


@pytest.mark.parametrize(("by", "field"), [("disk-read", "rsz"), ("disk-write", "wsz")])
@every_log
def test_disk(by: str, field: str, name: str) -> None:
    rows = ask("top", "--by", by, "--most", "100000", log(name))
    used = {pid: sectors * SECTOR for pid, sectors in sums(name, field).items() if sectors}
    again = told_twice(name)
    assert without(by_pid(rows, f"{by.replace('-', '_')}_bytes"), again) == without(used, again)


def test_a_period() -> None:
    """The intervals that end in it."""
    times = [sample.time for sample in printed("2.8.1")]
    rows = ask("top", "--by", "disk-write", log("2.8.1"), "--from", iso(times[4]), "--to", iso(times[6]))
    used = {pid: size * SECTOR for pid, size in sums("2.8.1", "wsz", first=4, last=7).items() if size}
    assert by_pid(rows, "disk_write_bytes") == used


@every_log
def test_users(name: str) -> None:
    """Programs and processor time of each user id, and the processes of those whom the workload has for itself."""
    programs: dict[int, set[Any]] = defaultdict(set)
    for _, entry in entries(name):
        programs[entry["ruid"]].add(entry["name"])
    rows = {row["uid"]: row for row in ask("by-user", log(name))}
    assert {uid: row["programs"] for uid, row in rows.items()} == {uid: len(each) for uid, each in programs.items()}
    used = ask("top", "--most", "100000", log(name))
    for uid, row in rows.items():
        of_user = sum(each["cpu_seconds"] for each in used if each["user"] == row["user"])
        assert (row["cpu_seconds"] or 0) == pytest.approx(of_user), uid
    count = Counter(each.uid for each in told(name) if each.uid in (1000, 4000000000))
    assert {uid: rows[uid]["processes"] for uid in count} == count


def test_a_restarted_atop_counts_nothing_twice() -> None:
    """Five runs while the machine was up: what the last sum since boot and the rest say, less what the first said."""
    told_of: dict[int, list[tuple[bool, float]]] = defaultdict(list)
    with extract([str(TEST_DATA / "server.E01")], only=["observations"]).timeline as timeline:
        for event in timeline.events():
            used = float(event.user_cpu_seconds or 0) + float(event.system_cpu_seconds or 0)
            if event.date_time.timestamp < BOOTED_AGAIN_US:
                told_of[int(event.pid or 0)].append((int(event.sample_interval or 0) > 60, used))
    expected = {}
    for pid, told_of_one in told_of.items():
        sums = [number for number, (since_boot, _) in enumerate(told_of_one) if since_boot]
        if len(sums) == 5:
            expected[pid] = sum(used for _, used in told_of_one[sums[-1] :]) - told_of_one[0][1]
    rows = ask("top", "--most", "100000", str(TEST_DATA / "server.E01"), "--to", "2026-11-23T04:00:00", status=3)
    found = {row["pid"]: row["cpu_seconds"] for row in rows if row["started"] < "2026-11-23T03:50:19Z"}
    assert len(expected) > 20
    assert {pid: found.get(pid, 0) for pid in expected} == pytest.approx(expected)
