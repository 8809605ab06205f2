"""Atop logs in a piece of evidence: a disk image, a folder, or a log by itself.

Nothing is written to evidence; nothing that one volume, directory or file does hides the others: it becomes
a `Problem`, and the rest goes on.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from atop_timeline.compressed import KINDS, Compressed
from atop_timeline.errors import EvidenceError, UnknownLayout, WrongParser
from atop_timeline.folders import Folder, HostFile, Single
from atop_timeline.kinds import ewf_segment, kind_of, read_head
from atop_timeline.layout import MAGICS
from atop_timeline.rawlog import RawLog
from atop_timeline.search import Candidate, Notes, Problem, Source, components, joined, reason
from atop_timeline.texts import decode

__all__ = ["Evidence", "LogFile", "Problem", "distinct_paths", "open_evidence"]

_MOST_HEADLESS_BYTES = 1 << 30
"""In a larger file that is no disk image, samples without a header are not looked for."""


@dataclass(frozen=True)
class LogFile:
    """A file that, once it is decompressed, begins as an atop raw log does, or has samples of one.

    `volume` is dfVFS's location without its first slash (`p1`, `p1/lvm1`), empty without a partition table.
    `path` is absolute in a volume, relative in a folder; symbolic links are resolved. What is not plain text
    in names is escaped. `size` is in bytes, as it lies there. `users` maps user ids to names, from the log's own
    machine.
    """

    evidence: str
    volume: str
    path: str
    size: int
    users: Mapping[int, str]
    _source: Source = field(repr=False)

    @property
    def where(self) -> str:
        """Where it is, for messages; a log that was given by itself is named once."""
        alone = not self.volume and os.path.basename(self.evidence) == self.path  # noqa: PTH119  a text, no path
        return self.evidence if alone else joined(self.evidence, self.volume, self.path)

    def open(self) -> BinaryIO:
        """Return a seekable buffered reader; to open and to read it may raise `OSError`."""
        return self._source.open()


class Evidence:
    """A disk image, a folder or a log, and the atop logs in it.

    `log_paths` are globs of files (`**` crosses directories) to search besides atop's own places: from the
    root of each volume, or below a folder at any depth. Raises `EvidenceError` where nothing can be searched.
    `problems` and `searched` (a short text per volume or folder) grow while `logs()` is consumed.
    """

    def __init__(self, path: str, log_paths: Sequence[str] = ()) -> None:
        self.path = path
        self._notes = Notes(decode(os.fsencode(path)))
        self.problems, self.searched = self._notes.problems, self._notes.searched
        try:
            self._finder = _finder(path, [_glob(log_path) for log_path in log_paths], self._notes)
        except EvidenceError as error:
            raise EvidenceError(f"{self._notes.evidence}: {error}") from error

    def logs(self) -> Iterator[LogFile]:
        """Atop logs, each once: volume by volume, then by path in byte order."""
        for found in self._finder.candidates():
            source = self._log_in(found)
            if source:
                path = decode(found.path)
                yield LogFile(self._notes.evidence, found.volume, path, found.size, found.users, source)

    def _log_in(self, found: Candidate) -> Source | None:
        """Where the magic is there, or at least samples where it ought to be, the log; if not, that is told."""
        where = joined(found.volume, decode(found.path))
        try:
            log = _unwrapped(found.source)
            if _begins_as_log(log) or (found.named and _has_samples(log)):
                return log.source
        except OSError as error:
            self._notes.tell(Problem(where, f"cannot be read: {reason(error)}", serious=True))
            return None
        self._notes.tell(Problem(where, _no_log(log, named=found.named), serious=found.named))
        return None


def open_evidence(paths: Sequence[str], log_paths: Sequence[str] = ()) -> list[Evidence]:
    """Open each piece of evidence among the paths, once; raises `EvidenceError` at the first that fails."""
    return [Evidence(path, log_paths) for path in distinct_paths(paths)]


def distinct_paths(paths: Sequence[str]) -> list[str]:
    """Paths in their order, without repetitions, and without later segments of split images among them."""
    given = {os.path.realpath(path) for path in paths}
    first: dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        if given.isdisjoint(_first_segments(real)):
            first.setdefault(real, path)
    return list(first.values())


class _Finder(Protocol):
    """Knows one kind of evidence."""

    def candidates(self) -> Iterator[Candidate]: ...


def _finder(path: str, log_paths: list[list[str]], notes: Notes) -> _Finder:
    try:
        if Path(path).is_dir():
            return Folder(path, log_paths, notes)
        head = _head_of_file(path)
    except (OSError, ValueError) as error:
        raise EvidenceError(reason(error)) from error
    if _is_log(path, _begins_as_log):
        return Single(path, notes)
    from atop_timeline.images import Image  # noqa: PLC0415  dfVFS takes 24 of 184 ms to start (45 cold)

    try:
        return Image(path, head, log_paths, notes)
    except EvidenceError:
        if Path(path).stat().st_size > _MOST_HEADLESS_BYTES or not _is_log(path, _has_samples):
            raise
        return Single(path, notes)


def _head_of_file(path: str) -> bytes:
    """First bytes of a file or a block device, at least one."""
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise EvidenceError("neither a file nor a folder")
    head = read_head(path)
    if not head:
        raise EvidenceError("empty")
    return head


def _glob(path: str) -> list[str]:
    """Components of a glob of files: a last `**` stands for whatever is below."""
    parts = components(path)
    return [*parts, "*"] if parts[-1:] == ["**"] else parts


class _Unwrapped(NamedTuple):
    """A file's own bytes, what they begin with, and what kind of compression lay around them."""

    source: Source
    head: bytes
    wrapping: str


