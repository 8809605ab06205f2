"""The second opener reads what real tools made, and says what it cannot read instead of guessing."""

import io
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.openers import dissected, images
from atop_timeline.trees import Entry, Kind, Source, Tree, Volume
from tests import disks
from tests.servers import BIG, LITTLE, PASSWD, sha256, write

pytest.importorskip("dissect.volume")

MIB = 1 << 20
FILES = {b"etc/passwd": PASSWD, b"var/log/atop/atop_20260101": LITTLE, b"var/log/atop/atop_20260102": BIG}
NO_KEYS = Keys()
PASSWORD = Keys(passwords=("wrong", "test1234"))


def volumes(path: Path, keys: Keys = NO_KEYS) -> list[Volume]:
    return dissected.volumes([("", dissected.disk(str(path)))], keys)


def files(tree: Tree | None) -> dict[bytes, bytes]:
    """Paths and bytes of all regular files; an entry that cannot be read fails the test."""
    assert tree is not None
    return dict(_files(tree, tree.top()[-1], b""))


def _files(tree: Tree, folder: Entry, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    for entry in tree.entries(folder):
        assert isinstance(entry, Entry), entry
        path = prefix + entry.name
        if entry.kind is Kind.FOLDER and entry.name != b"lost+found":
            yield from _files(tree, entry, path + b"/")
        elif entry.kind is Kind.FILE:
            yield path, tree.source(entry).open().read()


def read(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read()


@dataclass(frozen=True)
class Bytes:
    """See `Source`."""

    data: bytes

    def open(self) -> BinaryIO:
        """See `Source`."""
        return io.BytesIO(self.data)


@pytest.fixture(name="raw")
def _raw(tree: Path, tmp_path: Path) -> Path:
    """A disk that compresses partly, and has holes in between."""
    (tree / "random").write_bytes(os.urandom(3 * MIB))
    volume = disks.ext(tree, tmp_path / "volume.raw", size_mib=12)
    (tree / "random").unlink()
    return disks.gpt(tmp_path / "disk.raw", volume)


# The disk in an image.

COPIES: dict[str, Callable[[Path, Path], Path]] = {
    "E01": lambda raw, to: disks.ewf(raw, to / "disk.E01", segment_bytes=MIB),
    "E01, not compressed": lambda raw, to: disks.ewf(raw, to / "disk.E01", "none"),
    "qcow2": lambda raw, to: disks.qemu(raw, to / "disk.img", "qcow2"),
    "qcow2, compressed": lambda raw, to: disks.qemu(raw, to / "disk.img", "qcow2", "-c"),
    "qcow2, zstd": lambda raw, to: disks.qemu(raw, to / "disk.img", "qcow2", "-c", "-o", "compression_type=zstd"),
    "qcow2 of version 2": lambda raw, to: disks.qemu(raw, to / "disk.img", "qcow2", "-o", "compat=0.10"),
    "VMDK": lambda raw, to: disks.qemu(raw, to / "disk.vmdk", "vmdk"),
    "VMDK, flat": lambda raw, to: disks.qemu(raw, to / "disk.vmdk", "vmdk", "-o", "subformat=monolithicFlat"),
    "VMDK, split": lambda raw, to: disks.qemu(raw, to / "disk.vmdk", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
    "VMDK, stream": lambda raw, to: disks.qemu(raw, to / "disk.vmdk", "vmdk", "-o", "subformat=streamOptimized"),
    "VHD": lambda raw, to: disks.qemu(raw, to / "disk.vhd", "vpc", "-o", "force_size=on"),
    "VHD, fixed": lambda raw, to: disks.qemu(raw, to / "disk.vhd", "vpc", "-o", "force_size=on,subformat=fixed"),
    "VHDX": lambda raw, to: disks.qemu(raw, to / "disk.vhdx", "vhdx", "-o", "block_size=1048576"),
    "VDI": lambda raw, to: disks.qemu(raw, to / "disk.vdi", "vdi"),
    "split": lambda raw, to: disks.split(raw, to / "disk.001", MIB + 512),
    "raw": lambda raw, to: Path(shutil.copy(raw, to / "[0] disk.img")),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_disk(raw: Path, tmp_path: Path, copy: Callable[[Path, Path], Path]) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    path = copy(raw, folder)
    os.utime(path, (0, 0))
    source, data = dissected.disk(str(path)), raw.read_bytes()
    assert sha256(read(source)) == sha256(data)
    with source.open() as stream:
        stream.seek(MIB + MIB // 2 + 1)
        assert stream.read(4 * MIB) == data[MIB + MIB // 2 + 1 :][: 4 * MIB]
    assert [files(volume.tree).keys() >= FILES.keys() for volume in volumes(path)] == [True]
    assert path.stat().st_atime == 0


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_qcow2_with_shorter_backing_file_elsewhere(raw: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "base").mkdir()
    disks.qemu(raw, tmp_path / "base/disk", form)
    size = raw.stat().st_size + MIB
    disks.run("qemu-img", "create", "-f", "qcow2", "-b", "base/disk", "-F", form, tmp_path / "over.img", size)
    disks.run("qemu-io", "-f", "qcow2", "-c", "write -P 7 13M 1M", tmp_path / "over.img")
    wanted = bytearray(raw.read_bytes() + bytes(MIB))
    wanted[13 * MIB : 14 * MIB] = b"\7" * MIB
    assert sha256(read(dissected.disk(str(tmp_path / "over.img")))) == sha256(bytes(wanted))


def test_backing_file_that_looks_like_another_image_stays_raw(raw: Path, tmp_path: Path) -> None:
    disks.qemu(raw, tmp_path / "trap", "qcow2")
    disks.run("qemu-img", "create", "-f", "qcow2", "-b", "trap", "-F", "raw", tmp_path / "over.img")
    trap = (tmp_path / "trap").read_bytes()
    assert read(dissected.disk(str(tmp_path / "over.img")))[: len(trap)] == trap


def _no_third(raw: Path, folder: Path) -> Path:
    path = disks.ewf(raw, folder / "disk.E01", segment_bytes=MIB)
    path.with_suffix(".E03").unlink()
    return path


def _no_second(raw: Path, folder: Path) -> Path:
    path = disks.split(raw, folder / "disk.001", MIB)
    path.with_suffix(".002").unlink()
    return path


def _no_backing(raw: Path, folder: Path) -> Path:
    disks.qemu(raw, folder / "base", "qcow2")
    disks.run("qemu-img", "create", "-f", "qcow2", "-b", "base", "-F", "qcow2", folder / "disk.img")
    (folder / "base").unlink()
    return folder / "disk.img"


def _extended(raw: Path, folder: Path) -> Path:
    return disks.qemu(raw, folder / "disk.img", "qcow2", "-o", "extended_l2=on,cluster_size=128k")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_no_third, r"segments \[1, 2\] have \d+ of \d+ chunks"),
        (_no_second, r"disk\.002 is not there"),
        (_no_backing, "No such file or directory"),
        (_extended, "qcow2 with the features 0x10, of which dissect does not know all"),
        (lambda _raw, folder: folder / "nothing", "No such file or directory"),
    ],
    ids=["lost segment", "lost piece", "lost backing file", "extended L2 entries", "nothing"],
)
def test_disk_that_cannot_be_had(raw: Path, tmp_path: Path, make: Callable[[Path, Path], Path], why: str) -> None:
    path = make(raw, tmp_path)
    with pytest.raises(EvidenceError, match=why):
        dissected.disk(str(path))


@pytest.mark.parametrize("compression", ["none", "fast"])
def test_damaged_chunk_of_e01_is_no_data(raw: Path, tmp_path: Path, compression: str) -> None:
    path = disks.ewf(raw, tmp_path / "copy.E01", compression)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(EvidenceError, match=r"^offset \d+: "):
        read(dissected.disk(str(path)))


# Volumes: tables, what is encrypted, and what is put together.


def test_names_are_those_of_dfvfs(tmp_path: Path) -> None:
    small = disks.ext4(write(tmp_path / "tree", {"file": b""}), tmp_path / "small.raw")
    mbr = "label: dos\n1: start=40960,size=8192\n2: start=2048,size=8192\n4: start=51200,size=40960,type=5\n"
    tables = {
        (40960, 2048, 53248, 65536): f"{mbr}5: start=53248,size=8192\n6: start=65536,size=8192\n",
        (2048, 20480): "label: gpt\n2: start=2048,size=8192\n7: start=20480,size=8192\n",
    }
    for starts, table in tables.items():
        image = tmp_path / f"{len(starts)}.raw"
        image.write_bytes(bytes(50 * MIB))
        disks.run("sfdisk", "-q", image, stdin=table.encode())
        with image.open("r+b") as stream:
            for start in starts:
                stream.seek(start * 512)
                stream.write(small.read_bytes())
        ours, theirs = volumes(image), images.image(str(image), NO_KEYS, verified=False).volumes
        assert [(each.name, each.size) for each in ours] == [(each.name, each.size) for each in theirs]
        assert [files(each.tree) for each in ours] == [{b"file": b""}] * len(starts)


def _luks2(raw: Path, image: Path) -> Path:
    shutil.copy(raw, image)
    with image.open("r+b") as stream:
        stream.truncate(raw.stat().st_size + 32 * MIB)
    fast = ("--pbkdf", "argon2id", "--pbkdf-memory", 64, "--pbkdf-parallel", 1, "--pbkdf-force-iterations", 4)
    how = ("--encrypt", "--type", "luks2", "--force-offline-reencrypt", "--reduce-device-size", "32M", *fast)
    disks.run("cryptsetup", "reencrypt", *how, "-q", "-d", "-", image, stdin=b"test1234")
    return image


@pytest.mark.parametrize("encrypt", [disks.luks, _luks2], ids=["LUKS1", "LUKS2"])
def test_encrypted(tree: Path, tmp_path: Path, encrypt: Callable[[Path, Path], Path]) -> None:
    image = disks.gpt(tmp_path / "disk.raw", encrypt(disks.ext4(tree, tmp_path / "ext4.raw"), tmp_path / "luks.raw"))
    assert [(each.name, each.why, each.source) for each in volumes(image)] == [("p1", LOCKED, None)]
    assert [each.why for each in volumes(image, Keys(passwords=("wrong",)))] == [NONE_FITS]
    for keys in (PASSWORD, Keys(key_files=(b"test1234",)), Keys(ask=lambda _name: "test1234")):
        found = volumes(image, keys)
        assert [(each.name, each.kind, each.is_mapped) for each in found] == [("p1", "ext2/3/4 file system", True)]
        assert files(found[0].tree) == FILES


def test_unlocked_file_is_read_elsewhere_without_a_password(tree: Path, tmp_path: Path) -> None:
    image = _luks2(disks.ext4(tree, tmp_path / "ext4.raw"), tmp_path / "luks.raw")
    found = volumes(image, PASSWORD)[0].tree
    assert found is not None
    folder = next(each for each in found.entries(found.top()[-1]) if isinstance(each, Entry) and each.name == b"etc")
    source = found.source(next(each for each in found.entries(folder) if isinstance(each, Entry)))
    assert b"test1234" not in pickle.dumps(source)
    assert "test1234" not in repr(source) and "key=" not in repr(source)  # noqa: PT018  one claim
    for start in ("fork", "spawn"):
        with ProcessPoolExecutor(1, get_context(start)) as pool:
            assert pool.submit(read, source).result() == PASSWD


def _lvm(folder: Path, *commands: str) -> list[Path]:
    """Two physical volumes of 32 MiB in a group; the second has no metadata. No device mapper is needed."""
    members = [folder / "pv1.raw", folder / "pv2.raw"]
    devices: list[str] = []
    try:
        for member in members:
            member.write_bytes(bytes(32 * MIB))
            disks.run("losetup", "-f", member)
            shown = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", member], capture_output=True, check=True)
            devices.append(shown.stdout.decode().strip())
        accepted = ",".join(f'"a|^{device}$|"' for device in devices)
        config = f'devices{{use_devicesfile=0 scan=["/dev"] filter=[{accepted},"r|.*|"]}} backup{{backup=0 archive=0}}'
        quiet = "--nolocking --driverloaded n -q -y"
        for command in (
            f"pvcreate {devices[0]}",
            f"pvcreate --pvmetadatacopies 0 {devices[1]}",
            f"vgcreate -s 4M vg {' '.join(devices)}",
            *(command.format(*devices) for command in commands),
        ):
            tool, *arguments = command.split()
            disks.run(tool, "--config", config, *quiet.split(), *arguments)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop devices: {error}")
    finally:
        for device in devices:
            subprocess.run(["losetup", "-d", device], check=True)
    return members


def _lay(member: Path, extent: int, data: bytes) -> None:
    with member.open("r+b") as stream:
        stream.seek(MIB + 4 * MIB * extent)
        stream.write(data)


NEW = "lvcreate -an -Zn -Wn"


def test_logical_volumes(tree: Path, tmp_path: Path) -> None:
    make = (f"{NEW} -n one -L 4M vg {{0}}", f"{NEW} -n gap -L 4M vg {{0}}", "lvextend -L 12M vg/one {0}")
    members = _lvm(tmp_path, *make, f"{NEW} -n stripes -i 2 -I 64k -L 8M vg")
    linear = disks.ext(tree, tmp_path / "linear.raw", size_mib=12).read_bytes()
    _lay(members[0], 0, linear[: 4 * MIB])
    _lay(members[0], 2, linear[4 * MIB :])
    striped = disks.ext(tree, tmp_path / "striped.raw", size_mib=8).read_bytes()
    rows = [striped[at : at + 65536] for at in range(0, len(striped), 65536)]
    _lay(members[0], 4, b"".join(rows[::2]))
    _lay(members[1], 0, b"".join(rows[1::2]))
    found = dissected.volumes([(each.stem, dissected.disk(str(each))) for each in members], NO_KEYS)
    kinds = [("pv1/lvm1", "ext2/3/4 file system"), ("pv1/lvm2", "zeros"), ("pv1/lvm3", "ext2/3/4 file system")]
    assert [(each.name, each.kind) for each in found] == kinds
    assert [files(each.tree) for each in (found[0], found[2])] == [FILES, FILES]
    assert [each.is_mapped for each in found] == [True, False, True]


def test_lost_physical_volume(tmp_path: Path) -> None:
    members = _lvm(tmp_path, f"{NEW} -n here -L 4M vg {{0}}", f"{NEW} -n lost -L 4M vg {{1}}")
    found = volumes(members[0])
    assert [(each.name, each.kind) for each in found] == [("lvm1", "zeros"), ("lvm2", "damaged")]
    assert found[1].why.startswith("the physical volume ")
    assert [each.why for each in volumes(members[1])] == ["its group is not there"]


# File systems.

MAKERS = {"ext2": disks.ext2, "ext3": disks.ext3, "ext4": disks.ext4, "xfs": disks.xfs}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_linux_file_system(tree: Path, tmp_path: Path, make: Callable[[Path, Path], Path]) -> None:
    odd = os.fsencode(tree) + b"/odd\xff"
    Path(os.fsdecode(odd)).write_bytes(b"odd")
    (tree / "link").symlink_to("var/log")
    found = volumes(make(tree, tmp_path / "disk.raw"))
    assert [(each.name, each.why) for each in found] == [("", "")]
    assert files(found[0].tree) == {**FILES, b"odd\xff": b"odd"}
    tree_found = found[0].tree
    assert tree_found is not None
    links = [each for each in tree_found.entries(tree_found.top()[-1]) if each.name == b"link"]  # type: ignore[union-attr]
    assert [tree_found.target(each) for each in links if isinstance(each, Entry)] == [b"var/log"]


@pytest.mark.parametrize(("make", "block_bytes"), [(disks.ext4, 1024), (disks.xfs, 4096)], ids=["ext4", "xfs"])
def test_damaged_directory_is_told(tmp_path: Path, make: Callable[[Path, Path], Path], block_bytes: int) -> None:
    names = [b"%03d%s" % (number, b"." * 200) for number in range(100)]
    image = make(write(tmp_path / "tree", {name.decode(): b"" for name in names}), tmp_path / "disk.raw")
    data = bytearray(image.read_bytes())
    block = data.index(names[50]) // block_bytes * block_bytes
    data[block : block + 8] = b"\1" * 4 + bytes(4)
    (found,) = dissected.volumes([("", Bytes(bytes(data)))], NO_KEYS)
    assert found.tree is not None
    entries = list(found.tree.entries(found.tree.top()[-1]))
    assert [str(each) for each in entries if not isinstance(each, Entry)] == ["1 damaged blocks of the directory"]
    assert {names[0], names[-1]} <= {each.name for each in entries if isinstance(each, Entry)}


def test_blocks_of_a_size_that_cannot_be_are_told(tree: Path, tmp_path: Path) -> None:
    image = disks.ext4(tree, tmp_path / "disk.raw")
    with image.open("r+b") as stream:
        stream.seek(1048)
        stream.write(b"\xff" * 4)
    told = "blocks of 2^4294967305 bytes, at most 64 KiB are possible"
    assert [(each.tree, each.why) for each in volumes(image)] == [(None, told)]


def test_fat(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(40 * MIB))
    disks.run("mkfs.fat", "-F", 32, image)
    (tmp_path / "log").write_bytes(LITTLE)
    disks.run("mcopy", "-i", image, tmp_path / "log", "::atop_20260101")
    assert [files(each.tree) for each in volumes(image)] == [{b"atop_20260101": LITTLE}]


def test_ntfs(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(8 * MIB))
    disks.run("mkfs.ntfs", "-q", "-F", image)
    (tmp_path / "log").write_bytes(LITTLE)
    disks.run("ntfscp", "-f", image, tmp_path / "log", "atop_\N{GREEK SMALL LETTER OMEGA}")
    (found,) = volumes(image)
    assert files(found.tree)["atop_\N{GREEK SMALL LETTER OMEGA}".encode()] == LITTLE


@pytest.fixture(name="mounted")
def _mounted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """An empty Btrfs, and where it is mounted."""
    image, folder = tmp_path / "btrfs.raw", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as stream:
        stream.truncate(128 * MIB)
    disks.run("mkfs.btrfs", "-q", image)
    try:
        disks.run("mount", "-o", "loop", image, folder)
    except subprocess.CalledProcessError:
        pytest.skip("only root mounts, and not everywhere")
    try:
        yield image, folder
    finally:
        subprocess.run(["umount", folder], check=False, capture_output=True)


def test_btrfs(tree: Path, mounted: tuple[Path, Path]) -> None:
    image, folder = mounted
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    for name in ("@", "@/var", "@home"):
        disks.run("btrfs", "subvolume", "create", folder / name)
    shutil.copytree(tree, folder / "@", dirs_exist_ok=True)
    for method in ("zlib", "lzo", "zstd"):
        (folder / "@home" / method).mkdir()
        disks.run("btrfs", "property", "set", folder / "@home" / method, "compression", method)
        (folder / "@home" / method / "text").write_bytes(text)
    disks.run("btrfs", "subvolume", "snapshot", "-r", folder / "@", folder / "snap\xff")
    (folder / "top").write_bytes(b"top")
    disks.run("umount", folder)
    found = {each.name: files(each.tree) for each in volumes(disks.gpt(image.with_name("disk.raw"), image))}
    assert found == {
        "p1": {b"top": b"top"},
        "p1/@": {b"etc/passwd": PASSWD},
        "p1/@/var": {name.removeprefix(b"var/"): data for name, data in FILES.items() if name.startswith(b"var/")},
        "p1/@home": {b"zlib/text": text, b"lzo/text": text, b"zstd/text": text},
        "p1/snap\xff": {b"etc/passwd": PASSWD},
    }


# What is damaged, or nothing known.


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "unknown contents"),
        (b"\xa7" * 65536, "unknown contents"),
        (bytes(65536), "zeros"),
        (b"XFSB" + b"\xff" * 65536, "XFS"),
        (b"LUKS\xba\xbe\x00\x02" + bytes(65536), "LUKS2, encrypted"),
        (b"LUKS\xba\xbe\x00\x01" + b"\xff" * 65536, "LUKS1, encrypted"),
        (b"\xeb\x58\x90-FVE-FS-" + bytes(65536), "BitLocker, encrypted"),
        (bytes(512) + b"LABELONE" + b"\xff" * 65536, "LVM physical volume"),
        (bytes(1080) + b"\x53\xef" + b"\xff" * 65536, "ext2/3/4"),
        (bytes(0x10040) + b"_BHRfS_M" + bytes(65536), "Btrfs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged(tree: Path, tmp_path: Path, data: bytes, kind: str) -> None:
    good = Bytes(disks.ext4(tree, tmp_path / "disk.raw").read_bytes())
    bad, last = dissected.volumes([("p1", Bytes(data)), ("p2", good)], PASSWORD)
    assert (bad.name, bad.kind, bad.size, bad.tree) == ("p1", kind, len(data), None)
    assert bool(bad.why) == (kind not in {"unknown contents", "zeros"})
    assert files(last.tree) == FILES


def test_source_that_fails(tree: Path, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Failing:
        def open(self) -> BinaryIO:
            raise EvidenceError("it is so")

    good = Bytes(disks.ext4(tree, tmp_path / "disk.raw").read_bytes())
    found = dissected.volumes([("p1", Failing()), ("p2", good)], NO_KEYS)
    assert [(each.name, each.why, bool(each.tree)) for each in found] == [("p1", "it is so", False), ("p2", "", True)]


def test_end_of_volume_is_no_other_place(tree: Path, tmp_path: Path) -> None:
    (tree / "big").write_bytes(os.urandom(2 * MIB))
    image = disks.ext(tree, tmp_path / "disk.raw", size_mib=8)
    cut = Bytes(image.read_bytes()[: 2 * MIB])
    (found,) = dissected.volumes([("", cut)], NO_KEYS)
    assert found.tree is not None
    big = next(each for each in found.tree.entries(found.tree.top()[-1]) if getattr(each, "name", b"") == b"big")
    assert isinstance(big, Entry)
    with pytest.raises(EvidenceError, match=r"^offset \d+: "):
        read(found.tree.source(big))
