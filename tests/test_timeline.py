"""The timeline: one order, each sample once, only what is asked for, and a store that leaves nothing behind."""

import csv
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

from atop_timeline import blocks, lines, plugins, portions, store, timeline
from atop_timeline.errors import StoreError
from atop_timeline.events import Column, Event, EventType, Kind
from atop_timeline.extraction import extract
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog
from atop_timeline.store import DEFAULT_ROOM, Room, quoted
from atop_timeline.timeline import ALL_TIME, Timeline
from tests.rawlogs import NAMES

LOGS = Path(__file__).parents[1] / "test_data" / "logs"
ALL_TYPES = ("starts", "exits", "observations", "threads")
PROCESS_TYPES = [each.name for each in plugins.parsers()["process"].event_types]
FORMATS = sorted(plugins.formatters())
T0 = 1_795_406_190  # 2.8.1 began then

BLOCKS = lines.Lines.blocks

PLACES = ("evidence", "volume", "filename", "offset")

Row = dict[str, str]


def log(name: str) -> str:
    return str(LOGS / name / "atop_raw")


def raw(name: str) -> bytes:
    return Path(log(name)).read_bytes()


def written(
    paths: list[str],
    only: Collection[str] = ALL_TYPES,
    period: tuple[int, int] = ALL_TIME,
    name: str = "timesketch",
    room: Room = DEFAULT_ROOM,
) -> bytes:
    stream = io.BytesIO()
    with extract(paths, only=only, period=period, room=room).timeline as made:
        plugins.formatters()[name].write(made, stream)
    return stream.getvalue()


def parsed(data: bytes, without: Collection[str] = ()) -> list[Row]:
    read = csv.DictReader(io.StringIO(data.decode()))
    return [{name: cell for name, cell in row.items() if name not in without} for row in read]


def rows(paths: list[str], only: Collection[str] = ALL_TYPES, period: tuple[int, int] = ALL_TIME) -> list[Row]:
    return parsed(written(paths, only, period))


@cache
def whole() -> bytes:
    """All of one log."""
    return written([log("2.8.1")])


def events(made: Timeline) -> list[Event]:
    with made:
        return list(made.events())


@pytest.mark.parametrize("name", ["atopcat-2.8.1", "debian-2.8.1-3boots"])
def test_events_are_in_the_order_of_time(name: str) -> None:
    times = [int(row["timestamp"]) for row in rows([log(name)])]
    assert times == sorted(times)


def test_at_the_same_time_starts_come_first_and_exits_last() -> None:
    ranks = {"Start Time": 0, "Sample Time": 1, "Exit Time": 3}
    order = [
        (int(row["timestamp"]), ranks[row["timestamp_desc"]] + (row["is_process"] == "false"))
        for row in rows([log("debian-2.8.1-3boots")])
    ]
    assert order == sorted(order)
    assert len(set(order)) < len(order)


def test_observations_of_a_sample_are_in_its_order() -> None:
    with Path(log("2.8.1")).open("rb") as stream:
        gens = [task for sample in RawLog(stream).samples() for task in sample.tasks["gen"]]
    theirs = [int(gen["pid"]) for gen in gens if gen["isproc"] and gen["state"] != ord("E")]
    assert [int(row["pid"]) for row in rows([log("2.8.1")], ["observations"])] == theirs


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])  # whose pages are its pieces
def test_pieces_make_the_same_bytes_as_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [log("debian-2.8.1-s390x"), log("odd-1.26")]
    at_once = written(paths, name=name)
    monkeypatch.setattr(timeline, "WINDOW_LINES", 50)
    monkeypatch.setattr(portions, "_FACTS_BYTES", 100_000)
    assert written(paths, name=name) == at_once


def sizes_together(paths: list[str], jobs: int, most: int) -> list[int]:
    """How many bytes the pieces have that are there together, where they should not have more than so many."""
    sizes: list[int] = []

    def blocks(self: lines.Lines) -> Iterator[bytes]:
        sizes.append(sum(map(len, self.pieces)))
        yield from BLOCKS(self)

    at_once = written(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines.Lines, "blocks", blocks)
        patch.setattr(lines, "WINDOW_BYTES", most)
        assert written(paths, room=Room(jobs=jobs)) == at_once
    return sizes


@pytest.mark.parametrize("most", [20_000, 200_000])
@pytest.mark.parametrize("jobs", [1, 2])
def test_lines_that_are_too_large_to_be_there_together(most: int, jobs: int) -> None:
    sizes = sizes_together([log("2.8.1")], jobs, most)
    assert (max(sizes) <= most, len(sizes) > 1) == (True, True)


def test_what_tells_of_origins_is_too_large_to_be_there_together(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 200] * 15)
    folder.mkdir(parents=True)
    shutil.copy(log("2.8.1"), folder / "atop_20261123")
    assert max(sizes_together([str(tmp_path)], 1, 1 << 26)) > 200_000
    assert 3_000 < max(sizes_together([str(tmp_path)], 1, 100_000)) < 100_000


