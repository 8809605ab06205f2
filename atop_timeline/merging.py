"""Parquet timelines of ours as one timeline again, each event once, for any formatter to write.

Events keep the order of their file: rows that follow each other and are of one sample get a sample here, numbered in
the order of files and rows. Two events are the same if they are of the same sample, as its digest tells, and differ
in nothing but the place where that lies.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atop_timeline import plugins
from atop_timeline.errors import EvidenceError
from atop_timeline.events import ACCURACY, Events, EventType, Facts
from atop_timeline.lines import EARLY, LATE
from atop_timeline.logs import LOG_COLUMNS, SAMPLE, SAMPLE_BITS, SAMPLE_DIGEST
from atop_timeline.parquet import KIND, Contents, check_whole, contents, errors_of, linked
from atop_timeline.profiles import profile
from atop_timeline.store import DEFAULT_ROOM, Questions, Room, literal, quoted
from atop_timeline.texts import Texts
from atop_timeline.timeline import ALL_TIME, Timeline

_LEAST = "standard"  # the smallest profile that has what messages tell
_ROWS_TOGETHER = 1 << 16
_SAMPLE = (*LOG_COLUMNS, "sample_time", "sample_interval", "offset", "caveat", SAMPLE_DIGEST)
_PLACE = ("evidence", "volume", "filename", "inode", "allocation", "offset")

_PLACED = f"""
CREATE TEMP TABLE placed AS
WITH shared AS (
    SELECT {SAMPLE_DIGEST} FROM (SELECT DISTINCT file, {SAMPLE_DIGEST} FROM merging) GROUP BY ALL HAVING count(*) > 1
),
repeated AS (
    SELECT file, file_row_number FROM (
        SELECT file, file_row_number, {KIND}, {SAMPLE_DIGEST}, md5(to_json(row({{compared}}))) AS whole
        FROM merging WHERE {SAMPLE_DIGEST} IN (FROM shared)
    )
    QUALIFY min(file) OVER (PARTITION BY {KIND}, {SAMPLE_DIGEST}, whole) < file
),
told AS (
    SELECT file, file_row_number, hash({", ".join(map(quoted, LOG_COLUMNS))}) AS log,
        hash({", ".join(map(quoted, _SAMPLE))}) AS sample
    FROM merging ANTI JOIN repeated USING (file, file_row_number)
),
begun AS (
    SELECT file, file_row_number,
        CAST(lag(log) OVER each IS DISTINCT FROM log AS BIGINT) AS is_log,
        CAST(lag((file, sample)) OVER each IS DISTINCT FROM (file, sample) AS BIGINT) AS is_sample
    FROM told WINDOW each AS (ORDER BY file, file_row_number)
)
SELECT *,
    (CAST(sum(is_log) OVER each AS BIGINT) << {SAMPLE_BITS}) + CAST(sum(is_sample) OVER each AS BIGINT) AS sample_id
FROM begun WINDOW each AS (ORDER BY file, file_row_number)
"""
"""`placed`: the rows that count, and the sample of each; the first of a sample, and of a log, has 1 there."""

_LOGS = f"""
INSERT INTO logs BY NAME
SELECT sample_id >> {SAMPLE_BITS} AS log_id, {", ".join(LOG_COLUMNS)},
    CASE WHEN volume = '' AND parse_filename(evidence) = filename THEN '' ELSE evidence END AS disk
FROM merging JOIN placed USING (file, file_row_number) WHERE is_log = 1
"""
_SAMPLES = f"""
INSERT INTO {SAMPLE.name} BY NAME
SELECT epoch_us(CAST(sample_time AS TIMESTAMPTZ)) AS time_us, sample_id, "offset", sample_interval, caveat,
    CAST(CAST(unhex({SAMPLE_DIGEST}[:16]) AS BIT) AS BIGINT) AS digest_high,
    CAST(CAST(unhex({SAMPLE_DIGEST}[17:]) AS BIT) AS BIGINT) AS digest_low
