"""Atop logs in a piece of evidence: a disk image, a collection, a folder, a log by itself, or bytes to carve.

Nothing is written to evidence; nothing that one volume, directory or file does hides the others: it becomes
a `Problem`, and the rest goes on.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from atop_timeline.compressed import decompressed
from atop_timeline.contents import Wanted, contents_of
from atop_timeline.errors import EvidenceError
from atop_timeline.hostfiles import kept_input
from atop_timeline.notes import Notes, Problem, joined, reason
from atop_timeline.recognition import Unwrapped, unwrapped
from atop_timeline.search import Candidate, Promise, Search, places
from atop_timeline.segments import distinct_paths
from atop_timeline.streams import Hashed
from atop_timeline.texts import decode
from atop_timeline.trees import Source

__all__ = ["Evidence", "LogFile", "Problem", "Wanted", "open_evidence"]

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class LogFile:
    """A file that, once it is decompressed, begins as an atop raw log does, or has samples of one.

    `volume` is its volume's name (`p1`, `p1/lvm1`), empty without a partition table. `path` is absolute in a
    volume, relative in a folder or archive; symbolic links are resolved. What is not plain text in names is
    escaped. `size` is in bytes, as it lies there; `inode` None where there are none. `users` maps user ids to
    names, from the log's own machine. `is_carved`: no file, but all bytes of a volume or disk, to be searched.

    It can be pickled, and opened in any process of this machine, whose working folder does not matter; where it
    `can_travel`, on any other machine that has the same files in the same places. What it takes to unlock its
    volume goes with it.
    """

    evidence: str
    volume: str
    path: str
    size: int
    inode: int | None
    users: Mapping[int, str]
    is_carved: bool
    can_travel: bool
    _source: Source = field(repr=False)
    _wrapping: str = field(repr=False, default="")

    @property
    def is_alone(self) -> bool:
        """Whether it was given by itself."""
        return not self.volume and os.path.basename(self.evidence) == self.path  # noqa: PTH119  a text, no path

    @property
    def is_plain(self) -> bool:
        """Whether it lies there as atop wrote it: its bytes are at hand in any order."""
        return not (self.is_carved or self._wrapping)

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


class Evidence:
    """A disk image, a collection, a folder or a log, and the atop logs in it.

    `others` are all paths that are at hand, for a volume group may lie on several disks. Raises `EvidenceError`
    where nothing can be searched. `name` is its path as text, `volumes` are those of an image; `problems` and
    `searched` (a short text per volume or folder) grow while `logs()` is consumed.
    """

    def __init__(self, path: str, wanted: Wanted | None = None, others: Sequence[str] = ()) -> None:
        is_input = path == STANDARD_INPUT
        self.path = kept_input() if is_input else path
        self._can_travel = not is_input and not Path(path).is_block_device()
        self._wanted = wanted or Wanted()
        self._notes = Notes("standard input" if is_input else decode(os.fsencode(path)))
        self.name = self._notes.evidence
        self.problems, self.searched = self._notes.problems, self._notes.searched
        try:
            self._contents = contents_of(self.path, self._wanted, self._notes, others)
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
            self._can_travel,
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
