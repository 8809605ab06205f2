"""l2tcsv: what Plaso's own output module writes of the same events; and what Timesketch makes of it."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from timesketch.lib.utils import read_and_validate_csv

from atop_timeline.events import Column, EventType, Kind
from atop_timeline.extraction import extract
from atop_timeline.logs import LogOrigin
from atop_timeline.timeline import Timeline
from tests.plasos import written_by_plaso
from tests.test_messages import ENVIRONMENTS, ROOT, written_elsewhere
from tests.timelines import EXIT, START, T0_US, TYPES, Known, Told, hostile, log_of, timeline_of, written

SERVER = ROOT / "test_data" / "server.E01"
ODD = ROOT / "test_data" / "logs" / "odd-2.13.0" / "atop_raw"
HEADER = "date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra"
RAWS = (b"a,b", b"=1+1", b'"a","b"', b"a#b", b"a\n,\r\tb", b"\xff,\x1b", "\u2028,\U0001f600".encode(), b"\x1b" * 255)


SOURCES: dict[str, Callable[[], Timeline]] = {
    "hostile": lambda: hostile(RAWS, 1_700_000, log_of(b",a,\n\xe2\x80\xa8")),
    "server": lambda: extract([str(SERVER)]).timeline,
    **{
        name: lambda name=name: extract([str(ROOT / "test_data" / "logs" / name / "atop_raw")]).timeline  # type: ignore[misc]  # a default
        for name in ("1.26-a", "odd-2.13.0", "debian-2.8.1-3boots")
    },
}
every_source = pytest.mark.parametrize("source", SOURCES)


@cache
def both(source: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines under the header, and the same events of JSON lines."""
    with SOURCES[source]() as timeline:
        text, jsonl = (written(timeline, name).decode() for name in ("l2tcsv", "timesketch-jsonl"))
    header, *lines = text.splitlines()
    assert header == HEADER
    assert text == "\n".join([header, *lines]) + "\n"
    return lines, [json.loads(line) for line in jsonl.splitlines()]


def line_of(told: Told, *log: LogOrigin) -> dict[str, str]:
    """The only line of an event, by column."""
    with timeline_of([told], *log) as timeline:
        header, line = written(timeline, "l2tcsv").decode().splitlines()
    return dict(zip(header.split(","), line.split(","), strict=True))


@every_source
def test_bytes_are_plasos(source: str) -> None:
    with SOURCES[source]() as timeline:
        assert written(timeline, "l2tcsv") == written_by_plaso(timeline, "l2tcsv")


@every_source
def test_each_line_has_17_columns(source: str) -> None:
    lines, _ = both(source)
    assert {line.count(",") for line in lines} == {16}
    assert [line for line in lines if not all(line.split(","))] == []


@every_source
def test_date_and_time_have_one_form(source: str) -> None:
    form = re.compile(r"\d\d/\d\d/\d{4},\d\d:\d\d:\d\d,UTC,(\.A|\.\.)\.\.,LOG,")
    assert [line for line in both(source)[0] if not form.match(line)] == []


def test_line() -> None:
    numbers: Known = {"pid": 7, "uid": 0, "exit_code": 3, "core_dumped": False, "duration": 2.7}
    texts: Known = {"process": b"sh", "username": b"root", "parent_command_line": b"sshd: a, b", "state": b"E"}
    with timeline_of([Told(EXIT, {**numbers, **texts}, T0_US + 999_999)]) as timeline:
        assert written(timeline, "l2tcsv").decode().splitlines()[1] == (
            "11/23/2026,03:33:40,UTC,....,LOG,atop process,Exit Time,root,server,Process: sh pid: 7 exit code: 3,"
            "Process: sh pid: 7 user: root uid: 0 exit code: 3 lived: 2.7 s,2,/var/log/atop/atop_20261123,12,-,atop,"
            "allocation: allocated; atop_version: atop 2.8; core_dumped: False; evidence: disk.E01; "
            "parent_command_line: sshd: a  b; "
            "sample_interval: 600; sample_time: 2026-11-23T03:33:40+00:00; state: E; time_accuracy: second; volume: p1"
        )


def test_line_of_a_real_log() -> None:
    lines, _ = both("server")
    [found] = [line for line in lines if ",Exit Time," in line and " pid: 20136 " in line and "atop_20261121" in line]
    assert found == (
        "11/23/2026,03:56:42,UTC,....,LOG,atop process,Exit Time,alice,lab-guest,"
        "Process: fx_setgid pid: 20136 exit code: 0 command: fx_setgid 3.9,"
        "Process: fx_setgid pid: 20136 parent: python3 ppid: 20073 user: alice uid: 1000 exit code: 0 lived: 3.96 s"
        " command: fx_setgid 3.9,2,/var/log/atop/atop_20261121,22,-,atop,allocation: allocated; "
        f"atop_version: atop 2.8; core_dumped: False; evidence: {SERVER}; gid: 1001; is_new: False; is_process: True; "
        "is_short_lived: False; major_faults: 0; minor_faults: 1; parent_command_line: /usr/bin/python3"
        " /lab/harness/workload.py /lab/out/guest-2.8.1/truth.json /srv/fx 13;"
        " parent_guid: 2648979b-a89d-4b26-bb95-9064e8fb9c3e; parent_pid: 20073;"
        " process_guid: d03ffc1b-4742-5c13-97d5-ca5daacf9882; sample_interval: 2;"
        " sample_time: 2026-11-23T03:56:42+00:00; state: E; system_cpu_seconds: 0.0; tgid: 20136; time_accuracy:"
        " second; user_cpu_seconds: 0.0; volume: p1"
    )


