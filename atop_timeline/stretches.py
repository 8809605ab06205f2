"""A log as several tasks, of which other processes do all but the first."""

from contextlib import closing

from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.evidence import LogFile
from atop_timeline.rawlog import WHOLE, RawLog, Stretch

_LEAST_BYTES = 1 << 22
"""Of a log: less takes no less time when it is shared."""


def stretches_of(file: LogFile, readers: int) -> list[Stretch]:
    """The stretches that take so many readers about the same time; all of a log where it is not worth it."""
    if readers < 2 or file.size < _LEAST_BYTES or not file.is_plain:  # noqa: PLR2004  one has nothing to share
        return [WHOLE]
    offsets = [file.size * number // readers for number in range(1, readers)]
    try:
        with closing(file.open()) as stream:
            return RawLog(stream).stretches(offsets)
    except (WrongParser, UnknownLayout, OSError):
        return [WHOLE]
