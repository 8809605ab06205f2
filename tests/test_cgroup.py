"""Cgroup events against what atop prints of each cgroup (-P CGR)."""

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from atop_timeline import plugins
from atop_timeline.events import ACCURACY, PROVENANCE, Value
from atop_timeline.extraction import extract
from atop_timeline.texts import decode
from tests import rawlogs

FOLDERS = [name for name in rawlogs.NAMES if any(sample.header.layout.cstat for sample in rawlogs.whole(name))]
(TYPE,) = plugins.parsers()["cgroup"].event_types

Row = dict[str, Value]

_HEADER = rb"^CGR \S+ (?P<time>\d+) \S+ \S+ (?P<interval>\d+) "
_GROUP = re.compile(_HEADER + rb"C (?P<path>/.*?)(?P<numbers>(?: -?\d+){24})\n", re.MULTILINE | re.DOTALL)
_PIDS = re.compile(_HEADER + rb"P (?P<path>/.*?)(?P<numbers>(?: \d+)+)\n", re.MULTILINE | re.DOTALL)


def _known(number: int) -> Value:
    return number if number >= 0 else None


def _limit(number: int) -> Value:
    return number if number >= -1 else None


def _limit_kib(pages: int) -> Value:
    return pages * 4 if pages > 0 else _limit(pages)


def _bytes(pages: int) -> Value:
    return pages * 4096 if pages >= 0 else None


def _seconds(us: int) -> Value:
    return us / 1_000_000 if us >= 0 else None


FIELDS: tuple[tuple[str, Callable[[int], Value]], ...] = (
    ("cgroup_process_count", _known),
    ("cgroup_processes_below", _known),
    ("user_cpu_seconds", _seconds),
    ("system_cpu_seconds", _seconds),
    ("cgroup_cpu_weight", _limit),
    ("cgroup_cpu_max_percent", _limit),
    ("cgroup_memory_bytes", _bytes),
    ("cgroup_anonymous_bytes", _bytes),
    ("cgroup_file_bytes", _bytes),
    ("cgroup_kernel_bytes", _bytes),
    ("cgroup_shared_bytes", _bytes),
    ("cgroup_memory_max_kib", _limit_kib),
    ("cgroup_swap_max_kib", _limit_kib),
    ("disk_read_bytes", _known),
    ("disk_write_bytes", _known),
    ("cgroup_disk_reads", _known),
    ("cgroup_disk_writes", _known),
    ("cgroup_disk_weight", _limit),
    ("cgroup_cpu_some_pressure_seconds", _seconds),
    ("cgroup_cpu_full_pressure_seconds", _seconds),
    ("cgroup_memory_some_pressure_seconds", _seconds),
    ("cgroup_memory_full_pressure_seconds", _seconds),
    ("cgroup_disk_some_pressure_seconds", _seconds),
    ("cgroup_disk_full_pressure_seconds", _seconds),
)
"""What atop prints of a cgroup behind its path, in its order."""


def printed(folder: str) -> Iterator[Row]:
    """The events that atop's own text gives."""
    text = gzip.decompress((rawlogs.LOGS / folder / "parseable.txt.gz").read_bytes())
    pids = {(row["time"], row["path"]): row["numbers"].split()[:50] for row in _PIDS.finditer(text)}
    for row in _GROUP.finditer(text):
        numbers = zip(FIELDS, row["numbers"].split(), strict=True)
        path = decode(row["path"])
        yield {name: convert(int(number)) for (name, convert), number in numbers} | {
            "sample_time": datetime.fromtimestamp(int(row["time"]), UTC).isoformat(),
            "sample_interval": int(row["interval"]),
            "cgroup_path": path,
            "cgroup_depth": 0 if path == "/" else path.count("/"),
            "pids": b" ".join(pids.get((row["time"], row["path"]), [])).decode(),
        }


def rows(folder: str) -> list[dict[str, Any]]:
    """The events of a log."""
    return rows_of(rawlogs.LOGS / folder / "atop_raw")


def rows_of(log: Path) -> list[dict[str, Any]]:
    timeline, report = extract([str(log)], only={"cgroups"})
    with timeline:
        assert [each.remarks for each in report.logs] == [[]]
        return [dict(event.attributes) for event in timeline.events()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_is_what_atop_prints(folder: str) -> None:
    expected, found = list(printed(folder)), rows(folder)
    names = set(expected[0])
    assert len(expected) >= len(rawlogs.whole(folder))
    assert [{name: row[name] for name in names} for row in found] == expected


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_else_is_told(folder: str) -> None:
    origin = {each.name for each in (ACCURACY, *PROVENANCE)}
    assert {name for row in rows(folder) for name in row} - origin - set(next(printed(folder))) == {"cpu_percent"}


def test_cpu_percent() -> None:
    (row,) = [
        each
        for each in rows("2.13.0")
        if each["cgroup_path"] == "/system.slice" and each["sample_time"] == "2026-11-23T03:51:44+00:00"
    ]
    assert (row["cpu_percent"], row["user_cpu_seconds"], row["system_cpu_seconds"]) == (21.12, 0.243436, 0.178932)
    assert row["sample_interval"] == 2


def test_pages_are_those_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(rawlogs.with_header("2.13.0", "pagesize", 65536))
    known, found = rows("2.13.0"), rows_of(tmp_path / "log")
    assert [row["cgroup_file_bytes"] for row in found] == [
        row["cgroup_file_bytes"] and row["cgroup_file_bytes"] * 16 for row in known
    ]
    assert {row["cgroup_memory_max_kib"] for row in found} == {None, -1, 51200 * 64}


def test_only_where_it_is_asked_for() -> None:
    timeline, _ = extract([str(rawlogs.LOGS / "2.13.0" / "atop_raw")])
    timeline.close()
    assert TYPE not in timeline.types
