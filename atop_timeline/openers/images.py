"""Disk images by dfVFS (https://dfvfs.readthedocs.io): their volumes, and what cannot be read and why.

This module, `volumes`, `access` and `untouched` are the only ones that know dfVFS.
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
from atop_timeline.openers.access import Access, Key
from atop_timeline.openers.volumes import FAILURES, DfvfsTree, DfvfsVolume, volume_name
from atop_timeline.trees import Image, Volume

_ENCRYPTED = definitions.TYPE_INDICATORS_WITH_ENCRYPTION_SUPPORT
_TRIES = 3


def image(path: str, keys: Keys, *, verified: bool) -> Image:
    """What dfVFS makes of a file; `verified` has dissect read an E01. Raises `EvidenceError` where all of it fails."""
    scanner, scan = _Scanner(Access(verified)), source_scanner.SourceScannerContext()
    try:
        scan.OpenSourcePath(path)
        scanner.Scan(scan)
        locked = _unlock_all(scanner, scan, keys)
    except FAILURES as error:
        raise EvidenceError(reason(error)) from error
    access, nodes = scanner.access, list(_nodes(scan.GetRootScanNode()))
    reasons = {volume_name(spec): why for spec, why in scanner.failures} | locked
    opened = [
        volume for volume in _with_file_systems(access, nodes) if volume.name not in locked
    ]  # BitLocker To Go shows a FAT
    volumes = [*opened, *_without(access, nodes, reasons)]
    order = list(dict.fromkeys(volume_name(node.path_spec) for node in nodes))
    return Image(_disk(access, nodes), sorted(volumes, key=lambda volume: order.index(volume.name)))


def _disk(access: Access, nodes: Sequence[Any]) -> DfvfsVolume:
    """The bytes of the disk in an image, or of what is none."""
    specs = [node.path_spec for node in nodes]
    storage = [spec for spec in specs if spec.type_indicator in definitions.STORAGE_MEDIA_IMAGE_TYPE_INDICATORS]
    return _bytes_of(access, storage[-1] if storage else specs[0])


def _bytes_of(access: Access, spec: Any) -> DfvfsVolume:  # noqa: ANN401  dfVFS has no types
    return DfvfsVolume(access.to(spec), spec)


class _Scanner(source_scanner.SourceScanner):  # type: ignore[misc]  # dfVFS has no types
    """dfVFS's scanner, which loses the whole image by one bad volume; here it becomes one of `failures`.

    `access` is given without keys, and gets those that fit.
    """

    def __init__(self, access: Access) -> None:
        super().__init__(resolver_context=access.context())
        self.access = access
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

    def Unlock(self, scan_context: Any, key: Key) -> bool:  # noqa: ANN401, N802  as in dfVFS
        """Whether a key fits."""
        if not self.access.unlock(key):
            return False
        scan_context.UnlockScanNode(key.spec, key.kind, key.secret)
        self.access = Access(self.access.verified, (*self.access.keys, key))
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
    for kind, secret in _credentials(spec.type_indicator, volume_name(spec), keys):
        tried += 1
        with suppress(*FAILURES):  # what is no key at all
            if scanner.Unlock(scan, Key(spec, kind, secret)):
                return ""
        resolver.Resolver.key_chain.SetCredential(spec, kind, None)
    return NONE_FITS if tried else LOCKED


def _credentials(indicator: str, name: str, keys: Keys) -> Iterator[tuple[str, str | bytes]]:
    """What to try, in dfVFS's terms; a LUKS key file is a password, and only text to dfVFS."""
    is_bitlocker = indicator == definitions.TYPE_INDICATOR_BDE
    yield from (("password", password) for password in keys.passwords)
    if is_bitlocker:
        yield from (("recovery_password", key) for key in keys.recovery_keys)
        yield from (("startup_key", key) for key in keys.key_files)
    else:
        yield from (("password", key.decode()) for key in keys.key_files if _is_text(key))
    for _ in range(_TRIES):
        answer = keys.ask(name)
        if answer is None:
            return
        yield "password", answer
        if is_bitlocker:
            yield "recovery_password", answer


def _is_text(key: bytes) -> bool:
    try:
        return "\0" not in key.decode()
    except UnicodeDecodeError:
        return False


def _nodes(node: Any) -> Iterator[Any]:  # noqa: ANN401  dfVFS has no types
    yield node
    for sub_node in node.sub_nodes:
        yield from _nodes(sub_node)


def _with_file_systems(access: Access, nodes: Sequence[Any]) -> Iterator[Volume]:
    for node in nodes:
        if node.IsFileSystem():
            tree, source = DfvfsTree(access, node.path_spec), _bytes_of(access, node.path_spec.parent)
            yield Volume(tree.name, tree.kind, _size(source), source, tree, is_mapped=_is_mapped(node.path_spec))


def _without(access: Access, nodes: Sequence[Any], reasons: dict[str, str]) -> Iterator[Volume]:
    """Volumes without a file system that can be read, and those where the scan failed."""
    told = set()
    for node in nodes:
        name = volume_name(node.path_spec)
        if name not in told and (name in reasons or _is_unknown(node)):
            told.add(name)
            yield _unread(access, node.path_spec, reasons.get(name, ""))


def _unread(access: Access, spec: Any, why: str) -> Volume:  # noqa: ANN401  as above
    name, is_mapped = volume_name(spec), _is_mapped(spec.parent)
    while spec.IsVolumeSystemRoot() or spec.type_indicator in _ENCRYPTED:
        spec = spec.parent
    source = _bytes_of(access, spec)
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
