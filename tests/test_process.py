"""Process events against two truths from outside: what atop prints of a log, and what ran while it was written."""

import gzip
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from atop_timeline.events import Value
from atop_timeline.extraction import extract
from atop_timeline.texts import decode
from tests import truth
from tests.parseable import Entry, PrintedSample, read

LOGS = Path(__file__).parents[1] / "test_data" / "logs"
PRINTED = sorted(path.parent.name for path in LOGS.glob("*/parseable.txt.gz"))
KNOWN = sorted({path.parent.name for path in LOGS.glob("*/truth*.json")})
ALL_TYPES = ("starts", "exits", "observations", "threads")

Row = dict[str, Value]


@cache
def rows(folder: str) -> dict[str, list[Row]]:
    """The events of a log by type, each with all its columns; in the order of the log."""
    timeline, _ = extract([str(LOGS / folder / "atop_raw")], only=ALL_TYPES)
    found = {}
    with timeline:
        for each in timeline.types:
            names = [
                "time_us",
                "entry",
                "sample_interval",
                "atop_version",
                *(column.name for column in each.columns),
            ]
            columns = ", ".join(["sample_id & 4294967295", *names])
            events = timeline.execute(
                f"SELECT {columns} FROM ({timeline.whole(each)}) ORDER BY sample_id, entry"
            )
            found[each.name] = [dict(zip(["sample", *names], event, strict=True)) for event in events]
    return found


@cache
def printed(folder: str) -> list[PrintedSample]:
    return read(gzip.decompress((LOGS / folder / "parseable.txt.gz").read_bytes()), folder)


class Task(NamedTuple):
    """What atop printed of a task, with where it stands; `parent` is a process of the same sample."""

    number: int
    position: int
    sample: PrintedSample
    entry: Entry
    parent: Entry


@cache
def tasks(folder: str) -> dict[str, list[Task]]:
    """What atop printed, by the type of event that it should be."""
    found = defaultdict(list)
    for number, sample in enumerate(printed(folder)):
        processes = [entry for entry in reversed(sample.entries) if entry.get("isproc", True)]
        parents = {
            entry["pid"]: entry for entry in sorted(processes, key=lambda entry: entry["state"] != b"E")
        }
        for position, entry in enumerate(sample.entries):
            parent = parents.get(entry["ppid"], {"name": b"", "cmdline": b""})
            found[_type(entry)].append(Task(number, position, sample, entry, parent))
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
NETWORK = [
    f"{protocol}_{way}_{what}"
    for protocol, what in (
        ("tcp", "packets"),
        ("tcp", "bytes"),
        ("udp", "packets"),
        ("udp", "bytes"),
        ("raw", "packets"),
    )
    for way in ("sent", "received")
]
NOT_ACCOUNTED = (
    *("effective_username", "euid", "egid", "suid", "sgid", "fsuid", "fsgid"),
    *("container", "openvz_container", "openvz_pid"),
)


def told(task: Task) -> Row:
    """What atop tells of a task, in our columns and units."""
    columns: Row = {
        column: convert(value)
        for convert, names in NUMBERS.items()
        for column, value in _pairs(task.entry, names)
        if isinstance(value, int)
    }
    columns |= {column: _text(value) for column, value in _pairs(task.entry, TEXTS)}
    return columns | {
        "sample": task.number,
        "entry": task.position,
        "sample_interval": task.sample.interval,
        "is_process": bool(task.entry.get("isproc", True)),
        "parent_process": _text(task.parent["name"]),
        "parent_command_line": _text(task.parent["cmdline"]),
        **_newness(task.entry),
    }


def _pairs(entry: Entry, names: str) -> Iterator[tuple[str, int | bytes]]:
    for column, _, field in (name.partition("=") for name in names.split()):
        if field in entry:
            yield column, entry[field]


def _text(value: int | bytes) -> Value:
    return decode(bytes(value)) or None


def _newness(entry: Entry) -> Row:
    """Bit 31 of excode, which atop 2.4 and 2.5 do not print."""
    if "excode" in entry:
        return {"is_new": int(entry["excode"]) < 0}
    return {"is_new": entry["isnew"]} if "isnew" in entry else {}


def alive(task: Task, version: str) -> Row:
    """What an observation should have."""
    columns = told(task)
    ticks = int(task.entry["utime"]) + int(task.entry["stime"])
    columns["time_us"] = task.sample.time * 1_000_000
    columns["cpu_percent"] = round(ticks / task.sample.interval, 2)
    unknown = set() if task.entry["hasnet"] else NETWORK
    if not task.entry["hasio"]:
        unknown |= {column for column in columns if column.startswith("disk_")}
    if _release(version) >= (2, 11):  # what it prints is in the list of cgroups, not in the task
        unknown |= {column for column in columns if column.startswith("cgroup_")}
    return columns | dict.fromkeys(unknown)


def ended(task: Task) -> Row:
    """What an exit should have."""
    seconds, ticks = int(task.entry["btime"]), int(task.entry["elaps"])
    second = int(task.entry.get("exittime", seconds + ticks // 100))
    columns = told(task) | {"time_us": second * 1_000_000, "duration": ticks / 100} | _result(task.entry)
    return columns | dict.fromkeys(NOT_ACCOUNTED)


def _result(entry: Entry) -> Row:
    """Up to 2.3 atop prints the wait status, then the exit code, or 256 and the signal."""
    if "excode" in entry:
        status = int(entry["excode"]) & 0x7FFFFFFF
        code, signal, core = status >> 8, status & 0x7F, {"core_dumped": status & 0x80 != 0}
    else:
        printed_code = int(entry["exitcode"])
        code, signal, core = printed_code, max(printed_code - 256, 0), {}
    return {"exit_code": None if signal else code, "signal": signal or None} | core


def differences(ours: list[Row], theirs: list[Row]) -> list[tuple[Value, ...]]:
    """Sample, position, column, our value and atop's, of the columns that both have."""
    return [
        (row["sample"], row["entry"], column, row[column], value)
        for row, other in zip(ours, theirs, strict=True)
        for column, value in other.items()
        if column in row and row[column] != value
    ]


@pytest.mark.parametrize("kind", ["observations", "threads"])
@pytest.mark.parametrize("folder", PRINTED)
def test_the_living_are_what_atop_prints(folder: str, kind: str) -> None:
    theirs = [alive(task) for task in tasks(folder)[kind]]
    assert differences(rows(folder)[kind], theirs) == []


@pytest.mark.parametrize("folder", PRINTED)
def test_exits_are_what_atop_prints(folder: str) -> None:
    theirs = [ended(task) for task in tasks(folder)["exits"]]
    assert differences(rows(folder)["exits"], theirs) == []
