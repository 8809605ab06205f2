"""Timesketch's CSV and JSON lines, read by Timesketch's own importers, and as a spreadsheet reads them."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest
from timesketch.lib.utils import read_and_validate_csv, read_and_validate_jsonl

from atop_timeline.events import ACCURACY, PROVENANCE, Kind
from atop_timeline.extraction import extract
from atop_timeline.logs import LogOrigin
from atop_timeline.timeline import Timeline
from tests.test_messages import ENVIRONMENTS, written_elsewhere
from tests.timelines import OBSERVATION, START, T0_US, TYPES, Told, hostile, log_of, timeline_of, written

pytestmark = [  # of what Timesketch does
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.dropna"),
    pytest.mark.filterwarnings("ignore:Columns .* have mixed types"),  # first only empty cells, then text
]

TEST_DATA = Path(__file__).parents[1] / "test_data"
SERVER = TEST_DATA / "server.E01"
ODD = TEST_DATA / "logs" / "odd-2.13.0" / "atop_raw"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Event: TypeAlias = dict[str, Any]

TEXTS = [  # a text as a log has it, in JSON lines, in a cell of CSV
    pytest.param(b"=1+1", "=1+1", "'=1+1", id="formula"),
    pytest.param(b"+cmd|' /C calc'!A0", "+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0", id="command"),
    pytest.param(b"-2", "-2", "'-2", id="minus"),
    pytest.param(b"@SUM(A1)", "@SUM(A1)", "'@SUM(A1)", id="at"),
    pytest.param(b'=HYPERLINK("a","b")', '=HYPERLINK("a","b")', '\'=HYPERLINK("a","b")', id="quoted-formula"),
    pytest.param("=\u0301".encode(), "=\u0301", "'=\u0301", id="formula-with-accent"),
    pytest.param(b"\t=1", "\\x09=1", "\\x09=1", id="tab-formula"),
    pytest.param(b"\r=1", "\\x0d=1", "\\x0d=1", id="return-formula"),
    pytest.param(b" =1", " =1", " =1", id="blank-formula"),
    pytest.param(b"'=1", "'=1", "'=1", id="apostrophe"),
    pytest.param(b'"quoted"', '"quoted"', '"quoted"', id="quotes"),
    pytest.param(b'"', '"', '"', id="quote"),
    pytest.param(b"a,b", "a,b", "a,b", id="comma"),
    pytest.param(b"a;b|c:d", "a;b|c:d", "a;b|c:d", id="other-delimiters"),
    pytest.param(b"a#b", "a#b", "a#b", id="hash"),
    pytest.param(b"a\nb", "a\\x0ab", "a\\x0ab", id="newline"),
    pytest.param(b"a\x1b[31mb", "a\\x1b[31mb", "a\\x1b[31mb", id="escape"),
    pytest.param(b"a\x01\x02b", "a\\x01\\x02b", "a\\x01\\x02b", id="our-own-delimiters"),
    pytest.param("a\u2028b".encode(), "a\\u2028b", "a\\u2028b", id="line-separator"),
    pytest.param("a\u0085b".encode(), "a\\u0085b", "a\\u0085b", id="next-line"),
    pytest.param("a\u202eb".encode(), "a\\u202eb", "a\\u202eb", id="right-to-left"),
    pytest.param("\ufeffa".encode(), "\\ufeffa", "\\ufeffa", id="byte-order-mark"),
    pytest.param(b"a\xff\xfeb", "a\\xff\\xfeb", "a\\xff\\xfeb", id="no-utf8"),
    pytest.param("\U0001f600é中".encode(), "\U0001f600é中", "\U0001f600é中", id="emoji"),
    pytest.param(b"\\x41\\", "\\x41\\", "\\x41\\", id="backslashes"),
    pytest.param(b"  a  ", "  a  ", "  a  ", id="blanks"),
    pytest.param(b"{pid}%s'; DROP", "{pid}%s'; DROP", "{pid}%s'; DROP", id="templates"),
    pytest.param(b"nano null", "nano null", "nano null", id="no-nan"),
    pytest.param(b"\x1b" * 255, "\\x1b" * 255, "\\x1b" * 255, id="255-escapes"),
]
PROCESS = ("linux:atop:process", "linux:atop:observation")
MISSING = ("nan", "NaN", "null", "NULL", "None", "NA", "N/A")


RAWS: list[Any] = [param.values[0] for param in TEXTS] + [word.encode() for word in MISSING]
HOSTILE = b'=1+1,"\n\xe2\x80\xa8\\'


def real() -> Timeline:
    """A server's logs, then each of our logs, of all versions; what is there again comes once."""
    return extract([str(SERVER), *sorted(map(str, TEST_DATA.glob("logs/*/atop_raw")))]).timeline


