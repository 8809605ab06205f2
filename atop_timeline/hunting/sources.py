"""What is asked: Parquet timelines, and evidence, of which such a timeline is made first."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from atop_timeline.console import Console
from atop_timeline.errors import EvidenceError
from atop_timeline.extraction import extract
from atop_timeline.gathering import check, wanted
from atop_timeline.parquet import check_whole, linked, parted
from atop_timeline.store import Questions, Room, literal
from atop_timeline.writing import keep

from .tables import COLUMNS, NEEDED, events


@contextmanager
def opened(options: Namespace, console: Console, room: Room) -> Iterator[tuple[Questions, list[str], bool]]:
    """A database, the Parquet timelines to ask, and whether nothing of the evidence was damaged or unreadable."""
    questions = Questions(room)
    try:
        timelines, evidence = parted(options.sources)
        files = [_checked(questions, each, number) for number, each in enumerate(timelines)]
        whole = True
        if evidence:
            made = questions.directory / "evidence.parquet"
            whole = _make(made, evidence, options, console, room)
            files.append(str(made))
        yield questions, files, whole
    finally:
        questions.close()


def _checked(questions: Questions, file: str, number: int) -> str:
    """The same file by a name that DuckDB takes for no pattern; raises `EvidenceError` where it is no timeline."""
    link = linked(file, questions.directory, number)
    needed = f"SELECT {', '.join(NEEDED)} FROM read_parquet({literal(link)}) LIMIT 1"
    if fault := questions.fault(needed) or questions.fault(f"{events([link])} LIMIT 1"):
        raise EvidenceError(f"{file}: no timeline of atop-timeline: {fault.replace(link, file)}")
    check_whole(questions, file, link, set(COLUMNS))
    return link


def _make(path: Path, evidence: Sequence[str], options: Namespace, console: Console, room: Room) -> bool:
    """Writes the timeline of evidence; whether all of it could be read."""
    with console.progress("reading", "MB", 1e6) as advance:
        extraction = extract(
            evidence, wanted(options, console), progress=lambda step: advance(step.done, step.total), room=room
        )
    check(extraction, console)
    with extraction.timeline:
        keep(extraction.timeline, path, console)
    return extraction.report.complete
