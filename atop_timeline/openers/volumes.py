"""A file system of a disk image, by dfVFS: its names, and the bytes of its files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from dfvfs.lib import definitions
from dfvfs.lib import errors as dfvfs_errors
from dfvfs.path import factory

from atop_timeline.errors import EvidenceError
from atop_timeline.notes import reason
from atop_timeline.openers.access import Access
from atop_timeline.streams import buffered
from atop_timeline.trees import Entry, Kind

FAILURES = (
    *(dfvfs_errors.Error, OSError, KeyError, ValueError, OverflowError, RuntimeError),
    *(AttributeError, TypeError),  # of names that are missing
)
"""What dfVFS and the libraries under it raise over damaged, locked or unknown volumes and files."""

_EXT, _XFS, _FAT, _NTFS = (
    *(definitions.TYPE_INDICATOR_EXT, definitions.TYPE_INDICATOR_XFS),
    *(definitions.TYPE_INDICATOR_FAT, definitions.TYPE_INDICATOR_NTFS),
)
_WITH_INODES, _LISTED_BY_INDEX = (_EXT, _XFS), (_EXT, _XFS, _FAT, _NTFS)
_CASE_BLIND = (_FAT, _NTFS, definitions.TYPE_INDICATOR_TSK)
_MFT_ENTRY_BITS = 48  # of a file reference, the others count its uses
_KINDS = {
    definitions.FILE_ENTRY_TYPE_FILE: Kind.FILE,
    definitions.FILE_ENTRY_TYPE_DIRECTORY: Kind.FOLDER,
    definitions.FILE_ENTRY_TYPE_LINK: Kind.LINK,
}
_NAMES = {_EXT: "ext2/3/4", definitions.TYPE_INDICATOR_TSK: "ISO 9660 or other"}
_KINDS_BY_MODE = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


class DfvfsTree:
    """A file system of an image; an entry's handle is its path specification."""

    is_rooted = True

    def __init__(self, access: Access, root: Any) -> None:  # noqa: ANN401  dfVFS has no types
        self._access = access.to(root)
        self.name = volume_name(root)
        self.kind = f"{_NAMES.get(root.type_indicator, root.type_indicator)} file system"
        self.is_case_blind = root.type_indicator in _CASE_BLIND
        self._root = root

    def top(self) -> tuple[Entry, ...]:
        """See `Tree`."""
        try:
            return (_entry(b"", self._file_system().GetRootFileEntry()),)
        except FAILURES as error:
            raise EvidenceError(reason(error)) from error

    def entries(self, folder: Entry) -> Iterator[Entry | EvidenceError]:
        """See `Tree`.

        By index where possible: dfVFS's own listing ends at the first name that is not UTF-8, so that
        creating such a file would hide the logs behind it.
        """
        try:
            directory = self._file_entry(folder.handle)
            if self._root.type_indicator in _LISTED_BY_INDEX:
                yield from self._entries_by_index(folder, directory)
            else:
                yield from (_entry(os.fsencode(each.name), each) for each in directory.sub_file_entries)
        except FAILURES as error:
            yield EvidenceError(reason(error))

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        try:
            return os.fsencode(self._file_entry(link.handle).link)
        except FAILURES as error:
            raise EvidenceError(reason(error)) from error

    def source(self, file: Entry) -> "DfvfsFile":
        """See `Tree`."""
        return DfvfsFile(self._access, self._root, file.handle)

    def _entries_by_index(self, folder: Entry, directory: Any) -> Iterator[Entry | EvidenceError]:  # noqa: ANN401
        inner = getattr(directory, f"Get{self._root.type_indicator}FileEntry")()
        for index in range(inner.number_of_sub_file_entries):
            try:
                entry = self._child(folder, inner.get_sub_file_entry(index))
                if entry.name not in (b".", b".."):
                    yield entry
            except FAILURES as error:
                yield EvidenceError(f"entry {index}: {reason(error)}")

    def _child(self, folder: Entry, inner: Any) -> Entry:  # noqa: ANN401  as above
        numbers = self._numbers(inner)
        try:
            name, readable = inner.name.encode("utf-8", "surrogatepass"), True
        except FAILURES:
            name, readable = b"(undecodable name, inode %d)" % next(iter(numbers.values())), False
        separator = self._file_system().PATH_SEPARATOR
        location = f"{folder.handle.location.rstrip(separator)}{separator}{inner.name if readable else '?'}"
        kwargs = {**numbers, "location": location, "parent": self._root.parent}
        spec = factory.Factory.NewPathSpec(self._root.type_indicator, **kwargs)
        if self._root.type_indicator not in _WITH_INODES:
            return _entry(name, self._file_entry(spec))._replace(readable=readable)
        kind = _KINDS_BY_MODE.get(stat.S_IFMT(inner.file_mode), Kind.OTHER)
        return Entry(name, kind, inner.size, numbers["inode"], spec, readable)

    def _numbers(self, inner: Any) -> dict[str, int]:  # noqa: ANN401  as above
        """What a path specification knows a file by, besides its location."""
        match self._root.type_indicator:
            case definitions.TYPE_INDICATOR_FAT:
                return {"identifier": inner.identifier}
            case definitions.TYPE_INDICATOR_NTFS:
                entry = inner.file_reference & ((1 << _MFT_ENTRY_BITS) - 1)
                return {"mft_entry": entry, "mft_attribute": inner.name_attribute_index}
            case _:
                return {"inode": inner.inode_number}

    def _file_system(self) -> Any:  # noqa: ANN401  as above
        return self._access.file_system(self._root)

    def _file_entry(self, spec: Any) -> Any:  # noqa: ANN401  as above
        entry = self._file_system().GetFileEntryByPathSpec(spec)
        if entry is None:
            raise EvidenceError(f"{spec.location} is not there")
        return entry


