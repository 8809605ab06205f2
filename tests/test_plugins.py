"""Parsers and formatters, found by their entry points: ours, and somebody else's."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from atop_timeline import plugins
from atop_timeline.extraction import extract
from tests.test_messages import ENVIRONMENTS, written_elsewhere
from tests.timelines import written

LOG = Path(__file__).parents[1] / "test_data" / "logs" / "2.8.1" / "atop_raw"

PARSER = '''
"""Which tasks were the busiest of each sample."""

import numpy as np

from atop_timeline.events import Column, Events, EventType, Facts, Kind
from atop_timeline.texts import Texts

BUSIEST = EventType(
    "busiest",
    "example:atop:busiest",
    "Sample Time",
    "busiest_facts",
    (
        Column("pid", Kind.INTEGER, "", "process id"),
        Column("process", Kind.TEXT, "", "name"),
        Column("busy_ticks", Kind.INTEGER, "tick", "processor time"),
    ),
    default=False,
)


class BusyParser:
    name = "busy"
    default = False
    event_types = (BUSIEST,)
    staging = ()

    def parse(self, samples, wanted):
        ticks = (samples.tasks["cpu"]["utime"] + samples.tasks["cpu"]["stime"])[samples.which]
        count = len(samples.records)
        most = [np.flatnonzero(samples.sample == n)[ticks[samples.sample == n].argmax()] for n in range(count)]
        gen, texts = samples.tasks["gen"][samples.which[most]], Texts()
        names = {"process": texts.decoded(gen["name"])}
        columns = {
            "time_us": samples.records["curtime"].astype(np.int64) * 1_000_000,
            "sample": samples.first + np.arange(count),
            "row": np.arange(count),
            **dict.fromkeys(("entry", "early_s", "late_s"), np.zeros(count, np.int64)),
        }
        facts = Facts({"pid": gen["pid"].astype(np.int64), "busy_ticks": ticks[most]}, names, texts.values)
        yield Events(BUSIEST, columns, facts)

    def finish(self, timeline):
        pass
'''
FORMATTER = '''
"""One line per event."""

from atop_timeline.timeline import Level, Piece


class Lines:
    name = "lines"
    suffix = ".lines"
    description = "seconds and names"
    loses = "nearly everything"
    header_lines = 0

    def write(self, timeline, stream):
        pieces = (Piece(Level.EVENT, "time_us // 1000000 || ' '"), Piece(Level.FACTS, "process || ' ' || pid"))
        return timeline.write(lambda _: pieces, stream)
'''
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "busy"
version = "1.0"
[project.entry-points."atop_timeline.parsers"]
busy = "busy:BusyParser"
[project.entry-points."atop_timeline.formatters"]
lines = "lines:Lines"
[tool.setuptools]
py-modules = ["busy", "lines"]
"""
INSTALL = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target"]
BUSY = """\
1795406190 rcu_preempt 15
1795406192 atop 20064
1795406194 python3 20073
1795406196 python3 20073
1795406198 python3 20073
1795406200 fx_sh 20182
1795406202 fx_sh 20182
1795406204 fx_sh 20182
1795406206 fx_sh 20182
1795406208 fx_sh 20182
"""


def test_our_parsers() -> None:
    found = {name: [each.name for each in parser.event_types] for name, parser in plugins.parsers().items()}
    assert found["process"] == ["starts", "changes", "observations", "threads", "ends", "exits"]


def test_each_parser_has_the_name_of_its_entry_point() -> None:
    assert {name: each.name for name, each in plugins.parsers().items()} == {name: name for name in plugins.parsers()}


@pytest.mark.parametrize("name", plugins.parsers())
def test_each_parser_shows_something_where_it_is_asked_for(name: str) -> None:
    mine = {each.name for each in plugins.parsers()[name].event_types}
    assert plugins.chosen([name]) & mine
    assert plugins.chosen(None, [name]) & mine
    assert plugins.chosen(None, ["all"]) & mine


def test_event_types_of_all_parsers_differ() -> None:
    names = [each.name for parser in plugins.parsers().values() for each in (*parser.event_types, *parser.staging)]
    assert sorted(set(names)) == sorted(names)
    assert [each for each in names if not re.fullmatch("[a-z_]+", each)] == []


