"""What is in a tar archive: in place, or kept while it is decompressed, once from front to back."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from atop_timeline.compressed import Passing
from atop_timeline.errors import EvidenceError
from atop_timeline.notes import reason
from atop_timeline.openers.archives.names import MANY, Names
from atop_timeline.openers.archives.pieces import Pieces, Span
from atop_timeline.openers.archives.spools import Spool
from atop_timeline.openers.archives.tars import Flow, InPlace, Member, members
from atop_timeline.streams import READ_BYTES
from atop_timeline.texts import decode
from atop_timeline.trees import Entry, Kind, Source

Wanted = Callable[[bytes, bytes], bool]
"""Whether a file may matter, by its path and its first bytes."""

_HEAD_BYTES = 512
_KEPT_LEAST, _KEPT_INFLATION = 1 << 26, 100  # as much as an atop log may inflate
_SPANS_MOST = 1_000_000


class _Place(NamedTuple):
    """Where a member's bytes are that is sparse or torn; else the offset alone says it."""

    spans: tuple[Span, ...]
    size: int
    missing: str


class TarContents:
    """Members of a tar archive whose bytes lie in `source`."""

    def __init__(self, source: Source, wanted: Wanted) -> None:
        self.names = Names()
        self._source = source
        self._wanted = wanted
        self._spans_left = _SPANS_MOST
        self._passed = 0

    def source(self, file: Entry) -> Source:
        """See `Tree`."""
        place = file.handle
        if not isinstance(place, _Place):
            place = _Place((Span(0, place, file.size),), file.size, "")
        return Pieces(self._source, place.spans, place.size, place.missing)

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        return bytes(link.handle)

    def add(self, member: Member, offset: int, available: int) -> None:
        """Add a member of whose stored bytes so many are to be had at this offset of the source."""
        if self.names.are_many and not self._wanted(member.path, b""):
            self._passed += 1
        elif member.kind is Kind.LINK:
            self._name(member, member.link)
        elif member.kind is not Kind.FILE or not member.is_hard_link:
            self._name(member, self._handle(member, offset, available))
        elif (target := self.names.find(member.link)) and target.kind is Kind.FILE:
            self._name(member._replace(size=target.size), target.handle)
        elif self._wanted(member.path, b""):
            self.names.lose(
                f"{decode(member.path)}: hard link to {decode(member.link)}, which is not kept or not there"
            )

    def close(self) -> None:
        """All members were added."""
        if self._passed:
            self.names.lose(f"more than {MANY} names; {self._passed} that are not named like logs are passed over")

    def _name(self, member: Member, handle: Any) -> None:  # noqa: ANN401  as in Entry
        try:
            self.names.add(member.path, member.kind, member.size, handle)
        except EvidenceError as error:
            self.names.lose(str(error))

    def _handle(self, member: Member, offset: int, available: int) -> int | _Place:
        if available == member.stored == member.size:
            return offset
        whole = [span for span in member.spans if span.offset < available]
        spans = tuple(Span(span.place, offset + span.offset, min(span.size, available - span.offset)) for span in whole)
        self._spans_left -= len(spans)
        if self._spans_left < 0:
            return _Place((), 0, f"sparse files in more than {_SPANS_MOST} pieces")
        if available == member.stored:
            return _Place(spans, member.size, "")
        size = spans[-1].place + spans[-1].size if spans else 0
        return _Place(spans, size, f"{member.size} bytes expected, {size} found in this archive")


def tar_in_place(source: Source, wanted: Wanted) -> TarContents:
    """What is in a seekable tar archive."""
    contents = TarContents(source, wanted)
    with source.open() as stream:
        feed = InPlace(stream)
        flow = Flow(feed)
        for member in members(flow):
            if isinstance(member, EvidenceError):
                contents.names.lose(str(member))
            else:
                contents.add(member, flow.offset, min(member.stored, feed.size - flow.offset))
        if feed.failure:
            contents.names.lose(feed.failure)
    contents.close()
    return contents


def kept_tar(source: Source, kind: str, wanted: Wanted) -> TarContents:
    """What may matter in a compressed tar archive."""
    spool = Spool(source, kind)
    contents = TarContents(spool, wanted)
    with source.open() as stream:
        size = stream.seek(0, os.SEEK_END)
        keeper = _Keeper(spool, _KEPT_LEAST + _KEPT_INFLATION * size, contents.names)
        feed = Passing(stream, kind)
        flow = Flow(feed)
        for member in members(flow):
            if isinstance(member, EvidenceError):
                contents.names.lose(str(member))
            elif member.kind is not Kind.FILE or member.is_hard_link:
                if wanted(member.path, b""):
                    contents.add(member, 0, 0)
            else:
                head = flow.read(min(member.stored, _HEAD_BYTES))
                if wanted(member.path, head):
                    offset = spool.size
                    contents.add(member, offset, keeper.keep(flow, head, member.stored))
        if feed.failure:
            contents.names.lose(feed.failure)
    keeper.close()
    contents.close()
    return contents


class _Keeper:
    """Keeps bytes in a temporary file, as long as there is room."""

    def __init__(self, spool: Spool, most: int, names: Names) -> None:
        self._spool = spool
        self._most = most
        self._names = names
        self._is_full = False

    def keep(self, flow: Flow, head: bytes, size: int) -> int:
        """Of so many bytes, the first of which are given, as many as are to be had; how many these are."""
        data, kept, start = head, 0, flow.offset - len(head)
        while data and self._is_written(data, start + kept):
            kept += len(data)
            data = flow.take(min(size - kept, READ_BYTES))
        return kept

    def close(self) -> None:
        """Nothing more is to be kept."""
        try:
            self._spool.close()
        except OSError as error:
            self._stop(f"no room for {self._spool.size} bytes of members: {reason(error)}")

    def _is_written(self, data: bytes, offset: int) -> bool:
        """Whether there was room for what is at an offset of the flow."""
        if self._is_full:
            return False
        if self._spool.size + len(data) > self._most:
            self._stop(f"more than {self._most} bytes of members that may be logs; the others are not kept")
            return False
        try:
            self._spool.write(data, offset)
        except OSError as error:
            self._stop(f"no room for more than {self._spool.size} bytes of members: {reason(error)}")
        return not self._is_full

    def _stop(self, why: str) -> None:
        self._is_full = True
        self._names.lose(why)
