"""Atop logs in a piece of evidence: a disk image, a folder, or a log by itself.

The only module that knows dfVFS (https://dfvfs.readthedocs.io). Nothing is written to evidence; nothing that
one volume, directory or file does hides the others: it becomes a `Problem`, and the rest goes on.
"""

import io
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, TypeAlias

import numpy as np
from dfvfs.helpers import source_scanner
from dfvfs.lib import definitions
from dfvfs.lib import errors as dfvfs_errors
from dfvfs.path import factory
from dfvfs.resolver import context, resolver

from atop_timeline.errors import EvidenceError
from atop_timeline.texts import decode

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

# What dfVFS and the libraries under it raise over damaged, locked or unknown volumes and files.
_FAILURES = (dfvfs_errors.Error, OSError, KeyError, ValueError, OverflowError, RuntimeError)

_MAGICS = (b"\xef\xbe\xed\xfe", b"\xfe\xed\xbe\xef")  # rawlog.h, MYMAGIC 0xfeedbeef

# /var, /var/log and /var/log/atop may each be a volume of its own.
_HOMES = ("var/log/atop", "log/atop", "atop")
_LOG_NAME, _OTHER_NAME = "atop_*", "*.log"

_READ_BYTES = 1 << 18  # dfVFS is at its best from 64 KiB to 1 MiB
_HEAD_BYTES = 0x11000  # enough for every row of _KINDS
_PASSWD_MAX_BYTES = 1 << 24
_LINKS_MAX = 40  # Linux: include/linux/namei.h, MAXSYMLINKS
_DEPTH_MAX = 256
_VOLUME_MIN_BYTES = 1 << 21  # a BIOS boot partition is smaller, a volume with logs is not
_ENCRYPTED = definitions.TYPE_INDICATORS_WITH_ENCRYPTION_SUPPORT
_LISTED_BY_INDEX = (definitions.TYPE_INDICATOR_EXT, definitions.TYPE_INDICATOR_XFS)

_VDI = "VirtualBox VDI"
_LOGLESS = frozenset({"swap", "zeros"})
_KINDS = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip archive"),
    (257, b"ustar", "tar archive"),
    (64, b"\x7f\x10\xda\xbe", _VDI),
    (0, b"QFI\xfb", "qcow2"),
    (0, b"EVF\x09\x0d\x0a\xff\x00", "E01"),
    (0, b"LUKS\xba\xbe\x00\x01", "LUKS1, encrypted"),
    (0, b"LUKS\xba\xbe\x00\x02", "LUKS2, encrypted"),
    (3, b"-FVE-FS-", "BitLocker, encrypted"),
    (4086, b"SWAPSPACE2", "swap"),
    (512, b"LABELONE", "LVM physical volume"),
    (4096, b"\xfc\x4e\x2b\xa9", "Linux RAID member"),
    (0, b"XFSB", "XFS"),
    (1080, b"\x53\xef", "ext2/3/4"),
    (0x10040, b"_BHRfS_M", "Btrfs"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (0x8000, b"JFS1", "JFS"),
    (0x10034, b"ReIsEr", "ReiserFS"),
    (0, b"hsqs", "SquashFS"),
)


class Problem(NamedTuple):
    """Something that could not be searched or read; `serious` when logs may have been missed by it."""

    where: str
    what: str
    serious: bool


class _Tell(Protocol):
    """Takes a problem; `where` is inside the evidence."""

    def __call__(self, where: str, what: str, *, serious: bool) -> None: ...


