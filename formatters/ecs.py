"""Elastic Common Schema: a JSON object a line, for Elasticsearch and for what reads its words.

The fields: https://www.elastic.co/docs/reference/ecs, generated/csv/fields.csv of elastic/ecs. What has no field
there stands in `atop` by its own name, which is how the schema wants what is not its own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from atop_timeline.events import EventType
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .fields import DATETIME, Field, fields_of, json_text, json_value
from .messages import message_of

Shape: TypeAlias = "Mapping[str, str | Shape]"
"""An object of the schema: by the names of its fields those of columns, or further objects."""

_VERSION = "8.11.0"
_COMMA = "', '"
_PROCESS: Shape = {
    "pid": "pid",
    "thread": {"id": "thread_id"},
    "name": "process",
    "command_line": "command_line",
    "executable": "executable",
    "entity_id": "process_guid",
    "exit_code": "exit_code",
    "parent": {
        "pid": "parent_pid",
        "name": "parent_process",
        "command_line": "parent_command_line",
        "entity_id": "parent_guid",
    },
}
_OTHERS: Shape = {
    "user": {
        "id": "uid",
        "name": "username",
        "group": {"id": "gid"},
        "effective": {"id": "euid", "name": "effective_username"},
    },
    "container": {"id": "container"},
}
_SOURCE: Shape = {"host": {"name": "hostname"}, "log": {"file": {"path": "filename"}}}
_IDS = frozenset({"uid", "gid", "euid"})
"""Numbers that are texts in the schema."""
_TYPES = {"Start Time": "start", "Update Time": "change", "Exit Time": "end", "End Time": "end"}
_MOMENTS = {"Start Time": "start", "Exit Time": "end"}
"""Which field of a process is the time of the event."""


class Ecs:
    """The format of Elastic's tools."""

    name = "ecs"
    suffix = ".ndjson"
    description = "JSON lines in Elastic Common Schema"
    loses = "nothing"
    header_lines = 0

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events."""
        return timeline.write(lambda event_type: _line(timeline, event_type), stream, json_text)


def _line(timeline: Timeline, event_type: EventType) -> Iterator[Piece]:
    fields = _fields(timeline, event_type)
    message = message_of(event_type)
    text = Field("message", message.level(event_type), message.long_sql(event_type), is_text=True, chosen=True)
    yield Piece(Level.TIME, f"concat('{{\"@timestamp\": \"', {DATETIME}, '\"')")
    yield Piece(Level.FACTS, literal(_kind(event_type)))
    yield Piece(text.level, f"', \"message\": ' || {json_value(text)}")
    if "pid" in fields:
        yield from _process(event_type, fields)
    yield Piece(Level.FACTS, _further(_members(_OTHERS, fields)))
    yield Piece(Level.LOG, _further(_members(_SOURCE, fields)))
    yield from _own(fields)


def _fields(timeline: Timeline, event_type: EventType) -> dict[str, Field]:
    """The fields of which anything may be known, by name, with values as the schema has them."""
    fields = {each.name: each for each in fields_of(timeline, event_type) if not each.is_empty}
    fields |= {name: fields[name]._replace(is_text=True) for name in _IDS & fields.keys()}
    if {"tgid", "is_process"} <= fields.keys():
        fields["pid"] = fields["pid"]._replace(sql="CASE WHEN NOT is_process THEN nullif(tgid, 0) ELSE pid END")
        fields["thread_id"] = Field("thread_id", Level.FACTS, "CASE WHEN NOT is_process THEN pid END")
    return fields


def _kind(event_type: EventType) -> str:
    """What is the same for all events of a type."""
    is_process = any(each.name == "pid" for each in event_type.attributes)
    kind = {
        "kind": "event",
        "category": ["process" if is_process else "host"],
        "type": [_TYPES.get(event_type.timestamp_desc, "info")],
        "action": event_type.name,
        "module": "atop",
        "dataset": f"atop.{event_type.data_type.rpartition(':')[2]}",
    }
    return f', "ecs": {{"version": "{_VERSION}"}}, "event": {json.dumps(kind)}'


def _process(event_type: EventType, fields: Mapping[str, Field]) -> Iterator[Piece]:
    moment = _MOMENTS.get(event_type.timestamp_desc)
    members = list(_members(_PROCESS, fields))
    yield Piece(Level.FACTS, literal(', "process": {'))
    if moment:
        yield Piece(Level.TIME, f"concat('\"{moment}\": \"', {DATETIME}, '\"')")
    yield Piece(Level.FACTS, _further(members) if moment else f"concat_ws({_COMMA}, {', '.join(members)})")
    yield Piece(Level.FACTS, literal("}"))


def _own(fields: Mapping[str, Field]) -> Iterator[Piece]:
    """The object of all that has no field in the schema."""
    yield Piece(Level.FACTS, literal(', "atop": {'))
    yield Piece(Level.FACTS, _member("data_type", fields["data_type"]))
    for name, each in fields.items():
        if name not in _TOLD:
            yield Piece(each.level, f"{_COMMA} || {_member(name, each)}")
    yield Piece(Level.TIME, "'}}'")


def _columns(shape: Shape) -> Iterator[str]:
    for each in shape.values():
        yield from [each] if isinstance(each, str) else _columns(each)


def _members(shape: Shape, fields: Mapping[str, Field]) -> Iterator[str]:
    """SQL for each field of an object, with its name; NULL where nothing of it is known."""
    for name, each in shape.items():
        if not isinstance(each, str):
            inner = list(_members(each, fields))
            if inner:
                yield f"'\"{name}\": {{' || nullif(concat_ws({_COMMA}, {', '.join(inner)}), '') || '}}'"
        elif each in fields:
            yield _member(name, fields[each])


def _member(name: str, field: Field) -> str:
    return f"'\"{name}\": ' || {json_value(field)}"


def _further(members: Iterable[str]) -> str:
    """SQL for fields behind others; empty where none is known."""
    return f"concat('', {', '.join(f'{_COMMA} || {each}' for each in members) or 'NULL'})"


_TIMESKETCHS = {"datetime", "message", "timestamp", "source_short", "source_long", "parser"}
_TOLD = {*_columns(_PROCESS), *_columns(_OTHERS), *_columns(_SOURCE), *_TIMESKETCHS, "data_type"}
"""What is not in `atop`, or is its first."""
