"""What a file, an image or a volume is, as its own bytes tell."""

import re

from atop_timeline.hostfiles import opened

PHYSICAL_VOLUME = "LVM physical volume"
LOGLESS = frozenset({"swap", "zeros"})
"""Kinds of volumes that hold no files."""

_KINDS = (
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    *((0, bytes([low]) + b"\x2a\x4d\x18", "zstd") for low in range(0x50, 0x60)),  # frames to be skipped
    (0, b"BZh", "bzip2"),
    *((0, magic, "zip archive") for magic in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK")),
    (257, b"ustar", "tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    *((0, magic, "cpio archive") for magic in (b"070701", b"070702", b"070707", b"\xc7\x71")),
    (0, b"!<arch>\n", "ar archive"),
    (64, b"\x7f\x10\xda\xbe", "VirtualBox VDI"),
    (0, b"QFI\xfb", "qcow2"),
    *((0, magic, "VMDK") for magic in (b"KDMV", b"COWD", b"# Disk DescriptorFile")),
    (0, b"vhdxfile", "VHDX"),
    (0, b"conectix", "VHD"),
    (0, b"EVF2\x0d\x0a\x81\x00", "Ex01"),
    (0, b"EVF\x09\x0d\x0a\xff\x00", "E01"),
    (0, b"LUKS\xba\xbe\x00\x01", "LUKS1, encrypted"),
    (0, b"LUKS\xba\xbe\x00\x02", "LUKS2, encrypted"),
    (3, b"-FVE-FS-", "BitLocker, encrypted"),
    (424, b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", "BitLocker To Go, encrypted"),
    (4086, b"SWAPSPACE2", "swap"),
    (512, b"LABELONE", PHYSICAL_VOLUME),
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
    with opened(path) as stream:
        return stream.read(HEAD_BYTES)


def beginnings(kind: str) -> list[bytes]:
    """What files of a kind begin with."""
    return [magic for offset, magic, each in _KINDS if each == kind and not offset]


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
