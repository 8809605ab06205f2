"""A search for atop logs in the tree of a volume, a folder or an archive: where they lie, and what may be one."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cached_property
from glob import escape
from typing import NamedTuple

from atop_timeline.compressed import KINDS
from atop_timeline.errors import EvidenceError
from atop_timeline.kinds import kind_of
from atop_timeline.layout import MAGICS
from atop_timeline.notes import Notes, Problem, joined, reason
from atop_timeline.texts import decode
from atop_timeline.trees import Entry, Kind, Source, Tree

HOMES = ("var/log/atop", "log/atop", "atop")
"""Where atop's logs lie in a volume; /var, /var/log and /var/log/atop may each be a volume of its own."""

USERS_BYTES = 1 << 24
"""So much of /etc/passwd is read, at most."""

_LOG_NAME = "atop_*"
_OLD_LOGS = ("var/log/atop.log*", "log/atop.log*", "atop.log*")  # Debian's packages of 1.x
_TWINS = "tmp/atoptwin*"  # atop 2.11 and later, atop.c: twin mode
_SETTINGS = ("etc/default/atop", "etc/sysconfig/atop", "etc/atop/atop.daily", "usr/share/atop/atop.daily")
_USERS = "etc/passwd"
_LOGPATH = re.compile(rb"^\s*(?:export\s+)?LOGPATH=(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s#;]*))", re.MULTILINE)
_SETTINGS_BYTES = 1 << 16
_LINKS_MAX = 40  # Linux: include/linux/namei.h, MAXSYMLINKS
_PATH_MAX = 4096  # include/uapi/linux/limits.h
_DEPTH_MAX = 256


class Promise(IntEnum):
    """What speaks for a file being an atop log, the strongest first."""

    NAME = 0
    """It is named like one, or was asked for."""
    PLACE = 1
    """It lies where they do."""
    NONE = 2
    """Nothing: every file is looked at."""


class Place(NamedTuple):
    """A glob of files, in components from the root of a volume; `**` stands for any number of directories."""

    pattern: tuple[str, ...]
    promise: Promise


class Candidate(NamedTuple):
    """A file that may be an atop log."""

    volume: str
    path: bytes
    size: int
    inode: int | None
    users: Mapping[int, str]
    source: Source
    promise: Promise


def places(log_paths: Sequence[str] = ()) -> list[Place]:
    """Where to look: atop's own places, and these further globs."""
    return [
        *(place(f"{home}/{_LOG_NAME}", Promise.NAME) for home in HOMES),
        place(_TWINS, Promise.NAME),
        *(place(log_path, Promise.NAME) for log_path in log_paths),
        *(place(f"{home}/*", Promise.PLACE) for home in HOMES),
        *(place(old, Promise.PLACE) for old in _OLD_LOGS),
    ]


def place(glob: str, promise: Promise) -> Place:
    """The place that a glob names: a last `**` stands for whatever is below."""
    parts = components(glob)
    return Place((*parts, "*") if parts[-1:] == ("**",) else parts, promise)


def anywhere(wanted: Sequence[Place]) -> list[Place]:
    """These places below any directory, and what is named like a log in any: where to look outside a volume."""
    return [Place(("**", *pattern), promise) for pattern, promise in (_ANYWHERE, *wanted)]


def matters(path: bytes, head: bytes, below: Sequence[Place], *, scan: bool) -> bool:
    """Whether a file with this path and these first bytes is of use to a search in places from `anywhere`."""
    if head[:4] in MAGICS or (scan and kind_of(head) in KINDS):
        return True
    names = components(os.fsdecode(path))
    is_context = _matches(names, ("**", *components(_USERS)))
    return is_context or _promise(names, below) is not Promise.NONE


def components(path: str) -> tuple[str, ...]:
    """Names along a path or a glob."""
    return tuple(part for part in path.split("/") if part not in ("", "."))


_Trail = tuple[Entry, ...]  # from the top of a tree to one of its files or directories