SOURCES: dict[str, Callable[[], Timeline]] = {"hostile": lambda: hostile(RAWS, 98_418, log_of(HOSTILE)), "real": real}
every_source = pytest.mark.parametrize("source", SOURCES)


class Files(NamedTuple):
    """One timeline in both formats, and the times of its events."""

    csv: str
    jsonl: str
    times_us: list[int]


@cache
def files(source: str) -> Files:
    with SOURCES[source]() as timeline:
        cells, lines = (written(timeline, name).decode() for name in ("timesketch", "timesketch-jsonl"))
        return Files(cells, lines, [each.date_time.timestamp for each in timeline.events()])


@cache
def imported(source: str) -> tuple[list[Event], list[Event]]:
    """What Timesketch reads of the CSV, and of the JSON lines."""
    both = files(source)
    return (
        list(read_and_validate_csv(io.StringIO(both.csv))),
        list(read_and_validate_jsonl(io.StringIO(both.jsonl))),
    )


@cache
def events_of(source: str) -> list[Event]:
    return [json.loads(line) for line in files(source).jsonl.splitlines()]


@cache
def rows_of(source: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files(source).csv, newline=""), strict=True))


def of_one(told: Told, log: LogOrigin | None = None) -> tuple[dict[str, str], Event, Event]:
    """An event in a row of the CSV, in a line of JSON, and as Timesketch imports the CSV."""
    with timeline_of([told], *([log] if log else [])) as timeline:
        cells, line = (written(timeline, name).decode() for name in ("timesketch", "timesketch-jsonl"))
    [row], [event] = csv.DictReader(io.StringIO(cells)), read_and_validate_csv(io.StringIO(cells))
    return row, json.loads(line), event


def cell(value: bool | float | str) -> str:  # noqa: FBT001  JSON's own
    """A value of JSON as the CSV has it."""
    if isinstance(value, str):
        return "'" + value if value[0] in "=+-@" else value
    return json.dumps(value)


@every_source
def test_timesketch_takes_every_event(source: str) -> None:
    from_csv, from_jsonl = imported(source)
    assert len(files(source).times_us) == len(from_csv) == len(from_jsonl) > 100


@every_source
@pytest.mark.parametrize("index", [0, 1], ids=["csv", "jsonl"])
def test_timesketch_reads_the_times_to_the_microsecond(source: str, index: int) -> None:
    events = imported(source)[index]
    assert [each["timestamp"] for each in events] == files(source).times_us
    assert [datetime.fromisoformat(each["datetime"]) for each in events] == [
        EPOCH + timedelta(microseconds=time) for time in files(source).times_us
    ]


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        pytest.param(1, "1970-01-01T00:00:00.000001+00:00", id="first"),
        pytest.param(T0_US, "2026-11-23T03:33:40.000000+00:00", id="whole"),
        pytest.param(T0_US + 98_418, "2026-11-23T03:33:40.098418+00:00", id="leading-zero"),
        pytest.param(2**31 * 1_000_000, "2038-01-19T03:14:08.000000+00:00", id="2038"),
        pytest.param(9_223_372_037 * 1_000_000, "2262-04-11T23:47:17.000000+00:00", id="beyond-nanoseconds"),
        pytest.param(253_402_300_799_999_999, "9999-12-31T23:59:59.999999+00:00", id="last"),
    ],
)
def test_datetime_has_one_form_and_equals_timestamp(time_us: int, text: str) -> None:
    row, event, from_csv = of_one(Told(START, {"pid": 1}, time_us))
    assert (row["datetime"], event["datetime"]) == (text, text)
    assert (row["timestamp"], event["timestamp"], from_csv["timestamp"]) == (str(time_us), time_us, time_us)


@every_source
def test_datetime_has_one_form_in_the_whole_file(source: str) -> None:
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
    assert [each["datetime"] for each in events_of(source) if not form.fullmatch(each["datetime"])] == []
    assert [each["datetime"] for each in rows_of(source)] == [each["datetime"] for each in events_of(source)]


