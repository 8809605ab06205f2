"""Process events against two truths from outside: what atop prints of a log, and what ran while it was written."""

import gzip
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

import pytest

from atop_timeline.events import ACCURACY, PROVENANCE, Event, Value
from atop_timeline.extraction import extract
from atop_timeline.texts import decode
from tests import truth
from tests.parseable import Entry, PrintedSample, read

LOGS = Path(__file__).parents[1] / "test_data" / "logs"
PRINTED = sorted(path.parent.name for path in LOGS.glob("*/parseable.txt.gz"))
KNOWN = sorted({path.parent.name for path in LOGS.glob("*/truth*.json")})
ALL_TYPES = ("starts", "exits", "observations", "threads")

RESULT = ("uid", "gid", "exit_code", "signal", "core_dumped")
T0 = 1_795_404_820  # odd-2.13.0 began then

Row = dict[str, Value]


@cache
def rows(folder: str) -> dict[str, list[Row]]:
    """The events of a log by type, each with all its columns; in the order of time, then of the log."""
    timeline, _ = extract([str(LOGS / folder / "atop_raw")], only=ALL_TYPES)
    found: dict[str, list[Row]] = {each: [] for each in ALL_TYPES}
    with timeline:
        for event in timeline.events():
            found[_type_of(event)].append({"time_us": event.date_time.timestamp, **event.attributes})
    return found


def _type_of(event: Event) -> str:
    match event.timestamp_desc, event.is_process:
        case "Start Time", True:
            return "starts"
        case "Exit Time", True:
            return "exits"
        case "Sample Time", is_process:
            return "observations" if is_process else "threads"
    raise AssertionError(event)


@cache
def printed(folder: str) -> list[PrintedSample]:
    return read(gzip.decompress((LOGS / folder / "parseable.txt.gz").read_bytes()), folder)


def version(folder: str) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", folder)[:2]
    return int(major), int(minor)


class Task(NamedTuple):
    """What atop printed of a task; `parent` is a process of the same sample."""

    version: tuple[int, int]
    sample: PrintedSample
    entry: Entry
    parent: Entry | None


@cache
def tasks(folder: str) -> dict[str, list[Task]]:
    """What atop printed, by the type of event that it should be."""
    found: dict[str, list[Task]] = {kind: [] for kind in ("observations", "threads", "exits")}
    for sample in printed(folder):
        processes = [entry for entry in reversed(sample.entries) if entry.get("isproc", True)]
        parents = {entry["pid"]: entry for entry in sorted(processes, key=lambda entry: entry["state"] != b"E")}
        for entry in sample.entries:
            parent = parents.get(entry["ppid"])
            found[_type(entry)].append(Task(version(folder), sample, entry, parent))
    return found


def _type(entry: Entry) -> str:
    if entry["state"] == b"E":
        return "exits"
    return "observations" if entry.get("isproc", True) else "threads"


