"""A folder or a log by itself: by the operating system, for dfVFS wants names that are UTF-8."""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import BinaryIO

from atop_timeline.search import (
    HOMES,
    LOG_NAME,
    OTHER_NAME,
    READ_BYTES,
    Candidate,
    Notes,
    Problem,
    components,
    read_users,
    reason,
)
from atop_timeline.texts import decode


@dataclass(frozen=True)
class HostFile:
    """A file of this machine."""

    path: bytes

    def open(self) -> BinaryIO:
        """See `Source`."""
        return io.open(self.path, "rb", buffering=READ_BYTES)  # noqa: UP020  not to be read as this method


class Single:
    """A log by itself."""

    def __init__(self, path: str, notes: Notes) -> None:
        self._path = Path(path)
        self._notes = notes

    def candidates(self) -> Iterator[Candidate]:
        """Itself."""
        self._notes.note_searched("", "atop log")
        name, source = os.fsencode(self._path.name), HostFile(os.fsencode(self._path))
        yield Candidate("", name, self._path.stat().st_size, {}, source, named=True)


class Folder:
    """A mounted image, a triage collection, or copied logs."""

    def __init__(self, path: str, log_paths: Sequence[list[str]], notes: Notes) -> None:
        self._notes = notes
        self._top = os.path.abspath(os.fsencode(path))  # noqa: PTH100  resolve() would follow links
        self._asked = [["**", LOG_NAME], *(["**", *log_path] for log_path in log_paths)]
        self._other = ["**", *components(HOMES[0]), OTHER_NAME]
        self._users = cache(_users)

    def candidates(self) -> Iterator[Candidate]:
        """Regular files, each once, by path in byte order."""
        self._notes.note_searched("", "folder")
        seen = set()
        for path in sorted(self._files()):
            found = os.lstat(path)
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                users, name = self._users(self._root(path)), os.path.relpath(path, self._top)
                yield Candidate("", name, found.st_size, users, HostFile(path), self._named(path))

    def _files(self) -> Iterator[bytes]:
        """Regular files that have the name or the place of a log; links are not followed."""
        folders = [self._top]
        while folders:
            for path, is_folder in self._entries(folders.pop()):
                if is_folder:
                    folders.append(path)
                elif self._named(path) or _matches(_names(path), self._other):
                    yield path

    def _entries(self, folder: bytes) -> list[tuple[bytes, bool]]:
        """Paths of the folders (True) and the regular files in a folder."""
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder or entry.is_file(follow_symlinks=False):
                        found.append((entry.path, is_folder))
        except OSError as error:
            where = decode(os.path.relpath(folder, self._top))
            self._notes.tell(Problem(where, f"cannot be searched: {reason(error)}", serious=True))
        return found

    def _named(self, path: bytes) -> bool:
        return any(_matches(_names(path), pattern) for pattern in self._asked)

    def _root(self, path: bytes) -> bytes:
        """Root directory of the machine that wrote this log: what /var/log/atop lies in, or the folder."""
        root, home, _ = path.rpartition(f"/{HOMES[0]}/".encode())
        return root + b"/" if home else self._top


def _users(root: bytes) -> dict[int, str]:
    """Users of a file tree; no link in it is followed, it would lead to the analyst's own /etc."""
    etc, passwd = root + b"/etc", root + b"/etc/passwd"
    try:
        if not (stat.S_ISDIR(os.lstat(etc).st_mode) and stat.S_ISREG(os.lstat(passwd).st_mode)):
            return {}
        with HostFile(passwd).open() as stream:
            return read_users(stream)
    except OSError:
        return {}


def _names(path: bytes) -> list[str]:
    return components(os.fsdecode(path))


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether path components match a glob's; `**` stands for any number of them."""
    if not names or not pattern:
        return not names and set(pattern) <= {"**"}
    if pattern[-1] == "**":
        return _matches(names, pattern[:-1]) or _matches(names[:-1], pattern)
    return fnmatchcase(names[-1], pattern[-1]) and _matches(names[:-1], pattern[:-1])
