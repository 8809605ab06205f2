"""l2tcsv, the 17 columns of the older log2timeline, as Plaso's output module writes them.

The columns: plaso/output/l2t_csv.py and shared_dsv.py. Nothing is quoted; commas in values become blanks.
"""

from collections.abc import Iterator

from atop_timeline.events import ACCURACY, EventType, Kind
from atop_timeline.store import literal
from atop_timeline.timeline import ORIGINS, Level, Piece, Sink, Timeline

from .messages import levels_of, message_of

_HEADER = (
    b"date,time,timezone,MACB,source,sourcetype,type,user,host,short,desc,version,filename,inode,notes,format,extra\n"
)
_ACCESSED = frozenset({"Start Time"})  # plaso/output/mediator.py, GetMACBRepresentationFromDescriptions
_RESERVED = frozenset({"filename", "hostname", "inode", "offset", "username"})  # plaso/output/l2t_csv.py

_ALWAYS_KNOWN = "atop_version"


class L2tCsv:
    """The format of older timeline tools and of colour templates for spreadsheets."""

    name = "l2tcsv"
    suffix = ".l2tcsv"
    description = "log2timeline CSV of 17 columns"
    loses = "fractions of seconds, commas, types; quotes are not escaped, spreadsheets may run cells"
    header_lines = 1

    def write(self, timeline: Timeline, stream: Sink) -> int:
        """Writes all events under a header."""
        stream.write(_HEADER)
        return timeline.write(lambda event_type: _line(timeline, event_type), stream)


def _line(timeline: Timeline, event_type: EventType) -> Iterator[Piece]:
    message = message_of(event_type)
    yield Piece(Level.TIME, "strftime(make_timestamp(time_us), '%m/%d/%Y,%H:%M:%S,UTC,')")
    macb = ".A.." if event_type.timestamp_desc in _ACCESSED else "...."
    constants = (macb, message.short_source, message.source, event_type.timestamp_desc)
    yield Piece(Level.TIME, literal(",".join(constants) + ","))
    yield Piece(Level.FACTS, f"{_value('username')} || ','" if _has(event_type, "username") else "'-,'")
    yield Piece(Level.LOG, f"{_value('hostname')} || ','")
    short, long = message.short_sql(event_type), message.long_sql(event_type)
    yield Piece(message.level(event_type), f"concat({_plain(short)}, ',', {_plain(long)}, ',2,')")
    yield Piece(Level.LOG, f"{_value('filename')} || ',' || coalesce(CAST(inode AS VARCHAR), '-') || ',-,atop,'")
    yield from _extra(timeline, event_type, message.attributes())


def _extra(timeline: Timeline, event_type: EventType, told: set[str]) -> Iterator[Piece]:
    """`name: value` of what the message does not tell, sorted, with `; ` between them."""
    of_type = levels_of(event_type)
    levels = {each.name: (of_type[each.name], each.kind) for each in timeline.attributes(event_type)}
    levels |= {each.name: (level, each.kind) for each, level in ORIGINS.items()}
    levels |= {ACCURACY.name: (Level.ACCURACY, ACCURACY.kind)}
    for name in sorted(levels.keys() - told - _RESERVED, key=lambda name: f"{name}:"):
        level, kind = levels[name]
        before = "; " if name > _ALWAYS_KNOWN else ""
        behind = "; " if name < _ALWAYS_KNOWN else ""
        yield Piece(level, f"'{before}{name}: ' || {_shown(name, kind)} || '{behind}'")


def _shown(name: str, kind: Kind) -> str:
    """A value as Python shows it."""
    match kind:
        case Kind.FLAG:
            return f"CASE WHEN \"{name}\" THEN 'True' WHEN NOT \"{name}\" THEN 'False' END"
        case Kind.TEXT:
            return _plain(f"nullif(\"{name}\", '')")
        case _:
            return _plain(f'"{name}"')


def _has(event_type: EventType, name: str) -> bool:
    return any(each.name == name for each in event_type.attributes)


def _value(name: str) -> str:
    return f"coalesce({_shown(name, Kind.TEXT)}, '-')"


def _plain(sql: str) -> str:
    return f"replace(CAST({sql} AS VARCHAR), ',', ' ')"
