"""What is in the evidence, as tables for people: volumes and logs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from atop_timeline.evidence import LogFile
from atop_timeline.extraction import Report
from atop_timeline.notes import joined
from atop_timeline.reading import LogReport
from atop_timeline.trees import Volume

_VOLUME_HEADS = ("volume", "bytes", "contents")
_LOG_HEADS = ("log", "bytes", "host", "atop", "samples", "first, UTC", "last, UTC", "state")
_NUMBERS = frozenset({"bytes", "samples"})


def lines(report: Report) -> Iterator[str]:
    """For each piece of evidence its volumes, and the logs in it."""
    for evidence in report.evidence:
        yield evidence
        volumes = [volume for holder, volume in report.volumes if holder == evidence]
        if volumes:
            yield from _table(_VOLUME_HEADS, [_volume(volume) for volume in volumes])
        logs = [log for log in report.logs if log.file.evidence == evidence]
        yield from _table(_LOG_HEADS, [_log(log) for log in logs]) if logs else ["  no atop log"]
        yield ""


def _volume(volume: Volume) -> tuple[str, ...]:
    contents = volume.kind if volume.tree else joined(f"{volume.kind}, not readable", volume.why and f"({volume.why})")
    return volume.name or "-", f"{volume.size:,}", contents


def _log(log: LogReport) -> tuple[str, ...]:
    hosts, versions = ", ".join(filter(None, log.hostnames)) or "not known", ", ".join(log.atop_versions)
    period = _iso(log.first), _iso(log.last)
    return _place(log.file), f"{log.file.size:,}", hosts, versions, f"{log.samples:,}", *period, _state(log)


def _place(file: LogFile) -> str:
    return joined(file.volume, "(carved)" if file.is_carved else file.path)


def _state(log: LogReport) -> str:
    damages = len(log.damages)
    return f"damaged in {damages:,} place{'s' if damages > 1 else ''}" if damages else "whole"


def _iso(second: int | None) -> str:
    return "-" if second is None else datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: numbers to the right, texts to the left, nothing cut."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            cell.rjust(width) if head in _NUMBERS else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()
