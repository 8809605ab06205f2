"""Our files through Timesketch's import client, as it sends them, and then as its server reads that."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import pytest
from timesketch.lib.utils import read_and_validate_jsonl
from timesketch_import_client.importer import ImportStreamer

from atop_timeline.timeline import Timeline
from tests.test_timesketch import MISSING, SOURCES
from tests.timelines import T0_US, many, written

Event: TypeAlias = dict[str, Any]

ROWS = 100_000
USUAL = {"process": b"cat", "username": b"root", "command_line": b"cat"}
ODD = {"process": b"null", "username": b"0100", "command_line": b"=1+1" + b"\xe2\x80\xa8" * 80}
ODD_US = T0_US + ROWS * 1_000_000 + 1
FORMATS = {"timesketch": ".csv", "timesketch-jsonl": ".jsonl"}
TIMELINES: dict[str, Callable[[], Timeline]] = SOURCES | {"large": lambda: many(ROWS, USUAL, ODD, ODD_US)}

every_timeline = pytest.mark.parametrize("source", TIMELINES)
every_format = pytest.mark.parametrize("format_name", FORMATS)
pytestmark = pytest.mark.filterwarnings("ignore:Columns .* have mixed types")


def sketch_of(parts: list[str]) -> SimpleNamespace:
    """A sketch whose session keeps what the client sends."""
    told = {"objects": [{"id": 1, "searchindex": {"index_name": "index"}}], "meta": {"task_id": "1"}}

    def post(_url: str, *, data: Event, files: dict[str, tuple[None, str, str]]) -> SimpleNamespace:
        assert data["sketch_id"] == 1
        parts.append(files["events"][1])
        return SimpleNamespace(status_code=201, json=lambda: told)

    return SimpleNamespace(
        id=1, api=SimpleNamespace(api_root="http://127.0.0.1/api/v1", session=SimpleNamespace(post=post))
    )


class Files(NamedTuple):
    """One timeline in both formats."""

    csv: bytes
    jsonl: bytes


@cache
def files(source: str) -> Files:
    with TIMELINES[source]() as timeline:
        return Files(*(written(timeline, name) for name in FORMATS))


@cache
def arrived(path: Path) -> list[Event]:
    """What the server reads of what the client sends of a file."""
    parts: list[str] = []
    with ImportStreamer() as streamer:
        streamer.set_sketch(sketch_of(parts))
        streamer.add_file(str(path))
    return [event for part in parts for event in read_and_validate_jsonl(io.StringIO(part))]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], list[Event]]:
    """The events that arrive of a timeline in a format."""
    folder = tmp_path_factory.mktemp("sent")

    def send(source: str, format_name: str) -> list[Event]:
        path = folder / f"{source}{FORMATS[format_name]}"
        if not path.exists():
            path.write_bytes(files(source)[list(FORMATS).index(format_name)])
        return arrived(path)

    return send


Sent: TypeAlias = Callable[[str, str], list[Event]]


def lines_of(source: str) -> list[Event]:
    return [json.loads(line) for line in files(source).jsonl.splitlines()]


def microseconds(text: str) -> int:
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


@every_timeline
@every_format
def test_every_time_arrives_to_the_microsecond(sent: Sent, source: str, format_name: str) -> None:
    expected = [each["timestamp"] for each in lines_of(source)]
    events = sent(source, format_name)
    assert len(expected) > 100
    assert [each["timestamp"] for each in events] == expected
    assert [microseconds(each["datetime"]) for each in events] == expected


@every_timeline
def test_json_lines_arrive_as_they_are(sent: Sent, source: str) -> None:
    same = {"datetime": None}  # in another form, see above
    events = sent(source, "timesketch-jsonl")
    assert [each | same for each in events] == [each | same for each in lines_of(source)]
    assert [list(map(type, each.values())) for each in events] == [
        list(map(type, each.values())) for each in lines_of(source)
    ]


@every_timeline
@every_format
def test_no_event_gets_a_tag(sent: Sent, source: str, format_name: str) -> None:
    assert [each for each in sent(source, format_name) if each.get("tag")] == []


@every_timeline
def test_texts_of_csv_arrive_but_words_for_missing_and_digits(sent: Sent, source: str) -> None:
    rows = csv.DictReader(io.StringIO(files(source).csv.decode(), newline=""), strict=True)
    for row, event in zip(rows, sent(source, "timesketch"), strict=True):
        for name in ("message", "process", "command_line", "hostname", "data_type", "timestamp_desc"):
            expected = None if row[name] in ("", *MISSING) else row[name]
            assert event.get(name) == expected, (name, row)


def test_an_odd_row_of_many_is_itself_in_json_lines(sent: Sent) -> None:
    *_, last = sent("large", "timesketch-jsonl")
    assert [last[name] for name in ODD] == ["null", "0100", "=1+1" + "\\u2028" * 80]


def test_an_odd_row_of_many_loses_its_name_in_csv(sent: Sent) -> None:
    *_, last = sent("large", "timesketch")
    assert [last[name] for name in ODD] == [None, "0100", "'=1+1" + "\\u2028" * 80]