FROM merging JOIN placed USING (file, file_row_number) WHERE is_sample = 1
"""
_SHARED_HOSTS = """
SELECT hostname FROM merging WHERE hostname <> '' GROUP BY hostname HAVING count(DISTINCT file) > 1 ORDER BY hostname
"""
_PIECE = f"""
CREATE OR REPLACE TEMP TABLE piece AS
SELECT sample_id, file_row_number, timestamp, {ACCURACY.name}, {KIND}{{columns}}
FROM ({{rows}}) JOIN placed USING (file, file_row_number)
"""


class Merged(NamedTuple):
    """A timeline, which the caller closes; what is in each file; names of machines that several files have."""

    timeline: Timeline
    contents: Sequence[Contents]
    shared_hosts: Sequence[str]


def merged(
    files: Sequence[str],
    only: Collection[str] | None = None,
    period: tuple[int, int] = ALL_TIME,
    room: Room = DEFAULT_ROOM,
) -> Merged:
    """All events of some Parquet timelines; `only` names the types to show.

    Raises `EvidenceError` where one of them is not what this version writes, or a profile left out what messages tell.
    """
    with closing(Questions(room)) as questions:
        found = [_whole(questions, file, number) for number, file in enumerate(files)]
    there = {name for each in found for name in each.kinds}
    kinds = there if only is None else there.intersection(only)
    if not kinds:
        raise EvidenceError(f"{', '.join(files)}: events of other kinds only: {', '.join(sorted(there))}")
    timeline = Timeline([each for each in plugins.event_types() if each.name in kinds], period=period, room=room)
    try:
        timeline.shown = frozenset(name for each in found for name in each.columns)
        links = [linked(file, timeline.directory, number) for number, file in enumerate(files)]
        with errors_of(dict(zip(links, files, strict=True))):
            rows = [_rows(*each, kinds, period) for each in enumerate(links)]
            shared_hosts = _fill(timeline, rows, [each.known for each in found])
        timeline.end_inserting()
    except BaseException:
        timeline.close()
        raise
    return Merged(timeline, found, shared_hosts)


def _whole(questions: Questions, file: str, number: int) -> Contents:
    """What is in a file, with all that messages tell."""
    link = linked(file, questions.directory, number)
    found = contents(questions, file, link)
    check_whole(questions, file, link, profile(_LEAST).attributes or ())
    return found


def _rows(number: int, link: str, kinds: Collection[str], period: tuple[int, int]) -> str:
    """The query for the rows of a file to show, each with the number of the file and its own."""
    first, end = period
    return f"""
        SELECT {number} AS file, * FROM read_parquet({literal(link)}, file_row_number = true)
        WHERE timestamp >= {first} AND timestamp < {end} AND {KIND} IN ({", ".join(map(literal, sorted(kinds)))})
    """


def _fill(timeline: Timeline, files: Sequence[str], known: Sequence[Collection[str]]) -> list[str]:
    """Logs, samples and events of the rows of files, and the columns in which each has values; gives shared hosts."""
    timeline.execute(f"CREATE TEMP VIEW merging AS {' UNION ALL BY NAME '.join(files)}")
    compared = {KIND}.union(*known).difference(_PLACE)
    timeline.execute(_PLACED.format(compared=", ".join(map(quoted, sorted(compared)))))
    timeline.execute(_LOGS)
    timeline.execute(_SAMPLES)
    for file, (rows, names) in enumerate(zip(files, known, strict=True)):
        for piece in _pieces(timeline, file, rows, names):
            for event_type in timeline.types:
                if event_type.name in piece:
                    timeline.insert(0, _events(timeline, event_type, names))
    shared_hosts = [name for (name,) in timeline.execute(_SHARED_HOSTS)]
    timeline.execute("DROP VIEW merging; DROP TABLE placed; DROP TABLE IF EXISTS piece")
    return shared_hosts


def _pieces(timeline: Timeline, file: int, rows: str, known: Collection[str]) -> Iterator[set[str]]:
    """The table `piece` again and again, with the next rows of a file; the types of their events."""
    ((end,),) = timeline.execute(f"SELECT coalesce(max(file_row_number) + 1, 0) FROM placed WHERE file = {file}")
    columns = _listed(each.name for each in timeline.columns() if each.name in known)
    for begin in range(0, end, _ROWS_TOGETHER):
        some = f"{rows} AND file_row_number >= {begin} AND file_row_number < {begin + _ROWS_TOGETHER}"
        timeline.execute(_PIECE.format(rows=some, columns=columns))
        yield {name for (name,) in timeline.execute(f"SELECT DISTINCT {KIND} FROM piece")}


def _events(timeline: Timeline, event_type: EventType, known: Collection[str]) -> Events:
    """The events of a type in the table `piece`; what is known of several is a row of facts once."""
    of_type = f"FROM piece WHERE {KIND} = {literal(event_type.name)}"
    own = _listed(each.name for each in event_type.own if each.name in known)
    found = timeline.arrays(f"""
        SELECT timestamp AS time_us, sample_id AS sample, file_row_number AS entry,
            {EARLY} AS early_s, {LATE} AS late_s{own}
        {of_type} ORDER BY file_row_number
    """)
    told: dict[str, Any] = {
        name: values.tolist() if values.dtype == object else values for name, values in found.items()
    }
    if not event_type.facts:
        return Events(event_type, told)
    shared = _listed(each.name for each in event_type.columns if each.name in known)
    facts = timeline.arrays(f"""
        SELECT list(file_row_number) AS entries, sample_id >> {SAMPLE_BITS} AS log_id{shared} {of_type} GROUP BY ALL
    """)
    entries = facts.pop("entries")
    row = np.empty(len(told["entry"]), np.int64)
    row[np.searchsorted(told["entry"], np.concatenate(entries))] = np.repeat(
        np.arange(len(entries)), [len(each) for each in entries]
    )
    return Events(event_type, told | {"row": row}, _facts(facts))


def _facts(found: Mapping[str, NDArray[Any]]) -> Facts:
    """Distinct rows of which something is known."""
    known = {name: values for name, values in found.items() if not np.ma.getmaskarray(values).all()}
    texts = Texts()
    numbers = {name: _numbers(texts, values.tolist()) for name, values in known.items() if values.dtype == object}
    return Facts({name: values for name, values in known.items() if name not in numbers}, numbers, texts.values)


def _numbers(texts: Texts, column: Sequence[str | None]) -> NDArray[np.int64]:
    numbers = {each: texts.number(each or "") for each in dict.fromkeys(column)}
    return np.fromiter(map(numbers.__getitem__, column), np.int64, len(column))


def _listed(names: Iterable[str]) -> str:
    return "".join(f", {quoted(name)}" for name in names)
