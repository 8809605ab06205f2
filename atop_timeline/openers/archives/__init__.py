"""Collections as evidence: zip and tar archives, tar also compressed, whole or damaged.

Nothing is ever unpacked by its name. What is in place is read there; of a compressed tar, which is decompressed
once, what may matter is kept in a temporary file.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from atop_timeline.compressed import KINDS, Passing
from atop_timeline.errors import EvidenceError
from atop_timeline.keys import Keys
from atop_timeline.kinds import kind_of
from atop_timeline.notes import reason
from atop_timeline.openers.archives import tarblocks, zips
from atop_timeline.openers.archives.names import Names
from atop_timeline.openers.archives.tarcontents import kept_tar, tar_in_place
from atop_timeline.openers.archives.tars import Flow
from atop_timeline.openers.archives.zipcontents import ZipContents
from atop_timeline.trees import Entry, Kind, Source

_TAR, _ZIP = "tar archive", "zip archive"


class Contents(Protocol):
    """What is in an archive."""

    names: Names

    def source(self, file: Entry) -> Source:
        """See `Tree`."""
        ...

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        ...


class ArchiveTree:
    """What is in an archive, or of a compressed tar what may matter; what is lost is told in its top directory."""

    name: str = ""
    is_rooted = is_case_blind = False

    def __init__(self, kind: str, contents: Contents) -> None:
        self.kind = kind
        self._contents = contents

    def top(self) -> tuple[Entry]:
        """See `Tree`."""
        return (Entry(b"", Kind.FOLDER, 0, None, 0),)

    def entries(self, folder: Entry) -> Iterator[Entry | EvidenceError]:
        """See `Tree`; a name comes once for each member that has it."""
        names = self._contents.names
        yield from names.entries(folder.handle)
        if folder.handle == 0:
            yield from names.losses()

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        return self._contents.target(link)

    def source(self, file: Entry) -> Source:
        """See `Tree`; the bytes are to be had as long as this source or the tree is there."""
        return self._contents.source(file)


def is_archive(source: Source) -> bool:
    """Whether `archive` can open this."""
    try:
        return bool(_kinds(source)[0])
    except OSError:
        return False


def archive(source: Source, keys: Keys, wanted: Callable[[bytes, bytes], bool]) -> ArchiveTree:
    """Open an archive; raises `EvidenceError` if it is none that can be read.

    `wanted` tells by a path and first bytes (none for links) whether a file may matter; of a compressed tar no
    others are kept.
    """
    try:
        kind, wrapping = _kinds(source)
        if kind == _ZIP:
            return ArchiveTree(kind, ZipContents(source, keys, wanted))
        if kind == _TAR and wrapping:
            return ArchiveTree(f"{kind} in {wrapping}", kept_tar(source, wrapping, wanted))
        if kind == _TAR:
            return ArchiveTree(kind, tar_in_place(source, wanted))
    except OSError as error:
        raise EvidenceError(reason(error)) from error
    raise EvidenceError("neither a zip nor a tar archive")


def _kinds(source: Source) -> tuple[str, str]:
    """What kind of archive this is, empty if none, and how it is compressed, empty if not."""
    with source.open() as stream:
        head = stream.read(tarblocks.BLOCK_BYTES)
        wrapping = kind_of(head)
        if wrapping in KINDS:
            inner = Flow(Passing(stream, wrapping)).read(tarblocks.BLOCK_BYTES)
            return _TAR if _is_tar(inner) else "", wrapping
        if _is_tar(head):
            return _TAR, ""
        return _ZIP if wrapping == _ZIP or zips.directory(stream) else "", ""


def _is_tar(head: bytes) -> bool:
    return kind_of(head) == _TAR or tarblocks.header(head) is not None
