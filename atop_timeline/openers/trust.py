"""Disk images that a library would misread without an error: never silently wrong bytes."""

import os
import re
import struct
from typing import BinaryIO
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from atop_timeline.hostfiles import opened
from atop_timeline.notes import reason

_VHDX_HEADERS = (1 << 16, 1 << 17)
_VHDX_HEADER_BYTES, _VHDX_SEQUENCE, _VHDX_LOG = 64, slice(8, 16), slice(48, 64)
_VHDX_REGIONS, _VHDX_TABLE_BYTES, _VHDX_HAS_PARENT = 3 << 16, 1 << 16, 2
_VHDX_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_VHDX_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_VMDK_DESCRIPTOR_BYTES, _VMDK_NO_PARENT = 1 << 16, 0xFFFFFFFF
_QCOW_WITH_FEATURES = 3
_QCOW_EXTERNAL_DATA = 1 << 2


def unfinished(path: str, head: bytes) -> str:
    """Why nothing reads a disk image right as it is, and what helps; empty where nothing is known."""
    if head.startswith(b"vhdxfile"):
        return _with_log(path) or _with_parent(path)
    return _with_other_parent(path, head) if head.startswith((b"KDMV", b"# Disk DescriptorFile")) else ""


def _with_other_parent(path: str, head: bytes) -> str:
    """A VMDK that holds changes names the content of its parent: VMware, Virtual Disk Format 5.0."""
    named = re.search(rb"^parentCID=([0-9a-fA-F]{1,8})\b", head, re.MULTILINE)
    if not named or int(named[1], 16) == _VMDK_NO_PARENT:
        return ""
    hint = re.search(rb'^parentFileNameHint="([^"\n]*)"', head, re.MULTILINE)
    parent = os.path.join(os.fsencode(os.path.dirname(path)), hint[1] if hint else b"")  # noqa: PTH118, PTH120  bytes
    try:
        with opened(parent) as stream:
            own = re.search(rb"^CID=([0-9a-fA-F]{1,8})\b", stream.read(_VMDK_DESCRIPTOR_BYTES), re.MULTILINE)
    except OSError as error:
        return f"VMDK with changes to another image, {os.fsdecode(parent)!a}, which cannot be read: {reason(error)}"
    is_same = own is not None and int(own[1], 16) == int(named[1], 16)
    return "" if is_same else "VMDK with changes to another image, which has itself changed since"


def _with_parent(path: str) -> str:
    """A VHDX that holds changes says so: [MS-VHDX] 2.2.3 and 2.6.2.1; no library reads all of these right."""
    with opened(path) as stream:
        stream.seek(_VHDX_REGIONS)
        place = _behind(stream.read(_VHDX_TABLE_BYTES), _VHDX_METADATA, "<Q")
        stream.seek(place)
        table = stream.read(_VHDX_TABLE_BYTES)
        stream.seek(place + _behind(table, _VHDX_PARAMETERS, "<I") + 4)
        flags = int.from_bytes(stream.read(4), "little")
    is_child = flags & _VHDX_HAS_PARENT
    return (
        "VHDX with changes to another image: merge the two on copies, such as by Hyper-V's Merge-VHD"
        if is_child
        else ""
    )


def _behind(table: bytes, item: bytes, form: str) -> int:
    """The number behind an identifier in a table, 0 where that is not there."""
    place = table.find(item)
    is_there = 0 <= place <= len(table) - 2 * len(item)
    return int(struct.unpack_from(form, table, place + len(item))[0]) if is_there else 0


def _with_log(path: str) -> str:
    """A VHDX has changes in its log where it was copied from a running machine: [MS-VHDX] 2.2.2 and 2.3."""
    with opened(path) as stream:
        stream.seek(_VHDX_HEADERS[0])
        heads = stream.read(_VHDX_HEADERS[1] - _VHDX_HEADERS[0] + _VHDX_HEADER_BYTES)
    found = [heads[offset - _VHDX_HEADERS[0] :][:_VHDX_HEADER_BYTES] for offset in _VHDX_HEADERS]
    whole = (each for each in found if each.startswith(b"head") and len(each) == _VHDX_HEADER_BYTES)
    current = max(whole, key=_sequence, default=b"")
    what = "VHDX with changes that are only in its log: `qemu-img check -r all` on a copy finishes them"
    return what if current[_VHDX_LOG].strip(b"\0") else ""


def _sequence(vhdx_header: bytes) -> int:
    return int.from_bytes(vhdx_header[_VHDX_SEQUENCE], "little")


def misread(path: str, head: bytes) -> str:
    """What dfVFS's libraries would give wrong bytes of, without an error; empty where nothing is known.

    qemu: docs/interop/qcow2.txt, "Header". Raises OSError, ValueError or struct.error where it is damaged.
    """
    if not head.startswith(b"QFI\xfb"):
        return ""
    version, backing = struct.unpack_from(">4xIQ", head)
    encryption = struct.unpack_from(">32xI" if version > 1 else ">36xI", head)[0]
    features = struct.unpack_from(">72xQ", head)[0] if version >= _QCOW_WITH_FEATURES else 0
    cases = (
        (backing, "a backing file"),
        (encryption, "encryption"),
        (features & _QCOW_EXTERNAL_DATA, "its data in another file"),
        (version >= _QCOW_WITH_FEATURES and _has_compressed_clusters(path, head), "compressed clusters"),
    )
    return next((f"qcow2 with {what}, which libqcow misreads" for case, what in cases if case), "")


def _has_compressed_clusters(path: str, head: bytes) -> bool:
    """Whether a qcow2 of version 3 has some; the same text, "Cluster mapping"."""
    cluster_bits, l1_size, l1_offset, features = struct.unpack_from(">20xI12xIQ24xQ", head)
    if cluster_bits not in range(9, 22) or l1_size > 1 << 22:  # qemu's own limits
        raise ValueError(f"cluster_bits {cluster_bits}, l1_size {l1_size}")
    words_per_entry = 2 if features & 1 << 4 else 1
    with opened(path) as stream:
        l2_offsets = np.unique(_words(stream, l1_offset, l1_size * 8) & np.uint64(0x00FFFFFFFFFFFE00))
        tables = (_words(stream, offset, 1 << cluster_bits) for offset in l2_offsets[l2_offsets != 0].tolist())
        return any((table[::words_per_entry] & np.uint64(1 << 62)).any() for table in tables)


def _words(stream: BinaryIO, offset: int, size: int) -> NDArray[np.uint64]:
    stream.seek(offset)
    return np.frombuffer(stream.read(size), ">u8")
