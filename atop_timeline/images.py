"""Disk images by dfVFS (https://dfvfs.readthedocs.io): their volumes, and what cannot be read and why.

This module and `volumes` are the only ones that know dfVFS.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfvfs.helpers import source_scanner
from dfvfs.lib import definitions
from dfvfs.resolver import context, resolver

from atop_timeline.errors import EvidenceError
from atop_timeline.kinds import HEAD_BYTES, LOGLESS, VDI, ewf_segment, has_compressed_clusters, kind_of
from atop_timeline.search import HOMES, LOG_NAME, OTHER_NAME, Candidate, Notes, Problem, components, joined, reason
from atop_timeline.volumes import FAILURES, Volume, volume_name

_VOLUME_MIN_BYTES = 1 << 21  # a BIOS boot partition is smaller, a volume with logs is not
_ADVICE = "convert it with `qemu-img convert -O raw`"


class Image:
    """A disk image, of which at least one file system can be read."""

    def __init__(self, path: str, head: bytes, log_paths: Sequence[list[str]], notes: Notes) -> None:
        _refuse_what_would_be_misread(path, head)
        nodes, failures = _scan(path)
        unread = list(_unread(nodes, failures))
        self._notes = notes
        self._patterns = _patterns(log_paths)
        self._volumes = [Volume(node.path_spec, notes) for node in nodes if node.IsFileSystem()]
        if not self._volumes:
            raise EvidenceError(_nothing_readable(head, unread))
        for problem in unread:
            notes.tell(problem)

    def candidates(self) -> Iterator[Candidate]:
        """Regular files, volume by volume in the order of the partition tables."""
        for volume in self._volumes:
            self._notes.note_searched(volume.name, f"{volume.kind} file system")
            yield from volume.candidates(self._patterns, self._users(volume))

    def _users(self, volume: Volume) -> Mapping[int, str]:
        """Of the volume itself, or of the only other one that has any: /var is often a volume of its own."""
        if volume.users is not None:
            return volume.users
        others = [other.users for other in self._volumes if other.users is not None]
        return others[0] if len(others) == 1 else {}


def _refuse_what_would_be_misread(path: str, head: bytes) -> None:
    """Raise over a later segment, and over what libqcow 20260703 reads as zeros without an error."""
    segment = ewf_segment(head)
    if segment > 1:
        raise EvidenceError(f"segment {segment} of a split image, open the first one")
    try:
        compressed = has_compressed_clusters(path, head)
    except (OSError, ValueError, struct.error) as error:
        raise EvidenceError(f"damaged qcow2 image: {reason(error)}") from error
    if compressed:
        raise EvidenceError(f"qcow2 with compressed clusters, which libqcow misreads: {_ADVICE}")


def _patterns(log_paths: Sequence[list[str]]) -> list[tuple[list[str], bool]]:
    """Globs from the root of a volume, and whether what matches ought to be a log."""
    homes = [components(home) for home in HOMES]
    return [
        *(([*home, LOG_NAME], True) for home in homes),
        *((log_path, True) for log_path in log_paths),
        *(([*home, OTHER_NAME], False) for home in homes),
    ]


class _Scanner(source_scanner.SourceScanner):  # type: ignore[misc]  # dfVFS has no types
    """dfVFS's scanner, which loses the whole image by one bad volume; here it becomes one of `failures`."""

    def __init__(self) -> None:
        super().__init__(resolver_context=context.Context())
        self.failures: list[tuple[Any, str]] = []

    def _ScanNode(self, scan_context: Any, scan_node: Any, auto_recurse: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002, N802  as in dfVFS
        try:
            super()._ScanNode(scan_context, scan_node, auto_recurse=auto_recurse)
        except FAILURES as error:
            scan_node.scanned = True
            self.failures.append((scan_node.path_spec, reason(error)))


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
    reasons = {volume_name(spec): why for spec, why in failures}
    told = set()
    for node in nodes:
        name = volume_name(node.path_spec)
        if name not in told and (name in reasons or _is_unknown(node)):
            told.add(name)
            kind, size = _kind_and_size(node.path_spec)
            what = f"{kind}, cannot be read" + (f": {reasons[name]}" if name in reasons else "")
            yield Problem(name, what, serious=kind not in LOGLESS and size >= _VOLUME_MIN_BYTES)


def _is_unknown(node: Any) -> bool:  # noqa: ANN401  dfVFS has no types
    """Whether the scan ends here, but not in a file system, between partitions, or in an empty table."""
    spec = node.path_spec
    in_table = spec.type_indicator in definitions.PARTITION_TABLE_TYPE_INDICATORS
    is_partition = not in_table or (getattr(spec, "location", None) or "/") != "/"
    return is_partition and not node.sub_nodes and not node.IsFileSystem()


def _kind_and_size(spec: Any) -> tuple[str, int]:  # noqa: ANN401  dfVFS has no types
    """Kind of a volume, as its first bytes tell, and its size in bytes."""
    while spec.IsVolumeSystemRoot() or spec.type_indicator in definitions.TYPE_INDICATORS_WITH_ENCRYPTION_SUPPORT:
        spec = spec.parent
    try:
        volume = resolver.Resolver.OpenFileObject(spec, resolver_context=context.Context())
        volume.seek(0)
        return kind_of(volume.read(HEAD_BYTES)) or "unknown contents", volume.get_size()
    except FAILURES:
        return "damaged", _VOLUME_MIN_BYTES


def _nothing_readable(head: bytes, unread: Sequence[Problem]) -> str:
    if any(problem.where for problem in unread):
        reasons = "; ".join(joined(problem.where, problem.what) for problem in unread)
        return f"no file system in this image can be read: {reasons}"
    kind = kind_of(head) or f"begins with {head[:4].hex(' ')}"
    advice = f": {_ADVICE}" if kind == VDI else ""
    return f"neither a readable disk image, nor a folder, nor an atop log, but {kind}{advice}"
