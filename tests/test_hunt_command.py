"""The command atop-hunt, run as a user runs it; set UPDATE_GOLDEN=1 to write tests/golden anew."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atop_timeline import cli
from atop_timeline.hunting.cli import main
from atop_timeline.hunting.hunt import QUESTIONS
from tests.hunts import Row, ask, iso, log, printed, second
from tests.rawlogs import raw
from tests.test_cli import golden

COMMAND = [sys.executable, "-m", "atop_timeline.hunting.cli"]
LOG, TORN = log("2.8.1"), log("torn-append-2.8.1")
ASKED = {
    **{name: [name] for name in ("first-last", "short-lived", "by-user", "gaps", "rare")},
    "tree at": ["tree", "--at", "2026-11-23T03:56:42"],
    "tree pid": ["tree", "--pid", "20001"],
    "children-of": ["children-of", "python3", "--deep"],
    **{f"top {by}": ["top", "--by", by] for by in ("cpu", "memory", "disk-read", "disk-write", "net")},
    "search": ["search", "-i", "FX_|sleep"],
}
_TIMES = {"started", "first_seen", "last_seen", "time"}
every_question = pytest.mark.parametrize("words", ASKED.values(), ids=ASKED)


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *words], capture_output=True, check=False, env=os.environ | {"COLUMNS": "100"})


def status_of(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture(name="timeline", scope="module")
def _timeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Parquet timeline, made before, in a place whose name is no pattern."""
    path = tmp_path_factory.mktemp("time[l]ine*") / "2.8.1.parquet"
    assert cli.main([LOG, "-q", "-o", str(path)]) == 0
    return str(path)


@every_question
def test_evidence_and_a_timeline_made_before_answer_the_same(words: list[str], timeline: str) -> None:
    assert ask(*words, LOG) == ask(*words, timeline)


@every_question
def test_what_is_there_twice_counts_once(words: list[str], timeline: str) -> None:
    assert ask(*words, LOG, timeline, timeline) == ask(*words, timeline)


@every_question
def test_each_run_gives_the_same_bytes(words: list[str], timeline: str, tmp_path: Path) -> None:
    first, again = (tmp_path / name for name in ("1.csv", "2.csv"))
    for path in (first, again):
        assert main([*words, timeline, "-q", "-o", str(path)]) == 0
    assert first.read_bytes() == again.read_bytes()


@every_question
def test_formats_tell_the_same(words: list[str], timeline: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"answer{suffix}" for suffix in (".csv", ".json", ".jsonl")]
    for path in paths:
        assert main([*words, timeline, "-q", "-o", str(path)]) == 0
    cells, whole, lines = (path.read_text(encoding="utf-8") for path in paths)
    rows: list[Row] = json.loads(whole)
    assert [json.loads(line) for line in lines.splitlines()] == rows
    shown = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    guarded = [{name: f"'{cell}" if cell[:1] in {*"=+-@"} else cell for name, cell in row.items()} for row in shown]
    assert list(csv.DictReader(io.StringIO(cells, newline=""), strict=True)) == guarded


@every_question
def test_text_has_all_rows_and_whole_values(words: list[str], timeline: str) -> None:
    done = run(*words, timeline)
    rows = ask(*words, timeline)
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, len(lines)) == (0, len(rows) + 1 if rows else 0)
    assert "\x1b" not in done.stdout.decode()
    for line, row in zip(lines[1:], rows, strict=True):
        assert [str(each) for each in row.values() if each is not None and str(each) not in line] == (
            [str(row["depth"])] if "depth" in row and str(row["depth"]) not in line else []
        )