# our column=atop's field, by how the one is made of the other
NUMBERS: dict[Callable[[int], Value], str] = {
    int: """
        pid=pid tgid=tgid ppid=ppid thread_count=nthr threads_running=nthrrun threads_sleeping=nthrslpi
        threads_uninterruptible=nthrslpu threads_idle=nthridle openvz_container=ctid openvz_pid=vpid
        nice=nice priority=prio realtime_priority=rtprio scheduling_policy=policy current_cpu=curcpu
        sleep_average=sleepavg run_delay_ns=rundelay minor_faults=minflt major_faults=majflt
        voluntary_context_switches=nvcsw involuntary_context_switches=nivcsw
    """,
    lambda id_: id_ % (1 << 32): """
        uid=ruid gid=rgid euid=euid egid=egid suid=suid sgid=sgid fsuid=fsuid fsgid=fsgid
    """,
    lambda ticks: ticks / 100: """
        user_cpu_seconds=utime system_cpu_seconds=stime block_io_delay_seconds=blkdelay
    """,
    lambda kib: kib * 1024: """
        virtual_bytes=vmem resident_bytes=rmem virtual_growth_bytes=vgrow resident_growth_bytes=rgrow
        text_bytes=vexec text_bytes=shtext data_bytes=vdata stack_bytes=vstack library_bytes=vlibs
        swap_bytes=vswap locked_bytes=vlock
    """,
    lambda kib: kib * 1024 or None: "proportional_bytes=pmem",
    lambda sectors: sectors * 512: """
        disk_read_bytes=rsz disk_write_bytes=wsz disk_cancelled_write_bytes=cwsz
    """,
    lambda limit: limit if limit >= -1 else None: """
        cgroup_cpu_max_percent=cgcpumax cgroup_cpu_effective_percent=cgcpumaxr
        cgroup_memory_max_kib=cgmemmax cgroup_memory_effective_kib=cgmemmaxr
        cgroup_swap_max_kib=cgswpmax cgroup_swap_effective_kib=cgswpmaxr
    """,
}
TEXTS = """
    process=name command_line=cmdline state=state container=container uts_name=utsname
    cgroup_path=cgpath wait_channel=wchan
"""
NETWORK = tuple(
    f"{protocol}_{way}_{what}"
    for protocol, what in (
        ("tcp", "packets"),
        ("tcp", "bytes"),
        ("udp", "packets"),
        ("udp", "bytes"),
        ("raw", "packets"),
    )
    for way in ("sent", "received")
)
OF_LIVES = {"process_guid", "parent_pid", "parent_guid", "parent_process", "parent_command_line"}
ACCOUNTED = {
    *("sample_time", "sample_interval", "pid", "tgid", "ppid", "process", "command_line"),
    *("uid", "gid", "state", "is_process", "is_new", "uts_name"),
    *("user_cpu_seconds", "system_cpu_seconds", "minor_faults", "major_faults"),
}


def told(task: Task) -> Row:
    """What atop tells of a task, in our columns and units."""
    columns: Row = {
        column: convert(value)
        for convert, names in NUMBERS.items()
        for column, value in _pairs(task.entry, names)
        if isinstance(value, int)
    }
    columns |= {column: _text(value) for column, value in _pairs(task.entry, TEXTS)}
    columns |= {"cgroup_path": _path(columns["cgroup_path"])} if "cgroup_path" in columns else {}
    return columns | {
        "sample_time": datetime.fromtimestamp(task.sample.time, UTC).isoformat(),
        "sample_interval": task.sample.interval,
        "is_process": bool(task.entry.get("isproc", True)),
        **_newness(task.entry),
    }


def parent(task: Task) -> Row:
    """What atop tells of the parent, where that is in the sample."""
    if task.parent is None or task.parent["state"] in b"EZ":
        return {}
    return {
        "parent_process": _text(task.parent["name"]),
        "parent_command_line": _text(task.parent["cmdline"]),
    }


def _pairs(entry: Entry, names: str) -> Iterator[tuple[str, int | bytes]]:
    for column, _, field in (name.partition("=") for name in names.split()):
        if field in entry:
            yield column, entry[field]


def _text(value: int | bytes) -> Value:
    return decode(bytes(value)) or None


def _path(value: Value) -> Value:
    """Of a cgroup; atop 2.11 and later prints - for none."""
    return None if value == "-" else value


def _newness(entry: Entry) -> Row:
    """Bit 31 of excode, which atop 2.4 and 2.5 do not print."""
    if "excode" in entry:
        return {"is_new": int(entry["excode"]) < 0}
    return {"is_new": bool(entry["isnew"])} if "isnew" in entry else {}


def alive(task: Task) -> Row:
    """What an observation should have."""
    columns = told(task)
    assert not task.entry["hasnet"]
    unknown = NETWORK
    if not task.entry["hasio"]:
        unknown += ("disk_read_bytes", "disk_write_bytes", "disk_cancelled_write_bytes")
    if task.version >= (2, 11) and not task.entry["isproc"]:  # ours have that of their process
        columns = {column: value for column, value in columns.items() if not column.startswith("cgroup_")}
    return columns | {"time_us": task.sample.time * 1_000_000} | dict.fromkeys(unknown)


