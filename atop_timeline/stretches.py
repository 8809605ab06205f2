"""A log as several tasks, of which other processes do all but the first."""

from contextlib import closing

from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.evidence import LogFile
from atop_timeline.rawlog import WHOLE, RawLog, Stretch

_STARTING_BYTES = 1 << 22
"""Of a log: what is read here while other processes start, about."""

_SHARED_BYTES = 1 << 24
"""What there has to be besides, for less takes no less time."""


def stretches_of(file: LogFile, readers: int) -> list[Stretch]:
    """The stretches that take so many readers about the same time; all of a log where it is not worth it."""
    shared = file.size - _STARTING_BYTES
    if readers < 2 or shared < _SHARED_BYTES or not file.is_plain:  # noqa: PLR2004  one has nothing to share
        return [WHOLE]
    offsets = [_STARTING_BYTES + shared * number // readers for number in range(1, readers)]
    try:
        with closing(file.open()) as stream:
            return RawLog(stream).stretches(offsets)
    except (WrongParser, UnknownLayout, OSError):
        return [WHOLE]
