"""Profiles: which attributes go out, in every format."""

import csv
import json
import re
from pathlib import Path

import pytest

from atop_timeline import plugins
from atop_timeline.cli import main
from atop_timeline.errors import EvidenceError, UsageError
from atop_timeline.events import ACCURACY, PROVENANCE
from atop_timeline.hunting import cli as hunting
from atop_timeline.hunting.tables import COLUMNS
from atop_timeline.parquet import check_whole
from atop_timeline.profiles import NAMES, Profile, profile, profiles
from atop_timeline.store import Questions
from tests.hunts import ask, log
from tests.readme import README
from tests.timelines import EXIT, START, Known, Told, timeline_of, written

ATTRIBUTES = {column.name for column, _ in plugins.attributes()}
FIXED = ["datetime", "timestamp_desc", "message", "hostname", "data_type", "source_short", "source_long", "parser"]
CERTAIN = [*(each.name for each in PROVENANCE[1:]), ACCURACY.name, "timestamp"]
EXITED: Known = {"process": b"sh", "pid": 7, "state": b"E", "signal": 9, "doubt": b"whose?"}


def made(tmp_path: Path, name: str, *more: str) -> Path:
    """The timeline of a log in a profile; `name` is that of the file."""
    path = tmp_path / name
    assert main([log("2.8.1"), "-q", "-o", str(path), *more]) == 0
    return path


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return str(path)


def test_each_has_what_the_smaller_ones_have() -> None:
    minimal, standard, full = (each.attributes for each in profiles())
    assert minimal
    assert standard
    assert minimal < standard < ATTRIBUTES
    assert full is None


def test_standard_has_what_questions_ask() -> None:
    standard = profile("standard").attributes or frozenset()
    assert (COLUMNS.keys() & ATTRIBUTES) - {each.name for each in PROVENANCE} <= standard


def test_standard_has_what_messages_tell() -> None:
    files = (Path(__file__).parents[1] / "formatters").glob("*.yaml")
    told = {name for each in files for name in re.findall(r"{(\w+)}", each.read_text())}
    assert told <= (profile("standard").attributes or frozenset())


def test_a_file_of_a_user(tmp_path: Path) -> None:
    path = file(tmp_path, "description: mine\nattributes: [nice, pid]  # no more\n")
    assert profile(path) == Profile(path, "mine", frozenset({"nice", "pid", "doubt"}))


def test_a_file_that_extends_one_of_ours(tmp_path: Path) -> None:
    found = profile(file(tmp_path, "attributes:\n- nice\nextends: minimal\n"))
    assert found.attributes == (profile("minimal").attributes or frozenset()) | {"nice"}


def test_the_file_in_the_readme(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    minimal = profile("minimal").attributes or frozenset()
    assert profile(file(tmp_path, example)).attributes == minimal | {"cpu_percent", "executable"}


def test_full_and_more_is_full(tmp_path: Path) -> None:
    assert profile(file(tmp_path, "extends: full\nattributes: [nice]\n")).attributes is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a mapping of description, extends, attributes"),
        ("- pid\n", "expected a mapping of description, extends, attributes"),
        ("description: mine\n", "has no attributes"),
        ("attributes:\n- pid\n- nise\n", "line 3: there is no attribute 'nise'; --list-attributes shows them"),
        ("attributes: [[pid]]\n", "line 1: expected a text"),
        ("attributes: most\n", "line 1: attributes are a list of names, or all"),
        ("attributes: {pid: 1}\n", "line 1: attributes are a list of names, or all"),
        ("\nattribute: [pid]\n", "line 2: 'attribute' is none of description, extends, attributes"),
        ("extends: mine\nattributes: []\n", "line 1: extends 'mine': there are minimal, standard, full"),
        ("attributes: [pid\n", "no YAML: while parsing a flow sequence"),
    ],
)
def test_what_is_wrong_with_a_file_and_where(tmp_path: Path, text: str, told: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        profile(path)
    assert str(raised.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tiny", "--profile tiny: there are minimal, standard, full, and files, which end in .yaml"),
        ("/nowhere/my.yaml", "/nowhere/my.yaml: No such file or directory"),
    ],
)
def test_no_profile(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
        profile(name)


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_bytes(b"attributes: [\xff]")
    with pytest.raises(UsageError, match=r"not UTF-8 at byte 13$"):
        profile(str(tmp_path / "my.yaml"))


def test_columns_of_the_csv(tmp_path: Path) -> None:
    own = file(tmp_path, "attributes: [nice, pid, process]\n")
    header = made(tmp_path, "timeline.csv", "--profile", own).read_text().split("\n")[0].split(",")
    assert header == [*FIXED[:4], "pid", "process", "doubt", "nice", *FIXED[4:], *CERTAIN, "tag"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_changes_in_json_lines(tmp_path: Path, name: str) -> None:
    shown = profile(name).attributes
    kept = {*FIXED, *CERTAIN} | (ATTRIBUTES if shown is None else shown)
    every = map(json.loads, made(tmp_path, "full.jsonl").read_text().splitlines())
    found = map(json.loads, made(tmp_path, "less.jsonl", "--profile", name).read_text().splitlines())
    assert list(found) == [{key: value for key, value in each.items() if key in kept} for each in every]


def test_columns_of_l2tcsv() -> None:
    with timeline_of([Told(EXIT, EXITED)]) as timeline:
        timeline.shown = frozenset({"doubt"})
        (row,) = csv.DictReader(written(timeline, "l2tcsv").decode().splitlines())
    assert row["desc"] == "Process: sh pid: 7 signal: 9"
    assert [each for each in row["extra"].split("; ") if each.split(": ")[0] not in CERTAIN] == ["doubt: whose?"]


def test_the_message_tells_what_is_left_out() -> None:
    with timeline_of([Told(START, {"pid": 7})]) as timeline:
        timeline.shown = frozenset({"nice"})
        (found,) = map(json.loads, written(timeline, "timesketch-jsonl").splitlines())
    assert (found["message"], found.get("pid")) == ("pid: 7", None)


@pytest.mark.parametrize("question", ["first-last", "gaps", "short-lived", "by-user"])
def test_questions_to_the_standard_profile(tmp_path: Path, question: str) -> None:
    assert ask(question, str(made(tmp_path, "s.parquet", "--profile", "standard"))) == ask(question, log("2.8.1"))


def test_questions_that_a_profile_leaves_no_answer_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path, "m.parquet", "--profile", "minimal")
    assert hunting.main(["first-last", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}: its profile left out what is needed: disk_read_bytes, disk_write_bytes, gap_seconds" in told


def test_metadata_of_somebody_else(tmp_path: Path) -> None:
    path, questions = str(tmp_path / "odd.parquet"), Questions()
    questions.execute(f"COPY (SELECT 1 AS one) TO '{path}' (FORMAT parquet, KV_METADATA {{left_out: 'no list'}})")
    with pytest.raises(EvidenceError, match="no list"):
        check_whole(questions, path, path, {"pid"})
    questions.close()


def test_they_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-profiles"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert "; process_guid;" in lines[0]


def test_the_summary_tells_which(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    made(tmp_path, "m.csv", "--profile", "minimal", "--summary-json", str(summary))
    assert json.loads(summary.read_bytes())["output"]["profile"] == "minimal"
