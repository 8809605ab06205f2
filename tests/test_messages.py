"""Messages, as formats show them: what Plaso would say of the same event, from the same YAML."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from atop_timeline.events import Column, EventType, Kind
from atop_timeline.texts import decode
from tests.timelines import TYPES, Known, Told, timeline_of, written

ROOT = Path(__file__).parents[1]
ATTRIBUTE = re.compile(r"{(\w+)}")
SPOKEN: dict[str, dict[str, Any]] = {
    each["data_type"]: each
    for file in sorted((ROOT / "formatters").glob("*.yaml"))
    for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))
}

ENVIRONMENTS = [
    pytest.param({"TZ": "America/New_York", "LC_ALL": "C", "PYTHONHASHSEED": "1"}, id="New York, C"),
    pytest.param({"TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}, id="Kolkata, C.UTF-8"),
]
_WRITE = """
import sys
from atop_timeline import plugins
from atop_timeline.extraction import extract
with extract([sys.argv[1]]).timeline as timeline:
    for name in sys.argv[2:]:
        plugins.formatters()[name].write(timeline, sys.stdout.buffer)
"""


def written_elsewhere(path: Path, format_names: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """What a process of its own makes of some evidence, in this environment; one format behind the other."""
    command = [sys.executable, "-c", _WRITE, str(path), *format_names]
    return subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True).stdout


EVERYTHING: dict[str, bytes | float] = {
    "process": b"{pid} 'x' %s \\",
    "pid": 7,
    "parent_process": b"systemd",
    "ppid": 1,
    "username": b"alice",
    "uid": 4_000_000_000,
    "exit_code": 0,
    "signal": 9,
    "duration": 0.5,
    "container": b"0123456789ab",
    "state": b"S",
    "cpu_percent": 12.25,
    "resident_bytes": 4096,
    "disk_read_bytes": 0,
    "disk_write_bytes": 1 << 40,
    "command_line": b"  {uid} a\xff\x1bb",
}


ANYTHING: dict[Kind, bytes | float] = {Kind.TEXT: b"a text", Kind.INTEGER: 5, Kind.NUMBER: 0.25, Kind.FLAG: True}


def plaso(pieces: Sequence[str], known: Known) -> str:
    """The message as `ConditionalEventFormatter` puts it together (plaso/formatters/interface.py)."""
    told = [piece for piece in pieces if all(name in known for name in ATTRIBUTE.findall(piece))]
    return " ".join(told).format(**{n: decode(v) if isinstance(v, bytes) else v for n, v in known.items()})


def messages(events: Sequence[Told]) -> list[tuple[str, str]]:
    """The long and the short message of each event, from l2tcsv, which cuts no long one."""
    with timeline_of(events) as timeline:
        lines = written(timeline, "l2tcsv").decode().splitlines()[1:]
    return [(line.split(",")[10], line.split(",")[9]) for line in lines]


@pytest.mark.parametrize("event_type", TYPES.values(), ids=TYPES)
def test_message_is_what_plaso_would_say(event_type: EventType) -> None:
    spoken = set(ATTRIBUTE.findall(str(SPOKEN[event_type.data_type])))
    told = {
        each.name: EVERYTHING.get(each.name, ANYTHING[each.kind])
        for each in event_type.attributes
        if each.name in spoken
    }
    variants: list[Known] = [told, *({n: v for n, v in told.items() if n != name} for name in told)]
    pieces, short = (SPOKEN[event_type.data_type][name] for name in ("message", "short_message"))
    expected = [(plaso(pieces, known), plaso(short, known)) for known in variants]
    assert messages([Told(event_type, known) for known in variants]) == [
        (long, brief if len(brief) <= 80 else brief[:77] + "...") for long, brief in expected
    ]


@pytest.mark.parametrize(
    ("name", "known", "long", "short"),
    [
        pytest.param(
            "starts",
            {"pid": 7, "process": b"sh", "parent_process": b"sshd", "ppid": 1, "uid": 0, "command_line": b"sh -c x"},
            "Process: sh pid: 7 parent: sshd ppid: 1 uid: 0 command: sh -c x",
            "Process: sh pid: 7 command: sh -c x",
            id="start",
        ),
        pytest.param(
            "exits",
            {"pid": 7, "process": b"sh", "username": b"root", "exit_code": 0, "duration": 0.06},
            "Process: sh pid: 7 user: root exit code: 0 lived: 0.06 s",
            "Process: sh pid: 7 exit code: 0",
            id="exit-by-code",
        ),
        pytest.param(
            "exits",
            {"pid": 7, "process": b"sh", "signal": 9, "duration": 3.0},
            "Process: sh pid: 7 signal: 9 lived: 3.0 s",
            "Process: sh pid: 7 signal: 9",
            id="exit-by-signal",
        ),
        pytest.param(
            "observations",
            {"pid": 7, "process": b"sh", "state": b"R", "cpu_percent": 0.0, "resident_bytes": 4096},
            "Process: sh pid: 7 state: R cpu: 0.0% memory: 4096 B",
            "Process: sh pid: 7 cpu: 0.0%",
            id="observation",
        ),
        pytest.param("starts", {"pid": 7}, "pid: 7", "pid: 7", id="only-a-pid"),
    ],
)
def test_message(name: str, known: Known, long: str, short: str) -> None:
    assert messages([Told(TYPES[name], known)]) == [(long, short)]


@pytest.mark.parametrize(
    ("length", "command"),
    [
        pytest.param(79, "x" * 50, id="79"),
        pytest.param(80, "x" * 51, id="80"),
        pytest.param(81, "x" * 48 + "...", id="81"),
    ],
)
def test_short_message_is_cut_at_80_characters(length: int, command: str) -> None:
    start = "Process: cat pid: 1 command: "
    known: Known = {"pid": 1, "process": b"cat", "command_line": b"x" * (length - len(start))}
    [(_, short)] = messages([Told(TYPES["starts"], known)])
    assert short == start + command


def test_event_type_without_yaml_tells_its_attributes() -> None:
    columns = (
        Column("pid", Kind.INTEGER, "", "an id"),
        Column("word", Kind.TEXT, "", "a text"),
        Column("share", Kind.NUMBER, "%", "unknown here"),
    )
    event_type = EventType("things", "test:thing", "Sample Time", "thing_facts", columns)
    assert messages([Told(event_type, {"pid": 7, "word": b"cat"})]) == [
        ("Attributes: pid: 7 word: cat", "pid: 7 word: cat"),
    ]


@pytest.mark.parametrize("data_type", SPOKEN)
def test_attributes_of_messages_are_columns(data_type: str) -> None:
    pieces = SPOKEN[data_type]["message"] + SPOKEN[data_type]["short_message"]
    columns = {column.name for each in TYPES.values() if each.data_type == data_type for column in each.attributes}
    assert set(ATTRIBUTE.findall(" ".join(pieces))) - columns == set()


@pytest.mark.parametrize("data_type", SPOKEN)
def test_yaml_is_plasos(data_type: str) -> None:
    spoken = SPOKEN[data_type]
    assert spoken.keys() == {"type", "data_type", "message", "short_message", "short_source", "source"}
    assert spoken["type"] == "conditional"
    for piece in spoken["message"] + spoken["short_message"]:
        assert len(ATTRIBUTE.findall(piece)) <= 1  # more, and Plaso raises RuntimeError
        assert not set("{}") & set(ATTRIBUTE.sub("", piece))


@pytest.mark.parametrize("event_type", TYPES.values(), ids=TYPES)
def test_every_event_type_has_a_message(event_type: EventType) -> None:
    assert event_type.data_type in SPOKEN
