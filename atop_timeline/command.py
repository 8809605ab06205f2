"""One run of the command: evidence to timeline, timeline to file, and what there is to tell of it."""

import json
import math
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from atop_timeline import listing, output, profiles, temporary
from atop_timeline.console import Console
from atop_timeline.errors import UsageError
from atop_timeline.extraction import survey
from atop_timeline.gathering import gathered, tell, wanted
from atop_timeline.plugins import Formatter
from atop_timeline.store import Room, suits
from atop_timeline.summary import lines, summarize
from atop_timeline.upload import Sketch, Told, sketch
from atop_timeline.writing import DEFAULT_OUTPUT, chosen_format, files, written

_EXCEL_ROWS = 1_048_576  # with the header


def run(options: Namespace) -> bool:
    """Whether nothing was damaged or unreadable. Raises an `AtopTimelineError` where there is no result."""
    started = time.monotonic()
    console = console_of(options)
    formatter = chosen_format(options)
    target = options.output or (None if options.timesketch else DEFAULT_OUTPUT)
    with output.whole_told(lambda: files(target, formatter, options)):
        summary, is_complete = _made(target, formatter, options, console)
        console.table(chain(lines(summary), [("elapsed", f"{time.monotonic() - started:.1f} s")]))
        if options.summary_json:
            with output.opened(options.summary_json, overwrite=options.overwrite) as stream:
                stream.write(json.dumps(summary, indent=2).encode() + b"\n")
    return is_complete


def show(options: Namespace) -> bool:
    """Shows what is in the evidence; whether nothing was damaged or unreadable."""
    console = console_of(options)
    with room(options, []), console.progress("reading", "MB", 1e6) as advance:
        report = survey(options.sources, wanted(options, console), lambda step: advance(step.done, step.total))
    tell(report, console)
    output.show(listing.lines(report))
    return report.complete


def _made(
    target: str | None, formatter: Formatter, options: Namespace, console: Console
) -> tuple[dict[str, Any], bool]:
    """The summary of a timeline that is made, and whether nothing was damaged or unreadable."""
    shown = profiles.profile(options.profile).attributes
    outputs = [*files(target, formatter, options), *([options.summary_json] if options.summary_json else [])]
    with room(options, outputs, options.jobs) as taken, _destination(options, console) as destination:
        path = target or str(Path(tempfile.gettempdir()) / "timeline.jsonl")
        timeline, report = gathered(options, console, taken)
        with timeline:
            if shown is not None:
                timeline.shown = shown if timeline.shown is None else shown & timeline.shown
            told: dict[str, Any] = {"path": target} | written(timeline, formatter, path, options, console)
            lines_of_file = min(told["events"] + (formatter.header_lines or 0), options.split or math.inf)
            if formatter.suffix.endswith("csv") and lines_of_file > _EXCEL_ROWS:
                console.warn(f"Excel reads only the first {_EXCEL_ROWS:,} rows; --split {_EXCEL_ROWS} makes more files")
            summary = summarize(report, timeline, told)
        if destination:
            summary["timesketch"] = _uploaded(destination, path, told["events"], console)._asdict()
    return summary, report.complete


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


def console_of(options: Namespace) -> Console:
    """What tells the user what they want to be told."""
    return Console(quiet=options.quiet, verbose=options.verbose, color=not options.no_color)


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
