"""TLN, five fields a line, as Plaso's output module writes them.

The fields: plaso/output/tln.py and https://forensics.wiki/tln. What would part fields or descriptions becomes a blank.
"""

from collections.abc import Iterator

from atop_timeline.events import EventType
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .fields import DATETIME, SECONDS
from .messages import message_of

_HEADER = b"Time|Source|Host|User|Description\n"


class Tln:
    """The format of timelines that are put together by hand."""

    name = "tln"
    suffix = ".tln"
    description = "TLN of five fields"
    loses = "pipes and semicolons, and all but time, host, user and message"
    header_lines = 1

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events under a header."""
        stream.write(_HEADER)
        return timeline.write(_line, stream)


def _line(event_type: EventType) -> Iterator[Piece]:
    message = message_of(event_type)
    yield Piece(Level.TIME, f"concat({SECONDS}, {literal(f'|{message.short_source}|')})")
    yield Piece(Level.LOG, f"{_value('hostname')} || '|'")
    has_user = any(each.name == "username" for each in event_type.attributes)
    yield Piece(Level.FACTS, f"{_value('username')} || '|'" if has_user else "'-|'")
    yield Piece(Level.TIME, f"concat({DATETIME}, {literal(f'; {event_type.timestamp_desc}; ')})")
    yield Piece(message.level(event_type), f"translate({message.long_sql(event_type)}, '|;', '  ')")


def _value(name: str) -> str:
    return f"coalesce(nullif(replace({name}, '|', ' '), ''), '-')"
