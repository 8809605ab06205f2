"""Storage, volume, file system, collection: each gives the same logs as they are by themselves."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from atop_timeline.evidence import Evidence, Wanted, open_evidence
from atop_timeline.keys import Keys
from tests import disks
from tests.encryption import BINARY_KEY, PASSWORD
from tests.servers import BIG, LITTLE, PACK, USERS, expected, found, sha256, write

Make: TypeAlias = Callable[[Path, Path], Path]
"""From a tree, or a raw image, and the path of what is to be made."""

OPEN, LOCKED = Wanted(), Wanted(keys=Keys(("wrong", PASSWORD), key_files=(BINARY_KEY,)))


def needs_dissect() -> None:
    pytest.importorskip("dissect.volume")


def logs_of(path: Path, wanted: Wanted = OPEN) -> list[tuple[str, str, bytes]]:
    evidence = Evidence(str(path), wanted)
    logs = found(evidence)
    assert [problem for problem in evidence.problems if problem.serious] == []
    return logs


# File systems.

FILE_SYSTEMS: list[tuple[str, Make, str]] = [
    ("ext2", disks.ext2, "dfvfs"),
    ("ext3", disks.ext3, "dfvfs"),
    ("ext4", disks.ext4, "dfvfs"),
    ("XFS", disks.xfs, "dfvfs"),
    ("FAT", disks.fat, "dfvfs"),
    ("NTFS", disks.ntfs, "dfvfs"),
    ("ISO with Joliet", lambda tree, image: disks.iso(tree, image, "-J"), "dfvfs"),
    ("ext2 by dissect", disks.ext2, "dissect"),
    ("ext3 by dissect", disks.ext3, "dissect"),
    ("ext4 by dissect", disks.ext4, "dissect"),
    ("XFS by dissect", disks.xfs, "dissect"),
    ("Btrfs", disks.btrfs, "auto"),
    ("FAT by dissect", disks.fat, "dissect"),
    ("NTFS by dissect", disks.ntfs, "dissect"),
]


@pytest.mark.parametrize("table", [None, disks.gpt], ids=["no table", "GPT"])
@pytest.mark.parametrize(("make", "opener"), [row[1:] for row in FILE_SYSTEMS], ids=[row[0] for row in FILE_SYSTEMS])
def test_file_system(tree: Path, tmp_path: Path, make: Make, opener: str, table: Make | None) -> None:
    if opener != "dfvfs":
        needs_dissect()
    volume = make(tree, tmp_path / "volume.raw")
    image = table(tmp_path / "disk.raw", volume) if table else volume
    assert logs_of(image, Wanted(opener=opener)) == expected("p1" if table else "")


@pytest.mark.parametrize("options", [("-R",), ("-quiet",)], ids=["Rock Ridge", "short names"])
def test_iso_whose_long_names_are_not_read(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The Sleuth Kit shows short names in capitals."""
    logs = logs_of(disks.iso(tree, tmp_path / "disk.iso", *options))
    assert sorted(data for _, _, data in logs) == sorted((LITTLE, BIG))
    assert {path[:-3] for _, path, _ in logs} == {"/VAR/LOG/ATOP/ATOP_"}


def test_subvolumes_of_btrfs(tree: Path, tmp_path: Path) -> None:
    """The logs are in one, the users in another."""
    needs_dissect()
    disk = disks.gpt(tmp_path / "disk.raw", disks.btrfs_subvolumes(tree, tmp_path / "volume.raw"))
    assert logs_of(disk) == expected("p1/@/var", "/log/atop")
    assert [log.users for log in Evidence(str(disk)).logs()] == [USERS, USERS]


# Volumes.


def beside(table: Callable[..., Path]) -> Make:
    """A table in which an empty file system comes first."""

    def make(volume: Path, image: Path) -> Path:
        empty = image.with_suffix(".empty")
        empty.mkdir()
        return table(image, disks.ext2(empty, image.with_suffix(".ext2")), volume)

    return make


def lvm_beside(volume: Path, image: Path) -> Path:
    empty = image.with_suffix(".empty")
    empty.mkdir()
    return disks.lvm(image, disks.ext2(empty, image.with_suffix(".first")), volume)


def over_two_partitions(volume: Path, image: Path) -> Path:
    return disks.gpt(image, *disks.lvm_across(image.with_suffix(".pv1"), image.with_suffix(".pv2"), volume))


