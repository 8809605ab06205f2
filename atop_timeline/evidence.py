"""Atop logs in a piece of evidence: a disk image, a collection, a folder, a log by itself, or bytes to carve.

Nothing is written to evidence; nothing that one volume, directory or file does hides the others: it becomes
a `Problem`, and the rest goes on.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from atop_timeline import openers
from atop_timeline.compressed import decompressed
from atop_timeline.errors import EvidenceError, UsageError
from atop_timeline.hostfiles import HostFile, kept_input
from atop_timeline.keys import Keys
from atop_timeline.kinds import kind_of, read_head
from atop_timeline.notes import Notes, Problem, joined, reason
from atop_timeline.openers.archives import archive, is_archive
from atop_timeline.openers.folders import FolderTree
from atop_timeline.recognition import Unwrapped, unwrapped
from atop_timeline.search import Candidate, Promise, Search, matters, places
from atop_timeline.segments import distinct_paths, missing_segments
from atop_timeline.streams import Hashed
from atop_timeline.texts import decode
from atop_timeline.trees import OPENERS, Image, Source, Tree, Volume

__all__ = ["Evidence", "LogFile", "Problem", "Wanted", "open_evidence"]

STANDARD_INPUT = "-"
_MOST_HEADLESS_BYTES = 1 << 30
"""In a larger file that is no disk image, samples without a header are not looked for."""
_OF_DAMAGED = frozenset({"", "text", "zeros"})
"""As what a log may appear whose header was overwritten."""


@dataclass(frozen=True)
class Wanted:
    """What to look for in evidence, and how.

    `log_paths` are globs of files (`**` crosses directories) to search besides atop's own places: from the
    root of each volume, or below a folder at any depth. `scan` looks at every regular file. `carve` searches
    raw bytes for samples that belong to no file any more. `volumes` names the volumes to search, by default
    all. `opener` is one of `trees.OPENERS`.
    """

    log_paths: Sequence[str] = ()
    scan: bool = False
    carve: bool = False
    volumes: Sequence[str] = ()
    opener: str = OPENERS[0]
    keys: Keys = field(default_factory=Keys)


@dataclass(frozen=True)
class LogFile:
    """A file that, once it is decompressed, begins as an atop raw log does, or has samples of one.

    `volume` is its volume's name (`p1`, `p1/lvm1`), empty without a partition table. `path` is absolute in a
    volume, relative in a folder or archive; symbolic links are resolved. What is not plain text in names is
    escaped. `size` is in bytes, as it lies there; `inode` None where there are none. `users` maps user ids to
    names, from the log's own machine. `is_carved`: no file, but all bytes of a volume or disk, to be searched.
    """

    evidence: str
    volume: str
    path: str
    size: int
    inode: int | None
    users: Mapping[int, str]
    is_carved: bool
    _source: Source = field(repr=False)
    _wrapping: str = field(repr=False, default="")

    @property
    def is_alone(self) -> bool:
        """Whether it was given by itself."""
        return not self.volume and os.path.basename(self.evidence) == self.path  # noqa: PTH119  a text, no path

    @property
    def allocation(self) -> str:
        """As an event names it."""
        return "carved" if self.is_carved else "allocated"

    @property
    def where(self) -> str:
        """Where it is, for messages; a log that was given by itself is named once."""
        place = "(carved)" if self.is_carved else self.path
        return self.evidence if self.is_alone else joined(self.evidence, self.volume, place)

    def open(self) -> BinaryIO:
        """Return a seekable buffered reader; to open and to read it may raise `OSError`."""
        return self._unwrapped(self._source.open())

    def open_hashed(self) -> tuple[BinaryIO, Hashed]:
        """The same, and the SHA-256 of the file as it lies there."""
        hashed = Hashed(self._source.open())
        return self._unwrapped(hashed.reader), hashed

    def _unwrapped(self, stream: BinaryIO) -> BinaryIO:
        return decompressed(stream, self._wrapping) if self._wrapping else stream


class _NoImageError(EvidenceError):
    """Nothing speaks for a disk image in a file."""


class _Contents(NamedTuple):
    """What a piece of evidence is: a log by itself, or trees to search; bytes to carve; an image's volumes."""

    log: Source | None = None
    trees: Sequence[Tree] = ()
    raw: Sequence[Volume] = ()
    volumes: Sequence[Volume] = ()