def ended(task: Task) -> Row:
    """What an exit should have: what accounting does not know is unknown."""
    columns = {column: value if column in ACCOUNTED else None for column, value in told(task).items()}
    columns |= {"time_us": _exit_second(task.entry) * 1_000_000, "duration": int(task.entry["elaps"]) / 100}
    return columns | _result(task.entry)


def _exit_second(entry: Entry) -> int:
    """Atop prints it since 2.9."""
    lived = int(entry["elaps"]) // 100
    return int(entry.get("exittime", int(entry["btime"]) + lived))


def _result(entry: Entry) -> Row:
    """Up to 2.3 atop prints the wait status, then the exit code, or 256 and the signal."""
    if "excode" in entry:
        status = int(entry["excode"]) & 0x7FFFFFFF
        code, signal, core = status >> 8, status & 0x7F, {"core_dumped": status & 0x80 != 0}
    else:
        printed_code = int(entry["exitcode"])
        code, signal, core = printed_code, max(printed_code - 256, 0), {}
    return {"exit_code": None if signal else code, "signal": signal or None, **core}


def differences(ours: list[Row], theirs: list[Row]) -> list[tuple[Value, ...]]:
    """Sample, pid, column, our value and atop's, of the columns that both have."""
    return [
        (row["sample_time"], row["pid"], column, row[column], value)
        for row, other in zip(ours, theirs, strict=True)
        for column, value in other.items()
        if row[column] != value
    ]


@pytest.mark.parametrize("kind", ["observations", "threads"])
@pytest.mark.parametrize("folder", PRINTED)
def test_the_living_are_what_atop_prints(folder: str, kind: str) -> None:
    theirs = sorted(map(alive, tasks(folder)[kind]), key=second)
    assert differences(rows(folder)[kind], theirs) == []


@pytest.mark.parametrize("folder", PRINTED)
def test_parents_are_what_atop_prints(folder: str) -> None:
    """Where they live in the same sample; another parent than the first is not named."""
    ours, theirs = (
        rows(folder)["observations"],
        sorted(tasks(folder)["observations"], key=lambda task: task.sample.time),
    )
    told = [parent(task) if row["ppid"] == row["parent_pid"] else {} for row, task in zip(ours, theirs, strict=True)]
    assert differences(ours, told) == []


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("1.26-a", set()),
        ("2.1", {"openvz_container"}),
        ("2.3.0", {"was_inactive"}),
        ("2.4.0-acctd", {"was_inactive", "is_new"}),
        ("2.8.1", {"was_inactive", "cgroup_cpu_weight"}),
        ("2.12.1", {"was_inactive", "cgroup_cpu_weight"}),
        ("2.13.0", {"was_inactive", "cgroup_cpu_weight", "oom_score", "oom_score_adjustment"}),
    ],
)
def test_known_is_what_atop_prints_and_little_more(folder: str, names: set[str]) -> None:
    events = rows(folder)["observations"]
    known = {column for row in events for column, value in row.items() if value is not None}
    known -= {column.name for column in (*PROVENANCE, ACCURACY)}
    assert known - alive(tasks(folder)["observations"][0]).keys() == names | {"cpu_percent", "executable"} | OF_LIVES


@pytest.mark.parametrize("folder", PRINTED)
def test_cpu_percent(folder: str) -> None:
    theirs = [
        (int(task.entry["utime"]) + int(task.entry["stime"])) / task.sample.interval
        for task in sorted(tasks(folder)["observations"], key=lambda task: task.sample.time)
    ]
    assert [row["cpu_percent"] for row in rows(folder)["observations"]] == pytest.approx(theirs, abs=0.0051)


