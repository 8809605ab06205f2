"""Parquet: all columns with their types, small and quick to ask; also what atop-hunt reads.

The columns are those of the Timesketch CSV, and two by which such files are merged. In the file's key-value metadata
are, as JSON, units and meanings of columns, attributes that were left out, and kinds of events that were looked for.
"""

import json
import shutil

from atop_timeline.events import ACCURACY, PROVENANCE, EventType
from atop_timeline.logs import SAMPLE_DIGEST
from atop_timeline.parquet import KIND, KINDS, LEFT_OUT, MERGED_BY
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .fields import fields_of

_DATETIME = "make_timestamptz(time_us)"
_CELLS_PER_GROUP = 36_864 * 150  # more do not fit into what DuckDB's allocator keeps: pages come anew for each group
_ROWS_TOGETHER = 2048  # DuckDB's: a group is made of whole ones
_MOST_IN_DICTIONARY = 1000  # different values of a column in a group: of more, a dictionary makes larger files


class Parquet:
    """The format for questions in SQL, and for what reads columns."""

    name = "parquet"
    suffix = ".parquet"
    description = "Parquet with typed columns, for DuckDB, pandas and atop-hunt"
    loses = "nothing"
    header_lines = None

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events into a file of the timeline's, for which DuckDB has to go back and forth."""
        names = [each.name for each in fields_of(timeline, timeline.types[0])] + [each.name for each in MERGED_BY]
        whole = timeline.directory / "whole.parquet"
        rows = _CELLS_PER_GROUP // len(names) // _ROWS_TOGETHER * _ROWS_TOGETHER
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows}, {_described(timeline)}"
        options += f", DICTIONARY_SIZE_LIMIT {_MOST_IN_DICTIONARY}"
        count = timeline.copy(names, lambda each: _columns(timeline, each), f"{literal(str(whole))} ({options})")
        with whole.open("rb") as written:
            shutil.copyfileobj(written, stream, 1 << 20)
        return count


def _columns(timeline: Timeline, event_type: EventType) -> dict[str, Piece]:
    """The pieces of those columns of an event of which anything may be known, by name."""
    unknown = {each.name for each in timeline.columns()} - {each.name for each in timeline.known(event_type)}
    known = (each for each in fields_of(timeline, event_type) if each.name not in unknown)
    pieces = {each.name: Piece(each.level, each.sql) for each in known}
    return pieces | {
        "datetime": Piece(Level.TIME, _DATETIME),
        KIND: Piece(Level.FACTS, literal(event_type.name)),
        SAMPLE_DIGEST: Piece(Level.ORIGIN, SAMPLE_DIGEST),
    }


def _described(timeline: Timeline) -> str:
    """The option that keeps in the file what its metadata tell."""
    columns = [*timeline.columns(), *PROVENANCE, ACCURACY]
    every = {each.name for event_type in timeline.types for each in event_type.attributes}
    told = {
        "units": {each.name: each.unit for each in columns if each.unit},
        "meanings": {each.name: each.meaning for each in (*columns, *MERGED_BY)},
        LEFT_OUT: sorted(every - {each.name for each in columns}),
        KINDS: [each.name for each in timeline.types],
    }
    return f"KV_METADATA {{{', '.join(f'{key}: {literal(json.dumps(value))}' for key, value in told.items())}}}"