@every_source
def test_there_are_no_tags(source: str) -> None:
    from_csv, from_jsonl = imported(source)
    assert {row["tag"] for row in rows_of(source)} == {"-"}
    assert [each for each in from_csv if each["tag"] != []] == []
    assert [each for each in from_jsonl if "tag" in each] == []


@pytest.mark.parametrize(("raw", "text", "in_csv"), TEXTS)
def test_text(raw: bytes, text: str, in_csv: str) -> None:
    columns = ("process", "command_line", "username", "hostname", "evidence", "volume", "filename", "atop_version")
    told = Told(OBSERVATION, {"pid": 1, "process": raw, "command_line": raw, "username": raw})
    for found, expected in zip(of_one(told, log_of(raw)), (in_csv, text, in_csv), strict=True):
        assert {name: found[name] for name in columns} == dict.fromkeys(columns, expected)


@pytest.mark.parametrize(
    ("column", "value", "in_csv"),
    [
        pytest.param("nice", -20, "-20", id="integer"),
        pytest.param("cpu_percent", -0.5, "-0.5", id="number"),
        pytest.param("resident_growth_bytes", -(1 << 62), "-4611686018427387904", id="large"),
        pytest.param("sleep_average", 0, "0", id="zero"),
        pytest.param("was_inactive", False, "false", id="flag"),
        pytest.param("cpu_percent", 1e16, "1e+16", id="exponent"),
    ],
)
def test_numbers_stay_numbers(column: str, value: float, in_csv: str) -> None:
    row, event, from_csv = of_one(Told(OBSERVATION, {"pid": 1, column: value}))
    assert (row[column], event[column], from_csv[column]) == (in_csv, value, value)
    assert type(event[column]) is type(value)


@every_source
def test_csv_says_what_json_lines_say(source: str) -> None:
    expected = [{name: cell(value) for name, value in event.items()} | {"tag": "-"} for event in events_of(source)]
    assert [{name: text for name, text in row.items() if text} for row in rows_of(source)] == expected


@every_source
def test_no_cell_is_run(source: str) -> None:
    cells = [text for row in rows_of(source) for text in row.values() if text.startswith(tuple("=+-@\t\r"))]
    assert [text for text in cells if not re.fullmatch(r"-(\d+(\.\d+)?)?", text)] == []  # a tag, and numbers


