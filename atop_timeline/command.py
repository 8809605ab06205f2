"""One run of the command: evidence to timeline, timeline to file, and what there is to tell of it."""

import hashlib
import json
import math
import tempfile
import time
from argparse import Namespace
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from atop_timeline import hostfiles, listing, output, parts, plugins, profiles, temporary
from atop_timeline.console import Console
from atop_timeline.errors import EvidenceError, UsageError
from atop_timeline.evidence import Wanted
from atop_timeline.extraction import Extraction, Report, extract, survey
from atop_timeline.keys import gathered
from atop_timeline.merging import Merged, merged
from atop_timeline.output import Counted
from atop_timeline.parquet import Contents, parted
from atop_timeline.parts import Parts
from atop_timeline.plugins import Formatter
from atop_timeline.reading import LogReport
from atop_timeline.store import Room, suits
from atop_timeline.summary import lines, summarize
from atop_timeline.timeline import ALL_TIME, Sink, Timeline
from atop_timeline.upload import Sketch, Told, sketch
from atop_timeline.workers import Workers, local

_DEFAULT_FORMAT = "timesketch"
_DEFAULT_OUTPUT = "timeline.csv"
_UPLOADED_FORMAT = "timesketch-jsonl"  # of CSV the client loses texts, and guesses types
_EXCEL_ROWS = 1_048_576  # with the header
_MOST_TOLD = 10


def run(options: Namespace) -> bool:
    """Whether nothing was damaged or unreadable. Raises an `AtopTimelineError` where there is no result."""
    started = time.monotonic()
    console = _console(options)
    formatter = _formatter(options)
    shown = profiles.profile(options.profile).attributes
    target = options.output or (None if options.timesketch else _DEFAULT_OUTPUT)
    outputs = [*_files(target, formatter, options), *([options.summary_json] if options.summary_json else [])]
    with room(options, outputs, options.jobs) as taken, _destination(options, console) as destination:
        path = target or str(Path(tempfile.gettempdir()) / "timeline.jsonl")
        timeline, report = _gathered(options, console, taken)
        with timeline:
            if shown is not None:
                timeline.shown = shown if timeline.shown is None else shown & timeline.shown
            written: dict[str, Any] = {"path": target} | _written(timeline, formatter, path, options, console)
            lines_of_file = min(written["events"] + (formatter.header_lines or 0), options.split or math.inf)
            if formatter.suffix.endswith("csv") and lines_of_file > _EXCEL_ROWS:
                console.warn(f"Excel reads only the first {_EXCEL_ROWS:,} rows; --split {_EXCEL_ROWS} makes more files")
            summary = summarize(report, timeline, written)
        if destination:
            summary["timesketch"] = _uploaded(destination, path, written["events"], console)._asdict()
    console.table([*lines(summary), ("elapsed", f"{time.monotonic() - started:.1f} s")])
    if options.summary_json:
        with output.opened(options.summary_json, overwrite=options.overwrite) as stream:
            stream.write(json.dumps(summary, indent=2).encode() + b"\n")
    return report.complete


def show(options: Namespace) -> bool:
    """Shows what is in the evidence; whether nothing was damaged or unreadable."""
    console = _console(options)
    with room(options, []), console.progress("reading", "MB", 1e6) as advance:
        report = survey(options.sources, wanted(options, console), lambda step: advance(step.done, step.total))
    tell(report, console)
    output.show(listing.lines(report))
    return report.complete


@contextmanager
def room(options: Namespace, outputs: Sequence[str], jobs: int = 1) -> Iterator[Room]:
    """What a run may take of the machine, while it does; its outputs have room as well, and lie in no evidence."""
    beside = output.folder_beside(next(iter(outputs), output.STANDARD_OUTPUT))
    folder = options.temp_dir or (beside if suits(beside) else tempfile.gettempdir())
    output.check_apart(outputs, options.sources, folder)
    for path in outputs:
        output.check(path, overwrite=options.overwrite)
    taken = Room(options.memory_limit, folder, jobs)
    with temporary.all_in(folder):
        yield taken


def _console(options: Namespace) -> Console:
    return Console(quiet=options.quiet, verbose=options.verbose, color=not options.no_color)


def wanted(options: Namespace, console: Console) -> Wanted:
    """What of the evidence is asked for, and what unlocks it."""
    keys = gathered(options.password, options.password_file, options.recovery_key, options.key_file, console.ask)
    return Wanted(options.log_path, options.scan, options.carve, options.volumes, options.opener, keys)


def _formatter(options: Namespace) -> Formatter:
    """The chosen formatter, or the one whose suffix the output has."""
    known = plugins.formatters()
    if options.timesketch:
        return _uploadable(options, known[_UPLOADED_FORMAT])
    if options.format:
        if options.format not in known:
            raise UsageError(f"--format {options.format}: there are {', '.join(known)}")
        return known[options.format]
    path = options.output or _DEFAULT_OUTPUT
    fitting = [each.name for each in known.values() if each.suffix == Path(path).suffix.lower()] or [_DEFAULT_FORMAT]
    if len(fitting) > 1 and _DEFAULT_FORMAT not in fitting:
        raise UsageError(f"{path}: by --format choose {' or '.join(fitting)}")
    return known[_DEFAULT_FORMAT if _DEFAULT_FORMAT in fitting else fitting[0]]


