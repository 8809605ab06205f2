"""Parquet, read back."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from atop_timeline import plugins
from atop_timeline.events import ACCURACY, PROVENANCE
from atop_timeline.extraction import extract
from atop_timeline.parquet import MERGED_BY
from atop_timeline.store import Store
from atop_timeline.timeline import Timeline
from tests.test_timesketch import RAWS
from tests.timelines import hostile, log_of, written

TEST_DATA = Path(__file__).parents[1] / "test_data"
MERGING = [each.name for each in MERGED_BY]


def logs(*names: str) -> Timeline:
    return extract([str(TEST_DATA / "logs" / name / "atop_raw") for name in names]).timeline


SOURCES: dict[str, Callable[[], Timeline]] = {
    "hostile": lambda: hostile(RAWS, 98_418, log_of(b'=1+1,"\n\xe2\x80\xa8\\')),
    "odd": lambda: logs("odd-2.13.0"),
    "several": lambda: logs("1.26", "2.3.0", "debian-2.8.1-s390x", "odd-2.10.0", "torn-append-2.8.1"),
    "server": lambda: extract([str(TEST_DATA / "server.E01")]).timeline,
}


def asked(data: bytes, query: str) -> list[tuple[Any, ...]]:
    """What a query gives of a Parquet file, in which it is `FROM timeline`."""
    store = Store()
    (store.directory / "timeline.parquet").write_bytes(data)
    try:
        return store.execute(query.replace("timeline", f"'{store.directory}/timeline.parquet'"))
    finally:
        store.close()


@cache
def names(data: bytes) -> dict[str, str]:
    """The columns and their types."""
    return {str(name): str(kind) for name, kind, *_ in asked(data, "DESCRIBE FROM timeline")}


def rows(data: bytes, shown: str) -> list[tuple[Any, ...]]:
    return asked(data, f"SELECT {shown} FROM timeline")


@pytest.mark.parametrize("source", SOURCES)
def test_all_events_in_their_order(source: str) -> None:
    with SOURCES[source]() as timeline:
        data = written(timeline, "parquet")
        columns = [each.name for each in (*timeline.columns(), *PROVENANCE, ACCURACY)]
        expected = [
            (
                each.date_time.timestamp,
                each.timestamp_desc,
                each.data_type,
                *(each.attributes[name] for name in columns),
            )
            for each in timeline.events()
        ]
    listed = ", ".join(f'"{name}"' for name in columns)
    assert rows(data, f"timestamp, timestamp_desc, data_type, {listed}") == expected


def test_columns_and_types() -> None:
    with logs("2.8.1") as timeline:
        found = names(written(timeline, "parquet"))
        (header, *_) = written(timeline, "timesketch").decode().split("\n")
        kinds = {each.name: str(each.kind) for each in (*timeline.columns(), *PROVENANCE, ACCURACY)}
    assert list(found) == [*header.split(",")[:-1], *MERGING]  # instead of the tag
    assert found == dict.fromkeys(found, "VARCHAR") | kinds | {
        "datetime": "TIMESTAMP WITH TIME ZONE",
        "timestamp": "BIGINT",
    }


def test_both_times_are_the_same() -> None:
    with logs("2.8.1") as timeline:
        data = written(timeline, "parquet")
    differing = "SELECT count(*) FROM timeline WHERE epoch_us(datetime) <> timestamp OR datetime IS NULL"
    assert asked(data, differing) == [(0,)]


def test_messages_are_those_of_the_csv() -> None:
    with logs("2.8.1") as timeline:
        data, lines = written(timeline, "parquet"), written(timeline, "timesketch-jsonl").splitlines()
    assert [text for (text,) in rows(data, "message")] == [json.loads(line)["message"] for line in lines]


def test_columns_are_those_of_the_json_lines() -> None:
    every = [each.name for each in plugins.event_types()]
    paths = [str(TEST_DATA / "logs" / name / "atop_raw") for name in ("2.13.0", "debian-2.8.1-3boots")]
    with extract(paths, only=every).timeline as timeline:
        data, lines = written(timeline, "parquet"), written(timeline, "timesketch-jsonl").splitlines()
    columns = list(names(data))[1 : -len(MERGING)]  # the first is the time, of another form
    for known, line in zip(rows(data, f"* EXCLUDE (datetime, {', '.join(MERGING)})"), lines, strict=True):
        shown = dict(zip(columns, known, strict=True))
        expected = {name: value for name, value in json.loads(line).items() if name != "datetime"}
        assert {name: value for name, value in shown.items() if value not in {None, ""}} == expected


def test_units_and_meanings() -> None:
    with logs("2.8.1") as timeline:
        data = written(timeline, "parquet")
    told = dict(asked(data, "SELECT decode(key), decode(value) FROM parquet_kv_metadata(timeline)"))
    assert json.loads(told["units"]).items() >= {"resident_bytes": "byte", "duration": "s", "cpu_percent": "%"}.items()
    assert json.loads(told["meanings"])["hostname"] == "name of the machine, from the log's header"


def test_each_run_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for zone in ("UTC", "America/New_York", "UTC"):
        monkeypatch.setenv("TZ", zone)
        with logs("2.8.1") as timeline:
            found.add(written(timeline, "parquet"))
    assert len(found) == 1


@pytest.mark.parametrize(("where", "most"), [("timeline.WINDOW_EVENTS", 100), ("portions.WINDOW_BYTES", 50_000)])
def test_portions_do_not_show(where: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with logs("2.8.1") as timeline:
        whole = written(timeline, "parquet")
    monkeypatch.setattr(f"atop_timeline.{where}", most)
    with logs("2.8.1") as timeline:
        assert rows(written(timeline, "parquet"), "*") == rows(whole, "*")


def test_no_events() -> None:
    path = str(TEST_DATA / "logs" / "2.8.1" / "atop_raw")
    with extract([path], period=(0, 1)).timeline as timeline:
        data = written(timeline, "parquet")
    assert rows(data, "*") == []
    assert list(names(data))[:3] == ["datetime", "timestamp_desc", "message"]


def test_what_is_told_while_it_is_written() -> None:
    told: list[int] = []
    with logs("2.8.1") as timeline:
        timeline.written = told.append
        count = len(rows(written(timeline, "parquet"), "pid"))
    assert told[-1] == count
