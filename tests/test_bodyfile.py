"""The body file, read by the real mactime, alone and merged with what the real fls tells of an image."""

import csv
import io
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from atop_timeline import plugins
from atop_timeline.extraction import extract
from tests.test_messages import ANYTHING
from tests.test_timesketch import RAWS
from tests.timelines import START, T0_US, TYPES, Known, Told, hostile, log_of, timeline_of, written
from tests.tools import printed

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "test_data" / "server.E01"
MACB = {"Start Time": "...b", "Update Time": "..c.", "Exit Time": "m...", "End Time": "m..."}


def mactime(*bodies: bytes, folder: Path) -> list[dict[str, str]]:
    """The rows that mactime makes of body files one behind the other."""
    path = folder / "body"
    path.write_bytes(b"".join(bodies))
    shown = printed("mactime", "-d", "-y", "-z", "UTC", "-b", path, env={"TZ": "UTC"}).decode()
    return list(csv.DictReader(io.StringIO(shown, newline="")))


@cache
def server() -> tuple[bytes, list[tuple[str, str]]]:
    """The body file of a server, and time and description of its events."""
    with extract([str(SERVER)]).timeline as timeline:
        events = [(each.date_time.CopyToDateTimeStringISO8601(), each.timestamp_desc) for each in timeline.events()]
        return written(timeline, "bodyfile"), [(f"{time[:19]}Z", MACB.get(what, ".a..")) for time, what in events]


def test_mactime_gives_every_event(tmp_path: Path) -> None:
    body, events = server()
    rows = mactime(body, folder=tmp_path)
    assert Counter((each["Date"], each["Type"]) for each in rows) == Counter(events)


@pytest.mark.parametrize("name", ["2.13.0", "torn-append-2.8.1"])  # the other one has a thread that ends
def test_mactime_gives_every_event_of_every_parser(tmp_path: Path, name: str) -> None:
    every = [each.name for each in plugins.event_types()]
    log = ROOT / "test_data" / "logs" / name / "atop_raw"
    with extract([str(log)], only=every).timeline as timeline:
        body = written(timeline, "bodyfile")
    assert len(mactime(body, folder=tmp_path)) == body.count(b"\n") > 500


def test_mactime_merges_it_with_that_of_fls(tmp_path: Path) -> None:
    files = printed("fls", "-r", "-m", "/", "-o", _first_sector(), SERVER)
    body, events = server()
    alone, merged = mactime(files, folder=tmp_path), mactime(files, body, folder=tmp_path)
    assert len(merged) == len(alone) + len(events) > len(events) + 10
    assert {each["File Name"] for each in merged} > {each["File Name"] for each in alone}
    assert [each["Date"] for each in merged] == sorted(each["Date"] for each in merged)


def _first_sector() -> str:
    """That of the only volume of the server's disk."""
    (start,) = re.findall(r"^\d+: +\d\S+ +(\d+) ", printed("mmls", SERVER).decode(), re.MULTILINE)
    return str(int(start))


def line_of(known: Known, name: str = "starts") -> list[str]:
    with timeline_of([Told(TYPES[name], known, T0_US + 999_999)]) as timeline:
        (line,) = written(timeline, "bodyfile").decode().splitlines()
    return line.split("|")


def test_line() -> None:
    name = "server atop starts: Process: sh pid: 7 uid: 33"
    assert line_of({"pid": 7, "process": b"sh", "uid": 33}) == [
        *("0", name, "12-480", "-/----------", "33", "-1", "0"),
        *("-1", "-1", "-1", "1795404820"),
    ]


def test_who_is_not_known_is_not_root() -> None:
    assert line_of({"pid": 7})[4:6] == ["-1", "-1"]


@pytest.mark.parametrize("name", TYPES)
def test_time_tells_what_happened(name: str) -> None:
    order = MACB.get(TYPES[name].timestamp_desc, ".a..")
    place = {"a": 7, "m": 8, "c": 9, "b": 10}[order.strip(".")]
    column = TYPES[name].attributes[0]
    times = line_of({column.name: ANYTHING[column.kind]}, name)[7:]
    assert [number + 7 for number, each in enumerate(times) if each != "-1"] == [place]


def test_names_come_through(tmp_path: Path) -> None:
    raws = [*RAWS, b"a|b%7Cc%", b"%25|", b"a:b", b"#a"]
    with hostile(raws, 1_000_000, log_of(b"a|b%41")) as timeline:
        body = written(timeline, "bodyfile")
        messages = written(timeline, "l2tcsv").decode().splitlines()[1:]
    rows = mactime(body, folder=tmp_path)
    names = Counter(each["File Name"].split(": ", 1)[1].replace(",", " ") for each in rows)
    assert names == Counter(each.split(",")[10] for each in messages)
    assert {each["File Name"].split(" atop ")[0] for each in rows} == {"a|b%41"}


def test_a_log_without_an_inode_has_none() -> None:
    with timeline_of([Told(START, {"pid": 7})], log_of(b"x")) as timeline:
        assert written(timeline, "bodyfile").decode().split("|")[2] == "0-480"