def _files(path: str | None, formatter: Formatter, options: Namespace) -> list[str]:
    """The output, or those files of an output in parts that are known before it is made; none if it is just sent."""
    if path is None or options.split is None:
        return [path] if path else []
    if path == output.STANDARD_OUTPUT or output.is_no_file(path):
        raise UsageError(f"--split {options.split}: {path} is no file")
    if formatter.header_lines is None:
        raise UsageError(f"--split {options.split}: {formatter.name} is always one file")
    if options.split <= formatter.header_lines:
        raise UsageError(
            f"--split {options.split}: a file of {formatter.name} has {formatter.header_lines} line of header"
        )
    return list(dict.fromkeys([*parts.names(path, 1), *parts.there(path)]))


def _uploadable(options: Namespace, formatter: Formatter) -> Formatter:
    """The format that is uploaded; raises `UsageError` where another is asked for."""
    if options.format not in (None, formatter.name) or Path(options.output or "a.jsonl").suffix != ".jsonl":
        raise UsageError(f"--timesketch: {formatter.name} is what is uploaded, so -o FILE.jsonl or none")
    if options.split:
        raise UsageError("--timesketch: what is uploaded is one file, without --split")
    return formatter


def _destination(options: Namespace, console: Console) -> AbstractContextManager[Sketch | None]:
    """Where the timeline is uploaded, before anything is read: a wrong password is told at once."""
    if bool(options.timesketch) != bool(options.sketch):
        raise UsageError("--timesketch URL and --sketch N go together")
    if not options.timesketch:
        return nullcontext()
    name = options.timeline_name or Path(options.sources[0]).name
    return sketch(options.timesketch, options.sketch, name, console)


def _uploaded(destination: Sketch, path: str, events: int, console: Console) -> Told:
    with console.progress("uploading", "k events", 1e3) as advance, Path(path).open("rb") as lines:
        try:
            return destination.send(lines, lambda count: advance(count, events))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the upload was not finished") from None


def _only(options: Namespace) -> Collection[str]:
    """The names of the chosen event types."""
    chosen = plugins.chosen(options.only, options.parsers)
    return chosen | {"threads"} if options.threads else chosen


def _gathered(options: Namespace, console: Console, taken: Room) -> Extraction:
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
        found = merged([*timelines, *made], only, _period(options), taken)
    report.timelines += [_described(each) for each in found.contents if each.source not in made]
    _tell_merged(found, console)
    return Extraction(found.timeline, report)


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


def _period(options: Namespace) -> tuple[int, int]:
    first = ALL_TIME[0] if options.first is None else options.first
    end = ALL_TIME[1] if options.last is None else options.last
    if first >= end:
        raise UsageError("--from is later than --to")
    return first, end


def _extracted(options: Namespace, evidence: Sequence[str], console: Console, taken: Room) -> Extraction:
    """The timeline of evidence, and what is to be told of it; raises `EvidenceError` where it has no sample."""
    only, period = _only(options), _period(options)
    with _workers(options, taken) as workers, console.progress("reading", "MB", 1e6) as advance:
        extraction = extract(
            evidence,
            wanted(options, console),
            only=only,
            period=period,
            progress=lambda step: advance(step.done, step.total),
            room=taken,
            workers=workers,
        )
    if options.cluster is not None and workers and workers.left:
        console.note(f"logs read here, as the cluster did not give them: {workers.left:,}")
    check(extraction, console)
    return extraction


def check(extraction: Extraction, console: Console) -> None:
    """Tells what was found; closes the timeline and raises `EvidenceError` where that is no sample."""
    tell(extraction.report, console)
    if not any(log.samples for log in extraction.report.logs):
        extraction.timeline.close()
        raise EvidenceError(_nothing_found(extraction.report))


def keep(timeline: Timeline, path: Path, console: Console) -> None:
    """Writes a timeline into a new Parquet file."""
    with path.open("wb") as stream:
        _write(timeline, plugins.formatters()["parquet"], stream, "sorting", console)


def _write(timeline: Timeline, formatter: Formatter, stream: Sink, what: str, console: Console) -> int:
    """Writes all events, and shows how far that is; their number."""
    total = sum(timeline.count(each) for each in timeline.types)
    with console.progress(what, "k events", 1e3) as advance:
        timeline.written = lambda count: advance(count, total)
        return formatter.write(timeline, stream)


def _workers(options: Namespace, taken: Room) -> AbstractContextManager[Workers | None]:
    if options.cluster is None:
        return nullcontext(local(taken))
    from atop_timeline.cluster import cluster  # noqa: PLC0415  an extra

    return cluster(options.cluster)


def _written(
    timeline: Timeline, formatter: Formatter, path: str, options: Namespace, console: Console
) -> dict[str, Any]:
    with _opened(path, formatter, options) as stream:
        events = _write(timeline, formatter, stream, "writing", console)
    return {"format": formatter.name, "profile": options.profile, "events": events} | stream.told


def _opened(path: str, formatter: Formatter, options: Namespace) -> AbstractContextManager[Counted | Parts]:
    if options.split is None:
        return output.opened(path, overwrite=options.overwrite)
    return parts.opened(path, options.split, formatter.header_lines or 0, overwrite=options.overwrite)


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