class _Source(Protocol):
    """A file's bytes, wherever they lie; picklable."""

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True)
class LogFile:
    """A file that begins as an atop raw log does.

    `volume` is dfVFS's location without its first slash (`p1`, `p1/lvm1`), empty without a partition table.
    `path` is absolute in a volume, relative in a folder; symbolic links are resolved. What is not plain text
    in names is escaped. `size` is in bytes. `users` maps user ids to names, from the log's own machine.
    """

    evidence: str
    volume: str
    path: str
    size: int
    users: Mapping[int, str]
    _source: _Source = field(repr=False)

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
        self.problems: list[Problem] = []
        self.searched: list[str] = []
        self._shown = decode(os.fsencode(path))
        self._finder = self._opened([_glob(log_path) for log_path in log_paths])

    def logs(self) -> Iterator[LogFile]:
        """Atop logs, each once: volume by volume, then by path in byte order."""
        for found in self._finder.candidates(self._note_searched):
            if self._is_log(found):
                path = decode(found.path)
                yield LogFile(self._shown, found.volume, path, found.size, found.users, found.source)

    def _opened(self, log_paths: list[list[str]]) -> "_Finder":
        try:
            mode = Path(self.path).stat().st_mode
            if stat.S_ISDIR(mode):
                return _Folder(self.path, log_paths, self._tell)
            is_file = stat.S_ISREG(mode) or stat.S_ISBLK(mode)
            head = _head(self.path) if is_file else b""
        except (OSError, ValueError) as error:
            raise EvidenceError(f"{self._shown}: {_reason(error)}") from error
        if not head:
            raise EvidenceError(f"{self._shown}: {'empty' if is_file else 'neither a file nor a folder'}")
        if head[:4] in _MAGICS:
            return _Single(self.path)
        return _Image(self.path, head, log_paths, self._tell)

    def _is_log(self, found: "_Candidate") -> bool:
        """Whether the magic is there; if not, that is told."""
        where = _words(found.volume, decode(found.path))
        try:
            with found.source.open() as stream:
                head = stream.read(512)
        except OSError as error:
            self._tell(where, f"cannot be read: {_reason(error)}", serious=True)
            return False
        if head[:4] not in _MAGICS:
            self._tell(where, _no_log(head, named=found.named), serious=found.named)
        return head[:4] in _MAGICS

    def _tell(self, where: str, what: str, *, serious: bool) -> None:
        problem = Problem(_words(self._shown, where), what, serious)
        if problem not in self.problems:
            self.problems.append(problem)

    def _note_searched(self, where: str, what: str) -> None:
        text = f"{_words(self._shown, where)}: {what}"
        if text not in self.searched:
            self.searched.append(text)


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


class _Candidate(NamedTuple):
    """A file that may be an atop log; `named` when its place and name promise one."""

    volume: str
    path: bytes
    size: int
    users: Mapping[int, str]
    source: _Source
    named: bool


_NoteSearched: TypeAlias = Callable[[str, str], None]  # where inside the evidence, and what it is


class _Finder(Protocol):
    """Knows one kind of evidence."""

    def candidates(self, searched: _NoteSearched) -> Iterator[_Candidate]: ...


# A log by itself, and a folder: by the operating system, for dfVFS wants names that are UTF-8.


@dataclass(frozen=True)
class _HostFile:
    path: bytes

    def open(self) -> BinaryIO:
        return io.open(self.path, "rb", buffering=_READ_BYTES)  # noqa: UP020  not to be read as this method


