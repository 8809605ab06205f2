"""What makes a Parquet timeline one that can be read again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from atop_timeline import hostfiles, plugins
from atop_timeline.errors import EvidenceError
from atop_timeline.events import ACCURACY, PROVENANCE, Column, Kind
from atop_timeline.logs import SAMPLE_DIGEST
from atop_timeline.store import Questions, literal, parquet_errors

LEFT_OUT = "left_out"
"""The key of its metadata that names the attributes which its profile left out, as JSON."""

KINDS = "kinds"
"""The key of its metadata that names all event types that were looked for, as JSON."""

KIND = "kind"
"""Its column that has the name of each event's type."""

MERGED_BY = (
    Column(KIND, Kind.TEXT, "", "the type of the event, as --only takes it"),
    Column(SAMPLE_DIGEST, Kind.TEXT, "", "the same for one sample in every copy of a log"),
)
"""Its columns that merging needs, and no other format has."""

_MAGIC = b"PAR1"
_COLUMNS = {
    "datetime": "TIMESTAMP WITH TIME ZONE",
    "timestamp": str(Kind.INTEGER),
    **dict.fromkeys(
        ("timestamp_desc", "message", "data_type", "source_short", "source_long", "parser"), str(Kind.TEXT)
    ),
    **{each.name: str(each.kind) for each in (*PROVENANCE, ACCURACY, *MERGED_BY)},
}
"""What each has besides attributes, and of which type."""


def is_parquet(source: str) -> bool:
    """Whether a source is a Parquet file."""
    try:
        if not Path(source).is_file():
            return False
        with hostfiles.opened(source) as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def parted(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of some sources are Parquet files, and which are not, each in their order."""
    files = [each for each in sources if is_parquet(each)]
    return files, [each for each in sources if each not in files]


def linked(source: str, directory: Path, number: int) -> str:
    """The same file by a name in a directory that DuckDB takes for no pattern."""
    link = directory / f"{number}.parquet"
    link.symlink_to(Path(source).resolve())
    return str(link)


class Contents(NamedTuple):
    """What is in a Parquet timeline: types of events that were looked for, columns, and those that have any value."""

    source: str
    kinds: Collection[str]
    columns: Collection[str]
    known: Collection[str]
    left_out: Sequence[str]


def contents(questions: Questions, source: str, link: str) -> Contents:
    """What is in a timeline of this version; raises `EvidenceError` where it is none."""
    with errors_of({link: source}):
        return _contents(questions, source, link)


@contextmanager
def errors_of(sources: Mapping[str, str]) -> Iterator[None]:
    """Raises `EvidenceError` where files cannot be read, which names them as a user does, and not by their links."""
    try:
        with parquet_errors():
            yield
    except EvidenceError as error:
        text = str(error)
        for link, source in sources.items():
            text = text.replace(link, source)
        raise EvidenceError(text) from error


def _contents(questions: Questions, source: str, link: str) -> Contents:
    read = f"read_parquet({literal(link)})"
    if fault := questions.fault(f"FROM {read} LIMIT 0"):
        raise EvidenceError(f"{source}: {fault}")
    columns = {str(name): str(kind) for name, kind, *_ in questions.execute(f"DESCRIBE FROM {read}")}
    kinds = _named(questions, link, KINDS)
    for name in (*(name for name in _COLUMNS if name not in columns), *(() if kinds else (KINDS,))):
        raise EvidenceError(f"{source}: no timeline of this version of atop-timeline: it has no {name}")
    _check_columns(source, columns)
    used = [str(kind) for (kind,) in questions.execute(f"SELECT DISTINCT {KIND} FROM {read}")]
    for name in sorted({*kinds, *used} - {each.name for each in plugins.event_types()}):
        raise EvidenceError(f"{source}: {KIND} {name}: this version knows no such events")
    some = f"""
        SELECT path_in_schema FROM parquet_metadata({literal(link)}) GROUP BY ALL
        HAVING sum(coalesce(stats_null_count, 0)) < sum(num_values)
    """
    known = [name for (name,) in questions.execute(some)]
    return Contents(source, {*kinds, *used}, columns, known, _named(questions, link, LEFT_OUT))


def check_whole(questions: Questions, source: str, link: str, needed: Collection[str]) -> None:
    """Raises `EvidenceError` where a profile left out attributes that are needed of a timeline."""
    missing = sorted({*needed} & {*_named(questions, link, LEFT_OUT)})
    if missing:
        raise EvidenceError(f"{source}: its profile left out what is needed: {', '.join(missing)}")


def _named(questions: Questions, link: str, key: str) -> list[str]:
    """The names that a timeline's metadata lists by a key."""
    names = "unnest(from_json(decode(value), '[\"VARCHAR\"]'))"
    found = questions.execute(
        f"SELECT {names} FROM parquet_kv_metadata({literal(link)}) WHERE decode(key) = {literal(key)}"
    )
    return [name for (name,) in found]


def _check_columns(source: str, columns: Mapping[str, str]) -> None:
    """Raises `EvidenceError` where a column is of no attribute, or of another type."""
    known = {column.name: str(column.kind) for column, _ in plugins.attributes()} | _COLUMNS
    for name, kind in columns.items():
        if known.get(name) != kind:
            raise EvidenceError(f"{source}: column {name} of {kind}: expected {known.get(name, 'none of this name')}")