@pytest.mark.parametrize("folder", PRINTED)
def test_exits_are_what_atop_prints(folder: str) -> None:
    theirs = sorted(map(ended, tasks(folder)["exits"]), key=second)
    assert differences(rows(folder)["exits"], theirs) == []


def children(folder: str, kind: str) -> list[Row]:
    """The events of the workload's processes: it has no child that its truth does not tell."""
    parents = {each.ppid for each in truth.processes(LOGS / folder)}
    return [row for row in rows(folder)[kind] if row["ppid"] in parents]


def processes(folder: str) -> list[Entry]:
    return [task.entry for kind in ("observations", "exits") for task in tasks(folder)[kind]]


def tolerance(folder: str) -> int:
    """By how many seconds atop may tell the start of one process differently: its clock was coarse before 2.0."""
    return 2 if version(folder) < (2, 0) else 1


def take(events: list[Row], pid: int, seconds: range) -> list[Row]:
    """The first of the events that is of this process and in these seconds, which is then no longer among them."""
    found = [row for row in events if row["pid"] == pid and second(row) in seconds][:1]
    for row in found:
        events.remove(row)
    return found


def second(row: Row) -> int:
    return int(row["time_us"] or 0) // 1_000_000


@pytest.mark.parametrize("folder", KNOWN)
def test_each_process_that_ended_has_one_exit(folder: str) -> None:
    events, last = children(folder, "exits"), printed(folder)[-1].time
    found, expected = [], []
    for each in sorted(truth.processes(LOGS / folder), key=lambda each: each.exit_seen):
        exits = take(events, each.pid, each.exit_seconds())
        if each.exit_seen <= last or (exits and each.exit_seen < inf):
            found += [(each.label, *(row[name] for name in RESULT)) for row in exits]
            expected += [(each.label, each.uid, each.gid, each.exit_code, each.signal, each.core)]
    assert (found, events) == (expected, [])


@pytest.mark.parametrize("folder", KNOWN)
def test_each_process_in_the_log_has_one_start(folder: str) -> None:
    events = children(folder, "starts")
    found, expected = [], []
    for each in truth.processes(LOGS / folder):
        seconds = each.start_seconds(tolerance(folder))
        found += [each.label for _ in take(events, each.pid, seconds)]
        is_printed = any(
            entry["pid"] == each.pid and entry["ppid"] == each.ppid and entry["btime"] in seconds
            for entry in processes(folder)
        )
        expected += [each.label] * is_printed
    assert (found, events) == (expected, [])


def lives(folder: str) -> Counter[int]:
    """How many processes each pid was, by what atop prints: those of about the same start, parted by exits."""
    by_pid = defaultdict(list)
    for kind in ("observations", "exits"):
        for task in tasks(folder)[kind]:
            by_pid[int(task.entry["pid"])].append(task)
    return Counter({pid: sum(map(_lives, _of_one_start(seen, folder))) for pid, seen in by_pid.items()})


def _of_one_start(seen: list[Task], folder: str) -> list[list[Task]]:
    seen = sorted(seen, key=lambda task: task.entry["btime"])
    groups = [[seen[0]]]
    for before, task in pairwise(seen):
        if int(task.entry["btime"]) - int(before.entry["btime"]) > tolerance(folder):
            groups.append([])
        groups[-1].append(task)
    return groups


def _lives(seen: list[Task]) -> int:
    """Each exit ends one; one more is alive, not only as a zombie, after the last exit."""
    exits = [_exit_second(task.entry) for task in seen if task.entry["state"] == b"E"]
    alive = [task.sample.time for task in seen if task.entry["state"] not in b"EZ"]
    return len(exits) + (not exits or max(alive, default=0) > max(exits))


@pytest.mark.parametrize("folder", PRINTED)
def test_nothing_starts_twice(folder: str) -> None:
    assert Counter(row["pid"] for row in rows(folder)["starts"]) == lives(folder)