def on_terminal(columns: int, *words: str) -> list[str]:
    """The lines that the command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *words], stdout=theirs, env=os.environ | {"COLUMNS": str(columns)}):
        os.close(theirs)
        return b"".join(_pieces(ours)).decode().splitlines()


def _pieces(terminal: int) -> Iterator[bytes]:
    try:
        while data := os.read(terminal, 1 << 16):
            yield data
    except OSError:  # Linux says so when the other side is closed
        os.close(terminal)


@pytest.mark.parametrize("columns", [80, 200])
@every_question
def test_text_fits_a_terminal(words: list[str], columns: int, timeline: str) -> None:
    """With times as they are."""
    lines = on_terminal(columns, *words, timeline, "-q")
    assert max(map(len, lines), default=0) <= columns
    times = {value for row in ask(*words, timeline) for name, value in row.items() if name in _TIMES}
    assert {each for each in times if each not in "\n".join(lines)} == set()


def test_help() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == golden("hunt_help.txt", done.stdout.decode())


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_of_a_question(question: str) -> None:
    text = run(question, "--help").stdout.decode()
    assert all(option in text for option in ("SOURCE", "--from", "--to", "--host", "--user", "--output", "--temp-dir"))
    assert question in run("--help").stdout.decode()


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", *COMMAND[1:], "--help"], capture_output=True, check=True)
    imported = set(re.findall(r"\| +(\w+)", done.stderr.decode()))
    assert imported & {"numpy", "duckdb", "dfvfs", "dfdatetime", "rich", "yaml", "dissect"} == set()


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        pytest.param([], 2, "required: QUESTION", id="no question"),
        pytest.param(["who", LOG], 2, "invalid choice: 'who'", id="another question"),
        pytest.param(["gaps"], 2, "name at least one SOURCE", id="no source"),
        pytest.param(["tree", LOG], 2, "one of the arguments --at --pid is required", id="no tree"),
        pytest.param(["search", "(", LOG], 2, "missing )", id="no expression"),
        pytest.param(["top", "--by", "luck", LOG], 2, "invalid choice: 'luck'", id="unknown amount"),
        pytest.param(["rare", "--most", "0", LOG], 2, "'0' is no whole number of at least 1", id="none"),
        pytest.param(["gaps", LOG, "-o", "x.txt"], 2, "the suffix tells the format", id="unknown format"),
        pytest.param(["gaps", LOG, "--from", "2026", "--to", "2025"], 2, "no time such as", id="no time"),
        pytest.param(
            ["gaps", LOG, "--from", "2026-02-01", "--to", "2026-01-01"], 2, "--from is later", id="period backwards"
        ),
        pytest.param(["gaps", "nowhere"], 1, "no sample could be read", id="no evidence"),
        pytest.param(["first-last", TORN], 3, "warning: ", id="damaged"),
        pytest.param(["search", "no such program", LOG], 0, "note: no such process was found", id="no answer"),
        pytest.param(["top", "--by", "net", LOG], 0, "note: nothing is recorded of that", id="not recorded"),
    ],
)
def test_exit_status(words: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (status_of(*words), told in capsys.readouterr().err) == (status, True)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"PAR1", "too small", id="magic only"),
        pytest.param(b"PAR1" + bytes(100) + b"PAR1", "", id="no footer"),
        pytest.param(b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\x7fPAR1", "", id="footer beyond"),
    ],
)
def test_a_file_that_is_no_timeline(data: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    assert status_of("gaps", str(tmp_path / "x.parquet")) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/x.parquet: no timeline of atop-timeline: " in error
    assert told in error


def test_damage_is_told_of_a_timeline_in_the_middle(timeline: str, tmp_path: Path) -> None:
    data = bytearray(Path(timeline).read_bytes())
    data[1000:20_000] = bytes(19_000)
    (tmp_path / "x.parquet").write_bytes(data)
    assert status_of("first-last", str(tmp_path / "x.parquet"), "-o", str(tmp_path / "x.csv")) == 1
    assert not (tmp_path / "x.csv").exists()


def test_a_file_is_not_replaced_unasked(timeline: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"old")
    words = ("first-last", timeline, "-q", "-o", str(path))
    assert (status_of(*words), path.read_bytes()) == (1, b"old")
    assert (status_of(*words, "--overwrite"), path.read_bytes()[:10]) == (0, b"first_seen")


def test_a_timeline_is_not_written_to(timeline: str) -> None:
    assert status_of("first-last", timeline, "--overwrite", "-o", timeline.replace(".parquet", ".json")) == 0
    assert status_of("first-last", timeline.replace(".parquet", ".json"), "-o", timeline, "--overwrite") == 2


def test_a_timeline_of_some_events_answers_what_it_can(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    assert cli.main([LOG, "-q", "-o", str(path), "--only", "starts,exits"]) == 0
    assert {row["pid"] for row in ask("short-lived", str(path))} <= {row["pid"] for row in ask("short-lived", LOG)}
    assert ask("top", str(path)) != []
    assert ask("top", "--by", "memory", str(path)) == []


def test_period_host_and_user(timeline: str) -> None:
    first = printed("2.8.1")[3].time
    rows = ask("search", ".", timeline, "--from", iso(first), "--to", iso(first + 2))
    assert all(second(row["last_seen"]) >= first and second(row["first_seen"]) <= first + 2 for row in rows)
    assert len(rows) < len(ask("search", ".", timeline))
    assert ask("search", ".", timeline, "--host", "lab-guest") == ask("search", ".", timeline)
    assert ask("search", ".", timeline, "--host", "lab") == []
    assert {row["user"] for row in ask("search", ".", timeline, "--user", "1000")} == {"1000"}


def test_user_by_name_and_number(tree: Path) -> None:
    named = ask("first-last", "--user", "alice", str(tree))
    assert named == ask("first-last", "--user", "1000", str(tree))
    assert {row["user"] for row in named} == {"alice"}
    assert {row["user"] for row in ask("by-user", str(tree))} >= {"root", "alice"}


def test_rare(tmp_path: Path) -> None:
    """Three hosts; what only one of them ran is rare, and with two allowed, what two of them ran."""
    names = ("2.8.1", "2.9.0", "debian-2.8.1-3boots")
    for number, name in enumerate(names):
        data = raw(name).replace(b"lab-guest\0", (b"lab-%d" % number).ljust(10, b"\0"), 1)
        (tmp_path / f"atop_{number}").write_bytes(data)
    every = ask("first-last", str(tmp_path))
    on: dict[str, set[str]] = {}
    for row in every:
        on.setdefault(row["process"], set()).update(row["hosts"].split(", "))
    for most in (1, 2):
        rows = ask("rare", "--most", str(most), str(tmp_path))
        assert {row["process"]: row["on_hosts"] for row in rows} == {
            name: len(hosts) for name, hosts in on.items() if len(hosts) <= most
        }
