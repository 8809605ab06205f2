"""The file that a result is written to: whole or not at all."""

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from atop_timeline.errors import AtopTimelineError, OutputError, UsageError
from atop_timeline.segments import first_segments
from atop_timeline.temporary import TemporaryFolder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STANDARD_OUTPUT = "-"


class Counted(io.RawIOBase):
    """A stream that knows how much went through it, in bytes, and its SHA-256 if that is wanted."""

    def __init__(self, stream: IO[bytes], *, hashed: bool) -> None:
        super().__init__()
        self._stream = stream
        self._digest = hashlib.sha256() if hashed else None
        self.size = 0

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Passes on all of the data, and gives its size."""
        size = memoryview(data).nbytes
        self.size += size  # before: an interrupt may come when some of it has gone
        self._stream.write(data)
        if self._digest:
            self._digest.update(data)
        return size

    @property
    def told(self) -> dict[str, Any]:
        """What there is to tell of it; the SHA-256 in hexadecimal digits."""
        return {"size": self.size} | ({"sha256": self._digest.hexdigest()} if self._digest else {})


@contextmanager
def whole_told(there: Callable[[], Iterable[str]]) -> Iterator[None]:
    """An interrupt tells which of the files `there` have come by then: they are whole."""
    before = _states(there())
    try:
        yield
    except KeyboardInterrupt as error:
        whole = [path for path, state in _states(there()).items() if before.get(path) != state]
        if not whole or str(error):
            raise
        raise KeyboardInterrupt(f"{', '.join(whole)} {'is' if len(whole) == 1 else 'are'} whole") from error


def check(path: str, *, overwrite: bool) -> None:
    """Raises `OutputError` if nothing can be written there, or something stands there that must not be replaced."""
    if path == STANDARD_OUTPUT:
        return
    target = Path(path)
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            target.lstat()
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error
    if target.is_dir():
        raise OutputError(f"{path}: Is a directory")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: {'Not a directory' if target.parent.exists() else 'No such file or directory'}")
    if target.is_file() and not overwrite:
        raise OutputError(f"{path} exists already; --overwrite replaces it")


def show(lines: Iterable[str]) -> None:
    """Prints what was asked for, on standard output; raises `OutputError` where it cannot."""
    with opened(STANDARD_OUTPUT, overwrite=False) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())


def folder_beside(path: str) -> str:
    """Where temporary files of this output go: its folder, but the system's own where it is no file."""
    if path == STANDARD_OUTPUT or is_no_file(path):
        return tempfile.gettempdir()
    return os.path.dirname(os.path.realpath(path))  # noqa: PTH120  realpath's


def check_apart(outputs: Sequence[str], sources: Sequence[str], folder: str) -> None:
    """Raises `UsageError` where an output would lie in evidence, take its place, or that of another output.

    The folder, for temporary files, must not lie in evidence either.
    """
    taken = {os.path.realpath(source): source for source in sources}
    for path in outputs:
        real = path if path == STANDARD_OUTPUT else os.path.realpath(path)
        if real in taken:
            raise UsageError(f"{path}: {taken[real]} is there; one file cannot be both")
        for place in (*first_segments(real), *map(str, Path(real).parents)):
            if place in taken:
                raise UsageError(f"{path}: belongs to the evidence {taken[place]}, to which nothing is written")
        taken[real] = path
    real_folder = os.path.realpath(folder)
    for place in (real_folder, *map(str, Path(real_folder).parents)):
        if place in taken:
            raise UsageError(f"{folder}: temporary files would be in the evidence {taken[place]}; see --temp-dir")


@contextmanager
def opened(path: str, *, overwrite: bool, hashed: bool = False) -> Iterator[Counted]:
    """A stream to write to; the file gets its name when all is written, and is removed if anything fails.

    Raises `OutputError` where it cannot be written.
    """
    check(path, overwrite=overwrite)
    with os_errors(path):
        if path == STANDARD_OUTPUT:
            if sys.stdout is None:  # its descriptor was closed when Python started
                raise OutputError("standard output is closed")
            with _begun("standard output", Counted(sys.stdout.buffer, hashed=hashed)) as counted:
                yield counted
                sys.stdout.buffer.flush()
            return
        if is_no_file(path):  # a device or a pipe is written to, not replaced
            with Path(path).open("wb") as stream, _begun(path, Counted(stream, hashed=hashed)) as counted:
                yield counted
            return
        target = Path(os.path.realpath(path))
        with TemporaryFolder(str(target.parent)) as folder:
            unfinished = folder.path / "unfinished"
            with unfinished.open("xb") as stream:
                yield Counted(stream, hashed=hashed)
            check(path, overwrite=overwrite)
            unfinished.replace(target)


@contextmanager
def _begun(name: str, stream: Counted) -> Iterator[Counted]:
    """A stream to what cannot be taken back: an interrupt tells so."""
    try:
        yield stream
    except KeyboardInterrupt as error:
        if not stream.size or str(error):
            raise
        raise KeyboardInterrupt(f"{name} has not got all") from error


def _states(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """What tells a file from one that takes its place, of those that there are."""
    files = [each for each in paths if each != STANDARD_OUTPUT and os.path.isfile(each)]  # noqa: PTH113  never raises
    return {each: (state.st_ino, state.st_mtime_ns) for each in files if (state := Path(each).stat())}


@contextmanager
def os_errors(path: str) -> Iterator[None]:
    """Raises `OutputError` where the system cannot write there."""
    try:
        yield
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain when it ends
        raise OutputError("standard output was closed before all was written") from error
    except AtopTimelineError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def is_no_file(path: str) -> bool:
    """Whether there is something that is no file, such as a device."""
    return os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113  never raise
