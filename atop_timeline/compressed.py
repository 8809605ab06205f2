"""A compressed file as the bytes in it: gzip, xz, bzip2 or zstd, damaged or cut short, one behind another.

RFC 1952, RFC 8878 and https://tukaani.org/xz/xz-file-format.txt; a member is what those call member, frame
and stream. Every byte that can be had is given; what is lost is told to whoever reads on to the end of them.
"""

import bz2
import errno
import io
import lzma
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from isal import igzip_lib

from atop_timeline.errors import EvidenceError
from atop_timeline.kinds import kind_of
from atop_timeline.notes import reason
from atop_timeline.streams import READ_BYTES, sought
from atop_timeline.trees import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST_WINDOW_BITS = 27  # 128 MiB, as zstd itself; xz -9 needs 65 MiB
_MEMORY_BYTES = 1 << 22
_LOOK_BACK_BYTES = 1 << 20  # a bzip2 block has 900 KB: a member cut short by another is read that far into it
_FEW_BYTES = 1 << 9  # at first, or many small members would be read over and over
_MOST_LOSSES = 10_000
_TOLD_LOSSES = 3


class Promised(NamedTuple):
    """What an archive says of what it holds: how many bytes, and their CRC-32."""

    size: int
    crc: int


@dataclass(frozen=True)
class Compressed:
    """What is in a compressed file; `kind` is its kind, one of `KINDS` or `BARE_KINDS`."""

    source: Source
    kind: str
    promised: Promised | None = None

    def open(self) -> io.BufferedReader:
        """See `decompressed`."""
        return decompressed(self.source.open(), self.kind, self.promised)


def decompressed(stream: BinaryIO, kind: str, promised: Promised | None = None) -> io.BufferedReader:
    """What is in a seekable compressed stream, decompressed as far as is read; closes the stream when closed.

    A read that goes beyond the last byte raises `EvidenceError` if anything was lost; to seek never does.
    `read1()` and `peek()` give what there is before they raise. What was decompressed is kept, in memory or in
    a temporary file.
    """
    return io.BufferedReader(_Decompressed(stream, _Members(stream, kind, _LOG, promised)), READ_BYTES)


class Passing:
    """What is in a compressed archive, once from front to back; nothing of it is kept."""

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        self._members = _Members(stream, kind, _ARCHIVE)
        self._pieces = self._members.pieces()
        self._next = b""
        self._losses = 0

    @property
    def failure(self) -> str:
        """What was lost so far, in one line."""
        return self._members.failure

    def chunk(self) -> bytes:
        """The bytes that come next; none at the end, and once where bytes before those to come are lost."""
        piece, self._next = self._next or next(self._pieces, b""), b""
        if piece and self._members.losses > self._losses:
            self._losses, self._next = self._members.losses, piece
            return b""
        return piece


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Format(NamedTuple):
    """How to read members, and how to find one amid damage; None where one is all there is."""

    decompressor: Callable[[], _Decompressor]
    member: re.Pattern[bytes] | None


class _Limit(NamedTuple):
    """How much may come out: this many bytes, and so many for each that goes in."""

    least: int
    inflation: int
    whose: str


_LOG = _Limit(1 << 26, 100, "no atop log does")  # it is made of zlib streams, hardly anything is left to gain
_ARCHIVE = _Limit(1 << 35, 1100, "no archive of logs should")  # gzip reaches 1032


def _gzip() -> _Decompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << _MOST_WINDOW_BITS)


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _MOST_WINDOW_BITS})


def _deflate() -> _Decompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)


def _lzma() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << _MOST_WINDOW_BITS)


_FORMATS = {
    "gzip": _Format(_gzip, re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)),
    "xz": _Format(_xz, re.compile(rb"\xfd7zXZ\x00\x00[\x00-\x0f]")),
    "bzip2": _Format(bz2.BZ2Decompressor, re.compile(rb"BZh[1-9]1AY&SY")),
    "zstd": _Format(_zstd, re.compile(rb"\x28\xb5\x2f\xfd[\x00\x04 $@D`d\x80\x84\xa0\xa4\xc0\xc4\xe0\xe4]")),
    "deflate": _Format(_deflate, None),
    "lzma": _Format(_lzma, None),
}
KINDS = frozenset(kind for kind, each in _FORMATS.items() if each.member)
"""What can be read, as `kind_of` names it."""
BARE_KINDS = frozenset({*_FORMATS, "stored"}) - KINDS
"""What can be read besides in archives, where other bytes tell how long it is."""

