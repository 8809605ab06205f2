"""Disk images for tests; a missing tool skips the test. What lies on a disk is made by the modules named below."""

import os
from pathlib import Path

from tests.encryption import luks, luks2
from tests.filesystems import btrfs, btrfs_subvolumes, ext, ext2, ext3, ext4, fat, iso, ntfs, ntfs_flat, xfs
from tests.lvm import lvm, lvm_across, lvm_beside, lvm_segments
from tests.tables import apm, gpt, gpt_with_gaps, mbr, mbr_logical
from tests.tools import MIB, blank, run

__all__ = [
    "apm",
    "backed",
    "btrfs",
    "btrfs_subvolumes",
    "damaged_luks2",
    "ewf",
    "ext",
    "ext2",
    "ext3",
    "ext4",
    "fat",
    "gpt",
    "gpt_with_gaps",
    "iso",
    "luks",
    "luks2",
    "lvm",
    "lvm_across",
    "lvm_beside",
    "lvm_segments",
    "mbr",
    "mbr_logical",
    "ntfs",
    "ntfs_flat",
    "qemu",
    "random_bytes",
    "run",
    "split",
    "split_by_letters",
    "vhdx_with_log",
    "xfs",
]


def random_bytes(image: Path, mib: int = 4) -> Path:
    image.write_bytes(b"\xa7" + os.urandom(mib * MIB - 1))
    return image


def damaged_luks2(image: Path) -> Path:
    image.write_bytes(b"LUKS\xba\xbe\x00\x02" + bytes((4 << 20) - 8))
    return image


def ewf(raw: Path, image: Path, compression: str = "fast", segment_bytes: int = 1 << 30, form: str = "encase6") -> Path:
    """Acquire an E01, or with `encase7-v2` an Ex01, in segments of at most this size (1 MiB is the least).

    Returns the first one's path.
    """
    texts = ("-C", "test", "-D", "atop-timeline test image", "-e", "nobody", "-E", "1", "-N", "synthetic")
    how = ("-f", form, "-m", "fixed", "-M", "physical", "-c", compression, "-S", segment_bytes)
    run("ewfacquire", "-q", "-u", *texts, *how, "-t", image.with_suffix(""), raw)
    return image


def qemu(raw: Path, image: Path, form: str, *options: str) -> Path:
    """Convert to a format of qemu-img's."""
    run("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, image)
    return image


def backed(raw: Path, image: Path, form: str, base_form: str) -> Path:
    """Make a qcow2 or VMDK of a disk's odd MiB; `base` beside it, named relatively, has the even ones."""
    data, size = raw.read_bytes(), raw.stat().st_size
    odd = {at: data[at : at + MIB] for at in range(MIB, size, 2 * MIB)}
    half = blank(image.with_name("half"), size)
    base = image.with_name("base")
    with half.open("r+b") as stream:
        for at in range(0, size, 2 * MIB):
            stream.seek(at)
            stream.write(data[at : at + MIB])
    qemu(half, base, base_form)
    run("qemu-img", "create", "-f", form, "-b", base.name, "-F", base_form, image)
    for at, piece in odd.items():
        half.write_bytes(piece)
        run("qemu-io", "-f", form, "-c", f"write -s {half} {at} {len(piece)}", image)
    half.unlink()
    return image


def vhdx_with_log(raw: Path, image: Path) -> Path:
    """Make a VHDX whose log is still to be replayed, as of a machine that was not shut down."""
    qemu(raw, image, "vhdx", "-o", "block_size=1048576")
    data = bytearray(image.read_bytes())
    log = data.index(b"loge") + 32
    for header in (1 << 16, 2 << 16):
        data[header + 48 : header + 64] = data[log : log + 16]
        data[header + 4 : header + 8] = bytes(4)
        data[header + 4 : header + 8] = _crc32c(bytes(data[header : header + 4096])).to_bytes(4, "little")
    image.write_bytes(data)
    return image


def _crc32c(data: bytes) -> int:
    rest = 0xFFFFFFFF
    for each in data:
        rest ^= each
        for _ in range(8):
            rest = rest >> 1 ^ (0x82F63B78 if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


def split(raw: Path, first: Path, piece_bytes: int) -> Path:
    """Cut into `.001`, `.002` ..., or from `.000` on if the first is named so; the first one's path."""
    data = raw.read_bytes()
    for number, offset in enumerate(range(0, len(data), piece_bytes), int(first.suffix[1:])):
        first.with_suffix(f".{number:03d}").write_bytes(data[offset : offset + piece_bytes])
    return first


def split_by_letters(raw: Path, first: Path, piece_bytes: int) -> Path:
    """Cut into `.aa`, `.ab` ... as split does; the first one's path."""
    run("split", "-b", piece_bytes, raw, f"{first.with_suffix('')}.")
    return first
