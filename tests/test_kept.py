"""Texts on disk, by the numbers of rows."""

import random
from pathlib import Path

import numpy as np
import pytest

from atop_timeline import kept
from atop_timeline.kept import Kept
from atop_timeline.store import Strings

TEXTS = {row: b"x" * (row % 5) + b"%d" % row if row % 3 else b"" for row in range(2000) if row % 7}


def strings(texts: list[bytes]) -> Strings:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return Strings(memoryview(b"".join(texts)), offsets)


@pytest.fixture(params=[(1 << 13, 22), (1 << 13, 6), (0, 22)], ids=["read together", "in parts", "one by one"])
def column(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """The texts, written in three parts, each in no order."""
    near_bytes, read_bits = request.param
    monkeypatch.setattr(kept, "_NEAR_BYTES", near_bytes)
    monkeypatch.setattr(kept, "_READ_BITS", read_bits)
    made = Kept(tmp_path / "column")
    for part in ((0, 500), (500, 501), (501, 2000)):
        rows = [row for row in TEXTS if part[0] <= row < part[1]]
        random.Random(1).shuffle(rows)
        made.add(np.array(rows), strings([TEXTS[row] for row in rows]))
    return made


@pytest.mark.parametrize("step", [1, 2, 13, 1999])
def test_rows_get_their_texts(column: Kept, step: int) -> None:
    rows = list(TEXTS)[::step]
    assert column.texts(np.array(rows)) == [TEXTS[row] for row in rows]


def test_rows_that_come_between_others(tmp_path: Path) -> None:
    made = Kept(tmp_path / "column")
    for rows in ([3, 40, 9], [4, 30], [8]):
        made.add(np.array(rows), strings([b"%d" % row for row in rows]))
    assert made.texts(np.array([3, 4, 8, 9, 30, 40])) == [b"3", b"4", b"8", b"9", b"30", b"40"]


def test_no_row_has_no_text(column: Kept) -> None:
    assert column.texts(np.array([], np.int64)) == []