class _Single:
    """A log by itself."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def candidates(self, searched: _NoteSearched) -> Iterator[_Candidate]:
        searched("", "atop log")
        name, source = os.fsencode(self._path.name), _HostFile(os.fsencode(self._path))
        yield _Candidate("", name, self._path.stat().st_size, {}, source, named=True)


class _Folder:
    """A mounted image, a triage collection, or copied logs."""

    def __init__(self, path: str, log_paths: list[list[str]], tell: _Tell) -> None:
        self._tell = tell
        self._top = os.path.abspath(os.fsencode(path))  # noqa: PTH100  resolve() would follow links
        self._asked = [["**", _LOG_NAME], *(["**", *log_path] for log_path in log_paths)]
        self._other = ["**", *_split(_HOMES[0]), _OTHER_NAME]
        self._users = lru_cache(maxsize=None)(_host_users)

    def candidates(self, searched: _NoteSearched) -> Iterator[_Candidate]:
        searched("", "folder")
        seen = set()
        for path in sorted(self._files()):
            found = os.lstat(path)
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                users, name = self._users(self._root(path)), os.path.relpath(path, self._top)
                yield _Candidate("", name, found.st_size, users, _HostFile(path), self._named(path))

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
            self._tell(where, f"cannot be searched: {_reason(error)}", serious=True)
        return found

    def _named(self, path: bytes) -> bool:
        return any(_matches(_names(path), pattern) for pattern in self._asked)

    def _root(self, path: bytes) -> bytes:
        """Root directory of the machine that wrote this log: what /var/log/atop lies in, or the folder."""
        root, home, _ = path.rpartition(f"/{_HOMES[0]}/".encode())
        return root + b"/" if home else self._top


def _host_users(root: bytes) -> dict[int, str]:
    """Users of a file tree; no link in it is followed, it would lead to the analyst's own /etc."""
    etc, passwd = root + b"/etc", root + b"/etc/passwd"
    try:
        if not (stat.S_ISDIR(os.lstat(etc).st_mode) and stat.S_ISREG(os.lstat(passwd).st_mode)):
            return {}
        with _HostFile(passwd).open() as stream:
            return _users(stream.read(_PASSWD_MAX_BYTES))
    except OSError:
        return {}


# A disk image, by dfVFS.