LINES = [  # of server.E01
    pytest.param(
        '{"datetime": "2026-11-23T03:56:38.000000+00:00", "timestamp_desc": "Start Time", '
        '"message": "Process: fx_setgid pid: 20136 parent: python3 ppid: 20073 user: alice uid: 1000 euid: 1000 '
        'command: fx_setgid 3.9", "hostname": "lab-guest", "pid": 20136, "tgid": 20136, "ppid": 20073, '
        '"process": "fx_setgid", "command_line": "fx_setgid 3.9", "parent_process": "python3", '
        '"parent_command_line": "/usr/bin/python3 /lab/harness/workload.py /lab/out/guest-2.8.1/truth.json '
        '/srv/fx 13", "parent_pid": 20073, "username": "alice", "uid": 1000, "gid": 1001, '
        '"effective_username": "alice", "euid": 1000, "suid": 1000, "fsuid": 1000, "egid": 50, "sgid": 50, '
        '"fsgid": 50, "state": "S", "is_process": true, "is_new": true, "openvz_container": 0, "openvz_pid": 0, '
        '"process_guid": "d03ffc1b-4742-5c13-97d5-ca5daacf9882", '
        '"parent_guid": "2648979b-a89d-4b26-bb95-9064e8fb9c3e", "is_short_lived": false, '
        '"data_type": "linux:atop:process", "source_short": "LOG", "source_long": "atop process", '
        '"parser": "atop", "sample_time": "2026-11-23T03:56:38+00:00", "sample_interval": 2, '
        '"evidence": "SERVER", "volume": "p1", "filename": "/var/log/atop/atop_20261121", "inode": 22, '
        '"allocation": "allocated", "offset": 19695, "atop_version": "atop 2.8", "time_accuracy": "within 1 s", '
        '"timestamp": 1795406198000000}',
        id="start",
    ),
    pytest.param(
        '{"datetime": "2026-11-23T03:56:39.000000+00:00", "timestamp_desc": "Exit Time", '
        '"message": "Process: fx_victim pid: 20101 parent: python3 ppid: 20073 user: root uid: 0 signal: 11 '
        'lived: 3.06 s command: fx_victim 63", "hostname": "lab-guest", "pid": 20101, "tgid": 20101, '
        '"ppid": 20073, "process": "fx_victim", "command_line": "fx_victim 63", "parent_process": "python3", '
        '"parent_command_line": "/usr/bin/python3 /lab/harness/workload.py /lab/out/guest-2.8.1/truth.json '
        '/srv/fx 13", "parent_pid": 20073, "username": "root", "uid": 0, "gid": 0, "state": "E", '
        '"is_process": true, "is_new": false, "process_guid": "9ac7fb95-8779-7aa5-3721-86ee2988226c", '
        '"parent_guid": "2648979b-a89d-4b26-bb95-9064e8fb9c3e", "is_short_lived": false, '
        '"user_cpu_seconds": 0.0, "system_cpu_seconds": 0.0, "minor_faults": 1, "major_faults": 0, "signal": 11, '
        '"core_dumped": true, "duration": 3.06, "data_type": "linux:atop:process", "source_short": "LOG", '
        '"source_long": "atop process", "parser": "atop", "sample_time": "2026-11-23T03:56:40+00:00", '
        '"sample_interval": 2, "evidence": "SERVER", "volume": "p1", "filename": "/var/log/atop/atop_20261121", '
        '"inode": 22, "allocation": "allocated", "offset": 26413, "atop_version": "atop 2.8", '
        '"time_accuracy": "second", "timestamp": 1795406199000000}',
        id="exit-by-signal",
    ),
    pytest.param(
        '{"datetime": "2026-11-23T03:56:39.000000+00:00", "timestamp_desc": "Exit Time", '
        '"message": "Process: fx_sh pid: 20112 parent: python3 ppid: 20073 user: root uid: 0 exit code: 128 '
        'lived: 2.7 s command: fx_sh -c sleep 2.6; exit 128", "hostname": "lab-guest", "pid": 20112, '
        '"tgid": 20112, "ppid": 20073, "process": "fx_sh", "command_line": "fx_sh -c sleep 2.6; exit 128", '
        '"parent_process": "python3", "parent_command_line": "/usr/bin/python3 /lab/harness/workload.py '
        '/lab/out/guest-2.8.1/truth.json /srv/fx 13", "parent_pid": 20073, "username": "root", "uid": 0, '
        '"gid": 0, "state": "E", "is_process": true, "is_new": false, '
        '"process_guid": "1f02e7c1-9977-bb8a-bc13-62b97fdc2f3b", '
        '"parent_guid": "2648979b-a89d-4b26-bb95-9064e8fb9c3e", "is_short_lived": false, '
        '"user_cpu_seconds": 0.0, "system_cpu_seconds": 0.0, "minor_faults": 0, "major_faults": 0, '
        '"exit_code": 128, "core_dumped": false, "duration": 2.7, "data_type": "linux:atop:process", '
        '"source_short": "LOG", "source_long": "atop process", "parser": "atop", '
        '"sample_time": "2026-11-23T03:56:40+00:00", "sample_interval": 2, "evidence": "SERVER", "volume": "p1", '
        '"filename": "/var/log/atop/atop_20261121", "inode": 22, "allocation": "allocated", "offset": 26413, '
        '"atop_version": "atop 2.8", "time_accuracy": "second", "timestamp": 1795406199000000}',
        id="exit-by-code",
    ),
    pytest.param(
        '{"datetime": "2026-11-23T03:56:38.000000+00:00", "timestamp_desc": "Sample Time", '
        '"message": "Process: fx_sleeper pid: 20125 parent: python3 user: alice uid: 1000 state: S cpu: 2.0% '
        'memory: 909312 B read: 0 B written: 0 B command: fx_sleeper 4.4", "hostname": "lab-guest", '
        '"pid": 20125, "tgid": 20125, "ppid": 20073, "process": "fx_sleeper", "command_line": "fx_sleeper 4.4", '
        '"parent_process": "python3", "parent_command_line": "/usr/bin/python3 /lab/harness/workload.py '
        '/lab/out/guest-2.8.1/truth.json /srv/fx 13", "parent_pid": 20073, "username": "alice", "uid": 1000, '
        '"gid": 1001, "effective_username": "alice", "euid": 1000, "suid": 1000, "fsuid": 1000, "egid": 1001, '
        '"sgid": 1001, "fsgid": 1001, "state": "S", "is_process": true, "is_new": true, "openvz_container": 0, '
        '"openvz_pid": 0, "process_guid": "b33b8ab1-9609-8760-001c-73d86c81c37e", '
        '"parent_guid": "2648979b-a89d-4b26-bb95-9064e8fb9c3e", '
        '"cgroup_path": "/system.slice/fxwork-21041.scope", "was_inactive": false, "cpu_percent": 2.0, '
        '"thread_count": 1, "threads_running": 0, "threads_sleeping": 1, "threads_uninterruptible": 0, '
        '"user_cpu_seconds": 0.02, "system_cpu_seconds": 0.02, "nice": 0, "priority": 120, '
        '"realtime_priority": 0, "scheduling_policy": 0, "current_cpu": 0, "sleep_average": 0, '
        '"run_delay_ns": 1348174, "block_io_delay_seconds": 0.0, "virtual_bytes": 2551808, '
        '"resident_bytes": 909312, "virtual_growth_bytes": 2551808, "resident_growth_bytes": 909312, '
        '"text_bytes": 20480, "data_bytes": 229376, "stack_bytes": 135168, "library_bytes": 1564672, '
        '"swap_bytes": 0, "locked_bytes": 0, "minor_faults": 352, "major_faults": 0, "disk_read_bytes": 0, '
        '"disk_write_bytes": 0, "disk_cancelled_write_bytes": 0, "cgroup_cpu_weight": 100, '
        '"cgroup_cpu_max_percent": -1, "cgroup_cpu_effective_percent": -1, "cgroup_memory_max_kib": -1, '
        '"cgroup_memory_effective_kib": -1, "cgroup_swap_max_kib": -1, "cgroup_swap_effective_kib": -1, '
        '"data_type": "linux:atop:observation", "source_short": "LOG", "source_long": "atop observation", '
        '"parser": "atop", "sample_time": "2026-11-23T03:56:38+00:00", "sample_interval": 2, '
        '"evidence": "SERVER", "volume": "p1", "filename": "/var/log/atop/atop_20261121", "inode": 22, '
        '"allocation": "allocated", "offset": 19695, "atop_version": "atop 2.8", "time_accuracy": "second", '
        '"timestamp": 1795406198000000}',
        id="observation",
    ),
]


