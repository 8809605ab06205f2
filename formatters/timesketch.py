"""Timesketch's own formats, CSV and JSON lines, as its importers read them best.

The rules: https://timesketch.org/guides/user/import-from-json-csv/ and timesketch/lib/utils.py. A field has one
type in the whole file; times have one fixed form; a value that is not known is an empty cell, or no key at all.
"""

from collections.abc import Callable, Iterator
from functools import partial

from atop_timeline.events import EventType
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .fields import chosen, fields_of, json_text, json_value

_RUN_BY_SPREADSHEETS = "('=', '+', '-', '@')"


class TimesketchCsv:
    """Comma-separated values; any spreadsheet opens them as well, and no cell of theirs is run."""

    name = "timesketch"
    suffix = ".csv"
    description = "Timesketch CSV, and for spreadsheets"
    loses = "importers guess types: texts such as nan, NULL or 0100 suffer, whole numbers may get a fraction"
    header_lines = 1
    guarded = True

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events under a header."""
        names = [each.name for each in fields_of(timeline, timeline.types[0])]
        stream.write(",".join([*names, "tag"]).encode() + b"\n")
        text = partial(_csv_text, guarded=self.guarded)
        return timeline.write(lambda event_type: _csv_line(timeline, event_type, text), stream, text)


class RawTimesketchCsv(TimesketchCsv):
    """The same with every text as the evidence has it, for tools that run nothing."""

    name = "timesketch-raw"
    description = "Timesketch CSV without the guard against formulas"
    loses = "the same; a spreadsheet runs what an attacker wrote"
    guarded = False


class TimesketchJsonl:
    """A JSON object a line."""

    name = "timesketch-jsonl"
    suffix = ".jsonl"
    description = "Timesketch JSON lines"
    loses = "nothing"
    header_lines = 0

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events."""
        return timeline.write(lambda event_type: _json_line(timeline, event_type), stream, json_text)


def _csv_line(timeline: Timeline, event_type: EventType, text: Callable[[str], str]) -> Iterator[Piece]:
    commas = ""
    for each in fields_of(timeline, event_type):
        if not each.is_empty:
            yield Piece(each.level, literal(commas))
            yield Piece(each.level, chosen(each, text) if each.chosen else each.sql)
            commas = ""
        commas += ","
    yield Piece(Level.TIME, literal(f"{commas}-"))  # tag: pandas would read an empty cell as nan


def _csv_text(text: str, *, guarded: bool) -> str:
    """RFC 4180; when guarded, a text that a spreadsheet would run gets an apostrophe before it."""
    cell = text
    if guarded:
        cell = f"CASE WHEN {text}[1] IN {_RUN_BY_SPREADSHEETS} THEN concat('''', {text}) ELSE {text} END"
    in_quotes = f"concat('\"', replace({cell}, '\"', '\"\"'), '\"')"
    return f"CASE WHEN contains({text}, ',') OR contains({text}, '\"') THEN {in_quotes} ELSE {cell} END"


def _json_line(timeline: Timeline, event_type: EventType) -> Iterator[Piece]:
    opening = "{"
    for each in (field for field in fields_of(timeline, event_type) if not field.is_empty):
        yield Piece(each.level, f"'{opening}\"{each.name}\": ' || {json_value(each)}")
        opening = ", "
    yield Piece(Level.TIME, "'}'")