def test_windows_within_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = written([log("odd-2.13.0")])
    monkeypatch.setattr(timeline, "WINDOW_LINES", 5)
    monkeypatch.setattr(timeline, "_ENTRIES", 3)
    assert written([log("odd-2.13.0")]) == at_once


def test_facts_and_events_whose_numbers_are_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_MOST_APART", 0)
    assert written([log("2.8.1")]) == whole()


def test_windows_of_events_as_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = events(extract([log("odd-2.13.0")]).timeline)
    monkeypatch.setattr(timeline, "WINDOW_EVENTS", 50)
    in_windows = events(extract([log("odd-2.13.0")]).timeline)
    assert [each.attributes for each in in_windows] == [each.attributes for each in at_once]


def test_the_same_rows_in_any_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_ROW_GROUP", 1)
    assert written([log("2.8.1")]) == whole()


def concatenated(*logs: bytes) -> bytes:
    """The first log with the records of the others behind it."""
    return logs[0] + b"".join(each[RAWHEADER_BYTES:] for each in logs[1:])


FIRST_FIVE = raw("2.8.1")[:26_413]


@pytest.mark.parametrize(
    ("files", "repeated"),
    [
        pytest.param([raw("2.8.1"), raw("2.8.1")], 10, id="a copy"),
        pytest.param([FIRST_FIVE, raw("2.8.1")], 5, id="a longer copy"),
        pytest.param([raw("2.8.1"), FIRST_FIVE], 5, id="a shorter copy"),
        pytest.param([concatenated(raw("2.8.1"), raw("2.8.1"))], 10, id="its records twice in one file"),
        pytest.param([concatenated(FIRST_FIVE, raw("2.8.1"))], 5, id="some of its records twice"),
        pytest.param([raw("2.8.1"), raw("2.8.1")[:-1]], 10, id="a torn copy"),
        pytest.param([raw("2.8.1")] * 3, 20, id="two copies"),
    ],
)
def test_a_sample_that_is_there_again_counts_once(files: list[bytes], repeated: int, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"atop_{number}") for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        Path(path).write_bytes(data)
    stream = io.BytesIO()
    made, report = extract(paths, only=ALL_TYPES)
    with made:
        plugins.formatters()["timesketch"].write(made, stream)
    assert report.repeated_samples == repeated
    assert parsed(stream.getvalue(), without=PLACES) == parsed(whole(), without=PLACES)


def test_of_copies_the_first_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "atop_20261123").write_bytes(raw("2.8.1"))
    (tmp_path / "atop_20261124").write_bytes(raw("2.8.1"))
    assert {row["filename"] for row in rows([str(tmp_path)])} == {"atop_20261123"}


def test_two_machines_do_not_mix() -> None:
    both = rows([log("odd-2.13.0"), log("debian-2.8.1-s390x")])
    for name, host in (("odd-2.13.0", "lab-2-13-0"), ("debian-2.8.1-s390x", "lab-bookworm-s390x")):
        assert [row for row in both if row["hostname"] == host] == rows([log(name)])


@pytest.mark.parametrize(
    ("first", "end", "seconds"),
    [
        pytest.param(T0 + 2, T0 + 7, [2, 4, 6], id="a part"),
        pytest.param(T0 + 2, T0 + 6, [2, 4], id="without its end"),
        pytest.param(T0 + 6, T0 + 6, [], id="nothing"),
        pytest.param(T0 + 6, T0 + 2, [], id="backwards"),
        pytest.param(0, T0 + 1, [0], id="the first sample"),
        pytest.param(T0 + 18, 1 << 40, [18], id="the last sample"),
    ],
)
def test_period(first: int, end: int, seconds: list[int]) -> None:
    shown = rows([log("2.8.1")], ["observations"], (first * 1_000_000, end * 1_000_000))
    assert sorted({int(row["timestamp"]) // 1_000_000 - T0 for row in shown}) == seconds


def test_a_period_changes_nothing_in_what_it_shows() -> None:
    period = ((T0 + 2) * 1_000_000, (T0 + 7) * 1_000_000)
    assert rows([log("2.8.1")], period=period) == [
        row for row in parsed(whole()) if period[0] <= int(row["timestamp"]) < period[1]
    ]


@pytest.mark.parametrize("only", [("starts",), ("exits",), ("observations",), ("threads",), ("starts", "exits")])
def test_types_that_are_not_wanted_are_left_out(only: tuple[str, ...]) -> None:
    counts = {"starts": 180, "observations": 861, "threads": 123, "exits": 103}
    with extract([log("2.8.1")], only=only).timeline as made:
        assert {each.name: made.count(each) for each in made.types} == {name: counts[name] for name in only}


def test_what_is_counted_is_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "atop_1").write_bytes(raw("2.8.1"))
    (tmp_path / "atop_2").write_bytes(raw("2.8.1"))
    period = (T0 * 1_000_000, (T0 + 5) * 1_000_000)
    told: list[int] = []
    stream = io.BytesIO()
    with extract([str(tmp_path)], period=period).timeline as made:
        made.written = told.append
        count = plugins.formatters()["timesketch-jsonl"].write(made, stream)
        assert count == sum(made.count(each) for each in made.types) == stream.getvalue().count(b"\n")
    assert told == [count]


@pytest.fixture(name="stores")
def _stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stores are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_store_is_removed_when_closed(stores: Path) -> None:
    with extract([log("2.8.1")]).timeline as made:
        assert [each.name.rpartition("-")[0] for each in stores.iterdir()] == [".atop-timeline"]
        plugins.formatters()["timesketch"].write(made, io.BytesIO())
    assert list(stores.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ZeroDivisionError])
