"""A result in several files: all there whole, or none."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from atop_timeline import command
from atop_timeline.cli import main
from atop_timeline.errors import OutputError
from atop_timeline.parts import names, opened
from tests.test_cli import LOG, run

EVENTS = 1225  # of LOG
LINES = [f"line {number}\n".encode() for number in range(10)]


def write(path: Path, blocks: Sequence[bytes], lines: int, *, overwrite: bool = False) -> dict[str, bytes]:
    """The files that come of some blocks below a header of a line."""
    with opened(str(path), lines, 1, overwrite=overwrite) as stream:
        for each in (b"header\n", *blocks):
            assert stream.write(each) == len(each)
    return {each.name: each.read_bytes() for each in sorted(path.parent.iterdir())}


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(LINES, id="a-line-each"),
        pytest.param([b"".join(LINES)], id="all-at-once"),
        pytest.param([b"".join(LINES[:3]), b"".join(LINES[3:])], id="blocks-across-files"),
        pytest.param([bytes([each]) for each in b"".join(LINES)], id="a-byte-each"),
    ],
)
def test_files_have_so_many_lines_each_below_the_header(tmp_path: Path, blocks: list[bytes]) -> None:
    assert write(tmp_path / "timeline.csv", blocks, 5) == {
        f"timeline-{number}.csv": b"header\n" + b"".join(LINES[begin : begin + 4])
        for number, begin in ((1, 0), (2, 4), (3, 8))
    }


def test_full_files_are_followed_by_no_empty_one(tmp_path: Path) -> None:
    assert list(write(tmp_path / "timeline.csv", LINES, 6)) == ["timeline-1.csv", "timeline-2.csv"]


def test_no_lines_are_one_file(tmp_path: Path) -> None:
    assert write(tmp_path / "timeline.csv", [], 5) == {"timeline-1.csv": b"header\n"}


def test_names_sort_as_the_files_follow_each_other() -> None:
    found = names("case.d/a.b.csv", 100)
    assert (found[0], found[-1], found) == ("case.d/a.b-001.csv", "case.d/a.b-100.csv", sorted(found))


def test_what_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "timeline-2.csv").write_bytes(b"old")
    with pytest.raises(OutputError, match=r"timeline-2\.csv exists already; --overwrite replaces it$"):
        write(tmp_path / "timeline.csv", LINES, 5)


def test_parts_of_an_earlier_result_are_replaced(tmp_path: Path) -> None:
    write(tmp_path / "timeline.csv", LINES[:5], 5)
    assert len(write(tmp_path / "timeline.csv", LINES, 5, overwrite=True)) == 3


def test_parts_of_a_longer_result_are_not_mixed_with_those_of_this(tmp_path: Path) -> None:
    before = write(tmp_path / "timeline.csv", LINES, 5)
    with pytest.raises(OutputError, match=r"timeline-3\.csv exists already, and would be taken for a part"):
        write(tmp_path / "timeline.csv", LINES[:5], 5, overwrite=True)
    assert {each.name: each.read_bytes() for each in sorted(tmp_path.iterdir())} == before


def fail(path: Path) -> None:
    with opened(str(path), 2, 1, overwrite=False) as stream:
        stream.write(b"".join(LINES))
        raise RuntimeError


def test_nothing_is_there_where_it_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail(tmp_path / "timeline.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_name", ["timesketch", "l2tcsv", "tln", "timesketch-jsonl", "ecs", "bodyfile"])
def test_parts_are_the_whole(tmp_path: Path, format_name: str) -> None:
    whole, in_parts = tmp_path / "whole", tmp_path / "parts"
    for path, more in ((whole, []), (in_parts, ["--split", "700"])):
        assert run(LOG, "-q", "--format", format_name, "-o", str(path), *more).returncode == 0
    header = 1 if format_name in {"timesketch", "l2tcsv", "tln"} else 0
    parts = [each.read_bytes().splitlines(keepends=True) for each in sorted(tmp_path.glob("parts-*"))]
    assert [len(each) for each in parts[:-1]] == [700] * (len(parts) - 1)
    assert len(parts) > 1
    lines = [line for each in parts for line in each[header:]]
    assert b"".join(parts[0][:header] + lines) == whole.read_bytes()


def test_merged_timelines_in_parts(tmp_path: Path) -> None:
    made, whole, in_parts = (str(tmp_path / name) for name in ("made.parquet", "whole.csv", "parts.csv"))
    for arguments in ([LOG, "-o", made], [made, "-o", whole], [made, "-o", in_parts, "--split", "700"]):
        assert run("-q", *arguments).returncode == 0
    parts = [each.read_bytes().splitlines(keepends=True) for each in sorted(tmp_path.glob("parts-*"))]
    assert len(parts) > 1
    assert b"".join(parts[0][:1] + [line for each in parts for line in each[1:]]) == Path(whole).read_bytes()


def test_each_part_is_told(tmp_path: Path) -> None:
    arguments = ["-o", str(tmp_path / "a.csv"), "--split", "1000", "--summary-json", str(tmp_path / "summary")]
    done = run(LOG, *arguments)
    paths = sorted(tmp_path.glob("a-*.csv"))
    files = [
        {"path": str(each), "size": each.stat().st_size, "sha256": hashlib.sha256(each.read_bytes()).hexdigest()}
        for each in paths
    ]
    output = json.loads((tmp_path / "summary").read_text())["output"]
    rows = sum(len(list(csv.DictReader(io.StringIO(each.read_text(), newline="")))) for each in paths)
    told = {"path": str(tmp_path / "a.csv"), "format": "timesketch", "profile": "full", "events": rows, "files": files}
    assert output == told
    assert re.findall(r"SHA-256 +(\S+)", done.stderr.decode()) == [each["sha256"] for each in files]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], 1, id="a-row-too-many"),
        pytest.param(["--only", "exits,starts,ends,changes,observations"], 0, id="fits"),
        pytest.param(["--split", "1000"], 0, id="parts-that-fit"),
        pytest.param(["--format", "timesketch-jsonl"], 0, id="no-spreadsheet"),
    ],
)
def test_rows_that_excel_does_not_read_are_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: int,
) -> None:
    monkeypatch.setattr(command, "_EXCEL_ROWS", EVENTS)  # with the header a row less than there are
    main([LOG, "-q", "-o", str(tmp_path / "a.csv"), *arguments])
    assert capsys.readouterr().err.count("warning: Excel reads only the first") == told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["-o", "-", "--split", "9"], "--split 9: - is no file", id="standard-output"),
        pytest.param(["-o", "/dev/null", "--split", "9"], "--split 9: /dev/null is no file", id="device"),
        pytest.param(["-o", "a.parquet", "--split", "9"], "--split 9: parquet is always one file", id="no-lines"),
        pytest.param(["-o", "a.csv", "--split", "1"], "--split 1: a file of timesketch has 1 line of header", id="one"),
    ],
)
def test_what_cannot_be_in_parts(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run(LOG, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (2, f"atop-timeline: error: {told}")
    assert list(tmp_path.iterdir()) == []


def test_evidence_is_never_a_part(tmp_path: Path) -> None:
    evidence = tmp_path / "a-7.csv"
    evidence.write_bytes(Path(LOG).read_bytes())
    done = run(str(evidence), "-o", str(tmp_path / "a.csv"), "--split", "9", "--overwrite")
    assert (done.returncode, evidence.read_bytes()) == (2, Path(LOG).read_bytes())
