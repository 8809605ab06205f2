"""File systems of a tree, made without mounting where the tools can."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.tools import MIB, blank, mounted, run

_UUID = "11111111-2222-3333-4444-55555555555"  # and one digit


def ext(tree: Path, image: Path, kind: str = "ext4", size_mib: int = 4, env: Mapping[str, str] | None = None) -> Path:
    """Make an ext2, ext3 or ext4 of a tree; the same bytes from the same tree, but for its ctimes."""
    blank(image, size_mib * MIB)
    features = () if kind == "ext3" else ("-O", "^has_journal")
    fixed = ("-U", f"{_UUID}0", "-E", f"hash_seed={_UUID}1,root_owner=0:0", "-m", 0)
    run(f"mkfs.{kind}", "-q", "-F", "-b", 1024, *features, *fixed, "-d", tree, image, env=env)
    return image


def ext2(tree: Path, image: Path) -> Path:
    return ext(tree, image, "ext2")


def ext3(tree: Path, image: Path) -> Path:
    return ext(tree, image, "ext3")


def ext4(tree: Path, image: Path) -> Path:
    return ext(tree, image)


def xfs(tree: Path, image: Path) -> Path:
    """Make an XFS of a tree; mkfs.xfs wants 300 MiB, nearly all of it a hole."""
    proto = image.with_suffix(".proto")
    proto.write_bytes(b"/none\n0 0\nd--755 0 0\n" + b"".join(_proto(tree)) + b"$\n")
    blank(image, 300 * MIB)
    run("mkfs.xfs", "-q", "-p", proto, image)
    return image


def _proto(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        name = os.fsencode(path.name)
        if path.is_symlink():
            yield name + b" l--777 0 0 " + os.fsencode(path.readlink()) + b"\n"
        elif path.is_dir():
            yield name + b" d--755 0 0\n" + b"".join(_proto(path)) + b"$\n"
        else:
            yield name + b" ---644 0 0 " + os.fsencode(path) + b"\n"


def btrfs(tree: Path, image: Path) -> Path:
    """Make a Btrfs of a tree."""
    blank(image, 128 * MIB)
    run("mkfs.btrfs", "-q", "--rootdir", tree, image)
    return image


def btrfs_subvolumes(tree: Path, image: Path, names: Sequence[str] = ("@", "@/var")) -> Path:
    """Make a Btrfs that has a tree in the first of these subvolumes, and the others in it or beside it."""
    run("mkfs.btrfs", "-q", blank(image, 128 * MIB))
    with mounted(image) as folder:
        for name in names:
            run("btrfs", "subvolume", "create", folder / name)
        shutil.copytree(tree, folder / names[0], symlinks=True, dirs_exist_ok=True)
    return image


def fat(tree: Path, image: Path) -> Path:
    """Make a FAT32 of a tree."""
    run("mkfs.vfat", "-F", 32, blank(image, 40 * MIB))
    run("mcopy", "-s", "-i", image, *sorted(tree.iterdir()), "::/")
    return image


def ntfs(tree: Path, image: Path) -> Path:
    """Make an NTFS of a tree; it is mounted for that, if by FUSE."""
    run("mkntfs", "-q", "-F", blank(image, 8 * MIB))
    with mounted(image, "ntfs-3g") as folder:
        shutil.copytree(tree, folder, symlinks=True, dirs_exist_ok=True, copy_function=shutil.copy)
    return image


def ntfs_flat(tree: Path, image: Path) -> Path:
    """Make an NTFS of a tree's files, all in its root folder, as it can be made without mounting."""
    run("mkntfs", "-q", "-F", blank(image, 8 * MIB))
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        run("ntfscp", "-q", image, path, path.name)
    return image


def iso(tree: Path, image: Path, *options: str) -> Path:
    """Make an ISO 9660, by default with Rock Ridge's names."""
    run("genisoimage", "-quiet", *(options or ("-R",)), "-o", image, tree)
    return image
