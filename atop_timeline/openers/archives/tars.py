"""A tar archive from front to back, whole or damaged, in place or as it is decompressed.

What is torn is given as far as it goes; behind damage it goes on at the next header with a magic.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, cast

from atop_timeline.errors import EvidenceError
from atop_timeline.notes import reason
from atop_timeline.openers.archives import tarblocks
from atop_timeline.openers.archives.pieces import Span
from atop_timeline.openers.archives.tarblocks import BLOCK_BYTES, Header
from atop_timeline.streams import READ_BYTES
from atop_timeline.texts import decode
from atop_timeline.trees import Kind

if TYPE_CHECKING:
    import io

_EXTENDED_MOST = 1 << 20
_HOLES_MOST, _INFLATION_MOST = 1 << 30, 100
_KINDS = {b"2": Kind.LINK, b"3": Kind.OTHER, b"4": Kind.OTHER, b"5": Kind.FOLDER, b"6": Kind.OTHER, b"D": Kind.FOLDER}
_WITHOUT_DATA = frozenset({b"1", b"2", b"3", b"4", b"5", b"6", b"V"})
_ABOUT_ALL = frozenset({b"g", b"V"})
_EXTENDED = frozenset({b"x", b"X", b"L", b"K"})
_WHAT_IT_TELLS = {b"L": b"path", b"K": b"linkpath"}
_TRIES_MOST = 1_000_000
"""So often what looks like a header may be none."""
_ZEROS = bytes(BLOCK_BYTES)


class Feed(Protocol):
    """Where an archive's bytes come from."""

    def chunk(self) -> bytes:
        """The bytes that come next; none at the end, and once where bytes before those to come are lost."""
        ...


class InPlace:
    """The bytes of a seekable archive; what is passed over is not read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = cast("io.BufferedReader", stream)
        self._offset = 0
        self.size = stream.seek(0, os.SEEK_END)
        self.failure = ""

    def chunk(self) -> bytes:
        """See `Feed`."""
        try:
            self._stream.seek(self._offset)
            data = self._stream.read1(READ_BYTES)
        except OSError as error:
            self.failure = f"offset {self._offset}: cannot be read: {reason(error)}"
            return b""
        self._offset += len(data)
        return data

    def jump(self, size: int) -> int:
        """How many of so many bytes were passed over."""
        jumped = min(size, self.size - self._offset)
        self._offset += jumped
        return jumped


class Flow:
    """Bytes in their order, each given once; `offset` is that of the next.

    Where some are lost nothing more is given, until a header is found behind them.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._chunk = b""
        self._at = 0
        self._is_torn = False
        self._tries_left = _TRIES_MOST
        self.offset = 0

    def read(self, size: int) -> bytes:
        """So many bytes, if there are."""
        data = self.take(size)
        while len(data) < size and (part := self.take(size - len(data))):
            data += part
        return data

    def take(self, most: int) -> bytes:
        """At least one byte, if there is one."""
        if most and self._at == len(self._chunk) and not self._is_torn:
            self._chunk, self._at = self._feed.chunk(), 0
            self._is_torn = not self._chunk
        data = self._chunk[self._at : self._at + most]
        self._pass(len(data))
        return data

    def give_back(self, data: bytes) -> None:
        """What was read last is to be read again."""
        self._chunk, self._at = data + self._chunk[self._at :], 0
        self.offset -= len(data)

    def skip(self, size: int) -> int:
        """How many of so many bytes were passed over."""
        start = self.offset
        self._pass(min(size, len(self._chunk) - self._at))
        if isinstance(self._feed, InPlace):
            self.offset += self._feed.jump(start + size - self.offset)
        while self.offset < start + size and self.take(min(start + size - self.offset, READ_BYTES)):
            pass
        return self.offset - start

    def skip_zeros(self) -> None:
        """To the first byte that is none."""
        while data := self.take(READ_BYTES):
            if rest := data.lstrip(b"\x00"):
                self.give_back(rest)
                return

    def find_header(self) -> bool:
        """Go on to where a member's header with a magic is; to the end if there is none."""
        window, has_ended = b"", False
        while not has_ended:
            more = self.take(READ_BYTES)
            if not more:
                window, self._is_torn = b"", False
                more = self.take(READ_BYTES)
            window, has_ended = window + more, not more
            for found in tarblocks.MAGIC.finditer(window, tarblocks.MAGIC_OFFSET):
                start = found.start() - tarblocks.MAGIC_OFFSET
                self._tries_left -= 1
                if tarblocks.header(window[start : start + BLOCK_BYTES]) or self.has_given_up:
                    self.give_back(window[start:])
                    return not self.has_given_up
            window = window[1 - BLOCK_BYTES :]
        return False

    @property
    def has_given_up(self) -> bool:
        """Whether too much looked like a header."""
        return self._tries_left <= 0

    def _pass(self, size: int) -> None:
        self._at += size
        self.offset += size


class Member(NamedTuple):
    """A member; its bytes are those that its archive's flow gives next, `stored` of them.

    `link` is what a symbolic link says, or the path of an earlier member that a hard link is. `spans` are counted
    from the first byte that is stored; they and the stored bytes are all, what is between them is zeros.
    """

    path: bytes
    kind: Kind
    size: int
    link: bytes
    is_hard_link: bool
    stored: int
    spans: tuple[Span, ...]


def members(flow: Flow) -> Iterator[Member | EvidenceError]:
    """Members of an archive in their order, duplicates too; between them what is lost.

    Whoever iterates may read a member's bytes from the flow before going on.
    """
    walk = _Walk(flow)
    while not walk.has_ended:
        yield from walk.step()