def _entry(name: bytes, entry: Any) -> Entry:  # noqa: ANN401  dfVFS has no types
    kind = _KINDS.get(entry.entry_type, Kind.OTHER)
    spec = entry.path_spec
    inode = getattr(spec, "inode", None) or getattr(spec, "mft_entry", None)
    return Entry(name, kind, entry.size or 0, inode, spec)


def volume_name(spec: Any) -> str:  # noqa: ANN401  dfVFS has no types
    """`p1/lvm2`; the whole image has no name, a gap between partitions is named by where it begins."""
    if spec is None or spec.IsSystemLevel():
        return ""
    parent = volume_name(spec.parent)
    if not spec.IsVolumeSystem() or spec.IsVolumeSystemRoot():
        return parent
    own = (getattr(spec, "location", None) or f"gap@{spec.start_offset}").strip("/")
    return f"{parent}/{own}" if parent else own


@dataclass(frozen=True)
class DfvfsFile:
    """A file of a volume, as dfVFS's path specifications of the volume's root and of the file."""

    access: Access
    root: Any
    spec: Any

    def open(self) -> BinaryIO:
        """See `Source`."""
        try:
            entry = self.access.file_system(self.root).GetFileEntryByPathSpec(self.spec)
            return buffered(partial(read_at, entry.GetFileObject()), entry.size)
        except FAILURES as error:
            raise EvidenceError(reason(error)) from error


@dataclass(frozen=True)
class DfvfsVolume:
    """The bytes of a volume, as a path specification of dfVFS's."""

    access: Access
    spec: Any

    def open(self) -> BinaryIO:
        """See `Source`."""
        try:
            volume = self.access.file_object(self.spec)
            return buffered(partial(read_at, volume), volume.get_size())
        except FAILURES as error:
            raise EvidenceError(reason(error)) from error


def read_at(file_object: Any, offset: int, size: int) -> bytes:  # noqa: ANN401  dfVFS has no types
    """Bytes of an open file of dfVFS's; raises `EvidenceError` where there are none to be had."""
    try:
        file_object.seek(offset)
        return bytes(file_object.read(size))
    except FAILURES as error:
        raise EvidenceError(f"offset {offset}: {reason(error)}") from error
