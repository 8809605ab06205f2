"""Folders for temporary files: removed when the run ends, or by a later one where that was not possible.

As long as its owner lives, a folder holds a lock that the owner has. Its inode's number is written there as well, so
that what only looks like a folder left behind, such as a copy out of somebody's evidence, stays.
"""

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from atop_timeline.errors import StoreError

_PREFIX = ".atop-timeline-"
_LOCK = "lock"


class TemporaryFolder:
    """A new folder in a place; `remove` it, or use it as a context.

    Raises `OSError` where none can be made. Of the same place, folders go that nobody owns any more.
    """

    def __init__(self, place: str) -> None:
        _remove_leftovers(Path(place))
        self.path = Path(os.path.abspath(place)) / f"{_PREFIX}{os.urandom(8).hex()}"  # noqa: PTH100  no link is followed
        self._end = partial(_remove_own, self.path, os.getpid())
        atexit.register(self._end)  # before there is anything to remove: an interrupt may come at any time
        self._lock = _made(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Removes it with all that is in it; where that is interrupted, the program's end does."""
        self._end()
        atexit.unregister(self._end)
        self._lock.close()


def folder_in(place: str) -> TemporaryFolder:
    """A folder in a place; raises `StoreError` where none can be made."""
    try:
        return TemporaryFolder(place)
    except OSError as error:
        raise StoreError(f"temporary files in {place}: {error.strerror}; --temp-dir chooses another place") from error


@contextmanager
def all_in(place: str) -> Iterator[None]:
    """Has the temporary files of `tempfile` in a folder of their own in a place."""
    before = tempfile.tempdir
    with folder_in(place) as folder:
        tempfile.tempdir = str(folder.path)
        try:
            yield
        finally:
            tempfile.tempdir = before


def _made(folder: Path) -> BinaryIO:
    """Its lock."""
    while True:
        folder.mkdir(0o700)
        with suppress(FileNotFoundError):  # another run took it for one left behind
            return _locked(folder)


def _locked(folder: Path) -> BinaryIO:
    lock = (folder / _LOCK).open("xb", buffering=0)
    try:
        with suppress(OSError):  # some file systems have no locks: there, nobody removes what is left behind
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(_mark(folder))
    except OSError:
        lock.close()
        _remove(folder)
        raise
    return lock


def _mark(folder: Path) -> bytes:
    return b"%d\n" % folder.lstat().st_ino


def _remove_own(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a worker process is not
        _remove(folder)


def _remove(folder: Path) -> None:
    """The lock goes last: what has none is nobody's to remove."""
    with suppress(OSError):
        for each in folder.iterdir():
            if each.name != _LOCK:
                shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, in use, or removed meanwhile
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                _remove_leftover(folder)


def _remove_leftover(folder: Path) -> None:
    """Raises `OSError` where it is somebody's."""
    if not os.listdir(folder):  # noqa: PTH208  just whether there is anything
        folder.rmdir()
    elif stat.S_ISREG((folder / _LOCK).lstat().st_mode):
        with (folder / _LOCK).open("r+b", buffering=0) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.read(32) == _mark(folder):
                _remove(folder)
