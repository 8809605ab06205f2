"""Whether a file is an atop log: once it is decompressed, it begins as one, or has samples of one."""

from typing import NamedTuple

from atop_timeline.compressed import KINDS, Compressed
from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.kinds import kind_of
from atop_timeline.layout import MAGICS
from atop_timeline.rawlog import RawLog
from atop_timeline.trees import Source

_HEAD_BYTES = 512


class Unwrapped(NamedTuple):
    """A file, the kind of compression that lies around its own bytes, and what these begin with."""

    file: Source
    wrapping: str
    head: bytes

    @property
    def source(self) -> Source:
        """Its own bytes."""
        return Compressed(self.file, self.wrapping) if self.wrapping else self.file

    @property
    def begins_as_log(self) -> bool:
        """Whether a header of atop's is where it ought to be."""
        return self.head[:4] in MAGICS

    @property
    def has_samples(self) -> bool:
        """Whether there are samples of a log whose header is lost."""
        with self.source.open() as stream:
            try:
                RawLog(stream)
            except (WrongParser, UnknownLayout):
                return False
        return True

    @property
    def inner_kind(self) -> str:
        """What the bytes are, empty if nothing known."""
        return kind_of(self.head)

    @property
    def description(self) -> str:
        """Of what is no log."""
        begins = f"begins with {self.head[:4].hex(' ')} instead of the magic" if self.head else "is empty"
        detail = f" ({self.inner_kind})" if self.inner_kind else ""
        inside = f"what is in the {self.wrapping} " if self.wrapping else ""
        return f"{inside}{begins}{detail}"


def unwrapped(source: Source) -> Unwrapped:
    """A file as it is inside its compression, if it has one. Raises `OSError` where not even a magic can be read."""
    with source.open() as stream:
        head = stream.read(_HEAD_BYTES)
    wrapping = kind_of(head)
    if wrapping not in KINDS:
        return Unwrapped(source, "", head)
    with Compressed(source, wrapping).open() as stream:
        return Unwrapped(source, wrapping, stream.read(4) + stream.peek()[: _HEAD_BYTES - 4])
