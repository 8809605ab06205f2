"""Timelines merged: what is written of several Parquet timelines, beside what is written of their evidence at once."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from atop_timeline import merging, plugins
from atop_timeline.cli import main
from atop_timeline.merging import merged
from tests.hunts import log
from tests.readme import commands

SERVER = Path(__file__).parents[1] / "test_data" / "server.E01"
FORMATS = list(plugins.formatters())
MACHINES = ("2.8.1", "debian-2.8.1-s390x", "torn-append-2.8.1")
"""Logs of different ones: nothing depends on several."""

Row = dict[str, str]


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The Parquet timeline of some logs, made once."""
    folder = tmp_path_factory.mktemp("timelines")

    def made(*names: str, more: tuple[str, ...] = ()) -> str:
        path = folder / f"{hashlib.sha256(repr((names, more)).encode()).hexdigest()}.parquet"
        if not path.exists():
            assert main([*map(log, names), "-q", "-o", str(path), *more]) in {0, 3}
        return str(path)

    return made


Made = Callable[..., str]


def given(tmp_path: Path, *arguments: str, status: int = 0) -> list[Row]:
    """The rows of what the command writes."""
    path = tmp_path / "given.csv"
    assert main([*arguments, "-q", "--overwrite", "-o", str(path)]) == status
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def readme(name: str, folder: Path) -> None:
    """Runs the commands of the README that bear this name, in a folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-c", commands(name)], cwd=folder, env={**os.environ, "PATH": path}, check=False)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit status of the command, and its error."""
    status = main([*arguments, "-q", "-o", "-"])
    return status, capsys.readouterr().err


def altered(path: str, tmp_path: Path, select: str, kinds: str = '["starts"]') -> str:
    """A Parquet file of what a query gives of a timeline, with the kinds that it tells."""
    other = tmp_path / "altered.parquet"
    options = f"FORMAT parquet, KV_METADATA {{kinds: '{kinds}'}}"
    duckdb.connect().execute(f"COPY (SELECT {select} FROM '{path}') TO '{other}' ({options})")
    return str(other)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_as_of_the_evidence(name: str, made: Made, tmp_path: Path) -> None:
    direct, merged = tmp_path / "direct", tmp_path / "merged"
    main([*map(log, MACHINES), "-q", "--format", name, "-o", str(direct)])
    main([*map(made, MACHINES), "-q", "--format", name, "-o", str(merged)])
    assert merged.read_bytes() == direct.read_bytes()


def test_every_kind_of_event_comes_back(made: Made, tmp_path: Path) -> None:
    every = ("--threads", "--parsers", "all")
    log_names = ("2.12.1", "debian-2.8.1-3boots")
    direct = given(tmp_path, *map(log, log_names), *every)
    assert given(tmp_path, made(*log_names, more=every)) == direct
    assert {"linux:atop:cgroup", "linux:atop:system"} < {row["data_type"] for row in direct}
    assert {row["is_process"] for row in direct} == {"true", "false", ""}


def test_evidence_beside_timelines(made: Made, tmp_path: Path) -> None:
    first, *others = MACHINES
    merged = given(tmp_path, made(first), *map(log, others), status=3)
    assert merged == given(tmp_path, *map(log, MACHINES), status=3)


def test_an_event_of_both_is_there_once(made: Made, tmp_path: Path) -> None:
    both = given(tmp_path, made("2.8.1"), made("2.8.1"))
    assert both == given(tmp_path, log("2.8.1"))


def test_of_a_copy_only_the_place_differs(made: Made, tmp_path: Path) -> None:
    shutil.copy(log("2.8.1"), tmp_path / "atop_copy")
    copy = tmp_path / "copy.parquet"
    main([str(tmp_path / "atop_copy"), "-q", "-o", str(copy)])
    assert given(tmp_path, made("2.8.1"), str(copy)) == given(tmp_path, log("2.8.1"))
    assert given(tmp_path, str(copy), made("2.8.1")) == given(tmp_path, str(copy))


