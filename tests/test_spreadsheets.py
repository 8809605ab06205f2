"""The CSV in a real LibreOffice: no cell is run, and texts and times come through."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from atop_timeline.extraction import extract
from atop_timeline.timeline import Timeline
from tests.test_timesketch import HOSTILE, RAWS, SERVER
from tests.timelines import hostile, log_of, written
from tests.tools import printed

SPACES = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
}
FORMULA, REPEATED, SPACE, COUNT = (
    f"{{{SPACES[space]}}}{name}"
    for space, name in (("table", "formula"), ("table", "number-columns-repeated"), ("text", "s"), ("text", "c"))
)

UTF_8 = 76  # LibreOffice's number for what its dialog shows first: commas, quotes, UTF-8


class Sheet:
    """What LibreOffice makes of a CSV that is opened without a question: texts by cell, and formulas."""

    def __init__(self, data: bytes, folder: Path) -> None:
        path = folder / "timeline.csv"
        path.write_bytes(data)
        options = ("--headless", "--norestore", f"-env:UserInstallation=file://{folder}/profile")
        printed("soffice", *options, "--convert-to", "fods", f"--infilter=CSV:44,34,{UTF_8}", "--outdir", folder, path)
        table = ET.parse(path.with_suffix(".fods")).getroot().find(".//table:table", SPACES)  # noqa: S314  LibreOffice's
        assert table is not None
        cells = [row.findall("table:table-cell", SPACES) for row in table.findall("table:table-row", SPACES)]
        self.formulas = [each.get(FORMULA) for row in cells for each in row if each.get(FORMULA)]
        self.rows = [[text for each in row for text in [_text(each)] * int(each.get(REPEATED, 1))] for row in cells]


def _text(cell: ET.Element) -> str:
    return "\n".join("".join(_letters(each)) for each in cell.findall("text:p", SPACES))


def _letters(element: ET.Element) -> Iterator[str]:
    """The text, in which several blanks are an element."""
    yield element.text or ""
    for each in element:
        yield " " * int(each.get(COUNT, 1)) if each.tag == SPACE else "".join(_letters(each))
        yield each.tail or ""


def server() -> Timeline:
    return extract([str(SERVER)]).timeline


def hostile_one() -> Timeline:
    return hostile([*RAWS, b"\t=1+1", b"=cmd|' /C calc'!A0", b"0100", b"1e5", b"1/2"], 98_418, log_of(HOSTILE))


@pytest.mark.parametrize(
    ("source", "guessed"), [pytest.param(server, set(), id="server"), pytest.param(hostile_one, {"1/2"}, id="hostile")]
)
def test_no_cell_is_run_and_texts_come_through(
    tmp_path: Path, source: Callable[[], Timeline], guessed: set[str]
) -> None:
    """`guessed` is what it takes for dates."""
    with source() as timeline:
        data = written(timeline, "timesketch")
    shown, cells = Sheet(data, tmp_path), list(csv.reader(io.StringIO(data.decode(), newline="")))
    pairs = {pair for row, texts in zip(cells, shown.rows, strict=False) for pair in zip(row, texts, strict=False)}
    assert shown.formulas == []
    assert len(shown.rows) >= len(cells)
    assert {cell for cell, text in pairs if not _is_same(cell, text)} == guessed


def _is_same(cell: str, text: str) -> bool:
    """Whether a cell is shown, as a number without zeros at its ends and rounded to ten digits."""
    if text == {"true": "TRUE", "false": "FALSE"}.get(cell, cell):
        return True
    try:
        return float(cell) == pytest.approx(float(text), rel=1e-9)
    except ValueError:
        return False


def test_without_the_guard_cells_are_run(tmp_path: Path) -> None:
    with hostile([b"=1+1"], 1, log_of(b"server")) as timeline:
        shown = Sheet(written(timeline, "timesketch-raw"), tmp_path)
    assert set(shown.formulas) == {"of:=1+1"}