class Evidence:
    """A disk image, a collection, a folder or a log, and the atop logs in it.

    `others` are all paths that are at hand, for a volume group may lie on several disks. Raises `EvidenceError`
    where nothing can be searched. `name` is its path as text, `volumes` are those of an image; `problems` and
    `searched` (a short text per volume or folder) grow while `logs()` is consumed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None, others: Sequence[str] = ()) -> None:
        is_input = path == STANDARD_INPUT
        self.path = kept_input() if is_input else path
        self._wanted = wanted or Wanted()
        self._notes = Notes("standard input" if is_input else decode(os.fsencode(path)))
        self.name = self._notes.evidence
        self.problems, self.searched = self._notes.problems, self._notes.searched
        try:
            self._contents = _contents(self.path, self._wanted, self._notes, others)
        except (OSError, ValueError) as error:
            raise EvidenceError(f"{self._notes.evidence}: {reason(error)}") from error
        self.volumes = self._contents.volumes

    def logs(self) -> Iterator[LogFile]:
        """Atop logs, each once: volume by volume, then by path in byte order; what is to be carved last."""
        searches = [Search(tree, self._notes) for tree in self._contents.trees]
        users = [search.users for search in searches if search.users is not None]
        only_users = users[0] if len(users) == 1 else {}
        for found in [*self._alone(), *self._found(searches, only_users)]:
            log = self._log_in(found)
            if log:
                yield self._log_file(found, log.wrapping)
        for raw in self._contents.raw:
            if raw.source:
                self._notes.note_searched(raw.name, "all bytes, for samples that belong to no file")
                found = Candidate(raw.name, b"", raw.size, None, only_users, raw.source, Promise.NONE)
                yield self._log_file(found, is_carved=True)

    def _log_file(self, found: Candidate, wrapping: str = "", *, is_carved: bool = False) -> LogFile:
        return LogFile(
            self._notes.evidence,
            found.volume,
            decode(found.path),
            found.size,
            found.inode,
            found.users,
            is_carved,
            found.source,
            wrapping,
        )

    def _alone(self) -> Iterator[Candidate]:
        if self._contents.log:
            self._notes.note_searched("", "atop log")
            name, size = os.fsencode(Path(self.name).name), Path(self.path).stat().st_size
            yield Candidate("", name, size, None, {}, self._contents.log, Promise.NAME)

    def _found(self, searches: Sequence[Search], users: Mapping[int, str]) -> Iterator[Candidate]:
        """Candidates of all trees; /var, with its logs, is often another volume than /etc."""
        wanted = places(self._wanted.log_paths)
        wanted += [place for search in searches for place in search.log_places()]
        for search in searches:
            self._notes.note_searched(search.tree.name, search.tree.kind)
            yield from search.candidates(wanted, users, scan=self._wanted.scan)

    def _log_in(self, found: Candidate) -> Unwrapped | None:
        """The file, if the magic is there, or at least samples where it ought to be; if not, that is told."""
        where = joined(found.volume, decode(found.path))
        is_named = found.promise is Promise.NAME
        try:
            log = unwrapped(found.source)
            if log.begins_as_log or (is_named and log.has_samples):
                return log
        except OSError as error:
            self._notes.tell(Problem(where, f"cannot be read: {reason(error)}", serious=True))
            return None
        if found.promise is not Promise.NONE:
            what = f"{'named like an atop log, but' if is_named else 'no atop log:'} {log.description}"
            self._notes.tell(Problem(where, what, serious=is_named))
        return None


def open_evidence(paths: Sequence[str], wanted: Wanted | None = None) -> list[Evidence]:
    """Open each piece of evidence among the paths, once; raises `EvidenceError` at the first that fails."""
    distinct = distinct_paths(paths)
    return [Evidence(path, wanted, distinct) for path in distinct]


def _contents(path: str, wanted: Wanted, notes: Notes, others: Sequence[str]) -> _Contents:
    if Path(path).is_dir():
        if wanted.carve:
            notes.tell(Problem("", "a folder is not carved; name the files in it that are to be", serious=False))
        return _Contents(trees=[FolderTree(path)])
    head = _head_of_file(path)
    source = HostFile(os.fsencode(path))
    file = _unwrapped(source)
    if file and file.begins_as_log:
        return _Contents(source)
    if is_archive(source):
        is_wanted = partial(matters, wanted=places(wanted.log_paths), scan=wanted.scan)
        size = Path(path).stat().st_size
        raw = [Volume("", kind_of(head), size, source, None)] if wanted.carve else []
        return _Contents(trees=[archive(source, wanted.keys, is_wanted)], raw=raw)
    try:
        return _in_image(path, head, wanted, notes, others)
    except _NoImageError:
        is_small = Path(path).stat().st_size <= _MOST_HEADLESS_BYTES
        kind = file.inner_kind if file and file.wrapping else kind_of(head)
        if file and is_small and kind in _OF_DAMAGED and _has_samples(file):
            return _Contents(source)
        raise


def _head_of_file(path: str) -> bytes:
    """First bytes of a file or a block device, at least one."""
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise EvidenceError("neither a file nor a folder")
    head = read_head(path)
    if not head:
        raise EvidenceError("empty")
    return head


def _unwrapped(source: Source) -> Unwrapped | None:
    try:
        return unwrapped(source)
    except OSError:
        return None


def _has_samples(file: Unwrapped) -> bool:
    try:
        return file.has_samples
    except OSError:
        return False


def _in_image(path: str, head: bytes, wanted: Wanted, notes: Notes, others: Sequence[str]) -> _Contents:
    """The volumes of an image that are wanted, and all its bytes if it is to be carved."""
    image = openers.opened(path, head, wanted.opener, wanted.keys, [other for other in others if Path(other).is_file()])
    volumes = _chosen(image.volumes, wanted.volumes)
    unread = [volume for volume in volumes if not volume.tree]
    trees = [volume.tree for volume in volumes if volume.tree]
    is_elsewhere = any(volume.why == openers.READ_ELSEWHERE for volume in unread)
    if not trees and not wanted.carve and not is_elsewhere:
        error = EvidenceError if any(volume.name for volume in unread) else _NoImageError
        raise error(_nothing_readable(head, unread))
    for what in missing_segments(path):
        notes.tell(Problem("", what, serious=True))
    for volume in unread:
        is_serious = openers.is_serious(volume) and not (wanted.carve and not volume.name)
        notes.tell(Problem(volume.name, _unread(volume), is_serious))
    raw = _raw(image, volumes, wanted) if wanted.carve else []
    return _Contents(trees=trees, raw=raw, volumes=image.volumes)


def _chosen(volumes: Sequence[Volume], names: Sequence[str]) -> list[Volume]:
    """The volumes with these names, or inside one of these; `2` stands for `p2`."""
    wanted = [f"p{name}" if name.isdigit() else name for name in names]
    for name in wanted:
        if not any(f"{volume.name}/".startswith(f"{name}/") for volume in volumes):
            there = ", ".join(volume.name for volume in volumes if volume.name) or "none with a name"
            raise UsageError(f"has no volume {name}; there are {there}")
    return [
        volume for volume in volumes if not wanted or any(f"{volume.name}/".startswith(f"{name}/") for name in wanted)
    ]


def _raw(image: Image, volumes: Sequence[Volume], wanted: Wanted) -> list[Volume]:
    """What to carve: the whole disk, and what is not on it as it is; or the volumes that were chosen."""
    if wanted.volumes:
        return list(volumes)
    with image.disk.open() as stream:
        size = stream.seek(0, os.SEEK_END)
    disk = Volume("", "disk", size, image.disk, None)
    return [disk, *(volume for volume in volumes if volume.is_mapped)]


def _unread(volume: Volume) -> str:
    return f"{volume.kind}, cannot be read" + (f": {volume.why}" if volume.why else "")


def _nothing_readable(head: bytes, unread: Sequence[Volume]) -> str:
    named = [volume for volume in unread if volume.name]
    if named:
        reasons = "; ".join(f"{volume.name} {_unread(volume)}" for volume in named)
        return f"no file system in this image can be read: {reasons}"
    kind = kind_of(head) or f"begins with {head[:4].hex(' ')}"
    why = "".join(f": {volume.why}" for volume in unread if volume.why)
    return f"neither a readable disk image, nor a collection, a folder or an atop log, but {kind}{why}"