def test_nothing_of_either_is_lost(made: Made, tmp_path: Path) -> None:
    """What both have in common is there once, what one of them has for itself as it has it."""
    one, other = made("2.8.1", "debian-2.8.1-3boots"), made("debian-2.8.1-3boots", "debian-2.8.1-s390x")
    rows = [Counter(map(repr, given(tmp_path, each))) for each in (one, other)]
    assert Counter(map(repr, given(tmp_path, one, other))) == rows[0] | rows[1]


def test_machines_of_one_name_are_not_mixed_up(made: Made, tmp_path: Path) -> None:
    """Their samples differ: what looks the same in both is there twice."""
    other = altered(made("2.8.1"), tmp_path, "* REPLACE (md5(sample_digest) AS sample_digest)", kinds=_kinds())
    rows = given(tmp_path, made("2.8.1"))
    assert Counter(map(repr, given(tmp_path, made("2.8.1"), other))) == Counter(map(repr, rows * 2))


def _kinds() -> str:
    return json.dumps(sorted(plugins.chosen()))


def test_merged_once_more(made: Made, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    main([*map(made, MACHINES), "-q", "-o", str(whole)])
    assert given(tmp_path, str(whole), *map(made, MACHINES)) == given(tmp_path, str(whole))


def test_portions_do_not_show(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = given(tmp_path, *map(made, MACHINES))
    monkeypatch.setattr(merging, "_ROWS_TOGETHER", 100)
    assert given(tmp_path, *map(made, MACHINES)) == whole


@pytest.mark.parametrize(
    "arguments",
    [("--only", "exits,starts"), ("--from", "2026-11-23T03:36", "--to", "2026-11-23T03:47"), ("--profile", "minimal")],
    ids=["kinds", "period", "profile"],
)
def test_a_selection(arguments: tuple[str, ...], made: Made, tmp_path: Path) -> None:
    merged = given(tmp_path, *map(made, MACHINES), *arguments)
    direct = given(tmp_path, *map(log, MACHINES), *arguments, status=3)
    assert merged == direct
    assert direct


def test_kinds_that_one_has(made: Made, tmp_path: Path) -> None:
    exits, starts = (made("2.8.1", more=("--only", each)) for each in ("exits", "starts"))
    direct = given(tmp_path, log("2.8.1"), "--only", "exits,starts")
    assert given(tmp_path, exits, starts) == direct


def test_columns_that_one_has(made: Made, tmp_path: Path) -> None:
    small = made("2.8.1", more=("--profile", "standard"))
    rows = given(tmp_path, small, made("debian-2.8.1-s390x"))
    both = given(tmp_path, log("2.8.1"), log("debian-2.8.1-s390x"))
    assert rows[0].keys() == both[0].keys()
    assert [row["message"] for row in rows] == [row["message"] for row in both]


def test_no_events(made: Made, tmp_path: Path) -> None:
    nothing = made("2.8.1", more=("--to", "1999-12-31"))
    assert given(tmp_path, nothing) == []
    assert given(tmp_path, nothing, made("2.8.1")) == given(tmp_path, log("2.8.1"))


@pytest.mark.parametrize(
    ("select", "kinds", "error"),
    [
        ("* EXCLUDE (kind)", '["starts"]', "no timeline of this version of atop-timeline: it has no kind"),
        ("*", "[]", "no timeline of this version of atop-timeline: it has no kinds"),
        ("*", "what", "Parquet: Invalid Input Error: Malformed JSON"),
        ("1 AS pid", '["starts"]', "no timeline of this version of atop-timeline: it has no datetime"),
        ("*, 1 AS colour", '["starts"]', "column colour of INTEGER: expected none of this name"),
        ("* REPLACE (CAST(pid AS VARCHAR) AS pid)", '["starts"]', "column pid of VARCHAR: expected BIGINT"),
        ("* REPLACE ('flights' AS kind)", '["starts"]', "kind flights: this version knows no such events"),
        ("*", '["flights"]', "kind flights: this version knows no such events"),
    ],
    ids=["column", "kinds", "JSON", "foreign", "attribute", "type", "event", "kind"],
)
def test_what_is_none(  # noqa: PLR0913, PLR0917
    select: str, kinds: str, error: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = altered(made("2.8.1"), tmp_path, select, kinds)
    status, text = told(capsys, path, made("debian-2.8.1-s390x"))
    assert (status, error in text) == (1, True), text


def test_what_is_torn(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(Path(made("2.8.1")).read_bytes()[:5000])
    status, text = told(capsys, str(torn))
    assert (status, text.startswith(f"atop-timeline: error: {torn}: Invalid Input Error:")) == (1, True), text


def test_what_is_damaged(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.parquet"
    data = bytearray(Path(made("2.8.1")).read_bytes())
    data[3000:9000] = bytes(6000)
    damaged.write_bytes(data)
    status, text = told(capsys, made("debian-2.8.1-s390x"), str(damaged))
    assert (status, f'Failed to read file "{damaged}"' in text) == (1, True), text


def test_a_profile_that_messages_need_more_of(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    small = made("2.8.1", more=("--profile", "minimal"))
    status, text = told(capsys, small)
    assert (status, f"{small}: its profile left out what is needed: cgroup_path, " in text) == (1, True), text


def test_other_kinds_only(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    path = made("2.8.1", more=("--only", "exits"))
    assert told(capsys, path, "--only", "starts") == (
        1,
        f"atop-timeline: error: {path}: events of other kinds only: exits\n",
    )


def test_what_is_told(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, whole = made("2.8.1", more=("--profile", "standard")), made("2.8.1", "debian-2.8.1-s390x")
    summary = tmp_path / "summary.json"
    assert main([small, whole, "-o", str(tmp_path / "all.csv"), "--summary-json", str(summary)]) == 0
    lines = capsys.readouterr().err.splitlines()
    known = json.loads(summary.read_bytes())
    assert lines[:2] == [
        f"note: {small}: its profile left out {len(known['timelines'][0]['left_out']):,} attributes",
        "note: in several timelines: lab-guest; lives, parents, ends and gaps are as each of them tells",
    ]
    assert [line.split()[0] for line in lines[2:]] == ["hosts", "timelines", "events", "output", "SHA-256", "elapsed"]
    assert known["timelines"][1] == {
        "path": whole,
        "size": Path(whole).stat().st_size,
        "sha256": hashlib.sha256(Path(whole).read_bytes()).hexdigest(),
        "left_out": [],
    }


def test_the_commands_of_the_readme(made: Made, tmp_path: Path) -> None:
    for name, source in (("web1.E01", str(SERVER)), ("web2.parquet", made("2.8.1")), ("web3.E01", str(SERVER))):
        (tmp_path / name).symlink_to(source)
    readme("merge", tmp_path)
    with (tmp_path / "all.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == given(tmp_path, str(tmp_path / "web1.parquet"), made("2.8.1"))  # the third is the first once more
    assert len(rows) > len(given(tmp_path, str(SERVER), status=3))


def test_beside_a_timeline_of_plaso(tmp_path: Path) -> None:
    log2timeline = Path(sys.executable).with_name("log2timeline")
    if not log2timeline.exists():
        pytest.skip("Plaso is not installed")
    (tmp_path / "auth.log").write_text(
        "Nov 23 03:52:10 web sshd[812]: Accepted publickey for root from 10.0.0.7 port 1 ssh2\n"
    )
    made = [str(log2timeline), "--status_view", "none", "-u", "--parsers", "text/syslog_traditional"]
    subprocess.run([*made, "--storage_file", "case.plaso", "auth.log"], cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / "image.E01").symlink_to(SERVER)
    readme("plaso", tmp_path)
    header, *lines = (tmp_path / "all.csv").read_text().splitlines()
    both = [(tmp_path / name).read_text().splitlines() for name in ("plaso.csv", "atop.l2tcsv")]
    assert [header, sorted(lines)] == [both[0][0], sorted([*both[0][1:], *both[1][1:]])]
    assert header == both[1][0]
    times = [datetime.strptime(line[:19], "%m/%d/%Y,%H:%M:%S") for line in lines]  # noqa: DTZ007  all are UTC
    assert times == sorted(times)
    assert sum("Accepted publickey" in line for line in lines) == 1


def test_memory_is_let_go(made: Made) -> None:
    found = merged([made("2.8.1")])
    directory = found.timeline.directory
    found.timeline.close()
    assert not directory.exists()