def test_the_store_is_removed_on_errors(error: type[BaseException], stores: Path) -> None:
    def fail(_step: object) -> None:
        assert list(stores.iterdir()) != []
        raise error

    with pytest.raises(error):
        extract([log("2.8.1")], progress=fail)
    assert list(stores.iterdir()) == []


@pytest.mark.parametrize("row_group", [1, 122_880], ids=["while reading", "in the end"])
@pytest.mark.parametrize("memory", [1_000_000, 5_000_000])
def test_too_little_memory(memory: int, row_group: int, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_OUTSIDE", 600_000_000 - memory)
    monkeypatch.setattr(store, "_ROW_GROUP", row_group)
    with pytest.raises(StoreError, match=r"^the memory that may be taken does not suffice; --memory-limit gives more$"):
        extract([log("debian-2.8.1-3boots")], only=ALL_TYPES)
    assert list(stores.iterdir()) == []


def test_no_place_for_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StoreError, match="missing"):
        extract([log("2.8.1")])


def test_questions_in_sql() -> None:
    with extract([log("2.8.1")]).timeline as made:
        assert made.execute("SELECT hostname, atop_version, filename FROM logs") == [
            ("lab-guest", "atop 2.8", "atop_raw")
        ]


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_known_of_which_the_log_tells_something(name: str) -> None:
    with extract([log(name)]).timeline as made:
        types = [each for each in made.types if each.facts]
        assert [each.name for each in types if not told(made, each) <= known(made, each)] == []


def test_columns_that_atop_never_filled_are_not_known() -> None:
    """Each text would cost a join; this log has their fields, but no channels to wait on, and no names of users."""
    with extract([log("2.8.1")]).timeline as made:
        known_of = {each.name: known(made, each) for each in made.types}
    assert known_of["observations"] >= {"process", "command_line", "state"}
    assert known_of["observations"] & {"username", "wait_channel"} == set()


def told(made: Timeline, event_type: EventType) -> set[str]:
    """The columns of a type's facts that have a value in any row, as the store keeps them."""
    stored = {name for name, *_ in made.execute(f"DESCRIBE {event_type.facts}")}
    columns = [each for each in event_type.columns if each.name in stored]
    counts = made.arrays(f"SELECT {', '.join(map(counted, columns))} FROM {event_type.facts}")
    return {name for name, (count,) in counts.items() if count}


def counted(column: Column) -> str:
    name = quoted(column.name)
    return f"count({f'nullif({name}, -1)' if column.kind is Kind.TEXT else name}) AS {name}"


def known(made: Timeline, event_type: EventType) -> set[str]:
    return {each.name for each in made.known(event_type)}.difference(each.name for each in event_type.own)


def facts_of(name: str) -> tuple[int, bytes]:
    """How many rows of facts a log's tasks have, and all that is told of them."""
    stream = io.BytesIO()
    with extract([log(name)], only=PROCESS_TYPES).timeline as made:
        ((count,),) = made.execute("SELECT count(*) FROM tasks")
        plugins.formatters()["timesketch"].write(made, stream)
    return count, stream.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_tasks_that_repeat_go_on_over_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = facts_of(name)
    for samples in (1, 3):
        monkeypatch.setattr(blocks, "_BLOCK_SAMPLES", samples)
        assert facts_of(name) == at_once


@pytest.mark.parametrize("block_bytes", [1, 200_000, 300_000])
@pytest.mark.parametrize("name", ["2.8.1", "2.12.1"])
def test_large_samples_do_not_go_on(name: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count, made = facts_of(name)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    monkeypatch.setattr(blocks, "_LARGE_BLOCK_BYTES", block_bytes)
    parted_count, parted = facts_of(name)
    assert (parted, parted_count > count) == (made, True)


def test_facts_go_on_where_no_event_of_some_samples_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = rows([log("2.8.1")], ("ends", "changes"))
    monkeypatch.setattr(blocks, "_BLOCK_SAMPLES", 1)
    assert (rows([log("2.8.1")], ("ends", "changes")), len(at_once) > 0) == (at_once, True)
