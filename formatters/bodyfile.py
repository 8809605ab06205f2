"""The body file of The Sleuth Kit, which mactime sorts together with what `fls -m` tells of files.

The columns: https://wiki.sleuthkit.org/index.php?title=Body_file and tools/timeline/mactime.base. mactime joins
rows of one second that have the same name and metadata address, and shows a name with one owner only.
"""

from collections.abc import Iterator

from atop_timeline.events import EventType
from atop_timeline.store import literal
from atop_timeline.timeline import Level, Piece, Sink, Timeline

from .fields import SECONDS
from .messages import message_of

_TIMES = ("accessed", "modified", "changed", "born")
_TIME_OF = {"Start Time": "born", "Update Time": "changed", "Exit Time": "modified", "End Time": "modified"}
"""Which time an event is; what was seen only, was accessed."""
_NEVER = "-1"  # 0 would be a row in the year 0
_NOBODY = "-1"  # mactime wants a number, and 0 is root
_MODE = "-/----------"  # of no file


class Bodyfile:
    """The format of timelines of file systems."""

    name = "bodyfile"
    suffix = ".body"
    description = "body file for mactime, to be merged with that of fls"
    loses = "fractions of seconds, and all but message, host, user id and place of the record"
    header_lines = 0

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events."""
        return timeline.write(_line, stream)


def _line(event_type: EventType) -> Iterator[Piece]:
    message = message_of(event_type)
    yield Piece(Level.LOG, f"'0|' || concat({_name('hostname')}, ' ')")
    yield Piece(Level.FACTS, literal(f"atop {event_type.name}: "))  # a thread may have the message of its process
    yield Piece(message.level(event_type), _name(message.long_sql(event_type)))
    yield Piece(Level.ORIGIN, f"concat('|', coalesce(inode, 0), '-', \"offset\", '|{_MODE}|')")
    owner = "uid" if "uid" in message.attributes() & {each.name for each in event_type.attributes} else _NOBODY
    yield Piece(Level.FACTS, f"concat(coalesce({owner}, {_NOBODY}), '|{_NOBODY}|0')")
    yield from _times(_TIME_OF.get(event_type.timestamp_desc, "accessed"))


def _times(known: str) -> Iterator[Piece]:
    for each in _TIMES:
        yield Piece(Level.TIME, f"concat('|', {SECONDS if each == known else _NEVER})")


def _name(text: str) -> str:
    """A text in a name, with `|` and the escapes of mactime escaped."""
    return f"replace(replace({text}, '%', '%25'), '|', '%7C')"
