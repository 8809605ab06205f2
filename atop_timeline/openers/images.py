"""Disk images by dfVFS (https://dfvfs.readthedocs.io): their volumes, and what cannot be read and why.

This module and `volumes` are the only ones that know dfVFS.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from dfvfs.helpers import source_scanner
from dfvfs.lib import definitions
from dfvfs.resolver import resolver

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.kinds import HEAD_BYTES, PHYSICAL_VOLUME, kind_of
from atop_timeline.notes import reason
from atop_timeline.openers import untouched
from atop_timeline.openers.volumes import FAILURES, DfvfsTree, DfvfsVolume, context_of, held_in, volume_name
from atop_timeline.trees import Image, Volume

_ENCRYPTED = definitions.TYPE_INDICATORS_WITH_ENCRYPTION_SUPPORT
_TRIES = 3


def image(path: str, keys: Keys, *, verified: bool) -> Image:
    """What dfVFS makes of a file; `verified` has dissect read an E01. Raises `EvidenceError` where all of it fails."""
    untouched.register(verified=verified)
    scanner, scan = _Scanner(), source_scanner.SourceScannerContext()
    try:
        scan.OpenSourcePath(path)
        scanner.Scan(scan)
        locked = _unlock_all(scanner, scan, keys)
    except FAILURES as error:
        raise EvidenceError(reason(error)) from error
    nodes = list(_nodes(scan.GetRootScanNode()))
    reasons = {volume_name(spec): why for spec, why in scanner.failures} | locked
    opened = [
        volume for volume in _with_file_systems(nodes) if volume.name not in locked
    ]  # BitLocker To Go shows a FAT
    volumes = [*opened, *_without(nodes, reasons)]
    order = list(dict.fromkeys(volume_name(node.path_spec) for node in nodes))
    return Image(_disk(nodes), sorted(volumes, key=lambda volume: order.index(volume.name)))


def _disk(nodes: Sequence[Any]) -> DfvfsVolume:
    """The bytes of the disk in an image, or of what is none."""
    specs = [node.path_spec for node in nodes]
    storage = [spec for spec in specs if spec.type_indicator in definitions.STORAGE_MEDIA_IMAGE_TYPE_INDICATORS]
    return DfvfsVolume(storage[-1] if storage else specs[0])


class _Scanner(source_scanner.SourceScanner):  # type: ignore[misc]  # dfVFS has no types
    """dfVFS's scanner, which loses the whole image by one bad volume; here it becomes one of `failures`."""

    def __init__(self) -> None:
        super().__init__(resolver_context=context_of(os.getpid()))
        self.failures: list[tuple[Any, str]] = []

    def _ScanNode(self, scan_context: Any, scan_node: Any, auto_recurse: bool = True) -> None:  # noqa: ANN401, FBT001, FBT002, N802  as in dfVFS
        try:
            super()._ScanNode(scan_context, scan_node, auto_recurse=auto_recurse)
        except FAILURES as error:
            scan_node.scanned = True
            self.failures.append((scan_node.path_spec, reason(error)))

    def _ScanEncryptedVolumeNode(self, scan_context: Any, scan_node: Any) -> None:  # noqa: ANN401, N802  as in dfVFS
        if not scan_node.credential:  # or it would be opened, and its key derived, again
            super()._ScanEncryptedVolumeNode(scan_context, scan_node)

    def Unlock(self, scan_context: Any, path_spec: Any, kind: str, key: Any) -> bool:  # noqa: ANN401, N802  as in dfVFS
        """Whether a key fits. To derive one takes seconds to minutes: what was opened is held, and opened once."""
        resolver.Resolver.key_chain.SetCredential(path_spec, kind, key)
        volume = resolver.Resolver.OpenFileObject(path_spec, resolver_context=self._resolver_context)
        if volume.is_locked:
            return False
        scan_context.UnlockScanNode(path_spec, kind, key)
        held_in(os.getpid()).append(volume)
        return True


def _unlock_all(scanner: _Scanner, scan: Any, keys: Keys) -> dict[str, str]:  # noqa: ANN401  dfVFS has no types
    """Unlock what can be unlocked, and go on behind it; why what cannot be, by the names of volumes."""
    locked: dict[str, str] = {}
    while todo := [node for node in scan.locked_scan_nodes if volume_name(node.path_spec) not in locked]:
        spec = todo[0].path_spec
        why = _unlock(scanner, scan, spec, keys)
        if why:
            locked[volume_name(spec)] = why
        else:
            scanner.Scan(scan, scan_path_spec=spec)
    return locked


