"""Parquet: all columns with their types, small and quick to ask; also what atop-hunt reads.

The columns are those of the Timesketch CSV. Their units and meanings are in the file's key-value metadata, as JSON.
"""

import json
import shutil

from atop_timeline.events import ACCURACY, PROVENANCE, EventType
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .timesketch import fields_of

_ROWS_PER_GROUP = 61_440  # as many as fit into the store's memory with all of their columns
_PART = f"FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_ROWS_PER_GROUP}"
_WHOLE = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS_PER_GROUP}"


class Parquet:
    """The format for questions in SQL, and for what reads columns."""

    name = "parquet"
    suffix = ".parquet"
    description = "Parquet with typed columns, for DuckDB, pandas and atop-hunt"
    loses = "nothing"

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events, portion by portion into files of the timeline's, and these into one."""
        count, parts = 0, []
        for number, query in enumerate(timeline.portions(lambda each: _columns(timeline, each))):
            parts.append(literal(str(timeline.directory / f"{number}.parquet")))
            ((rows,),) = timeline.execute(f"COPY ({query}) TO {parts[-1]} ({_PART})")
            timeline.written(count := count + rows)
        whole = timeline.directory / "whole.parquet"
        timeline.execute(f"""
            COPY (FROM read_parquet([{", ".join(parts)}])) TO {literal(str(whole))} ({_WHOLE}, {_described(timeline)})
        """)
        with whole.open("rb") as written:
            shutil.copyfileobj(written, stream, 1 << 20)
        return count


def _columns(timeline: Timeline, event_type: EventType) -> dict[str, Piece]:
    """The pieces of an event's columns, by name and in the order of columns."""
    known = {each.name for each in timeline.known(event_type)}
    columns = {each.name: Piece(each.level, each.sql) for each in fields_of(timeline, event_type)}
    nothing = {each.name: f"CAST(NULL AS {each.kind})" for each in timeline.columns() if each.name not in known}
    columns |= {name: Piece(Level.EVENT, sql) for name, sql in nothing.items()}
    return columns | {"datetime": Piece(Level.TIME, "make_timestamptz(time_us)")}


def _described(timeline: Timeline) -> str:
    """The option that keeps units and meanings of columns in the file."""
    columns = [*timeline.columns(), *PROVENANCE, ACCURACY]
    units = json.dumps({each.name: each.unit for each in columns if each.unit})
    meanings = json.dumps({each.name: each.meaning for each in columns})
    return f"KV_METADATA {{units: {literal(units)}, meanings: {literal(meanings)}}}"