def test_unknown_is_a_dash() -> None:
    line = line_of(Told(START, {"pid": 7}), log_of(b"")._replace(atop_version="atop 2.8"))
    assert [line[name] for name in ("user", "host", "filename", "inode", "notes")] == ["-"] * 5
    assert line["extra"] == (
        "atop_version: atop 2.8; sample_interval: 600; sample_time: 2026-11-23T03:33:40+00:00; time_accuracy: second"
    )


@pytest.mark.parametrize(
    ("name", "macb"),
    [
        pytest.param(name, ".A.." if each.timestamp_desc == "Start Time" else "....", id=name)
        for name, each in TYPES.items()
    ],
)
def test_macb(name: str, macb: str) -> None:
    assert line_of(Told(TYPES[name], {"pid": 7}))["MACB"] == macb


@pytest.mark.parametrize(
    ("time_us", "date", "time"),
    [
        pytest.param(1_000_000, "01/01/1970", "00:00:01", id="first-second"),
        pytest.param(T0_US + 999_999, "11/23/2026", "03:33:40", id="cut-not-rounded"),
        pytest.param(2**31 * 1_000_000, "01/19/2038", "03:14:08", id="2038"),
        pytest.param(253_402_300_799_999_999, "12/31/9999", "23:59:59", id="last"),
    ],
)
def test_time(time_us: int, date: str, time: str) -> None:
    line = line_of(Told(START, {"pid": 7}, time_us))
    assert (line["date"], line["time"], line["timezone"]) == (date, time, "UTC")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"a,b,,", "a b  ", id="commas"),
        pytest.param(b"a\nb\rc", "a\\x0ab\\x0dc", id="line-breaks"),
        pytest.param(b'a"b', 'a"b', id="quote"),
        pytest.param(b"a#b", "a#b", id="hash"),
        pytest.param(b"=1+1", "=1+1", id="formula"),
        pytest.param(b"\x1b\x02\xff", "\\x1b\\x02\\xff", id="controls"),
        pytest.param("\u2028\u0085".encode(), "\\u2028\\u0085", id="separators"),
        pytest.param("\U0001f600".encode(), "\U0001f600", id="emoji"),
    ],
)
def test_text(raw: bytes, text: str) -> None:
    line = line_of(Told(START, {"pid": 7, "username": raw, "executable": raw}), log_of(raw))
    assert (line["user"], line["host"], line["filename"]) == (text, text, text)
    assert line["desc"] == f"pid: 7 user: {text}"
    assert line["extra"] == (
        f"allocation: {text}; atop_version: {text}; evidence: {text}; executable: {text}; sample_interval: 600;"
        f" sample_time: 2026-11-23T03:33:40+00:00; time_accuracy: second; volume: {text}"
    )


def test_extra_of_an_event_type_without_yaml_has_what_no_message_tells() -> None:
    columns = (
        Column("pid", Kind.INTEGER, "", ""),
        Column("zone", Kind.TEXT, "", ""),
        Column("able", Kind.FLAG, "", ""),
    )
    line = line_of(
        Told(EventType("things", "test:thing", "Sample Time", "thing_facts", columns), {"pid": 7, "zone": b"z"})
    )
    assert (line["source"], line["sourcetype"], line["desc"]) == ("LOG", "test:thing", "Attributes: pid: 7 zone: z")
    assert "zone" not in line["extra"]


@every_source
def test_events_are_in_the_order_of_time(source: str) -> None:
    times = [datetime.strptime(line[:23], "%m/%d/%Y,%H:%M:%S,%Z") for line in both(source)[0]]  # noqa: DTZ007  all UTC
    assert times == sorted(times)
    assert len(set(times)) > 5


@pytest.mark.parametrize("environment", ENVIRONMENTS[:1])
def test_bytes_are_the_same_on_every_run(environment: dict[str, str]) -> None:
    with extract([str(ODD)]).timeline as timeline:
        first, second = written(timeline, "l2tcsv"), written(timeline, "l2tcsv")
    assert first == second == written_elsewhere(ODD, ["l2tcsv"], environment)


@pytest.mark.parametrize("source", ["server", "odd-2.13.0"])
def test_csv_readers_find_the_columns(source: str) -> None:
    lines, _ = both(source)
    assert list(csv.reader(lines)) == [line.split(",") for line in lines]


def mapping(*times: str) -> list[dict[str, Any]]:
    """What a user of Timesketch would map to the headers that are missing."""
    sources = {"message": ["desc"], "timestamp_desc": ["type"], "datetime": list(times)}
    return [{"target": target, "source": source, "default_value": None} for target, source in sources.items()]


def test_timesketch_misses_headers() -> None:
    text = "\n".join([HEADER, *both("odd-2.13.0")[0]])
    with pytest.raises(RuntimeError, match="Headers missing"):
        list(read_and_validate_csv(io.StringIO(text)))


@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")  # of what Timesketch does
@pytest.mark.parametrize(
    ("times", "kept"),
    [
        pytest.param(("date", "time"), [], id="date-and-time-lose-all"),
        pytest.param(("date",), ["2026-11-23T00:00:00+00:00"], id="date-loses-the-time-of-day"),
    ],
)
def test_timesketch_with_a_mapping(times: tuple[str, ...], kept: list[str]) -> None:
    lines, _ = both("odd-2.13.0")
    events = list(read_and_validate_csv(io.StringIO("\n".join([HEADER, *lines])), headers_mapping=mapping(*times)))
    assert [each["datetime"] for each in events] == kept * len(lines)
    assert [each["message"] for each in events] == [line.split(",")[10] for line in lines][: len(events)]
