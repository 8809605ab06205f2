"""The words of the timeline: event types with their columns, columns of events, event objects.

Data types and time descriptions are Plaso's (plaso/lib/definitions.py). Between a parser and a formatter
events travel as columns (`Events`); `Event` is the same thing as an object, for people who write Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from dfdatetime.interface import DateTimeValues
    from numpy.typing import NDArray

Value: TypeAlias = int | float | bool | str | None


class Kind(StrEnum):
    """What a column holds; each has one type in the store, in JSON and in Plaso."""

    INTEGER = "BIGINT"
    NUMBER = "DOUBLE"
    FLAG = "BOOLEAN"
    TEXT = "VARCHAR"


class Column(NamedTuple):
    """One attribute of an event."""

    name: str
    kind: Kind
    unit: str
    meaning: str


@dataclass(frozen=True)
class EventType:
    """A kind of event, by the name with which a user chooses it and the store keeps it.

    Every event also has the columns of `PROVENANCE`.
    """

    name: str
    data_type: str
    timestamp_desc: str
    columns: tuple[Column, ...]
    default: bool = True
    """Whether it is shown where a user does not choose."""


KEYS = (
    Column("time_us", Kind.INTEGER, "us", "since 1970 UTC"),
    Column("sample_id", Kind.INTEGER, "", "the log, and the sample in it"),
    Column("entry", Kind.INTEGER, "", "position of the task in the sample"),
)
"""What the store keeps of each event besides the columns of its type."""

PROVENANCE = (
    Column("hostname", Kind.TEXT, "", "name of the machine, from the log's header"),
    Column("sample_time", Kind.TEXT, "UTC", "the sample that holds the record, which ends its interval"),
    Column("sample_interval", Kind.INTEGER, "s", "length of that interval; atop's first: since boot"),
    Column("evidence", Kind.TEXT, "", "image, folder or file that was given"),
    Column("volume", Kind.TEXT, "", "volume inside the image"),
    Column("filename", Kind.TEXT, "", "path of the log in the volume or folder"),
    Column("offset", Kind.INTEGER, "byte", "where the sample's record begins in the log"),
    Column("atop_version", Kind.TEXT, "", "version that wrote the log's header"),
)
"""Where an event comes from: every event of every type has these."""


@dataclass(frozen=True)
class Events:
    """Events of one type out of one log, by columns.

    `columns` holds arrays of shape (n,): of each column of the type that is not wholly unknown, in any
    order, and besides `time_us` (microseconds since 1970 UTC), `sample` (number of the sample in its
    log) and `entry` (position of the task in its sample). A masked array marks unknown values. A
    column of text holds indices of `texts`, -1 for an unknown one. Events that follow each other may
    share `texts`: it is then stored once.
    """

    event_type: EventType
    columns: Mapping[str, "NDArray[np.generic]"]
    texts: Sequence[str]


@dataclass(frozen=True)
class Event:
    """One event as an object: its columns are its attributes, None where the log does not know."""

    data_type: str
    timestamp_desc: str
    date_time: "DateTimeValues"
    attributes: Mapping[str, Value]

    def __getattr__(self, name: str) -> Value:
        try:
            return self.attributes[name]
        except KeyError:
            raise AttributeError(f"a {self.data_type} event has no {name}") from None

