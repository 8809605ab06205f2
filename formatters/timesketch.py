"""Timesketch's own formats, CSV and JSON lines, as its importers read them best.

The rules: https://timesketch.org/guides/user/import-from-json-csv/ and timesketch/lib/utils.py. A field has one
type in the whole file; times have one fixed form; a value that is not known is an empty cell, or no key at all.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from atop_timeline.events import PROVENANCE, Column, EventType, Kind
from atop_timeline.facts import shown
from atop_timeline.store import literal, quoted
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .messages import cut, levels_of, message_of, once

_MESSAGE_CHARACTERS = 256  # longer strings drop out of OpenSearch's aggregations (ignore_above)
_DATETIME = "strftime(make_timestamp(time_us), '%Y-%m-%dT%H:%M:%S.%f+00:00')"
_NOTHING = "NULL"
_RUN_BY_SPREADSHEETS = "('=', '+', '-', '@')"


class _Field(NamedTuple):
    """A field of a line, as SQL over what its level names; `chosen` for a text that the evidence chose."""

    name: str
    level: Level
    sql: str
    is_text: bool = False
    chosen: bool = False


def fields_of(timeline: Timeline, event_type: EventType) -> Iterator[_Field]:
    """The fields of an event type's lines, those first that a reader wants first; the same for each type."""
    message = message_of(event_type)
    levels = {each.name: levels_of(event_type)[each.name] for each in timeline.known(event_type)}

    def constant(name: str, text: str) -> _Field:
        return _Field(name, Level.FACTS, literal(text), is_text=True)

    def column(level: Level, each: Column) -> _Field:
        is_text = each.kind is Kind.TEXT
        return _Field(each.name, level, quoted(each.name), is_text=is_text, chosen=is_text)

    hostname, *origin = (column(Level.ORIGIN, each) for each in PROVENANCE)
    text = cut(message.long_sql(event_type), _MESSAGE_CHARACTERS)
    yield _Field("datetime", Level.TIME, _DATETIME, is_text=True)
    yield constant("timestamp_desc", event_type.timestamp_desc)
    yield _Field("message", message.level(event_type), text, is_text=True, chosen=True)
    yield hostname
    for each in timeline.columns():
        level = levels.get(each.name)
        yield column(level, each) if level else _Field(each.name, Level.FACTS, _NOTHING)
    yield constant("data_type", event_type.data_type)
    yield constant("source_short", message.short_source)
    yield constant("source_long", message.source)
    yield constant("parser", "atop")
    yield from origin
    yield _Field("time_accuracy", Level.ACCURACY, "time_accuracy", is_text=True)
    yield _Field("timestamp", Level.TIME, "time_us")


class TimesketchCsv:
    """Comma-separated values; any spreadsheet opens them as well, and no cell of theirs is run."""

    name = "timesketch"
    suffix = ".csv"
    description = "Timesketch CSV, and for spreadsheets"
    loses = "importers guess types: texts such as nan, NULL or 0100 suffer, whole numbers may get a fraction"
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

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events."""
        return timeline.write(lambda event_type: _json_line(timeline, event_type), stream, _json_text)


def _csv_line(timeline: Timeline, event_type: EventType, text: Callable[[str], str]) -> Iterator[Piece]:
    commas = ""
    for each in fields_of(timeline, event_type):
        if each.sql != _NOTHING:
            yield Piece(each.level, literal(commas))
            yield Piece(each.level, _chosen(each, text) if each.chosen else each.sql)
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
    for each in (field for field in fields_of(timeline, event_type) if field.sql != _NOTHING):
        yield Piece(each.level, f"'{opening}\"{each.name}\": ' || {_json_value(each)}")
        opening = ", "
    yield Piece(Level.TIME, "'}'")


def _json_value(field: _Field) -> str:
    if field.chosen:
        return _chosen(field, _json_text)
    return f"'\"' || {field.sql} || '\"'" if field.is_text else field.sql


def _json_text(text: str) -> str:
    return f"to_json(nullif({text}, ''))"


def _chosen(field: _Field, text: Callable[[str], str]) -> str:
    """A text that the evidence chose, as `text` has it; those of facts are made once per text."""
    if field.sql != quoted(field.name):
        return once(field.sql, text("each"))
    return quoted(shown(field.name)) if field.level is Level.FACTS else text(field.sql)