_ERRORS: tuple[type[Exception], ...] = (
    igzip_lib.error,  # type: ignore[assignment]  # it is a class
    lzma.LZMAError,
    zstd.ZstdError,
    OSError,  # bz2's
    ValueError,
)


class _Decompressed(io.RawIOBase):
    """The decompressed bytes, of which those that were asked for and all before them are kept."""

    def __init__(self, stream: BinaryIO, members: "_Members") -> None:
        super().__init__()
        self._stream = stream
        self._members = members
        self._pieces = self._members.pieces()
        self._spool = tempfile.SpooledTemporaryFile(_MEMORY_BYTES, buffering=0)  # noqa: SIM115  closed in close()
        self._kept = 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._pieces.close()
            self._spool.close()
            self._stream.close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            self._keep(sys.maxsize)
        self._position = sought(offset, whence, self._position, self._kept)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        self._keep(self._position + len(view))
        self._spool.seek(self._position)
        data = self._spool.read(len(view))
        if not data and self._members.failure:
            raise EvidenceError(self._members.failure)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _keep(self, end: int) -> None:
        """Decompress as far as this, or as is possible."""
        try:
            while self._kept < end and (piece := next(self._pieces, b"")):
                self._write(piece)
        except OSError as error:
            self._pieces.close()
            self._members.stopped = f"no room for more than {self._kept} decompressed bytes: {reason(error)}"

    def _write(self, piece: bytes) -> None:
        wanted = self._kept + len(piece)
        try:
            self._spool.seek(self._kept)
            self._spool.write(piece)
        finally:
            self._kept = self._spool.seek(0, os.SEEK_END)
        if self._kept < wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Mark(NamedTuple):
    """How far a member was read: an offset in the file, and how many bytes came out up to there."""

    offset: int
    given: int


class _Steps(NamedTuple):
    """How many bytes go in and come out at a time, at most."""

    into: int
    out: int


_COARSE = _Steps(1 << 16, 1 << 18)
_FINER = _Steps(1, 1 << 8), _Steps(1, 1)
"""For damaged members: what comes out in a step that fails is lost, so the member is run through again."""