def _unlock(scanner: _Scanner, scan: Any, spec: Any, keys: Keys) -> str:  # noqa: ANN401  as above
    """Why a volume stays locked; empty where it does not."""
    tried = 0
    for kind, key in _credentials(spec.type_indicator, volume_name(spec), keys):
        tried += 1
        with suppress(*FAILURES):  # what is no key at all
            if scanner.Unlock(scan, spec, kind, key):
                return ""
        resolver.Resolver.key_chain.SetCredential(spec, kind, None)
    return NONE_FITS if tried else LOCKED


def _credentials(indicator: str, name: str, keys: Keys) -> Iterator[tuple[str, Any]]:
    """What to try, in dfVFS's terms; a LUKS key file is a password, and only text to dfVFS."""
    is_bitlocker = indicator == definitions.TYPE_INDICATOR_BDE
    yield from (("password", password) for password in keys.passwords)
    if is_bitlocker:
        yield from (("recovery_password", key) for key in keys.recovery_keys)
        yield from (("startup_key", _path_of(key)) for key in keys.key_files)
    else:
        yield from (("password", key.decode()) for key in keys.key_files if _is_text(key))
    for _ in range(_TRIES):
        answer = keys.ask(name)
        if answer is None:
            return
        yield "password", answer
        if is_bitlocker:
            yield "recovery_password", answer


def _path_of(key: bytes) -> str:
    """A path from which libbde reads a key that lies in no file."""
    descriptor = os.memfd_create("key")
    os.write(descriptor, key)
    held_in(os.getpid()).append(descriptor)
    return f"/proc/self/fd/{descriptor}"


def _is_text(key: bytes) -> bool:
    try:
        return "\0" not in key.decode()
    except UnicodeDecodeError:
        return False


def _nodes(node: Any) -> Iterator[Any]:  # noqa: ANN401  dfVFS has no types
    yield node
    for sub_node in node.sub_nodes:
        yield from _nodes(sub_node)


def _with_file_systems(nodes: Sequence[Any]) -> Iterator[Volume]:
    for node in nodes:
        if node.IsFileSystem():
            tree, source = DfvfsTree(node.path_spec), DfvfsVolume(node.path_spec.parent)
            yield Volume(tree.name, tree.kind, _size(source), source, tree, is_mapped=_is_mapped(node.path_spec))


def _without(nodes: Sequence[Any], reasons: dict[str, str]) -> Iterator[Volume]:
    """Volumes without a file system that can be read, and those where the scan failed."""
    told = set()
    for node in nodes:
        name = volume_name(node.path_spec)
        if name not in told and (name in reasons or _is_unknown(node)):
            told.add(name)
            yield _unread(node.path_spec, reasons.get(name, ""))


def _unread(spec: Any, why: str) -> Volume:  # noqa: ANN401  as above
    name, is_mapped = volume_name(spec), _is_mapped(spec.parent)
    while spec.IsVolumeSystemRoot() or spec.type_indicator in _ENCRYPTED:
        spec = spec.parent
    source = DfvfsVolume(spec)
    try:
        with source.open() as stream:
            kind = kind_of(stream.read(HEAD_BYTES)) or "unknown contents"
    except OSError as error:
        return Volume(name, "damaged", 0, None, None, why or reason(error), is_mapped)
    if kind == PHYSICAL_VOLUME:
        why = why or "its group has other volumes, or a layout that dfVFS does not know"
    return Volume(name, kind, _size(source), source, None, why, is_mapped)


def _is_unknown(node: Any) -> bool:  # noqa: ANN401  dfVFS has no types
    """Whether the scan ends here, but not in a file system, between partitions, or in an empty table."""
    spec = node.path_spec
    in_table = spec.type_indicator in definitions.PARTITION_TABLE_TYPE_INDICATORS
    is_partition = not in_table or (getattr(spec, "location", None) or "/") != "/"
    return is_partition and not node.sub_nodes and not node.IsFileSystem()


def _is_mapped(spec: Any) -> bool:  # noqa: ANN401  dfVFS has no types
    """Whether bytes of this are not as they lie on the disk: dfVFS's logical volumes are, in one piece."""
    return spec is not None and (spec.type_indicator in _ENCRYPTED or _is_mapped(spec.parent))


def _size(source: DfvfsVolume) -> int:
    try:
        with source.open() as stream:
            return stream.seek(0, os.SEEK_END)
    except OSError:
        return 0
