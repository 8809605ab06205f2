"""The messages of events, from the YAML files beside this module, as SQL over an event's columns.

The syntax is that of Plaso's conditional event formatters (plaso/formatters/interface.py): a piece holds at most
one attribute and is left out where that is unknown; the pieces are joined by blanks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from atop_timeline.events import EventType
from atop_timeline.store import literal, quoted
from atop_timeline.timeline import Level

_ATTRIBUTE = re.compile(r"{(\w+)}")
_SHORT_CHARACTERS = 80  # plaso/formatters/interface.py
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it


@dataclass(frozen=True)
class Message:
    """How the events of one data type speak."""

    data_type: str
    message: tuple[str, ...]
    short_message: tuple[str, ...]
    short_source: str
    source: str

    def attributes(self) -> set[str]:
        """The columns that the message or the short message has."""
        return set(_ATTRIBUTE.findall(" ".join(self.message + self.short_message)))

    def level(self, event_type: EventType) -> Level:
        """How often the messages of this type are made."""
        own = {each.name for each in event_type.own}
        return Level.FACTS if own.isdisjoint(self.attributes()) else Level.EVENT

    def long_sql(self, event_type: EventType) -> str:
        """The message of an event of this type; one line, of any length."""
        return _joined(self.message, event_type)

    def short_sql(self, event_type: EventType) -> str:
        """The short message, cut where Plaso cuts it."""
        return cut(_joined(self.short_message, event_type), _SHORT_CHARACTERS)


def message_of(event_type: EventType) -> Message:
    """The messages of an event type; one that has none in the YAML files tells its attributes as Plaso would."""
    try:
        return _messages()[event_type.data_type]
    except KeyError:
        pieces = tuple(f"{each.name}: {{{each.name}}}" for each in event_type.attributes)
        return Message(event_type.data_type, ("Attributes:", *pieces), pieces, "LOG", event_type.data_type)


def levels_of(event_type: EventType) -> dict[str, Level]:
    """How often each attribute of a type is looked up, by name."""
    levels = {each.name: Level.FACTS for each in event_type.columns}
    return levels | {each.name: Level.EVENT for each in event_type.own}


def cut(text: str, most: int) -> str:
    """SQL for a text of at most so many characters, which shows where it was cut."""
    return once(text, f"CASE WHEN length(each) > {most} THEN left(each, {most - 3}) || '...' ELSE each END")


def once(text: str, expression: str) -> str:
    """SQL for an expression that has a text several times, as `each`; the text is written, and made, once."""
    return f"list_transform([{text}], lambda each: {expression})[1]"


@cache
def _messages() -> dict[str, Message]:
    found = {}
    for file in sorted(files(__package__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            for each in yaml.load_all(file.read_text(encoding="utf-8"), _LOADER):
                found[each["data_type"]] = Message(
                    each["data_type"],
                    tuple(each["message"]),
                    tuple(each["short_message"]),
                    each["short_source"],
                    each["source"],
                )
    return found


def _joined(pieces: Sequence[str], event_type: EventType) -> str:
    names = {each.name for each in event_type.attributes}
    known = [each for each in pieces if names.issuperset(_ATTRIBUTE.findall(each))]
    return f"concat_ws(' ', {', '.join(_piece(each) for each in known)})"


def _piece(piece: str) -> str:
    """SQL for a piece of a message; NULL where its attribute is not known."""
    parts = enumerate(_ATTRIBUTE.split(piece))  # texts, and the names of attributes between them
    return " || ".join(quoted(each) if number % 2 else literal(each) for number, each in parts if each)