class _Members:
    """The members of a compressed file, one behind another, and what is lost of them."""

    def __init__(self, stream: BinaryIO, kind: str, limit: _Limit, promised: Promised | None = None) -> None:
        self._stream = stream
        self._kind = kind
        self._limit = limit
        self._promised = promised
        self._size = 0
        self._failed_at = 0
        self.losses = 0
        self._told: list[str] = []
        self.stopped = ""

    @property
    def failure(self) -> str:
        """What was lost so far, in one line: the first losses, how many more, why it was not read further."""
        more = f"{self.losses - _TOLD_LOSSES} more" if self.losses > _TOLD_LOSSES else ""
        told = " / ".join(filter(None, [*self._told, more, self.stopped]))
        return f"{self._kind}: {told}" if told else ""

    def pieces(self) -> Generator[bytes, None, None]:
        """Decompressed bytes, none of them empty, up to a limit."""
        try:
            self._size = self._stream.seek(0, os.SEEK_END)
            left = limit = self._limit.least + self._limit.inflation * self._size
            for piece in self._checked() if self._promised else self._all():
                left -= len(piece)
                if left < 0:
                    whose = self._limit.whose
                    self.stopped = f"inflates to more than {limit} bytes, which {whose}; not read further"
                    return
                yield piece
        except OSError as error:
            self.stopped = f"cannot be read: {reason(error)}"

    def _checked(self) -> Iterator[bytes]:
        found = Promised(0, 0)
        for piece in self._all():
            found = Promised(found.size + len(piece), zlib.crc32(piece, found.crc))
            yield piece
        if found != self._promised and self._promised and not self.losses:
            size, crc = self._promised
            self._lose(f"{size} bytes with CRC {crc:08x} expected, {found.size} with {found.crc:08x} found")

    def _all(self) -> Iterator[bytes]:
        if self._kind in BARE_KINDS:
            yield from self._member(0) if self._kind in _FORMATS else self._stored()
            return
        offset = 0
        while (offset := self._next(offset)) < self._size:
            if self.losses > _MOST_LOSSES:
                self.stopped = f"not read further than offset {offset}"
                return
            offset = yield from self._member(offset)

    def _stored(self) -> Iterator[bytes]:
        offset = 0
        while piece := self._read(offset, _COARSE.out):
            yield piece
            offset += len(piece)

    def _next(self, offset: int) -> int:
        """Where a member begins: here, behind padding, or behind what is neither."""
        offset = self._behind_zeros(offset)
        head = self._read(offset, 8)
        if not head or kind_of(head) == self._kind:
            return offset
        found = self._find(offset)
        self._lose(f"no member at offset {offset}, but {head[:4].hex(' ')}; {found - offset} bytes passed over")
        return found

    def _behind_zeros(self, offset: int) -> int:
        size = 8
        while data := self._read(offset, size):
            rest = data.lstrip(b"\x00")
            offset += len(data) - len(rest)
            if rest:
                break
            size = _COARSE.into
        return offset

    def _find(self, offset: int) -> int:
        """Where something begins that looks like a member; the end of the file if nothing does."""
        size, pattern = _FEW_BYTES, _FORMATS[self._kind].member
        while pattern and (data := self._read(offset, size + 16)):
            if found := pattern.search(data):
                return offset + found.start()
            offset, size = offset + size, min(2 * size, _COARSE.into)
        return self._size

    def _member(self, start: int) -> Generator[bytes, None, int]:
        """What a member gives; returns where the next may begin."""
        mark, failure = yield from self._run(start, _Mark(start, 0), _COARSE)
        for steps in _FINER:
            if failure and mark.offset < self._size:
                mark, failure = yield from self._run(start, mark, steps)
        return self._behind(start, mark.offset, failure) if failure else mark.offset

    def _run(self, start: int, good: _Mark, fine: _Steps) -> Generator[bytes, None, tuple[_Mark, str]]:
        run = _Run(_FORMATS[self._kind].decompressor(), start, good, fine)
        while not run.ended:
            data = self._read(run.mark.offset, run.most_in)
            if not data:
                return run.mark, f"ends at offset {self._size} without its end marker"
            try:
                yield from run.feed(data)
            except _ERRORS as error:
                return run.mark, f"is damaged at offset {run.mark.offset}: {reason(error)}"
        return run.mark, ""

    def _behind(self, start: int, offset: int, failure: str) -> int:
        """Where to read on behind a damaged member: also in it, it may be cut short by the next."""
        found = self._find(max(start + 1, offset - _LOOK_BACK_BYTES, self._failed_at))
        self._failed_at = max(offset, self._failed_at)
        where = f"member at offset {start} " if start else ""
        lost = f"; {found - offset - 1} bytes passed over" if found > offset + 1 else ""
        self._lose(f"{where}{failure}{lost}")
        return found

    def _lose(self, what: str) -> None:
        self.losses += 1
        if self.losses <= _TOLD_LOSSES:
            self._told.append(what)

    def _read(self, offset: int, size: int) -> bytes:
        self._stream.seek(offset)
        return self._stream.read(size)


class _Run:
    """One member from its start: in coarse steps as far as it is known to be good, then in fine ones."""

    def __init__(self, decompressor: _Decompressor, start: int, good: _Mark, fine: _Steps) -> None:
        self.mark = _Mark(start, 0)
        self._decompressor = decompressor
        self._start = start
        self._good = good
        self._fine = fine

    @property
    def ended(self) -> bool:
        """Whether its end marker was found."""
        return self._decompressor.eof

    @property
    def most_in(self) -> int:
        """How many bytes to feed next."""
        known = self._good.offset - self.mark.offset
        read = self.mark.offset - self._start
        return min(known if known > 0 else self._fine.into, max(read, _FEW_BYTES), _COARSE.into)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes out that did not in the run before."""
        rest = data
        while output := self._decompressor.decompress(rest, self._most_out):
            is_new = self.mark.given >= self._good.given
            self.mark = self.mark._replace(given=self.mark.given + len(output))
            if is_new:
                yield output
            if self.ended:
                break
            rest = b""
        read = len(data) - len(self._decompressor.unused_data)
        self.mark = self.mark._replace(offset=self.mark.offset + read)

    @property
    def _most_out(self) -> int:
        known = self._good.given - self.mark.given
        return min(known, _COARSE.out) if known > 0 else self._fine.out
