"""JSON lines in Elastic Common Schema: names and types by the published list, and nothing lost."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from atop_timeline import plugins
from atop_timeline.extraction import extract
from atop_timeline.timeline import Timeline
from tests.test_l2tcsv import SOURCES
from tests.test_messages import ROOT
from tests.timelines import EXIT, START, TYPES, Known, Told, timeline_of, written

FIELDS = dict(
    line.rsplit(maxsplit=1)
    for line in (ROOT / "tests" / "ecs_fields.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
ARRAYS = {"event.category", "event.type"}
SAME = {
    "host.name": "hostname",
    "log.file.path": "filename",
    "process.name": "process",
    "process.command_line": "command_line",
    "process.executable": "executable",
    "process.entity_id": "process_guid",
    "process.exit_code": "exit_code",
    "process.parent.pid": "parent_pid",
    "process.parent.name": "parent_process",
    "process.parent.command_line": "parent_command_line",
    "process.parent.entity_id": "parent_guid",
    "user.name": "username",
    "user.effective.name": "effective_username",
    "container.id": "container",
}
NUMBERS = {"user.id": "uid", "user.effective.id": "euid", "user.group.id": "gid"}


def every() -> Timeline:
    """Events of every type that our parsers know."""
    names = [each.name for each in plugins.event_types()]
    paths = [str(ROOT / "test_data" / "logs" / name / "atop_raw") for name in ("2.13.0", "debian-2.8.1-3boots")]
    return extract(paths, only=names).timeline


every_source = pytest.mark.parametrize("source", [*SOURCES, "every"])


@cache
def both(source: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The objects, and the same events of Timesketch's JSON lines."""
    with (SOURCES | {"every": every})[source]() as timeline:
        texts = [written(timeline, name).decode() for name in ("ecs", "timesketch-jsonl")]
    objects, events = ([json.loads(line) for line in text.splitlines()] for text in texts)
    return objects, events


def flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Values by the names of their fields."""
    for name, each in value.items():
        if isinstance(each, dict):
            yield from flat(each, f"{before}{name}.")
        else:
            yield before + name, each


def is_of(value: object, kind: str, name: str) -> bool:
    """Whether a value is what Elasticsearch has such a field for."""
    if name in ARRAYS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return type(value) is (int if kind == "long" else str)


@every_source
def test_each_name_and_type_is_the_schemas(source: str) -> None:
    told = {
        (name, is_of(value, FIELDS[name], name)) for each in both(source)[0] for name, value in flat(_schemas(each))
    }
    assert {name for name, fits in told if not fits} == set()


def _schemas(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "atop"}


@every_source
def test_nothing_is_lost(source: str) -> None:
    objects, events = both(source)
    dropped = {"datetime", "timestamp", "message", "source_short", "source_long", "parser"}  # of times and data types
    assert [told(each) for each in objects] == [
        {name: value for name, value in each.items() if name not in dropped} for each in events
    ]


def told(each: dict[str, Any]) -> dict[str, Any]:
    """What an object tells, by the names that other formats have."""
    fields = dict(flat(_schemas(each)))
    found = dict(each["atop"])
    found |= {ours: fields[name] for name, ours in SAME.items() if name in fields}
    found |= {ours: int(fields[name]) for name, ours in NUMBERS.items() if name in fields}
    if "process" in each:
        found["pid"] = fields.get("process.thread.id", fields.get("process.pid"))
    return found


@every_source
def test_times_are_those_of_the_events(source: str) -> None:
    objects, events = both(source)
    assert [each["@timestamp"] for each in objects] == [each["datetime"] for each in events]
    moments = {"Start Time": "start", "Exit Time": "end"}
    for each, event in zip(objects, events, strict=True):
        known = {name: each["process"][name] for name in ("start", "end") if name in each.get("process", {})}
        name = moments.get(event["timestamp_desc"])
        assert known == ({name: event["datetime"]} if name and "process" in each else {})


@every_source
def test_type_is_one_that_the_category_has(source: str) -> None:
    """Of the schema's allowed values; those of category process and host are the same ones."""
    told = {(*each["event"]["category"], *each["event"]["type"]) for each in both(source)[0]}
    assert {category for category, _ in told} <= {"process", "host"}
    assert {kind for _, kind in told} <= {"access", "change", "end", "info", "start"}


def test_line() -> None:
    known: Known = {"pid": 7, "tgid": 7, "is_process": True, "process": b'a"b', "uid": 33, "euid": 0, "exit_code": 3}
    with timeline_of([Told(EXIT, known)]) as timeline:
        assert json.loads(written(timeline, "ecs")) == {
            "@timestamp": "2026-11-23T03:33:40.000000+00:00",
            "ecs": {"version": "8.11.0"},
            "event": {
                "kind": "event",
                "category": ["process"],
                "type": ["end"],
                "action": "exits",
                "module": "atop",
                "dataset": "atop.process",
            },
            "message": 'Process: a"b pid: 7 uid: 33 euid: 0 exit code: 3',
            "process": {"end": "2026-11-23T03:33:40.000000+00:00", "pid": 7, "name": 'a"b', "exit_code": 3},
            "user": {"id": "33", "effective": {"id": "0"}},
            "host": {"name": "server"},
            "log": {"file": {"path": "/var/log/atop/atop_20261123"}},
            "atop": {
                "data_type": "linux:atop:process",
                "timestamp_desc": "Exit Time",
                "tgid": 7,
                "is_process": True,
                "sample_time": "2026-11-23T03:33:40+00:00",
                "sample_interval": 600,
                "evidence": "disk.E01",
                "volume": "p1",
                "inode": 12,
                "allocation": "allocated",
                "offset": 480,
                "atop_version": "atop 2.8",
                "time_accuracy": "second",
            },
        }


@pytest.mark.parametrize(
    ("known", "process"),
    [
        pytest.param({"pid": 9, "tgid": 7, "is_process": False}, {"pid": 7, "thread": {"id": 9}}, id="thread"),
        pytest.param({"pid": 9, "tgid": 0, "is_process": False}, {"thread": {"id": 9}}, id="of-a-zombie"),
        pytest.param({"pid": 7, "tgid": 0, "is_process": True}, {"pid": 7}, id="zombie"),
        pytest.param({"pid": 7}, {"pid": 7}, id="tgid-not-known"),
    ],
)
def test_a_thread_is_one_of_its_process(known: Known, process: dict[str, Any]) -> None:
    with timeline_of([Told(TYPES["threads"], known)]) as timeline:
        assert json.loads(written(timeline, "ecs"))["process"] == process


def test_unknown_is_absent() -> None:
    with timeline_of([Told(START, {"pid": 7})]) as timeline:
        found = json.loads(written(timeline, "ecs"))
    assert found["process"] == {"start": "2026-11-23T03:33:40.000000+00:00", "pid": 7}
    assert "user" not in found
    assert "container" not in found
