"""What a file, an image or a volume is, as its own bytes tell."""

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VDI = "VirtualBox VDI"
LOGLESS = frozenset({"swap", "zeros"})
"""Kinds of volumes that hold no files."""

_KINDS = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    *((0, bytes([low]) + b"\x2a\x4d\x18", "zstd") for low in range(0x50, 0x60)),  # frames to be skipped
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip archive"),
    (257, b"ustar", "tar archive"),
    (64, b"\x7f\x10\xda\xbe", VDI),
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
HEAD_BYTES = 0x11000  # enough for every row


def read_head(path: str) -> bytes:
    """The first `HEAD_BYTES` of a file, or all of a shorter one."""
    with Path(path).open("rb") as stream:
        return stream.read(HEAD_BYTES)


def kind_of(head: bytes) -> str:
    """What first bytes are, '' if nothing known."""
    for offset, magic, kind in _KINDS:
        if head.startswith(magic, offset):
            return kind
    if head and not head.strip(b"\x00"):
        return "zeros"
    return "text" if re.fullmatch(rb"[\t\n\r\x20-\x7e]+", head[:64]) else ""


def ewf_segment(head: bytes) -> int:
    """Which segment of an EWF image this is, 0 if none; libewf: Expert Witness Compression Format."""
    for signature, offset, size in ((b"EVF\x09\x0d\x0a\xff\x00", 9, 2), (b"EVF2\x0d\x0a\x81\x00", 12, 4)):
        if head.startswith(signature):
            return int.from_bytes(head[offset : offset + size], "little")
    return 0


def has_compressed_clusters(path: str, head: bytes) -> bool:
    """Whether this is a qcow2 of version 3 that has compressed clusters.

    qemu: docs/interop/qcow2.txt, "Cluster mapping". Raises OSError, ValueError or struct.error where it is
    damaged.
    """
    if not head.startswith(b"QFI\xfb\x00\x00\x00\x03"):
        return False
    cluster_bits, l1_size, l1_offset, features = struct.unpack_from(">20xI12xIQ24xQ", head)
    if cluster_bits not in range(9, 22) or l1_size > 1 << 22:  # qemu's own limits
        raise ValueError(f"cluster_bits {cluster_bits}, l1_size {l1_size}")
    words_per_entry = 2 if features & 1 << 4 else 1
    with Path(path).open("rb") as stream:
        l2_offsets = np.unique(_words(stream, l1_offset, l1_size * 8) & np.uint64(0x00FFFFFFFFFFFE00))
        tables = (_words(stream, offset, 1 << cluster_bits) for offset in l2_offsets[l2_offsets != 0].tolist())
        return any((table[::words_per_entry] & np.uint64(1 << 62)).any() for table in tables)


def _words(stream: BinaryIO, offset: int, size: int) -> "NDArray[np.uint64]":
    stream.seek(offset)
    return np.frombuffer(stream.read(size), ">u8")