def test_columns_of_one_name_are_of_one_kind() -> None:
    kinds = {
        (column.name, column.kind)
        for parser in plugins.parsers().values()
        for each in parser.event_types
        for column in each.columns
    }
    assert len({name for name, _ in kinds}) == len(kinds)


def test_our_formatters() -> None:
    suffixes = {name: each.suffix for name, each in plugins.formatters().items()}
    ours = {"l2tcsv": ".l2tcsv", "timesketch": ".csv", "timesketch-jsonl": ".jsonl", "timesketch-raw": ".csv"}
    assert {name: suffixes[name] for name in ours} == ours


def test_formatters_tell_themselves_apart() -> None:
    found = plugins.formatters()
    suffixes = [each.suffix for each in found.values()]
    assert {name: each.name for name, each in found.items()} == {name: name for name in found}
    assert [each for each in suffixes if not re.fullmatch(r"\.[a-z0-9]+", each)] == []
    told = [text for each in found.values() for text in (each.description, each.loses)]
    assert [text for text in told if len(text.splitlines()) != 1 or text.strip() != text] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_format_has_the_same_bytes_on_every_run(environment: dict[str, str]) -> None:
    names = list(plugins.formatters())
    with extract([str(LOG)]).timeline as timeline:
        first = b"".join(written(timeline, name) for name in names)
    assert written_elsewhere(LOG, names, environment) == first


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place of packages with one that is somebody else's, built and installed."""
    package = tmp_path_factory.mktemp("package")
    for name, text in (("pyproject.toml", PROJECT), ("busy.py", PARSER), ("lines.py", FORMATTER)):
        (package / name).write_text(text)
    site = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, *INSTALL, site, package], check=True)
    return site


def run(site: Path, *arguments: str) -> str:
    """What the command writes to standard output, with these packages."""
    command = [sys.executable, "-m", "atop_timeline.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_events_of_somebody_elses_parser(site: Path) -> None:
    found = list(csv.DictReader(run(site, str(LOG), "--only", "busiest", "-o", "-").splitlines()))
    assert "".join(f"{each['timestamp'][:10]} {each['process']} {each['pid']}\n" for each in found) == BUSY
    assert (found[0]["data_type"], found[0]["message"]) == (
        "example:atop:busiest",
        "Attributes: pid: 15 process: rcu_preempt busy_ticks: 3782",
    )


def test_they_are_in_the_order_of_all_events(site: Path) -> None:
    lines = run(site, str(LOG), "--only", "busiest,exits", "-o", "-", "--format", "timesketch-jsonl").splitlines()
    times = [json.loads(each)["timestamp"] for each in lines]
    assert times == sorted(times)
    assert sum('"example:atop:busiest"' in each for each in lines) == 10


def test_they_are_not_shown_where_they_are_no_default(site: Path) -> None:
    ours = run(site.parent, str(LOG), "-o", "-", "--format", "timesketch-jsonl")
    assert run(site, str(LOG), "-o", "-", "--format", "timesketch-jsonl").count("\n") == ours.count("\n")


def test_somebody_elses_formatter(site: Path, tmp_path: Path) -> None:
    run(site, str(LOG), "--only", "busiest", "-o", str(tmp_path / "busy.lines"))
    assert (tmp_path / "busy.lines").read_text() == BUSY


def test_it_is_listed(site: Path) -> None:
    assert "lines             .lines    seconds and names; loses: nearly everything" in run(site, "--list-formats")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("lines = lines:Twice", "by --format choose lines or timesketch-jsonl", id="suffix"),
        pytest.param("timesketch = lines:Lines", "two plugins have the name timesketch: ", id="name"),
    ],
)
def test_what_could_be_two_is_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "lines.py").write_text(f"{FORMATTER}\nclass Twice(Lines):\n    suffix = '.jsonl'\n")
    folder = tmp_path / "lines-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[atop_timeline.formatters]\n{name}\n")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run(tmp_path, str(LOG), "-o", str(tmp_path / "a.jsonl"))
    assert (raised.value.returncode, told in raised.value.stderr) == (2, True)