@pytest.mark.parametrize("line", LINES)
def test_line(line: str) -> None:
    assert line.replace("SERVER", str(SERVER)) in files("real").jsonl.splitlines()


@every_source
def test_unknown_is_an_absent_key(source: str) -> None:
    empty = [name for event in events_of(source) for name, value in event.items() if value in (None, "", [], {})]
    assert empty == []
    assert events_of(source)[0].keys() < rows_of(source)[0].keys()


@every_source
def test_a_field_has_one_type(source: str) -> None:
    types = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.FLAG: bool, Kind.TEXT: str}
    columns = (column for each in TYPES.values() for column in each.attributes)
    declared = {each.name: types[each.kind] for each in (*columns, *PROVENANCE, ACCURACY)} | {"timestamp": int}
    found = defaultdict(set)
    for event in events_of(source):
        for name, value in event.items():
            found[name].add(type(value))
    assert found == {name: {declared.get(name, str)} for name in found}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param({"uid": 1000}, {"uid": 1000}, id="unresolved"),
        pytest.param(
            {"uid": 4_000_000_000, "username": b"batch"}, {"uid": 4_000_000_000, "username": "batch"}, id="name"
        ),
        pytest.param({"uid": 1000, "username": b"1000"}, {"uid": 1000, "username": "1000"}, id="name-of-digits"),
    ],
)
def test_username_is_never_a_number(known: dict[str, Any], expected: Event) -> None:
    _, event, _ = of_one(Told(START, {"pid": 1, **known}))
    assert {name: event[name] for name in ("uid", "username") if name in event} == expected


def test_names_of_users_come_from_the_machine() -> None:
    known = [each for each in events_of("real") if each["evidence"] == str(SERVER) and "uid" in each]
    found = {(each["uid"], each.get("username")) for each in known}
    assert found >= {(0, "root"), (1000, "alice"), (4_000_000_000, "batch"), (65534, "nobody")}
    assert [each for each in events_of("real") if each["evidence"] != str(SERVER) and "username" in each] == []


