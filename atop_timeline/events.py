"""The words of the timeline: event types with their columns, columns of events, event objects.

Data types and time descriptions are Plaso's (plaso/lib/definitions.py). Between a parser and a formatter
events travel as columns (`Events`); `Event` is the same thing as an object, for people who write Python.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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

    As in Plaso an event is little more than a time, and refers to facts: `columns` are those of its facts,
    in the order in which formatters write them, and `facts` names the table that holds them; empty where it
    refers to none. `own` are columns that each event has for itself.
    """

    name: str
    data_type: str = ""
    timestamp_desc: str = ""
    facts: str = ""
    columns: tuple[Column, ...] = ()
    own: tuple[Column, ...] = ()
    default: bool = True
    """Whether it is shown where a user does not choose."""

    @property
    def attributes(self) -> tuple[Column, ...]:
        """All columns that are shown, where it is."""
        return self.columns + self.own


KEYS = (
    Column("time_us", Kind.INTEGER, "us", "since 1970 UTC"),
    Column("sample_id", Kind.INTEGER, "", "the log, and the sample in it"),
    Column("entry", Kind.INTEGER, "", "position of the task in the sample"),
    Column("row_id", Kind.INTEGER, "", "its facts"),
    Column("early_s", Kind.INTEGER, "s", "by how much the true time may lie before; unknown: by any time"),
    Column("late_s", Kind.INTEGER, "s", "by how much the true time may lie behind, apart from the second itself"),
)
"""What the store keeps of each event, besides what is its own."""

PROVENANCE = (
    Column("hostname", Kind.TEXT, "", "name of the machine, from the log's header"),
    Column("sample_time", Kind.TEXT, "UTC", "the sample that holds the record, which ends its interval"),
    Column("sample_interval", Kind.INTEGER, "s", "length of that interval; atop's first: since boot"),
    Column("evidence", Kind.TEXT, "", "image, collection, folder or file that was given"),
    Column("volume", Kind.TEXT, "", "volume inside the image; empty: all of it"),
    Column("filename", Kind.TEXT, "", "path of the log in the volume, folder or archive; empty: it has no name"),
    Column("inode", Kind.INTEGER, "", "number of the log in its file system"),
    Column("allocation", Kind.TEXT, "", "allocated: in that file; carved: found in the bytes of the volume or disk"),
    Column("offset", Kind.INTEGER, "byte", "where the sample's record begins: in the log, of carved in the volume"),
    Column("atop_version", Kind.TEXT, "", "who wrote the log's header, such as `atop 2.10`"),
    Column("caveat", Kind.TEXT, "", "what is wrong with the sample or the log's header; empty: nothing known"),
)
"""Where an event comes from: every event of every type has these."""

ACCURACY = Column("time_accuracy", Kind.TEXT, "", "how far the true time may lie from the one given")
"""Every event of every type has this as well."""


@dataclass(frozen=True)
class Facts:
    """What is known, in distinct rows: arrays of shape (d,) of each column that is not wholly unknown.

    A masked array in `columns` marks unknown values. `texts` are the columns of text, as indices of `values`,
    -1 for an unknown one. `rows` are columns that refer to others of these rows. `first` is the number of the first
    row: facts that go on, right behind others of their log, may be referred to together with those.
    """

    columns: Mapping[str, "NDArray[Any]"]
    texts: Mapping[str, "NDArray[np.int64]"]
    values: Sequence[str]
    rows: Mapping[str, "NDArray[np.int64]"] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True)
class Events:
    """Events of one type out of one log, by columns.

    `columns` holds arrays of shape (n,): those of `KEYS`, with `sample` (the number of the sample in its log)
    for `sample_id`, and `row` (the number of the row of `facts`) for `row_id`, and those of the type's own.
    Events that follow each other may share their facts, which are then stored once.
    """

    event_type: EventType
    columns: Mapping[str, "NDArray[Any] | Sequence[str]"]
    facts: Facts | None = None


@dataclass(frozen=True)
class Event:
    """One event as an object: its columns are attributes of it, None where the log does not know."""

    data_type: str
    timestamp_desc: str
    date_time: "DateTimeValues"
    attributes: Mapping[str, Value]

    def __getattr__(self, name: str) -> Value:
        try:
            return self.attributes[name]
        except KeyError:
            raise AttributeError(f"a {self.data_type} event has no {name}") from None
