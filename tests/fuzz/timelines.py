"""What must hold of a timeline, whatever the logs hold."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from atop_timeline import extract, plugins
from atop_timeline.store import Store
from tests.fuzz.invariants import controls


def check_timeline(evidence: Path, folder: Path) -> None:
    """Asserts that evidence becomes a timeline, the same one twice, each line of which is one of its format."""
    first, second = (_written(evidence, folder / name) for name in ("first", "second"))
    for (path, count), (again, _) in zip(first, second, strict=True):
        assert path.read_bytes() == again.read_bytes(), f"{path.name}: not the same twice"
        lengths = list(_lines(path))
        assert len(lengths) == count, f"{path.name}: {len(lengths)} lines for {count} events"


def _written(evidence: Path, folder: Path) -> list[tuple[Path, int]]:
    """The files that the formatters make of some evidence, and the number of events that they tell."""
    folder.mkdir()
    types = [each.name for each in plugins.event_types()]
    written = []
    with extract([str(evidence)], only=types).timeline as made:
        for name, formatter in plugins.formatters().items():
            path = folder / f"{name}{formatter.suffix}"
            with path.open("wb") as stream:
                written.append((path, formatter.write(made, stream)))
    return written


def _lines(path: Path) -> Iterator[int]:
    """The number of fields of each event; asserts that lines are lines, and all of one length in a CSV file."""
    if path.suffix == ".parquet":
        store = Store()
        yield from map(len, store.execute(f"FROM '{path}'"))
        store.close()
        return
    with path.open(encoding="utf-8", newline="") as stream:
        if path.suffix in (".jsonl", ".ndjson"):
            for line in stream:
                assert controls(line) == {"\n"}
                yield len(json.loads(line))
        else:
            is_piped = path.suffix in (".body", ".tln")
            rows = [each.split("|") for each in stream.read().splitlines()] if is_piped else list(csv.reader(stream))
            assert len({len(row) for row in rows}) <= 1
            assert not any(any(map(controls, row)) for row in rows)
            yield from map(len, rows if path.suffix == ".body" else rows[1:])