class _Scanner(source_scanner.SourceScanner):  # type: ignore[misc]  # dfVFS has no types
    """dfVFS's scanner, which loses the whole image by one bad volume; here it becomes one of `failures`."""

    def __init__(self) -> None:
        super().__init__(resolver_context=context.Context())
        self.failures: list[tuple[Any, str]] = []

    def _ScanNode(self, scan_context: Any, scan_node: Any, auto_recurse: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002, N802  as in dfVFS
        try:
            super()._ScanNode(scan_context, scan_node, auto_recurse=auto_recurse)
        except _FAILURES as error:
            scan_node.scanned = True
            self.failures.append((scan_node.path_spec, _reason(error)))


class _Image:
    """A disk image, of which at least one file system can be read."""

    def __init__(self, path: str, head: bytes, log_paths: list[list[str]], tell: _Tell) -> None:
        _refuse_later_segment(path, head)
        _refuse_compressed_clusters(path, head)
        nodes, failures = _scan(path)
        unread = list(_unread(nodes, failures))
        self._patterns = _volume_patterns(log_paths)
        self._volumes = [_Volume(node.path_spec, tell) for node in nodes if node.IsFileSystem()]
        if not self._volumes:
            raise EvidenceError(f"{decode(os.fsencode(path))}: {_nothing_readable(head, unread)}")
        for problem in unread:
            tell(*problem[:2], serious=problem.serious)

    def candidates(self, searched: _NoteSearched) -> Iterator[_Candidate]:
        for volume in self._volumes:
            searched(volume.name, f"{volume.kind} file system")
            yield from volume.candidates(self._patterns, self._users(volume))

    def _users(self, volume: "_Volume") -> Mapping[int, str]:
        """Of the volume itself, or of the only other one that has any: /var is often a volume of its own."""
        if volume.users is not None:
            return volume.users
        others = [other.users for other in self._volumes if other.users is not None]
        return others[0] if len(others) == 1 else {}


def _volume_patterns(log_paths: list[list[str]]) -> list[tuple[list[str], bool]]:
    """Globs from the root of a volume, and whether what matches ought to be a log."""
    homes = [_split(home) for home in _HOMES]
    return [
        *(([*home, _LOG_NAME], True) for home in homes),
        *((log_path, True) for log_path in log_paths),
        *(([*home, _OTHER_NAME], False) for home in homes),
    ]


def _scan(path: str) -> tuple[list[Any], list[tuple[Any, str]]]:
    """Nodes of dfVFS's scan, in the order of the partition tables, and what failed where."""
    scanner, scan = _Scanner(), source_scanner.SourceScannerContext()
    scan.OpenSourcePath(path)
    scanner.Scan(scan)
    return list(_nodes(scan.GetRootScanNode())), scanner.failures


def _nodes(node: Any) -> Iterator[Any]:  # noqa: ANN401  dfVFS has no types
    yield node
    for sub_node in node.sub_nodes:
        yield from _nodes(sub_node)


def _unread(nodes: Sequence[Any], failures: Sequence[tuple[Any, str]]) -> Iterator[Problem]:
    """Volumes without a file system that can be read, and those where the scan failed."""
    reasons = {_volume_name(spec): reason for spec, reason in failures}
    told = set()
    for node in nodes:
        name = _volume_name(node.path_spec)
        if name not in told and (name in reasons or _is_unknown(node)):
            told.add(name)
            kind, size = _volume_kind(node.path_spec)
            what = f"{kind}, cannot be read" + (f": {reasons[name]}" if name in reasons else "")
            yield Problem(name, what, kind not in _LOGLESS and size >= _VOLUME_MIN_BYTES)


def _is_unknown(node: Any) -> bool:  # noqa: ANN401  dfVFS has no types
    """Whether the scan ends here, but not in a file system, between partitions, or in an empty table."""
    spec = node.path_spec
    in_table = spec.type_indicator in definitions.PARTITION_TABLE_TYPE_INDICATORS
    is_partition = not in_table or (getattr(spec, "location", None) or "/") != "/"
    return is_partition and not node.sub_nodes and not node.IsFileSystem()


def _volume_name(spec: Any) -> str:  # noqa: ANN401  dfVFS has no types
    """`p1/lvm2`; the whole image has no name, a gap between partitions is named by where it begins."""
    if spec is None or spec.IsSystemLevel():
        return ""
    parent = _volume_name(spec.parent)
    if not spec.IsVolumeSystem() or spec.IsVolumeSystemRoot():
        return parent
    own = (getattr(spec, "location", None) or f"gap@{spec.start_offset}").strip("/")
    return f"{parent}/{own}" if parent else own


def _volume_kind(spec: Any) -> tuple[str, int]:  # noqa: ANN401  dfVFS has no types
    """Kind of a volume, as its first bytes tell, and its size in bytes."""
    while spec.IsVolumeSystemRoot() or spec.type_indicator in _ENCRYPTED:
        spec = spec.parent
    try:
        volume = resolver.Resolver.OpenFileObject(spec, resolver_context=context.Context())
        volume.seek(0)
        return _kind(volume.read(_HEAD_BYTES)) or "unknown contents", volume.get_size()
    except _FAILURES:
        return "damaged", _VOLUME_MIN_BYTES


def _nothing_readable(head: bytes, unread: Sequence[Problem]) -> str:
    reasons = "; ".join(_words(problem.where, problem.what) for problem in unread)
    if any(problem.where for problem in unread):
        return f"no file system in this image can be read: {reasons}"
    kind = _kind(head) or f"begins with {head[:4].hex(' ')}"
    advice = ": convert it with `qemu-img convert -O raw`" if kind == _VDI else ""
    return f"neither a readable disk image, nor a folder, nor an atop log, but {kind}{advice}"


@dataclass(frozen=True)
class _VolumeFile:
    """A file of a volume, as dfVFS's path specifications of the volume's root and of the file."""

    root: Any
    spec: Any

    def open(self) -> BinaryIO:
        try:
            entry = _file_system(self.root, os.getpid()).GetFileEntryByPathSpec(self.spec)
            raw = _RawFile(entry.GetFileObject(), entry.size)
        except _FAILURES as error:
            raise EvidenceError(_reason(error)) from error
        return io.BufferedReader(raw, _READ_BYTES)


@lru_cache(maxsize=16)
def _file_system(root: Any, process: int) -> Any:  # noqa: ANN401, ARG001  processes must not share dfVFS's objects
    return resolver.Resolver.OpenFileSystem(root, resolver_context=context.Context())


class _RawFile(io.RawIOBase):
    """A dfVFS file object as Python's; dfVFS hands out one object per file, so the position is kept here."""

    def __init__(self, file_object: Any, size: int) -> None:  # noqa: ANN401  dfVFS has no types
        super().__init__()
        self._file_object = file_object
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(min(len(view), max(self._size - self._position, 0)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read(self, size: int) -> bytes:
        if not size:
            return b""
        try:
            self._file_object.seek(self._position)
            data = bytes(self._file_object.read(size))
        except _FAILURES as error:
            raise EvidenceError(f"offset {self._position}: {_reason(error)}") from error
        if not data:
            raise EvidenceError(f"offset {self._position}: nothing more, expected {self._size} bytes")
        return data


class _Node(NamedTuple):
    """A directory entry; `plain` unless its name is not UTF-8, and a made-up one stands for it."""

    name: str
    entry: Any
    plain: bool = True


_Trail: TypeAlias = tuple[_Node, ...]  # from the root of a volume to one of its files or directories


class _Volume:
    """A file system of an image. Symbolic links are followed here, dfVFS fails on most."""

    def __init__(self, root: Any, tell: _Tell) -> None:  # noqa: ANN401  dfVFS has no types
        self.name = _volume_name(root)
        self.kind: str = root.type_indicator
        self._root = root
        self._tell = tell

    @cached_property
    def users(self) -> dict[int, str] | None:
        """None without a readable /etc/passwd."""
        for trail in self._glob(["etc", "passwd"]):
            try:
                with self._source(trail).open() as stream:
                    return _users(stream.read(_PASSWD_MAX_BYTES))
            except OSError as error:
                what = f"cannot be read, users stay numbers: {_reason(error)}"
                self._tell(self._where(trail), what, serious=False)
        return None

    def candidates(
        self, patterns: Sequence[tuple[list[str], bool]], users: Mapping[int, str]
    ) -> list[_Candidate]:
        """Regular files that match, each once, in the order of their paths."""
        found: dict[Any, _Candidate] = {}
        for pattern, named in patterns:
            for trail in self._glob(pattern):
                node, path, source = trail[-1], _location(trail), self._source(trail)
                if node.entry.IsFile():
                    key = getattr(source.spec, "inode", None) or path
                    new = _Candidate(self.name, path, node.entry.size, users, source, named and node.plain)
                    found[key] = min(found.get(key, new), new, key=lambda each: each.path)
        return sorted(found.values(), key=lambda each: each.path)

    def _source(self, trail: _Trail) -> _VolumeFile:
        return _VolumeFile(self._root, trail[-1].entry.path_spec)

    def _where(self, trail: _Trail) -> str:
        return _words(self.name, decode(_location(trail)))

    def _glob(self, pattern: Sequence[str]) -> Iterator[_Trail]:
        with self._telling(self.name):
            top = _Node("", _file_system(self._root, os.getpid()).GetRootFileEntry())
            yield from self._expand((top,), pattern, _LINKS_MAX)

    def _expand(self, trail: _Trail, parts: Sequence[str], links: int) -> Iterator[_Trail]:
        """Where a glob leads that starts here; symbolic links in its way are followed."""
        if not parts:
            yield trail
        elif parts[0] == "..":
            yield from self._expand(trail[:-1] or trail, parts[1:], links)
        elif parts[0] == "**":
            yield from self._expand(trail, parts[1:], links)
            for node in self._matching(trail, "*"):
                if node.entry.IsDirectory() and len(trail) < _DEPTH_MAX:
                    yield from self._expand((*trail, node), parts, links)
        else:
            for node in self._matching(trail, parts[0]):
                for end in self._ends((*trail, node), links):
                    yield from self._expand(end, parts[1:], links - 1)

    def _ends(self, trail: _Trail, links: int) -> list[_Trail]:
        """Itself, or what it leads to if it is a symbolic link: nothing if that is elsewhere."""
        if not trail[-1].entry.IsLink():
            return [trail]
        target = str(trail[-1].entry.link)
        start = trail[:1] if target.startswith("/") else trail[:-1]
        parts = [escape(part) for part in _split(target)]
        ends = list(self._expand(start, parts, links - 1)) if links > 0 else []
        if not ends:
            what = f"symbolic link to {decode(target.encode())}, which this volume does not have"
            self._tell(self._where(trail), what, serious=False)
        return ends

    def _matching(self, trail: _Trail, pattern: str) -> Iterator[_Node]:
        """Directory entries that match; one whose name is not UTF-8 matches every wildcard."""
        for name, spec in self._listing(trail):
            if "*" in pattern if name is None else fnmatchcase(name, pattern):
                shown = name or f"(undecodable name, inode {spec.inode})"
                with self._telling(self._where((*trail, _Node(shown, None)))):
                    entry = _file_system(self._root, os.getpid()).GetFileEntryByPathSpec(spec)
                    if entry is not None:
                        yield _Node(shown, entry, plain=name is not None)

    def _listing(self, trail: _Trail) -> list[tuple[str | None, Any]]:
        """Names (None: not UTF-8) and path specifications of what is in a directory.

        By index where possible: dfVFS's own listing ends at the first name that is not UTF-8, so that
        creating such a file would hide the logs behind it.
        """
        directory = trail[-1].entry
        found: list[tuple[str | None, Any]] = []
        with self._telling(self._where(trail)):
            if directory.IsDirectory() and self.kind in _LISTED_BY_INDEX:
                inner = getattr(directory, f"Get{self.kind}FileEntry")()
                for index in range(inner.number_of_sub_file_entries):
                    with self._telling(self._where(trail)):
                        found.append(self._child(trail, inner.get_sub_file_entry(index)))
            elif directory.IsDirectory():
                for entry in directory.sub_file_entries:
                    found.append((entry.name, entry.path_spec))  # noqa: PERF401  keep what came before a failure
        return found

    def _child(self, trail: _Trail, inner: Any) -> tuple[str | None, Any]:  # noqa: ANN401  dfVFS has no types
        try:
            name = inner.name
        except _FAILURES:
            name = None
        where = _location((*trail, _Node(name or "?", None))).decode()
        kwargs = {"inode": inner.inode_number, "location": where, "parent": self._root.parent}
        return name, factory.Factory.NewPathSpec(self.kind, **kwargs)

    @contextmanager
    def _telling(self, where: str) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            self._tell(where, f"cannot be read: {_reason(error)}", serious=True)


def _location(trail: _Trail) -> bytes:
    return "/".join(node.name for node in trail).encode("utf-8", "surrogateescape") or b"/"


# Disk images that dfVFS would misread.


def _refuse_later_segment(path: str, head: bytes) -> None:
    number = _ewf_segment(head)
    if number > 1:
        raise EvidenceError(f"{path}: segment {number} of a split image, open the first one")


def _ewf_segment(head: bytes) -> int:
    """Which segment of an EWF image this is, 0 if none; libewf: Expert Witness Compression Format."""
    for signature, offset, size in ((b"EVF\x09\x0d\x0a\xff\x00", 9, 2), (b"EVF2\x0d\x0a\x81\x00", 12, 4)):
        if head.startswith(signature):
            return int.from_bytes(head[offset : offset + size], "little")
    return 0


def _refuse_compressed_clusters(path: str, head: bytes) -> None:
    """Raise over what libqcow 20260703 reads as zeros, without an error: compressed clusters of version 3."""
    if not head.startswith(b"QFI\xfb\x00\x00\x00\x03"):
        return
    try:
        with Path(path).open("rb") as stream:
            compressed = _has_compressed_clusters(stream, head)
    except (OSError, ValueError, struct.error) as error:
        raise EvidenceError(f"{path}: damaged qcow2 image: {_reason(error)}") from error
    if compressed:
        advice = "convert it with `qemu-img convert -O raw`"
        raise EvidenceError(f"{path}: qcow2 with compressed clusters, which libqcow misreads: {advice}")


def _has_compressed_clusters(stream: BinaryIO, head: bytes) -> bool:
    """qemu: docs/interop/qcow2.txt, "Cluster mapping": bit 62 of an L2 entry."""
    cluster_bits, l1_size, l1_offset, features = struct.unpack_from(">20xI12xIQ24xQ", head)
    if cluster_bits not in range(9, 22) or l1_size > 1 << 22:  # qemu's own limits
        raise ValueError(f"cluster_bits {cluster_bits}, l1_size {l1_size}")
    words_per_entry = 2 if features & 1 << 4 else 1
    stream.seek(l1_offset)
    l2_offsets = np.unique(_words64(stream, l1_size * 8) & np.uint64(0x00FFFFFFFFFFFE00))
    for l2_offset in l2_offsets[l2_offsets != 0].tolist():
        stream.seek(l2_offset)
        entries = _words64(stream, 1 << cluster_bits)[::words_per_entry]
        if (entries & np.uint64(1 << 62)).any():
            return True
    return False


def _words64(stream: BinaryIO, size: int) -> "NDArray[np.uint64]":
    return np.frombuffer(stream.read(size), ">u8")


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
        return Path(path).is_file() and _ewf_segment(_head(path)) > 1
    except (OSError, ValueError):
        return False


# Names, globs, users, texts.


def _head(path: str) -> bytes:
    with Path(path).open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _glob(path: str) -> list[str]:
    """Components of a glob of files: a last `**` stands for whatever is below."""
    parts = _split(path)
    return [*parts, "*"] if parts[-1:] == ["**"] else parts


def _names(path: bytes) -> list[str]:
    return _split(os.fsdecode(path))


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether path components match a glob's; `**` stands for any number of them."""
    if not names or not pattern:
        return not names and set(pattern) <= {"**"}
    if pattern[-1] == "**":
        return _matches(names, pattern[:-1]) or _matches(names[:-1], pattern)
    return fnmatchcase(names[-1], pattern[-1]) and _matches(names[:-1], pattern[:-1])


def _users(passwd: bytes) -> dict[int, str]:
    """User ids and the first name of each, see passwd(5); lines that make no sense are left out."""
    users: dict[int, str] = {}
    for line in passwd.splitlines():
        name, _, uid = b":".join(line.split(b":")[:3:2]).partition(b":")
        if name and not name.isdigit() and uid.isdigit() and int(uid[:11]) < 1 << 32:
            users.setdefault(int(uid), decode(name))
    return users


def _no_log(head: bytes, *, named: bool) -> str:
    kind = _kind(head)
    begins = f"begins with {head[:4].hex(' ')} instead of the magic" if head else "is empty"
    detail = f" ({kind})" if kind else ""
    return f"named like an atop log, but {begins}{detail}" if named else f"no atop log: {begins}{detail}"


def _kind(head: bytes) -> str:
    """Say what first bytes are, '' if nothing known."""
    for offset, magic, kind in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if head and not head.strip(b"\x00"):
        return "zeros"
    return "text" if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", head[:64]) else ""


def _reason(error: BaseException) -> str:
    """Cause of an error in one line; of libyal's chains of calls the second link, where it began."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = re.split("with error: '?", " ".join(str(error).split()))[-1]
    links = re.findall(r"\b(?:lib|py)\w+: (.*?)\.(?=\s|'|$)", text)
    return decode((links[1] if len(links) > 1 else text).encode("utf-8", "backslashreplace"))
