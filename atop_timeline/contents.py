"""What a piece of evidence is: a log by itself, trees to search, or bytes to carve."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from atop_timeline import openers
from atop_timeline.errors import EvidenceError, UsageError
from atop_timeline.hostfiles import host_file
from atop_timeline.keys import Keys
from atop_timeline.kinds import kind_of, read_head
from atop_timeline.notes import Notes, Problem, reason
from atop_timeline.openers.archives import archive, is_archive
from atop_timeline.openers.folders import FolderTree
from atop_timeline.recognition import Unwrapped, unwrapped
from atop_timeline.search import anywhere, components, matters, places
from atop_timeline.segments import ARCHIVE_SUFFIXES, missing_segments
from atop_timeline.texts import decode
from atop_timeline.trees import OPENERS, Entry, Image, Kind, Source, Tree, Volume

_MOST_HEADLESS_BYTES = 1 << 30
"""In a larger file that is no disk image, samples without a header are not looked for."""
_NESTED_DEPTH = 2
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


class _NoImageError(EvidenceError):
    """Nothing speaks for a disk image in a file."""


class Contents(NamedTuple):
    """What a piece of evidence is: a log by itself, or trees to search; bytes to carve; an image's volumes."""

    log: Source | None = None
    trees: Sequence[Tree] = ()
    raw: Sequence[Volume] = ()
    volumes: Sequence[Volume] = ()


def contents_of(path: str, wanted: Wanted, notes: Notes, others: Sequence[str]) -> Contents:
    """What is at a path; `others` as `Evidence` has them. Raises `OSError`, `EvidenceError` and `UsageError`."""
    if Path(path).is_dir():
        if wanted.carve:
            notes.tell(Problem("", "a folder is not carved; name the files in it that are to be", serious=False))
        return Contents(trees=[FolderTree(path)])
    head = _head_of_file(path)
    source = host_file(path)
    file = _unwrapped(source)
    if file and file.begins_as_log:
        return Contents(source)
    if is_archive(source):
        size = Path(path).stat().st_size
        raw = [Volume("", kind_of(head), size, source, None)] if wanted.carve else []
        return Contents(trees=_archives(source, wanted, notes), raw=raw)
    try:
        return _in_image(path, head, wanted, notes, others)
    except _NoImageError:
        is_small = Path(path).stat().st_size <= _MOST_HEADLESS_BYTES
        kind = file.inner_kind if file and file.wrapping else kind_of(head)
        if file and is_small and kind in _OF_DAMAGED and _has_samples(file):
            return Contents(source)
        raise


def _archives(source: Source, wanted: Wanted, notes: Notes) -> list[Tree]:
    """An archive, and those that lie in its top folders: a collection is often packed once more."""
    is_wanted = partial(matters, below=anywhere(places(wanted.log_paths)), scan=wanted.scan)
    outer = archive(source, wanted.keys, lambda path, head: _is_nested(path) or is_wanted(path, head))
    trees: list[Tree] = [outer]
    for path, file in _files_at_top(outer):
        if _is_nested(path):
            try:
                inner = archive(outer.source(file), wanted.keys, is_wanted)
            except EvidenceError as error:
                notes.tell(Problem(decode(path), f"cannot be opened: {reason(error)}", serious=True))
            else:
                inner.name = decode(path)
                trees.append(inner)
    return trees


def _files_at_top(tree: Tree) -> Iterator[tuple[bytes, Entry]]:
    """Files right in an archive, or in a folder right in it, with their paths."""
    top = [each for each in tree.entries(tree.top()[-1]) if isinstance(each, Entry)]
    for each in top:
        if each.kind is Kind.FILE:
            yield each.name, each
        elif each.kind is Kind.FOLDER:
            inner = (file for file in tree.entries(each) if isinstance(file, Entry) and file.kind is Kind.FILE)
            yield from ((each.name + b"/" + file.name, file) for file in inner)


def _is_nested(path: bytes) -> bool:
    """Whether this is named like an archive, and lies where one that is evidence would."""
    return len(components(os.fsdecode(path))) <= _NESTED_DEPTH and path.lower().endswith(ARCHIVE_SUFFIXES)


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


def _in_image(path: str, head: bytes, wanted: Wanted, notes: Notes, others: Sequence[str]) -> Contents:
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
    return Contents(trees=trees, raw=raw, volumes=image.volumes)


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