def _unwrapped(source: Source) -> _Unwrapped:
    """Raises `OSError` where not even a magic can be read."""
    with source.open() as stream:
        head = stream.read(512)
    wrapping = kind_of(head)
    if wrapping not in KINDS:
        return _Unwrapped(source, head, "")
    inner = Compressed(source, wrapping)
    with inner.open() as stream:
        return _Unwrapped(inner, stream.read(4) + stream.peek()[:508], wrapping)


def _is_log(path: str, test: Callable[[_Unwrapped], bool]) -> bool:
    try:
        return test(_unwrapped(HostFile(os.fsencode(path))))
    except OSError:
        return False


def _begins_as_log(file: _Unwrapped) -> bool:
    return file.head[:4] in MAGICS


def _has_samples(file: _Unwrapped) -> bool:
    """Whether there are samples of a log whose header is lost."""
    with file.source.open() as stream:
        try:
            RawLog(stream)
        except (WrongParser, UnknownLayout):
            return False
    return True


def _no_log(file: _Unwrapped, *, named: bool) -> str:
    kind = kind_of(file.head)
    begins = f"begins with {file.head[:4].hex(' ')} instead of the magic" if file.head else "is empty"
    detail = f" ({kind})" if kind else ""
    inside = f" what is in the {file.wrapping}" if file.wrapping else ""
    return f"{'named like an atop log, but' if named else 'no atop log:'}{inside} {begins}{detail}"


def _first_segments(path: str) -> list[str]:
    """Names of the first segment, if this path were a later segment of a split image."""
    stem, _, suffix = path.rpartition(".")
    firsts = [re.sub(r"-(flat|[fs]\d+)\.vmdk$", ".vmdk", path)]
    if re.fullmatch(r"[0-9]{3,}", suffix) and int(suffix) > 0:  # fewer digits: a rotated log
        firsts += [f"{stem}.{number:0{len(suffix)}d}" for number in (0, 1)]
    elif re.fullmatch("a[a-z]+|A[A-Z]+", suffix):
        firsts.append(f"{stem}.{suffix[0] * len(suffix)}")
    elif _is_later_ewf(path):
        firsts += [f"{stem}.{letter}{number}" for letter in "EeLlSs" for number in ("01", "x01")]
    return [first for first in firsts if first != path]


def _is_later_ewf(path: str) -> bool:
    try:
        return Path(path).is_file() and ewf_segment(read_head(path)) > 1
    except (OSError, ValueError):
        return False
