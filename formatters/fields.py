"""The fields of an event's line, as SQL: what writers of columns and of JSON share.

A field has one type in the whole file; times have one fixed form.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from atop_timeline.events import Column, EventType, Kind
from atop_timeline.facts import shown
from atop_timeline.store import literal, quoted
from atop_timeline.timeline import ORIGINS, Level, Timeline

from .messages import cut, levels_of, message_of, once

DATETIME = "strftime(make_timestamp(time_us), '%Y-%m-%dT%H:%M:%S.%f+00:00')"
"""SQL for a time as text, in UTC, of one width."""
SECONDS = "time_us // 1000000"
"""SQL for a time as whole seconds since 1970, for formats that have no fractions."""

_MESSAGE_CHARACTERS = 256  # longer strings drop out of OpenSearch's aggregations (ignore_above)
_NOTHING = "NULL"


class Field(NamedTuple):
    """A field of a line, as SQL over what its level names; `chosen` for a text that the evidence chose."""

    name: str
    level: Level
    sql: str
    is_text: bool = False
    chosen: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether events of its type have nothing there."""
        return self.sql == _NOTHING


def fields_of(timeline: Timeline, event_type: EventType) -> Iterator[Field]:
    """The fields of an event type's lines, those first that a reader wants first; the same for each type."""
    message = message_of(event_type)
    levels = {each.name: levels_of(event_type)[each.name] for each in timeline.known(event_type)}

    def constant(name: str, text: str) -> Field:
        return Field(name, Level.FACTS, literal(text), is_text=True)

    def column(level: Level, each: Column) -> Field:
        is_text = each.kind is Kind.TEXT
        return Field(each.name, level, quoted(each.name), is_text=is_text, chosen=is_text)

    hostname, *origin = (column(level, each) for each, level in ORIGINS.items())
    text = cut(message.long_sql(event_type), _MESSAGE_CHARACTERS)
    yield Field("datetime", Level.TIME, DATETIME, is_text=True)
    yield constant("timestamp_desc", event_type.timestamp_desc)
    yield Field("message", message.level(event_type), text, is_text=True, chosen=True)
    yield hostname
    for each in timeline.columns():
        level = levels.get(each.name)
        yield column(level, each) if level else Field(each.name, Level.FACTS, _NOTHING)
    yield constant("data_type", event_type.data_type)
    yield constant("source_short", message.short_source)
    yield constant("source_long", message.source)
    yield constant("parser", "atop")
    yield from origin
    yield Field("time_accuracy", Level.ACCURACY, "time_accuracy", is_text=True)
    yield Field("timestamp", Level.TIME, "time_us")


def chosen(field: Field, text: Callable[[str], str]) -> str:
    """A text that the evidence chose, as `text` has it; those of facts are made once per text."""
    if field.sql != quoted(field.name):
        return once(field.sql, text("each"))
    return quoted(shown(field.name)) if field.level is Level.FACTS else text(field.sql)


def json_value(field: Field) -> str:
    """A field's value in JSON; NULL where it is not known. Its line is written with `json_text`."""
    if field.chosen:
        return chosen(field, json_text)
    return f"'\"' || {field.sql} || '\"'" if field.is_text else field.sql


def json_text(text: str) -> str:
    """A text in JSON; NULL where it is empty."""
    return f"to_json(nullif({text}, ''))"
