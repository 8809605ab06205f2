"""Answers of atop-hunt about the real logs, and what really happened there."""

import gzip
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from atop_timeline.hunting.cli import main
from tests import parseable
from tests.rawlogs import LOGS
from tests.truth import Process, processes

Row = dict[str, Any]
Entry = dict[str, Any]


def log(name: str) -> str:
    return str(LOGS / name / "atop_raw")


def ask(*words: str, status: int = 0) -> list[Row]:
    """The rows of an answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        assert main([*words, "-q", "-o", str(path)]) == status
        rows: list[Row] = json.loads(path.read_bytes())
        return rows


def second(text: str | None) -> int:
    """Seconds since 1970 of a time in an answer."""
    assert text is not None
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@cache
def printed(name: str) -> list[parseable.PrintedSample]:
    """What atop printed of a log."""
    return parseable.read(gzip.decompress((LOGS / name / "parseable.txt.gz").read_bytes()), name)


def entries(name: str, *, first: int = 0) -> Iterator[tuple[int, Entry]]:
    """All processes that atop printed, in each sample from a number on, with the sample's time."""
    for sample in printed(name)[first:]:
        for entry in sample.entries:
            if entry.get("isproc", True):
                yield sample.time, {**entry, "ruid": int(entry["ruid"]) & 0xFFFFFFFF}


def told(name: str) -> list[Process]:
    """The workload's processes that are in a log: those that began before its last sample."""
    last = printed(name)[-1].time
    return [each for each in processes(LOGS / name) if each.fork_after < last]
