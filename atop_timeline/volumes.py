"""A file system of a disk image, by dfVFS: what globs find there, and the bytes of its files."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from glob import escape
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

from dfvfs.lib import definitions
from dfvfs.lib import errors as dfvfs_errors
from dfvfs.path import factory
from dfvfs.resolver import context, resolver

from atop_timeline.errors import EvidenceError
from atop_timeline.search import READ_BYTES, Candidate, Notes, Problem, components, joined, read_users, reason, sought
from atop_timeline.texts import decode

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FAILURES = (dfvfs_errors.Error, OSError, KeyError, ValueError, OverflowError, RuntimeError)
"""What dfVFS and the libraries under it raise over damaged, locked or unknown volumes and files."""

_LINKS_MAX = 40  # Linux: include/linux/namei.h, MAXSYMLINKS
_DEPTH_MAX = 256
_LISTED_BY_INDEX = (definitions.TYPE_INDICATOR_EXT, definitions.TYPE_INDICATOR_XFS)


class _Node(NamedTuple):
    """A directory entry; `plain` unless its name is not UTF-8, and a made-up one stands for it."""

    name: str
    entry: Any
    plain: bool = True


_Trail: TypeAlias = tuple[_Node, ...]  # from the root of a volume to one of its files or directories


class Volume:
    """A file system of an image. Symbolic links are followed here, dfVFS fails on most."""

    def __init__(self, root: Any, notes: Notes) -> None:  # noqa: ANN401  dfVFS has no types
        self.name = volume_name(root)
        self.kind: str = root.type_indicator
        self._root = root
        self._notes = notes

    @cached_property
    def users(self) -> dict[int, str] | None:
        """None without a readable /etc/passwd."""
        for trail in self._glob(["etc", "passwd"]):
            try:
                with self._source(trail).open() as stream:
                    return read_users(stream)
            except OSError as error:
                what = f"cannot be read, users stay numbers: {reason(error)}"
                self._notes.tell(Problem(self._where(trail), what, serious=False))
        return None

    def candidates(self, patterns: Sequence[tuple[list[str], bool]], users: Mapping[int, str]) -> list[Candidate]:
        """Regular files that match, each once, in the order of their paths."""
        found: dict[Any, Candidate] = {}
        for pattern, named in patterns:
            for trail in self._glob(pattern):
                node, path, source = trail[-1], _location(trail), self._source(trail)
                if node.entry.IsFile():
                    key = getattr(source.spec, "inode", None) or path
                    new = Candidate(self.name, path, node.entry.size, users, source, named and node.plain)
                    found[key] = min(found.get(key, new), new, key=lambda each: each.path)
        return sorted(found.values(), key=lambda each: each.path)

    def _source(self, trail: _Trail) -> "_VolumeFile":
        return _VolumeFile(self._root, trail[-1].entry.path_spec)

    def _where(self, trail: _Trail) -> str:
        return joined(self.name, decode(_location(trail)))

    def _glob(self, pattern: Sequence[str]) -> Iterator[_Trail]:
        with self._telling(self.name):
            top = _Node("", _file_system(self._root).GetRootFileEntry())
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
        parts = [escape(part) for part in components(target)]
        ends = list(self._expand(start, parts, links - 1)) if links > 0 else []
        if not ends:
            what = f"symbolic link to {decode(target.encode())}, which this volume does not have"
            self._notes.tell(Problem(self._where(trail), what, serious=False))
        return ends

    def _matching(self, trail: _Trail, pattern: str) -> Iterator[_Node]:
        """Directory entries that match; one whose name is not UTF-8 matches every wildcard."""
        for name, spec in self._listing(trail):
            if "*" in pattern if name is None else fnmatchcase(name, pattern):
                shown = name or f"(undecodable name, inode {spec.inode})"
                with self._telling(self._where((*trail, _Node(shown, None)))):
                    entry = _file_system(self._root).GetFileEntryByPathSpec(spec)
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
        except FAILURES:
            name = None
        where = _location((*trail, _Node(name or "?", None))).decode()
        kwargs = {"inode": inner.inode_number, "location": where, "parent": self._root.parent}
        return name, factory.Factory.NewPathSpec(self.kind, **kwargs)

    @contextmanager
    def _telling(self, where: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            self._notes.tell(Problem(where, f"cannot be read: {reason(error)}", serious=True))


def volume_name(spec: Any) -> str:  # noqa: ANN401  dfVFS has no types
    """`p1/lvm2`; the whole image has no name, a gap between partitions is named by where it begins."""
    if spec is None or spec.IsSystemLevel():
        return ""
    parent = volume_name(spec.parent)
    if not spec.IsVolumeSystem() or spec.IsVolumeSystemRoot():
        return parent
    own = (getattr(spec, "location", None) or f"gap@{spec.start_offset}").strip("/")
    return f"{parent}/{own}" if parent else own


def _location(trail: _Trail) -> bytes:
    return "/".join(node.name for node in trail).encode("utf-8", "surrogateescape") or b"/"


@dataclass(frozen=True)
class _VolumeFile:
    """A file of a volume, as dfVFS's path specifications of the volume's root and of the file."""

    root: Any
    spec: Any

    def open(self) -> BinaryIO:
        try:
            entry = _file_system(self.root).GetFileEntryByPathSpec(self.spec)
            raw = _RawFile(entry.GetFileObject(), entry.size)
        except FAILURES as error:
            raise EvidenceError(reason(error)) from error
        return io.BufferedReader(raw, READ_BYTES)


def _file_system(root: Any) -> Any:  # noqa: ANN401  dfVFS has no types
    return _file_system_in(os.getpid(), root)


@lru_cache(maxsize=16)
def _file_system_in(process: int, root: Any) -> Any:  # noqa: ANN401, ARG001  processes must not share dfVFS's objects
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
        self._position = sought(offset, whence, self._position, self._size)
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
        except FAILURES as error:
            raise EvidenceError(f"offset {self._position}: {reason(error)}") from error
        if not data:
            raise EvidenceError(f"offset {self._position}: nothing more, expected {self._size} bytes")
        return data
