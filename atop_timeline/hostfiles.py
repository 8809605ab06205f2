"""Files of this machine, opened without a trace: reading them leaves their time of last access as it was."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atop_timeline.streams import READ_BYTES

_NO_ACCESS_TIME: int = getattr(os, "O_NOATIME", 0)  # Linux alone has it


def opened(path: bytes | str, buffering: int = READ_BYTES) -> BinaryIO:
    """A file or a block device, to be read; raises `OSError`.

    Where the file is somebody else's and the reader not privileged (open(2), EPERM), its time of last access
    may change.
    """
    return open(path, "rb", buffering=buffering, opener=_descriptor)


def kept_input() -> str:
    """Path of a file that holds what came on standard input; it is gone when the program ends."""
    kept = tempfile.NamedTemporaryFile(prefix="atop-timeline-", delete=False)  # noqa: SIM115  it is needed longer
    atexit.register(Path(kept.name).unlink, missing_ok=True)
    with kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    return kept.name


@contextmanager
def opened_folder(path: bytes) -> Iterator[int]:
    """The descriptor of a folder, for `os.scandir`; raises `OSError`."""
    descriptor = _descriptor(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _descriptor(path: bytes | str, flags: int) -> int:
    try:
        return os.open(path, flags | _NO_ACCESS_TIME)
    except PermissionError:
        return os.open(path, flags)


@dataclass(frozen=True)
class HostFile:
    """A file of this machine, by its path from the root: other processes may work in other folders."""

    path: bytes

    def open(self) -> BinaryIO:
        """See `Source`."""
        return opened(self.path)


def host_file(path: str) -> HostFile:
    """A file by any path."""
    return HostFile(os.fsencode(Path(path).absolute()))