class Search:
    """A search in one tree. In a volume symbolic links are followed, elsewhere they would lead out of it."""

    def __init__(self, tree: Tree, notes: Notes) -> None:
        self.tree = tree
        self._notes = notes
        self._known_users: dict[_Trail, dict[int, str] | None] = {}

    @property
    def users(self) -> dict[int, str] | None:
        """Of the machine whose root directory this is, None without a readable /etc/passwd."""
        return self._users_of(self._top)

    def log_places(self) -> list[Place]:
        """Where the settings of the machine say that logs are: from the root, or in a volume of their own."""
        found = []
        for settings in _SETTINGS if self.tree.is_rooted else ():
            for data in self._contents(self._top, settings, _SETTINGS_BYTES):
                for log_path in _log_paths(data):
                    parts = [escape(part) for part in components(log_path)]
                    ends = ["/".join(parts[begin:]) for begin in range(len(parts))] or [""]
                    found += [place(f"{end}/{_LOG_NAME}", Promise.NAME) for end in ends]
        return found

    def candidates(self, wanted: Sequence[Place], users: Mapping[int, str], *, scan: bool) -> list[Candidate]:
        """Regular files in these places, or all, each once, by path in byte order; `users` where it has none."""
        found: dict[object, Candidate] = {}
        for trail, promise in self._files(wanted, scan=scan):
            new = self._candidate(trail, promise, users)
            key = (new.path, new.source) if new.inode is None else new.inode
            old = found.get(key, new)
            best = min(old, new, key=lambda each: each.path)
            found[key] = best._replace(promise=min(old.promise, new.promise))
        return sorted(found.values(), key=lambda each: each.path)

    def _candidate(self, trail: _Trail, promise: Promise, users: Mapping[int, str]) -> Candidate:
        file = trail[-1]
        own = (self.users or users) if self.tree.is_rooted else self._users_of(self._root(trail)) or {}
        source = self.tree.source(file)
        promise = promise if file.readable else max(promise, Promise.PLACE)
        return Candidate(self.tree.name, self._path(trail), file.size, file.inode, own, source, promise)

    def _files(self, wanted: Sequence[Place], *, scan: bool) -> Iterator[tuple[_Trail, Promise]]:
        if self.tree.is_rooted:
            for pattern, promise in wanted:
                yield from ((trail, promise) for trail in self._glob(pattern) if trail[-1].kind is Kind.FILE)
        if scan or not self.tree.is_rooted:
            below = anywhere(wanted)
            for trail in self._walk():
                promise = _promise(_names(trail), below)
                if scan or promise is not Promise.NONE:
                    yield trail, promise

    def _walk(self) -> Iterator[_Trail]:
        """All regular files."""
        folders = [self._top]
        known: set[int | None] = set()
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                if entry.kind is Kind.FILE:
                    yield (*folder, entry)
                elif entry.kind is Kind.FOLDER and entry.inode not in known and len(folder) < _DEPTH_MAX:
                    known |= {entry.inode} - {None}
                    folders.append((*folder, entry))

    def _users_of(self, root: _Trail) -> dict[int, str] | None:
        if root not in self._known_users:
            self._known_users[root] = self._read_users(root)
        return self._known_users[root]

    def _read_users(self, root: _Trail) -> dict[int, str] | None:
        for data in self._contents(root, _USERS, USERS_BYTES):
            return read_users(data)
        return None

    def _contents(self, root: _Trail, path: str, most: int) -> Iterator[bytes]:
        """The first bytes of a file below a directory, by default the top, if it is there and can be read."""
        links = _LINKS_MAX if self.tree.is_rooted else 0
        for trail in self._glob(components(path), root, links):
            if trail[-1].kind is Kind.FILE:
                try:
                    with self.tree.source(trail[-1]).open() as stream:
                        yield stream.read(most)
                except OSError as error:
                    what = f"cannot be read, and is done without: {reason(error)}"
                    self._notes.tell(Problem(self._where(trail), what, serious=False))

    def _glob(self, pattern: Sequence[str], root: _Trail = (), links: int = _LINKS_MAX) -> Iterator[_Trail]:
        yield from self._expand(root or self._top, pattern, links)

    @cached_property
    def _top(self) -> _Trail:
        try:
            return self.tree.top()
        except EvidenceError as error:
            self._tell(self.tree.name, error)
            return (Entry(b"", Kind.OTHER, 0, None, None),)

    def _root(self, trail: _Trail) -> _Trail:
        """Root directory of the machine that wrote this log: what /var/log/atop lies in, or else the top."""
        home = components(HOMES[0])
        folder = trail[:-1]
        return folder[: -len(home)] if tuple(_names(folder)[-len(home) :]) == home else self._top

    def _expand(self, trail: _Trail, parts: Sequence[str], links: int) -> Iterator[_Trail]:
        """Where a glob leads that starts here; symbolic links in its way are followed."""
        if not parts:
            yield trail
        elif parts[0] == "..":
            yield from self._expand(trail[:-1] or trail, parts[1:], links)
        elif parts[0] == "**":
            yield from self._expand(trail, parts[1:], links)
            for entry in self._matching(trail, "*"):
                if entry.kind is Kind.FOLDER and len(trail) < _DEPTH_MAX:
                    yield from self._expand((*trail, entry), parts, links)
        else:
            for entry in self._matching(trail, parts[0]):
                for end in self._ends((*trail, entry), links):
                    yield from self._expand(end, parts[1:], links - 1)

    def _ends(self, trail: _Trail, links: int) -> list[_Trail]:
        """Itself, or what it leads to if it is a symbolic link: nothing if that is elsewhere."""
        if trail[-1].kind is not Kind.LINK:
            return [trail]
        try:
            target = os.fsdecode(self.tree.target(trail[-1]))
        except EvidenceError as error:
            self._tell(self._where(trail), error)
            return []
        start = self._top if target.startswith("/") else trail[:-1]
        parts = [escape(part) for part in components(target)]
        ends = list(self._expand(start, parts, links - 1)) if links > 0 else []
        if not ends:
            what = f"symbolic link to {decode(os.fsencode(target))}, which this volume does not have"
            self._notes.tell(Problem(self._where(trail), what, serious=False))
        return ends

    def _matching(self, trail: _Trail, pattern: str) -> Iterator[Entry]:
        if trail[-1].kind is Kind.FOLDER:
            for entry in self._entries(trail):
                if self._matches_name(entry, pattern):
                    yield entry

    def _matches_name(self, entry: Entry, pattern: str) -> bool:
        """Whether a name matches; one that could not be read matches every wildcard."""
        if not entry.readable:
            return "*" in pattern
        name = os.fsdecode(entry.name)
        return fnmatchcase(name.lower(), pattern.lower()) if self.tree.is_case_blind else fnmatchcase(name, pattern)

    def _entries(self, folder: _Trail) -> Iterator[Entry]:
        """What is in a directory; what cannot be read of it is told."""
        for entry in self.tree.entries(folder[-1]):
            if isinstance(entry, EvidenceError):
                self._tell(self._where(folder), entry)
            else:
                yield entry

    def _tell(self, where: str, error: EvidenceError) -> None:
        self._notes.tell(Problem(where, f"cannot be searched: {reason(error)}", serious=True))

    def _where(self, trail: _Trail) -> str:
        return joined(self.tree.name, decode(self._path(trail)))

    def _path(self, trail: _Trail) -> bytes:
        path = b"/".join(entry.name for entry in trail[len(self._top) :])
        return b"/" + path if self.tree.is_rooted else path


