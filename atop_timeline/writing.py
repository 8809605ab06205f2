"""From a timeline to files: the format that is chosen, the files that are made, and how far that is."""

from argparse import Namespace
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from atop_timeline import output, parts, plugins
from atop_timeline.console import Console
from atop_timeline.errors import UsageError
from atop_timeline.output import Counted
from atop_timeline.parts import Parts
from atop_timeline.plugins import Formatter
from atop_timeline.timeline import Sink, Timeline

DEFAULT_OUTPUT = "timeline.csv"
_DEFAULT_FORMAT = "timesketch"
_UPLOADED_FORMAT = "timesketch-jsonl"  # of CSV the client loses texts, and guesses types


def chosen_format(options: Namespace) -> Formatter:
    """The chosen formatter, or the one whose suffix the output has."""
    known = plugins.formatters()
    if options.timesketch:
        return _uploadable(options, known[_UPLOADED_FORMAT])
    if options.format:
        if options.format not in known:
            raise UsageError(f"--format {options.format}: there are {', '.join(known)}")
        return known[options.format]
    path = options.output or DEFAULT_OUTPUT
    fitting = [each.name for each in known.values() if each.suffix == Path(path).suffix.lower()] or [_DEFAULT_FORMAT]
    if len(fitting) > 1 and _DEFAULT_FORMAT not in fitting:
        raise UsageError(f"{path}: by --format choose {' or '.join(fitting)}")
    return known[_DEFAULT_FORMAT if _DEFAULT_FORMAT in fitting else fitting[0]]


def _uploadable(options: Namespace, formatter: Formatter) -> Formatter:
    """The format that is uploaded; raises `UsageError` where another is asked for."""
    if options.format not in (None, formatter.name) or Path(options.output or "a.jsonl").suffix != ".jsonl":
        raise UsageError(f"--timesketch: {formatter.name} is what is uploaded, so -o FILE.jsonl or none")
    if options.split:
        raise UsageError("--timesketch: what is uploaded is one file, without --split")
    return formatter


def files(path: str | None, formatter: Formatter, options: Namespace) -> list[str]:
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


def written(
    timeline: Timeline, formatter: Formatter, path: str, options: Namespace, console: Console
) -> dict[str, Any]:
    """Writes all events to where the user wants them; what there is to tell of that."""
    with _opened(path, formatter, options) as stream:
        events = _write(timeline, formatter, stream, "writing", console)
    return {"format": formatter.name, "profile": options.profile, "events": events} | stream.told


def _opened(path: str, formatter: Formatter, options: Namespace) -> AbstractContextManager[Counted | Parts]:
    """The output; of what nobody is told no SHA-256 is made, a tenth of all work."""
    hashed = bool(options.summary_json) or not options.quiet
    if options.split is None:
        return output.opened(path, overwrite=options.overwrite, hashed=hashed)
    return parts.opened(path, options.split, formatter.header_lines or 0, overwrite=options.overwrite, hashed=hashed)


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