VOLUMES: list[tuple[str, Make, str]] = [
    ("none", lambda volume, image: volume.rename(image), ""),
    ("MBR", beside(disks.mbr), "p2"),
    ("MBR, logical", beside(disks.mbr_logical), "p5"),
    ("GPT", beside(disks.gpt), "p2"),
    ("GPT with gaps", beside(disks.gpt_with_gaps), "p5"),
    ("APM", lambda volume, image: disks.apm(image, volume), "p1"),
    ("LVM2, second volume", lvm_beside, "lvm2"),
    ("LVM2, two segments", lambda volume, image: disks.lvm_segments(image, volume), "lvm1"),
    ("LVM2, two physical volumes", over_two_partitions, "p1/lvm1"),
    ("LUKS1", disks.luks, ""),
    ("LUKS1, binary key file", lambda volume, image: disks.luks(volume, image, BINARY_KEY), ""),
    ("LUKS2", disks.luks2, ""),
    ("LUKS2, binary key file", lambda volume, image: disks.luks2(volume, image, BINARY_KEY), ""),
    (
        "LVM2 in LUKS2 in GPT",
        lambda volume, image: disks.gpt(
            image, disks.luks2(disks.lvm(image.with_suffix(".pv"), volume), image.with_suffix(".luks"))
        ),
        "p1/lvm1",
    ),
    (
        "LUKS1 in LVM2",
        lambda volume, image: disks.lvm(image, disks.luks(volume, image.with_suffix(".luks"))),
        "lvm1",
    ),
]


DISSECTS_VOLUMES = ("binary key file", "LUKS2", "two segments", "two physical volumes")


@pytest.mark.parametrize("opener", ["auto", "dissect"])
@pytest.mark.parametrize(("kind", "make", "name"), VOLUMES, ids=[row[0] for row in VOLUMES])
def test_volume(tree: Path, tmp_path: Path, kind: str, make: Make, name: str, opener: str) -> None:  # noqa: PLR0913, PLR0917  a table
    if opener == "dissect" or any(part in kind for part in DISSECTS_VOLUMES):
        needs_dissect()
    file_system = disks.ext(tree, tmp_path / "volume.raw", size_mib=8)
    image = make(file_system, tmp_path / "disk.raw")
    assert logs_of(image, Wanted(keys=LOCKED.keys, opener=opener)) == expected(name)


# Storage.