def life(folder: str, pid: int) -> list[tuple[Value, ...]]:
    """What happened to a pid: second, type, state, name and command line; oldest first."""
    events = [(each, kind) for kind in ("starts", "observations", "exits") for each in rows(folder)[kind]]
    return [
        (second(each) - T0, kind, each["state"], each["process"], each["command_line"])
        for each, kind in sorted(events, key=lambda event: second(event[0]))
        if each["pid"] == pid
    ]


def test_a_zombie_does_not_start_again() -> None:
    assert life("odd-2.13.0", 124) == [
        (5, "starts", "S", "fx_short", "fx_short 0.4"),
        (5, "observations", "S", "fx_short", "fx_short 0.4"),
        (5, "exits", "E", "fx_short", None),
        (7, "observations", "Z", "fx_short", None),
        (9, "observations", "Z", "fx_short", None),
    ]


def test_a_pid_that_was_three_processes() -> None:
    """Atop gives the first one's exit the command line of the last one."""
    assert life("odd-2.13.0", 20013) == [
        (7, "starts", "E", "fx_short", "fx_short 4.1"),
        (7, "starts", "E", "fx_short", None),
        (7, "exits", "E", "fx_short", "fx_short 4.1"),
        (7, "exits", "E", "fx_short", None),
        (8, "starts", "S", "fx_short", "fx_short 4.1"),
        (9, "observations", "S", "fx_short", "fx_short 4.1"),
        (11, "observations", "S", "fx_short", "fx_short 4.1"),
        (12, "exits", "E", "fx_short", "fx_short 4.1"),
    ]


def test_a_newline_in_a_name_is_escaped() -> None:
    assert life("odd-2.13.0", 103) == [
        (4, "starts", "S", "fx?nl", "fx nl 3.2"),
        (5, "observations", "S", "fx?nl", "fx nl 3.2"),
        (7, "observations", "S", "fx?nl", "fx nl 3.2"),
        (7, "exits", "E", r"fx\x0anl", "fx nl 3.2"),
    ]


@pytest.mark.parametrize("folder", PRINTED)
def test_threads_are_no_processes(folder: str) -> None:
    kinds = {kind: {row["is_process"] for row in events} for kind, events in rows(folder).items()}
    threads = set() if version(folder) == (1, 26) else {False}
    assert kinds == {"starts": {True}, "exits": {True}, "observations": {True}, "threads": threads}


@pytest.mark.parametrize(
    ("label", "ids"),
    [
        ("setuid_root", (1000, 0, 1001, 1001)),
        ("setgid_50", (1000, 1000, 1001, 50)),
        ("uid_large", (4_000_000_000, 4_000_000_000, 3_999_999_999, 3_999_999_999)),
    ],
)
@pytest.mark.parametrize("folder", [folder for folder in KNOWN if folder.startswith("odd-")])
def test_ids(folder: str, label: str, ids: tuple[int, ...]) -> None:
    (pid,) = [each.pid for each in truth.processes(LOGS / folder) if each.label == label]
    names = ("uid", "euid", "gid", "egid")
    found = {
        kind: {tuple(row[name] for name in names) for row in rows(folder)[kind] if row["pid"] == pid}
        for kind in ("starts", "observations", "exits")
    }
    uid, _, gid, _ = ids
    assert found == {"starts": {ids}, "observations": {ids}, "exits": {(uid, None, gid, None)}}


@pytest.mark.parametrize("folder", PRINTED)
def test_who_was_never_seen_alive_has_no_command_line(folder: str) -> None:
    assert {row["command_line"] for row in rows(folder)["exits"] if row["is_new"]} == {None}


def test_the_same_log_twice(tmp_path: Path) -> None:
    paths = [str(shutil.copytree(LOGS / "odd-2.8.1", tmp_path / name) / "atop_raw") for name in ("log", "copy")]
    once, twice = extract(paths[:1]), extract(paths)
    with once.timeline, twice.timeline:
        assert (twice.report.repeated_samples, len(printed("odd-2.8.1"))) == (9, 9)
        assert list(twice.timeline.events()) == list(once.timeline.events())
