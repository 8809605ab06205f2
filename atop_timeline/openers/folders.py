"""A folder as a tree: by the operating system, for dfVFS wants names that are UTF-8."""

import os
import stat
from collections.abc import Iterator

from atop_timeline.errors import EvidenceError
from atop_timeline.hostfiles import HostFile, opened_folder
from atop_timeline.notes import reason
from atop_timeline.trees import Entry, Kind

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


class FolderTree:
    """A mounted image, a triage collection, or copied logs; an entry's handle is its path."""

    name = ""
    kind = "folder"
    is_rooted = is_case_blind = False

    def __init__(self, path: str) -> None:
        self._top = os.path.abspath(os.fsencode(path))  # noqa: PTH100  resolve() would follow links
        self._device = os.stat(self._top).st_dev  # noqa: PTH116  of bytes

    def top(self) -> tuple[Entry, ...]:
        """See `Tree`."""
        names = self._top.split(b"/")[1:] if self._top != b"/" else []
        paths = [b"/" + b"/".join(names[:end]) for end in range(len(names) + 1)]
        return tuple(Entry(name, Kind.FOLDER, 0, None, path) for name, path in zip([b"", *names], paths, strict=True))

    def entries(self, folder: Entry) -> Iterator[Entry | EvidenceError]:
        """See `Tree`; inode numbers are those of the folder's own file system alone."""
        try:
            with opened_folder(folder.handle) as descriptor, os.scandir(descriptor) as found:
                for each in found:
                    yield self._entry(folder.handle, each)
        except OSError as error:
            yield EvidenceError(reason(error))

    def target(self, link: Entry) -> bytes:
        """See `Tree`."""
        try:
            target: bytes = os.readlink(link.handle)  # noqa: PTH115  of bytes
        except OSError as error:
            raise EvidenceError(reason(error)) from error
        return target

    def source(self, file: Entry) -> HostFile:
        """See `Tree`."""
        return HostFile(file.handle)

    def _entry(self, folder: bytes, each: "os.DirEntry[str]") -> Entry | EvidenceError:
        name = os.fsencode(each.name)
        try:
            found = each.stat(follow_symlinks=False)
        except OSError as error:
            return EvidenceError(reason(error))
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), Kind.OTHER)
        inode = found.st_ino if found.st_dev == self._device else None
        return Entry(name, kind, found.st_size, inode, os.path.join(folder, name))  # noqa: PTH118  of bytes