STORAGE: dict[str, Make] = {
    "raw without a suffix": lambda raw, folder: raw.rename(folder / "sda"),
    "split raw": lambda raw, folder: disks.split(raw, folder / "sda.001", 1 << 20),
    "split raw from 000": lambda raw, folder: disks.split(raw, folder / "sda.000", 1 << 20),
    "split raw by letters": lambda raw, folder: disks.split_by_letters(raw, folder / "sda.aa", 1 << 20),
    "E01": lambda raw, folder: disks.ewf(raw, folder / "sda.E01", "best"),
    "split E01": lambda raw, folder: disks.ewf(raw, folder / "sda.E01", "none", 1 << 20),
    "E01 of EnCase 7": lambda raw, folder: disks.ewf(raw, folder / "sda.E01", form="encase7"),
    "qcow2": lambda raw, folder: disks.qemu(raw, folder / "sda.qcow2", "qcow2"),
    "qcow2, compressed": lambda raw, folder: disks.qemu(raw, folder / "sda.qcow2", "qcow2", "-c"),
    "qcow2, zstd": lambda raw, folder: disks.qemu(
        raw, folder / "sda.qcow2", "qcow2", "-c", "-o", "compression_type=zstd"
    ),
    "qcow2, old": lambda raw, folder: disks.qemu(raw, folder / "sda.qcow2", "qcow2", "-c", "-o", "compat=0.10"),
    "qcow2 on another": lambda raw, folder: disks.backed(raw, folder / "sda.qcow2", "qcow2", "qcow2"),
    "qcow2 on raw": lambda raw, folder: disks.backed(raw, folder / "sda.qcow2", "qcow2", "raw"),
    "VMDK on another": lambda raw, folder: disks.backed(raw, folder / "sda.vmdk", "vmdk", "vmdk"),
    "VMDK": lambda raw, folder: disks.qemu(raw, folder / "sda.vmdk", "vmdk"),
    "VHD": lambda raw, folder: disks.qemu(raw, folder / "sda.vhd", "vpc"),
    "VHD, fixed": lambda raw, folder: disks.qemu(raw, folder / "sda.vhd", "vpc", "-o", "subformat=fixed"),
    "VHDX": lambda raw, folder: disks.qemu(raw, folder / "sda.vhdx", "vhdx"),
    "VDI": lambda raw, folder: disks.qemu(raw, folder / "sda.vdi", "vdi"),
    **{
        f"VMDK, {form}": lambda raw, folder, form=form: disks.qemu(  # type: ignore[misc]  # a default
            raw, folder / "sda.vmdk", "vmdk", "-o", f"subformat={form}"
        )
        for form in ("monolithicFlat", "streamOptimized", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")
    },
}


DISSECTS_STORAGE = ("qcow2, compressed", "qcow2, zstd", "qcow2 on another", "qcow2 on raw", "VDI", "VMDK on another")


@pytest.mark.parametrize("kind", STORAGE)
def test_storage_which_stays_as_it_was(tree: Path, tmp_path: Path, kind: str) -> None:
    if kind in DISSECTS_STORAGE:
        needs_dissect()
    raw = disks.gpt(tmp_path / "disk.raw", disks.ext4(tree, tmp_path / "volume.raw"))
    folder = tmp_path / "evidence"
    folder.mkdir()
    given = STORAGE[kind](raw, folder)
    before = {path: sha256(path.read_bytes()) for path in folder.iterdir()}
    opened = open_evidence([str(given)])
    assert [found(each) for each in opened] == [expected("p1")]
    assert {path: sha256(path.read_bytes()) for path in folder.iterdir()} == before


def test_all_at_once(tree: Path, tmp_path: Path) -> None:
    """An XFS in a logical volume in LUKS2 in a GPT in a split, compressed E01."""
    needs_dissect()
    group = disks.lvm(tmp_path / "pv", disks.xfs(tree, tmp_path / "xfs"))
    raw = beside(disks.gpt)(disks.luks2(group, tmp_path / "luks"), tmp_path / "disk.raw")
    assert logs_of(disks.ewf(raw, tmp_path / "sda.E01", "fast", 4 << 20), LOCKED) == expected("p2/lvm1")


def test_more_segments_than_two_digits_count(tree: Path, tmp_path: Path) -> None:
    """E99 is followed by EAA."""
    noise = disks.random_bytes(tmp_path / "noise", 102)
    raw = disks.mbr(tmp_path / "disk.raw", noise, disks.ext4(tree, tmp_path / "volume.raw"))
    image = disks.ewf(raw, tmp_path / "sda.E01", "none", 1 << 20)
    assert (tmp_path / "sda.EAC").exists()
    assert found(Evidence(str(image))) == expected("p2")


# Collections.


def in_tar(tree: Path, prefix: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(tree, prefix)
    return stream.getvalue()


def in_zip(tree: Path, prefix: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            archive.write(path, f"{prefix}/{path.relative_to(tree)}".removeprefix("./"))
    return stream.getvalue()


@pytest.mark.parametrize("prefix", [".", "./[root]", "uploads/auto", "web1"])
@pytest.mark.parametrize("kind", ["tar", *(f"tar in {kind}" for kind in PACK), "zip", "folder"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain logs", "compressed logs"])
def test_collection(tree: Path, tmp_path: Path, kind: str, prefix: str, packed: bool) -> None:  # noqa: FBT001  a column
    for log in (tree / "var/log/atop").iterdir() if packed else ():
        log.write_bytes(PACK["gzip"](log.read_bytes()))
    place = tmp_path / "collection"
    if kind == "folder":
        (place / prefix).parent.mkdir(parents=True, exist_ok=True)
        tree.rename(place if prefix == "." else place / prefix)
    else:
        data = in_zip(tree, prefix) if kind == "zip" else in_tar(tree, prefix)
        place.write_bytes(PACK[kind.removeprefix("tar in ")](data) if "in" in kind else data)
    before = f"{prefix}/".removeprefix("./")
    logs = logs_of(place)
    assert logs == [(volume, before + path.removeprefix("/"), data) for volume, path, data in expected("")]


@pytest.mark.parametrize("outer", ["zip", "tar", "tar in gzip"])
@pytest.mark.parametrize("folder", ["", "case7/"])
def test_collection_in_a_collection(tree: Path, tmp_path: Path, outer: str, folder: str) -> None:
    inner = {f"{folder}uac-web1.tar.gz": PACK["gzip"](in_tar(tree, "./[root]")), f"{folder}web2.zip": in_zip(tree, ".")}
    write(tmp_path / "packed", {**inner, f"{folder}notes.txt": b"text", f"{folder}bad.zip": b"PK\x03\x04"})
    data = in_zip(tmp_path / "packed", ".") if outer == "zip" else in_tar(tmp_path / "packed", ".")
    place = write(tmp_path, {"case": PACK["gzip"](data) if "gzip" in outer else data}) / "case"
    evidence = Evidence(str(place))
    assert found(evidence) == [
        *((name, f"[root]{path}", data) for name, path, data in expected(f"{folder}uac-web1.tar.gz")),
        *((name, path.removeprefix("/"), data) for name, path, data in expected(f"{folder}web2.zip")),
    ]
    assert [problem.where for problem in evidence.problems] == [f"{place} {folder}bad.zip"]