_ANYWHERE = place(_LOG_NAME, Promise.NAME)
"""Outside of a machine's volume, a log may lie anywhere."""


def _promise(names: Sequence[str], known: Sequence[Place]) -> Promise:
    """The strongest for a file with this path."""
    return min((promise for pattern, promise in known if _matches(names, pattern)), default=Promise.NONE)


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether path components match a glob's."""
    if not names or not pattern:
        return not names and set(pattern) <= {"**"}
    if pattern[-1] == "**":
        return _matches(names, pattern[:-1]) or _matches(names[:-1], pattern)
    return fnmatchcase(names[-1], pattern[-1]) and _matches(names[:-1], pattern[:-1])


def _names(trail: _Trail) -> list[str]:
    return [os.fsdecode(entry.name) for entry in trail[1:]]


def _log_paths(settings: bytes) -> list[str]:
    """The values of LOGPATH in a shell script."""
    paths = [b"".join(match.groups(b"")) for match in _LOGPATH.finditer(settings)]
    return [os.fsdecode(path) for path in paths if len(path) < _PATH_MAX]


def read_users(passwd: bytes) -> dict[int, str]:
    """User ids and the first name of each, see passwd(5); lines that make no sense are left out."""
    users: dict[int, str] = {}
    for line in passwd.splitlines():
        name, _, uid = b":".join(line.split(b":")[:3:2]).partition(b":")
        if name and not name.isdigit() and uid.isdigit() and int(uid[:11]) < 1 << 32:
            users.setdefault(int(uid), decode(name))
    return users
