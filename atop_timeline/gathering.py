"""From sources to an extraction: what the options ask for, and what there is to tell of it."""

import hashlib
import tempfile
from argparse import Namespace
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from atop_timeline import hostfiles, plugins, temporary
from atop_timeline.console import Console
from atop_timeline.errors import EvidenceError, UsageError
from atop_timeline.evidence import Wanted
from atop_timeline.extraction import Extraction, Report, extract
from atop_timeline.keys import gathered as keys_of
from atop_timeline.merging import Merged, merged
from atop_timeline.parquet import Contents, parted
from atop_timeline.reading import LogReport
from atop_timeline.store import Room
from atop_timeline.timeline import ALL_TIME
from atop_timeline.workers import Workers, ready
from atop_timeline.writing import keep

_MOST_TOLD = 10


def wanted(options: Namespace, console: Console) -> Wanted:
    """What of the evidence is asked for, and what unlocks it."""
    keys = keys_of(options.password, options.password_file, options.recovery_key, options.key_file, console.ask)
    return Wanted(options.log_path, options.scan, options.carve, options.volumes, options.opener, keys)


def gathered(options: Namespace, console: Console, taken: Room) -> Extraction:
    """The timeline of all sources; where Parquet timelines are among them, one is made of the others first."""
    timelines, evidence = parted(options.sources)
    if not timelines:
        return _extracted(options, evidence, console, taken)
    report, made = Report(), []
    with temporary.folder_in(tempfile.gettempdir()) as folder:
        if evidence:
            made = [str(folder.path / "evidence.parquet")]
            timeline, report = _extracted(options, evidence, console, taken)
            with timeline:
                keep(timeline, Path(made[0]), console)
        only = plugins.chosen(options.only) if options.only else None
        found = merged([*timelines, *made], only, period(options), taken)
    report.timelines += [_described(each) for each in found.contents if each.source not in made]
    _tell_merged(found, console)
    return Extraction(found.timeline, report)


def _extracted(options: Namespace, evidence: Sequence[str], console: Console, taken: Room) -> Extraction:
    """The timeline of evidence, and what is to be told of it; raises `EvidenceError` where it has no sample."""
    only, shown = _only(options), period(options)
    with _workers(options, taken) as workers, console.progress("reading", "MB", 1e6) as advance:
        extraction = extract(
            evidence,
            wanted(options, console),
            only=only,
            period=shown,
            progress=lambda step: advance(step.done, step.total),
            room=taken,
            workers=workers,
        )
    if options.cluster is not None and workers and workers.left:
        console.note(f"logs read here, as the cluster did not give them: {workers.left:,}")
    check(extraction, console)
    return extraction


def _only(options: Namespace) -> Collection[str]:
    """The names of the chosen event types."""
    chosen = plugins.chosen(options.only, options.parsers)
    return chosen | {"threads"} if options.threads else chosen


def period(options: Namespace) -> tuple[int, int]:
    """The first microsecond to show and the first one not to; raises `UsageError` where there is none between."""
    first = ALL_TIME[0] if options.first is None else options.first
    end = ALL_TIME[1] if options.last is None else options.last
    if first >= end:
        raise UsageError("--from is later than --to")
    return first, end


def _workers(options: Namespace, taken: Room) -> AbstractContextManager[Workers | None]:
    if options.cluster is None:
        return ready(taken)
    from atop_timeline.cluster import cluster  # noqa: PLC0415  an extra

    return cluster(options.cluster)


def _described(contents: Contents) -> dict[str, Any]:
    """A Parquet timeline as the summary tells of it."""
    with hostfiles.opened(contents.source) as stream:
        digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]  # it is a buffered reader
        size = stream.tell()
    return {"path": contents.source, "size": size, "sha256": digest.hexdigest(), "left_out": contents.left_out}


def _tell_merged(found: Merged, console: Console) -> None:
    for each in found.contents:
        if each.left_out:
            console.note(f"{each.source}: its profile left out {len(each.left_out):,} attributes")
    if found.shared_hosts:
        names = ", ".join(found.shared_hosts)
        console.note(f"in several timelines: {names}; lives, parents, ends and gaps are as each of them tells")


def check(extraction: Extraction, console: Console) -> None:
    """Tells what was found; closes the timeline and raises `EvidenceError` where that is no sample."""
    tell(extraction.report, console)
    if not any(log.samples for log in extraction.report.logs):
        extraction.timeline.close()
        raise EvidenceError(_nothing_found(extraction.report))


def tell(report: Report, console: Console) -> None:
    """What was found, and what is wrong with it."""
    for searched in report.searched:
        console.detail(f"searched: {searched}")
    for problem in report.problems:
        (console.warn if problem.serious else console.note)(f"{problem.where}: {problem.what}")
    for log in report.logs:
        _tell_log(log, console)


def _tell_log(log: LogReport, console: Console) -> None:
    hosts, versions = ", ".join(log.hostnames), ", ".join(log.atop_versions)
    console.detail(f"log: {log.file.where}: {hosts}, atop {versions}, {log.samples:,} samples")
    told = [(f"at offset {remark.offset}: {remark.what}", remark.serious) for remark in log.remarks]
    told += [(damage.told, True) for damage in log.damages]
    for what, serious in told[:_MOST_TOLD]:
        (console.warn if serious else console.note)(f"{log.file.where}: {what}")
    if len(told) > _MOST_TOLD:
        console.warn(f"{log.file.where}: {len(told) - _MOST_TOLD:,} more like these; --summary-json has all")


def _nothing_found(report: Report) -> str:
    """Why there is no sample."""
    if report.logs or report.problems:
        return "no sample could be read"
    return f"no atop log found; searched {'; '.join(report.searched)}"
