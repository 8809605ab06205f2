"""How an answer is given: as a table of text, as CSV, JSON or JSON lines."""

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size

from atop_timeline import output
from atop_timeline.errors import UsageError
from atop_timeline.store import Questions
from atop_timeline.texts import decode

_ROWS = 10_000  # at a time
_GAP, _INDENT = "  ", "    "
_DEEPEST = 50  # that a tree shows by its indentation
_READABLE = 24  # columns of a terminal in which a long text may go on below
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@")


class Answer:
    """The rows of a query, kept in the database; `names` are those of its columns, `count` is how many there are."""

    def __init__(self, questions: Questions, query: str) -> None:
        self._questions = questions
        ((self.count,),) = questions.execute(f"CREATE TABLE answer AS {query}")
        self.names = [str(name) for name, *_ in questions.execute("DESCRIBE answer")]

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows in order, by the names of columns."""
        for first in range(0, self.count, _ROWS):
            some = f"FROM answer WHERE rowid >= {first} AND rowid < {first + _ROWS} ORDER BY rowid"
            for values in self._questions.execute(some):
                yield dict(zip(self.names, values, strict=True))


def check(path: str) -> None:
    """Raises `UsageError` where the file's suffix names no format."""
    if path != output.STANDARD_OUTPUT and Path(path).suffix.lower() not in _FORMATS:
        raise UsageError(f"-o {path}: the suffix tells the format: {', '.join(_FORMATS)}")


def give(answer: Answer, path: str, *, overwrite: bool) -> None:
    """Writes an answer to a file in the format of its suffix, or as text to standard output."""
    if path == output.STANDARD_OUTPUT:
        output.show(_text(answer, _terminal_width()))
        return
    lines = _FORMATS[Path(path).suffix.lower()](answer)
    with output.opened(path, overwrite=overwrite) as stream:
        for line in lines:
            stream.write(line.encode())


def _csv(answer: Answer) -> Iterator[str]:
    yield _csv_line(answer.names)
    for row in answer.rows():
        yield _csv_line([_guarded(value) for value in row.values()])


def _csv_line(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _guarded(value: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_RUN_BY_SPREADSHEETS) else value


def _json(answer: Answer) -> Iterator[str]:
    yield "["
    between = "\n"
    for row in answer.rows():
        yield f"{between}{json.dumps(row)}"
        between = ",\n"
    yield "\n]\n"


def _jsonl(answer: Answer) -> Iterator[str]:
    for row in answer.rows():
        yield f"{json.dumps(row)}\n"


_FORMATS = {".csv": _csv, ".json": _json, ".jsonl": _jsonl}


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def _text(answer: Answer, most: int | None) -> Iterator[str]:
    """A table under its heads, in lines of at most so many characters."""
    if not answer.count:
        return
    heads = [name.replace("_", " ").upper() for name in answer.names if name != "depth"]
    widths = [cell_len(each) for each in heads]
    for cells in _cells(answer):
        widths = [max(width, cell_len(cell)) for width, cell in zip(widths, cells, strict=True)]
    lines = _laid_out(widths, most or sum(widths) + len(_GAP * len(widths)))
    yield from _lines(heads, lines)
    for cells in _cells(answer):
        yield from _lines(cells, lines)


def _cells(answer: Answer) -> Iterator[list[str]]:
    """The rows as texts, a process in a tree as far to the right as it is below the root."""
    for row in answer.rows():
        if "depth" in row:
            row["process"] = f"{'  ' * min(row.pop('depth'), _DEEPEST)}{row['process'] or ''}"
        yield ["" if value is None else _shown(str(value)) for value in row.values()]


def _shown(text: str) -> str:
    """A text that does nothing to a terminal, whoever made the timeline."""
    return text if text.isprintable() else decode(text.encode())


def _laid_out(widths: Sequence[int], most: int) -> list[list[tuple[int, int]]]:
    """Which columns stand on which line of a row, each with its width; only the last may be too narrow."""
    lines: list[list[tuple[int, int]]] = [[]]
    left = most
    for number, width in enumerate(widths):
        enough = _READABLE if number + 1 == len(widths) else width
        if left < min(width, enough) and lines[-1]:
            lines.append([])
            left = most - len(_INDENT)
        shown = min(width, max(left, 1))
        lines[-1].append((number, shown))
        left -= shown + len(_GAP)
    return lines


def _lines(cells: Sequence[str], lines: Iterable[Sequence[tuple[int, int]]]) -> Iterator[str]:
    """The lines of a row; what does not fit at the end of one goes on below."""
    before = ""
    for *others, (last, width) in lines:
        before += "".join(f"{_cut(cells[number], width)}{_GAP}" for number, width in others)
        first, *rest = chop_cells(cells[last], width) or [""]
        if shown := f"{before}{first}".rstrip():
            yield shown
        yield from (" " * cell_len(before) + each for each in rest)
        before = _INDENT


def _cut(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