class _Walk:
    """Where in an archive we are, and what was told of the member to come."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._told: dict[bytes, bytes] = {}
        self._is_closed = False
        self.has_ended = False

    def step(self) -> Iterator[Member | EvidenceError]:
        """What the next block brings."""
        block = self._flow.read(BLOCK_BYTES)
        if block == _ZEROS:
            self._flow.skip_zeros()
            self._told, self._is_closed = {}, True
        elif header := tarblocks.header(block):
            self._is_closed = False
            yield from self._with(header, block)
        else:
            self._told = {}
            yield from self._behind(block)

    def _behind(self, block: bytes) -> Iterator[EvidenceError]:
        """Go on behind what is no header."""
        self._flow.give_back(block)
        start = self._flow.offset
        is_found = self._flow.find_header()
        passed = self._flow.offset - start
        if passed or is_found:
            stopped = ", not read further" if self._flow.has_given_up else ""
            found = f"but {block[:4].hex(' ')}" if block else "where bytes are lost"
            yield EvidenceError(f"no member at offset {start}, {found}; {passed} bytes passed over{stopped}")
        elif not self._is_closed:
            yield EvidenceError(f"ends at offset {start} without its end marker")
        self.has_ended = not is_found

    def _with(self, header: Header, block: bytes) -> Iterator[Member | EvidenceError]:
        if header.flag in _EXTENDED:
            yield from self._extend(header)
        elif header.flag in _ABOUT_ALL:
            self._flow.skip(_padded(_stored(header)))
        else:
            told, self._told = self._told, {}
            yield from self._member(_full(header, told), told, block)

    def _extend(self, header: Header) -> Iterator[EvidenceError]:
        """Keep what is told of the next member."""
        size = header.size
        if size > _EXTENDED_MOST:
            start = self._flow.offset
            self._flow.skip(_padded(size))
            yield EvidenceError(f"offset {start}: {size} bytes about a member, {_EXTENDED_MOST} at most are read")
            return
        data = self._flow.read(_padded(size))[:size]
        key = _WHAT_IT_TELLS.get(header.flag)
        self._told.update({key: data.rstrip(b"\x00")} if key else tarblocks.records(data))

    def _member(self, header: Header, told: dict[bytes, bytes], block: bytes) -> Iterator[Member | EvidenceError]:
        begin = self._flow.offset
        numbers, size = self._sparse(header, told, block)
        start = self._flow.offset
        stored = _stored(header) if header.flag == b"S" else _stored(header) - (start - begin)
        spans = (Span(0, 0, stored),) if numbers is None else tarblocks.spans_of(numbers, size, stored)
        where = f"{decode(header.path)}, member at offset {begin}"
        if spans is None or size > _HOLES_MOST + _INFLATION_MOST * stored:
            yield EvidenceError(f"{where}: sparse file whose map makes no sense for {size} bytes; passed over")
        else:
            yield Member(header.path, _kind(header), size, header.link, header.flag == b"1", stored, spans)
        self._flow.skip(start + _padded(max(stored, 0)) - self._flow.offset)
        if self._flow.offset < start + stored:
            self._is_closed = True
            yield EvidenceError(f"{where}: {stored} bytes expected, {self._flow.offset - start} found")

    def _sparse(self, header: Header, told: dict[bytes, bytes], block: bytes) -> tuple[list[int] | None, int]:
        """Map of a sparse file, and its size; no map where it is none."""
        if header.flag == b"S":
            return self._gnu_map(block), tarblocks.gnu_size(block)
        size = tarblocks.decimal(told.get(b"GNU.sparse.realsize", told.get(b"GNU.sparse.size", b"")))
        if size is None:
            return None, _stored(header)
        if told.get(b"GNU.sparse.major") == b"1":
            return self._stored_map(), size
        return tarblocks.pax_map(told), size

    def _gnu_map(self, block: bytes) -> list[int]:
        """In a header, and in further blocks behind it."""
        numbers, goes_on = tarblocks.gnu_map(block, 386, 4), block[482:483]
        while goes_on not in (b"", b"\x00"):
            block = self._flow.read(BLOCK_BYTES)
            goes_on = block[504:505]
            if len(numbers) <= 2 * tarblocks.SPARSE_MOST:
                numbers += tarblocks.gnu_map(block, 0, 21)
        return numbers

    def _stored_map(self) -> list[int]:
        """Before a sparse file's bytes: how many pieces, then their places and sizes, a line each."""
        numbers: list[int] = []
        rest = b""
        while not numbers or len(numbers) <= 2 * min(numbers[0], tarblocks.SPARSE_MOST):
            block = self._flow.read(BLOCK_BYTES)
            *lines, rest = (rest + block).split(b"\n")
            read = [tarblocks.decimal(line) for line in lines]
            if not lines or None in read:
                return [-1, -1]
            numbers += [number for number in read if number is not None]
        return numbers[1 : 2 * numbers[0] + 1]


def _full(header: Header, told: dict[bytes, bytes]) -> Header:
    """A header, and what was told of its member before it."""
    size = tarblocks.decimal(told.get(b"size", b""))
    return Header(
        told.get(b"GNU.sparse.name", told.get(b"path", header.path)),
        header.flag,
        header.size if size is None or size > tarblocks.MOST_BYTES else size,
        told.get(b"linkpath", header.link),
    )


def _kind(header: Header) -> Kind:
    is_old_folder = header.flag == b"\x00" and header.path.endswith(b"/")
    return Kind.FOLDER if is_old_folder else _KINDS.get(header.flag, Kind.FILE)


def _stored(header: Header) -> int:
    return 0 if header.flag in _WITHOUT_DATA else header.size


def _padded(size: int) -> int:
    return size + -size % BLOCK_BYTES
