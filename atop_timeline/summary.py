"""What a run found, wrote and lost: for people, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from atop_timeline.extraction import Report
from atop_timeline.reading import LogReport
from atop_timeline.timeline import Timeline


def summarize(report: Report, timeline: Timeline, written: Mapping[str, Any]) -> dict[str, Any]:
    """The summary as JSON has it: times are ISO 8601 in UTC, sizes bytes; `written` tells of the output."""
    read = [each for each in report.logs if each.samples]
    times = [each for log in read for each in (log.first, log.last) if each is not None]
    return {
        "hosts": [{"hostname": hostname, "evidence": evidence} for hostname, evidence in timeline.hosts()],
        "atop_versions": sorted({version for each in read for version in each.atop_versions}, key=_version),
        "first_sample": _iso(min(times, default=None)),
        "last_sample": _iso(max(times, default=None)),
        "samples": sum(each.samples for each in report.logs),
        "repeated_samples": report.repeated_samples,
        "partial_samples": sum(each.parts for each in report.logs),
        "lost_samples": sum(damage.samples for each in report.logs for damage in each.damages),
        "lost_bytes": sum(damage.length for each in report.logs for damage in each.damages),
        "events": {each.name: timeline.count(each) for each in timeline.types},
        "logs": [_log(each) for each in report.logs],
        "timelines": report.timelines,
        "problems": [each._asdict() for each in report.problems],
        "searched": report.searched,
        "complete": report.complete,
        "output": dict(written),
    }


def lines(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The summary for people: what, and its value."""
    damaged = [each for each in summary["logs"] if each["damages"]]
    yield "hosts", ", ".join(_host_names(summary["hosts"])) or "not known"
    if summary["logs"] or not summary["timelines"]:
        yield from _read(summary)
    if summary["timelines"]:
        yield "timelines", f"{len(summary['timelines']):,} merged"
    yield "events", ", ".join(f"{count:,} {name}" for name, count in summary["events"].items())
    if damaged:
        yield "damaged", f"logs: {len(damaged):,}, {summary['lost_bytes']:,} bytes: {_lost(summary)}"
    unread = sum(each["serious"] for each in summary["problems"])
    if unread:
        yield "not read", f"files or volumes: {unread:,}"
    for file in summary["output"].get("files", [summary["output"]]):
        if file["path"]:
            yield "output", f"{file['path']}, {file['size']:,} bytes"
        yield "SHA-256", file["sha256"]
    if "timesketch" in summary:
        told = summary["timesketch"]
        yield "timesketch", f"{told['timeline']}, {told['events']:,} events in sketch {told['sketch']} of {told['url']}"


def _read(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "atop", ", ".join(summary["atop_versions"]) or "none"
    yield "samples", f"{summary['samples']:,} from {summary['first_sample']} to {summary['last_sample']}"
    if summary["repeated_samples"]:
        yield "repeated", f"{summary['repeated_samples']:,} of them are there more than once, and count once"
    yield "logs", f"{len(summary['logs']):,} read"


def _host_names(hosts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of hosts, with their evidence where two have the same."""
    names = [each["hostname"] for each in hosts]
    return [
        f"{each['hostname']} ({', '.join(each['evidence'])})" if names.count(each["hostname"]) > 1 else each["hostname"]
        for each in hosts
        if each["hostname"]
    ]


def _lost(summary: Mapping[str, Any]) -> str:
    return f"{summary['lost_samples']:,} samples lost, {summary['partial_samples']:,} saved in part"


def _log(report: LogReport) -> dict[str, Any]:
    return {
        "evidence": report.file.evidence,
        "volume": report.file.volume,
        "filename": report.file.path,
        "inode": report.file.inode,
        "allocation": report.file.allocation,
        "size": report.file.size,
        "sha256": report.sha256,
        "hosts": report.hostnames,
        "atop_versions": report.atop_versions,
        "samples": report.samples,
        "partial_samples": report.parts,
        "first_sample": _iso(report.first),
        "last_sample": _iso(report.last),
        "damages": [each._asdict() for each in report.damages],
        "remarks": [each._asdict() for each in report.remarks],
    }


def _iso(second: int | None) -> str | None:
    return None if second is None else datetime.fromtimestamp(second, UTC).isoformat()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
