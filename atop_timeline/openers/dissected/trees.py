"""File systems by dissect as trees: their names, and the bytes of their files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, BinaryIO

from dissect.btrfs import Btrfs

from atop_timeline.errors import EvidenceError
from atop_timeline.openers.dissected.btrfs import BtrfsFiles, subvolumes
from atop_timeline.openers.dissected.disks import exactly
from atop_timeline.openers.dissected.files import Files, files_on
from atop_timeline.openers.dissected.layers import FAILURES, Layer, read_at, stream_of, why
from atop_timeline.streams import buffered
from atop_timeline.texts import decode
from atop_timeline.trees import Entry, Kind

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


@dataclass(frozen=True)
class DissectTree:
    """A file system on one or more layers; an entry's handle is what `Files` knows it by.

    `subvolume` is the number of one of a Btrfs, else 0.
    """

    name: str
    kind: str
    layers: tuple[Layer, ...]
    subvolume: int = 0
    is_rooted = True

    @property
    def is_case_blind(self) -> bool:
        """See `Tree`."""
        return self.kind.startswith(("FAT", "NTFS"))

    def top(self) -> tuple[Entry, ...]:
        """See `Tree`."""
        try:
            return (_entry("", self._files(), self._files().top),)
        except FAILURES as error:
            raise EvidenceError(why(error)) from error

    def entries(self, folder: Entry) -> Iterator[Entry | EvidenceError]:
        """See `Tree`."""
        try:
            files = self._files()
            for name, handle in files.names(folder.handle):
                if name not in {".", ".."}:
                    yield _entry_or_error(name, files, handle)
        except FAILURES as error:
            yield EvidenceError(why(error))

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        try:
            return _raw(self._files().link(link.handle))
        except FAILURES as error:
            raise EvidenceError(why(error)) from error

    def source(self, file: Entry) -> "DissectFile":
        """See `Tree`."""
        return DissectFile(self.layers, self.subvolume, file.handle, file.size)

    def _files(self) -> Files:
        return _files_in(os.getpid(), self.layers, self.subvolume)


def tree_of(name: str, layers: tuple[Layer, ...], subvolume: int = 0) -> DissectTree:
    """The tree of a file system; raises any of `FAILURES` where it cannot be read."""
    files = _files_in(os.getpid(), layers, subvolume)
    files.node(files.top)
    return DissectTree(name, files.kind, layers, subvolume)


def _entry_or_error(name: str, files: Files, handle: Any) -> Entry | EvidenceError:  # noqa: ANN401  as above
    try:
        return _entry(name, files, handle)
    except FAILURES as error:
        return EvidenceError(f"{decode(_raw(name))}: {why(error)}")


def _entry(name: str, files: Files, handle: Any) -> Entry:  # noqa: ANN401  as above
    """With Python's own numbers: those of dissect's cannot be pickled."""
    mode, size, inode = files.node(handle)
    kind = _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
    plain = int(handle) if isinstance(handle, int) else handle
    return Entry(_raw(name), kind, int(size), None if inode is None else int(inode), plain)


def _raw(name: str) -> bytes:
    """The bytes of a name; of one in UTF-16 that is no text, what is nearest to it."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class DissectFile:
    """A file of a tree, by the handle that its file system knows it by."""

    layers: tuple[Layer, ...]
    subvolume: int
    handle: Any
    size: int

    def open(self) -> BinaryIO:
        """See `Source`."""
        try:
            stream = _files_in(os.getpid(), self.layers, self.subvolume).open(self.handle)
        except FAILURES as error:
            raise EvidenceError(why(error)) from error
        if hasattr(stream, "_read"):
            exactly(stream)
        return buffered(partial(read_at, stream), self.size)


def subvolumes_on(layers: tuple[Layer, ...]) -> Iterator[tuple[int, str]]:
    """Numbers and paths of the subvolumes of a Btrfs on these devices; raises any of `FAILURES`."""
    return subvolumes(_btrfs_in(os.getpid(), layers))


@lru_cache(maxsize=16)
def _btrfs_in(process: int, layers: tuple[Layer, ...]) -> Any:  # noqa: ANN401, ARG001  as with streams
    return Btrfs([stream_of(layer) for layer in layers])


@lru_cache(maxsize=64)
def _files_in(process: int, layers: tuple[Layer, ...], subvolume: int) -> Files:
    if subvolume:
        return BtrfsFiles(_btrfs_in(process, layers), subvolume)
    return files_on(stream_of(layers[0]))