@every_source
def test_index_takes_the_fields(source: str) -> None:
    header = files(source).csv.splitlines()[0].split(",")
    assert len(header) == len(set(header)) <= 450
    assert {"message", "datetime", "timestamp_desc", "timestamp", "tag"} <= set(header)
    assert [name for name in header if name.startswith("_") or name == "label"] == []


@every_source
@pytest.mark.parametrize("index", [0, 1], ids=["csv", "jsonl"])
def test_record_is_a_line(source: str, index: int) -> None:
    text = files(source)[:2][index]
    lines = text.splitlines()  # also at NEL, LS, PS, FF ...
    assert text == "\n".join(lines) + "\n"
    assert len(lines) == len(files(source).times_us) + (index == 0)
    assert [line for line in lines if not line.strip() or "\ufeff" in line] == []


@every_source
def test_message_is_one_short_line_that_begins_with_a_letter(source: str) -> None:
    messages = [each["message"] for each in events_of(source)]
    assert [
        text for text in messages if not re.fullmatch(r"[A-Za-z][^\x00-\x1f\x7f-\x9f\u2028\u2029]{,255}", text)
    ] == []
    assert max(map(len, messages)) > 200


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        pytest.param(b"\x1b" * 56 + b"abc", "\\x1b" * 56 + "abc", id="256"),
        pytest.param(b"\x1b" * 56 + b"abcd", "\\x1b" * 56 + "...", id="257"),
    ],
)
def test_message_is_cut_at_256_characters(arguments: bytes, command: str) -> None:
    row, event, _ = of_one(Told(START, {"pid": 1, "process": b"cat", "command_line": arguments}))
    assert row["message"] == event["message"] == "Process: cat pid: 1 command: " + command
    assert len(event["message"]) == 256


@every_source
def test_events_are_in_the_order_of_time(source: str) -> None:
    process = [each for each in events_of(source) if each["data_type"] in PROCESS]
    ranks = ["Start Time", "Update Time", "Sample Time", "Last Seen Time", "Exit Time"]
    order = [(each["timestamp"], ranks.index(each["timestamp_desc"])) for each in process]
    assert order == sorted(order)
    assert len({time for time, _ in order}) > 10


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_bytes_are_the_same_on_every_run(environment: dict[str, str]) -> None:
    names = ["timesketch", "timesketch-jsonl"]
    with extract([str(ODD)]).timeline as timeline:
        first, second = (b"".join(written(timeline, name) for name in names) for _ in range(2))
    assert first == second == written_elsewhere(ODD, names, environment)


def test_csv_import_loses_words_for_missing() -> None:
    with timeline_of([Told(START, {"pid": 1, "process": word.encode()}) for word in (*MISSING, "cat")]) as timeline:
        cells, lines = (written(timeline, each).decode() for each in ("timesketch", "timesketch-jsonl"))
    assert [json.loads(line)["process"] for line in lines.splitlines()] == [*MISSING, "cat"]
    assert [row["process"] for row in csv.DictReader(io.StringIO(cells))] == [*MISSING, "cat"]
    assert [each.get("process") for each in read_and_validate_csv(io.StringIO(cells))] == [None] * 7 + ["cat"]


@pytest.mark.parametrize(
    ("told", "name", "in_jsonl", "from_csv"),
    [
        pytest.param([{"username": b"0100"}], "username", ["0100"], [100], id="digits-alone"),
        pytest.param(
            [{"username": b"0100"}, {"username": b"root"}],
            "username",
            ["0100", "root"],
            ["0100", "root"],
            id="digits-beside-letters",
        ),
        pytest.param(
            [{"euid": 1 << 31}, {}], "euid", [1 << 31, None], [float(1 << 31), None], id="beside-an-empty-cell"
        ),
    ],
)
def test_csv_import_guesses_types(told: list[Event], name: str, in_jsonl: list[Any], from_csv: list[Any]) -> None:
    with timeline_of([Told(START, {"pid": 1, **known}) for known in told]) as timeline:
        cells, lines = (written(timeline, each).decode() for each in ("timesketch", "timesketch-jsonl"))
    assert [json.loads(line).get(name) for line in lines.splitlines()] == in_jsonl
    assert repr([each.get(name) for each in read_and_validate_csv(io.StringIO(cells))]) == repr(from_csv)
