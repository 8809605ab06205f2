"""Plaso's event data: a class per data type, with our columns as attributes.

One event data is one event: of its times exactly one is set, the one that `data/timeliner.yaml` gives the event's
time description.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from plaso.containers import events

from atop_timeline import plugins
from atop_timeline.events import ACCURACY, PROVENANCE, Column, Event, EventType

_OF_PLASO = frozenset({"evidence", "volume", "filename", "inode"})  # its path specifications have these


def time_attribute(timestamp_desc: str) -> str:
    """What the time with a description is called; `sample_time` is a column of ours already."""
    return "recorded_time" if timestamp_desc == "Sample Time" else timestamp_desc.lower().replace(" ", "_")


def event_data(event: Event) -> Any:  # noqa: ANN401  Plaso has no types
    """What Plaso keeps of an event; an attribute that is not known, or an empty text, is None."""
    made = event_data_classes()[event.data_type]()
    for name, value in event.attributes.items():
        if hasattr(made, name) and value != "":
            setattr(made, name, value)
    setattr(made, time_attribute(event.timestamp_desc), event.date_time)
    return made


@cache
def event_data_classes() -> Mapping[str, type]:
    """The classes by data type."""
    types: dict[str, list[EventType]] = {}
    for each in plugins.event_types():
        types.setdefault(each.data_type, []).append(each)
    return {data_type: _class(data_type, of_it) for data_type, of_it in types.items()}


def _class(data_type: str, types: list[EventType]) -> type:
    columns = {each.name: each for each in (*_columns(types), *PROVENANCE, ACCURACY) if each.name not in _OF_PLASO}
    times = sorted({time_attribute(each.timestamp_desc) for each in types})

    def __init__(self: Any) -> None:  # noqa: ANN401, N807  the method of a class that is made here
        events.EventData.__init__(self, data_type=data_type)
        self.__dict__.update(dict.fromkeys([*columns, *times]))

    name = "".join(word.capitalize() for word in data_type.split(":")[1:]) + "EventData"
    body = {"DATA_TYPE": data_type, "__init__": __init__, "__doc__": _documentation(data_type, columns, times)}
    return type(name, (events.EventData,), body)


def _columns(types: list[EventType]) -> Iterator[Column]:
    return (column for each in types for column in each.attributes)


def _documentation(data_type: str, columns: Mapping[str, Column], times: list[str]) -> str:
    """As Plaso documents attributes."""
    texts = {name: f"({each.kind.name.lower()}): {each.meaning}" for name, each in columns.items()}
    texts |= dict.fromkeys(times, "(dfdatetime.DateTimeValues): when it was, if it is an event of that kind")
    return "\n".join(
        [f"{data_type} event data.", "", "Attributes:", *(f"  {name} {texts[name]}" for name in sorted(texts))]
    )
