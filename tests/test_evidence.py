"""Logs are found and read whole, whatever holds them, and whatever lies beside them."""

import hashlib
import os
import pickle
import re
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import Evidence, LogFile, Problem, distinct_paths, open_evidence
from tests import images

TEST_DATA = Path(__file__).parent.parent / "test_data"
LOGS = {
    name: (TEST_DATA / "logs" / name / "atop_raw").read_bytes() for name in ("2.8.1", "debian-2.8.1-s390x")
}
LITTLE, BIG = LOGS.values()
USERS = {0: "root", 1000: "alice"}
PASSWD = b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
GZIPPED = "named like an atop log, but begins with 1f 8b 08 00 instead of the magic (gzip)"
ASKED = "named like an atop log, but begins with 74 65 78 74 instead of the magic (text)"

Build: TypeAlias = Callable[[Path, Path], Path]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def found(evidence: Evidence) -> list[tuple[str, str, bytes]]:
    """Volume, path and bytes of every log; bytes as read in one go and piecemeal."""
    logs = []
    for log in evidence.logs():
        with log.open() as whole, log.open() as piecemeal:
            data = whole.read()
            assert b"".join(iter(lambda: piecemeal.read(4099), b"")) == data
        assert len(data) == log.size
        logs.append((log.volume, log.path, data))
    return logs


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A server's files: two logs, as found in byte order, and users."""
    home = "var/log/atop"
    logs = {f"{home}/atop_20260101": LITTLE, f"{home}/atop_20260102": BIG}
    return write(tmp_path / "tree", {"etc/passwd": PASSWD, **logs})


def expected(volume: str, home: str = "/var/log/atop") -> list[tuple[str, str, bytes]]:
    return [(volume, f"{home}/atop_20260101", LITTLE), (volume, f"{home}/atop_20260102", BIG)]


def ext4(tree: Path, image: Path) -> Path:
    return images.ext(tree, image)


def ext3(tree: Path, image: Path) -> Path:
    return images.ext(tree, image, "ext3")


def ext2(tree: Path, image: Path) -> Path:
    return images.ext(tree, image, "ext2")


def random_bytes(image: Path, mib: int = 4) -> Path:
    image.write_bytes(b"\xa7" + os.urandom((mib << 20) - 1))
    return image


@pytest.mark.parametrize("table", [None, images.mbr, images.gpt], ids=["no table", "MBR", "GPT"])
@pytest.mark.parametrize("file_system", [ext2, ext3, ext4, images.xfs], ids=["ext2", "ext3", "ext4", "XFS"])
def test_logs_of_each_file_system_in_each_partition_table(
    tree: Path, tmp_path: Path, file_system: Build, table: Build | None
) -> None:
    volume = file_system(tree, tmp_path / "volume.raw")
    image = table(tmp_path / "disk.raw", volume) if table else volume
    evidence = Evidence(str(image))
    assert found(evidence) == expected("p1" if table else "")
    assert [log.users for log in evidence.logs()] == [USERS, USERS]
    assert evidence.problems == []


STORAGE: dict[str, Build] = {
    "raw without a suffix": lambda raw, folder: raw.rename(folder / "sda"),
    "dd": lambda raw, folder: raw.rename(folder / "sda.dd"),
    "split raw": lambda raw, folder: images.split(raw, folder / "sda.001", 1 << 20),
    "E01": lambda raw, folder: images.ewf(raw, folder / "sda.E01"),
    "split E01": lambda raw, folder: images.ewf(raw, folder / "sda.E01", "none", 1 << 20),
    "qcow2": lambda raw, folder: images.qemu(raw, folder / "sda.qcow2", "qcow2"),
    "old compressed qcow2": lambda raw, folder: images.qemu(
        raw, folder / "sda.qcow2", "qcow2", "-c", "-o", "compat=0.10"
    ),
    "VMDK": lambda raw, folder: images.qemu(raw, folder / "sda.vmdk", "vmdk"),
    "flat VMDK": lambda raw, folder: images.qemu(
        raw, folder / "sda.vmdk", "vmdk", "-o", "subformat=monolithicFlat"
    ),
    "compressed VMDK": lambda raw, folder: images.qemu(
        raw, folder / "sda.vmdk", "vmdk", "-o", "subformat=streamOptimized"
    ),
    "VHD": lambda raw, folder: images.qemu(raw, folder / "sda.vhd", "vpc"),
    "VHDX": lambda raw, folder: images.qemu(raw, folder / "sda.vhdx", "vhdx"),
}


@pytest.mark.parametrize("store", STORAGE.values(), ids=STORAGE)
@pytest.mark.parametrize("file_system", [ext4, images.xfs], ids=["ext4", "XFS"])
def test_logs_of_each_storage_which_stays_as_it_was(
    tree: Path, tmp_path: Path, store: Build, file_system: Build
) -> None:
    if file_system is images.xfs and store in (STORAGE["split raw"], STORAGE["split E01"]):
        pytest.skip("hundreds of segments show nothing that ext4 does not")
    raw = images.gpt(tmp_path / "disk.raw", file_system(tree, tmp_path / "volume.raw"))
    folder = tmp_path / "evidence"
    folder.mkdir()
    store(raw, folder)
    before = {path.name: sha256(path.read_bytes()) for path in folder.iterdir()}
    evidence = open_evidence(sorted(map(str, folder.glob("sda*"))))
    assert [found(each) for each in evidence] == [expected("p1")]
    assert {path.name: sha256(path.read_bytes()) for path in folder.iterdir()} == before


def test_image_in_test_data() -> None:
    evidence = Evidence(str(TEST_DATA / "server.E01"))
    hashes = {path.parent.name: sha256(path.read_bytes()) for path in TEST_DATA.glob("logs/*/atop_raw")}
    torn = sha256((TEST_DATA / "logs/2.9.0/atop_raw").read_bytes()[:57_000])
    versions = ("1.26-a", "2.3.0", "2.8.1", "2.11.1", "2.13.0")
    assert [sha256(data) for _, _, data in found(evidence)] == [torn, *map(hashes.get, versions)]
    home = f"{evidence.path} p1 /var/log/atop"
    text = "no atop log: begins with 41 54 4f 50 instead of the magic (text)"
    assert evidence.problems == [
        Problem(f"{home}/atop_20261117.gz", GZIPPED, serious=True),
        Problem(f"{home}/daily.log", text, serious=False),
    ]
    assert evidence.searched == [f"{evidence.path} p1: EXT file system"]


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_log_is_read_in_other_processes(start_method: str) -> None:
    logs = list(Evidence(str(TEST_DATA / "server.E01")).logs())
    here = [_digest(log) for log in logs]
    with ProcessPoolExecutor(2, mp_context=get_context(start_method)) as pool:
        assert list(pool.map(_digest, logs)) == here
    assert pickle.loads(pickle.dumps(logs)) == logs  # noqa: S301  our own


def _digest(log: LogFile) -> str:
    with log.open() as stream:
        return sha256(stream.read())


def test_reader_seeks(tree: Path, tmp_path: Path) -> None:
    log = next(Evidence(str(ext4(tree, tmp_path / "disk.raw"))).logs())
    with log.open() as stream, log.open() as other:
        assert stream.seek(-4, os.SEEK_END) == len(LITTLE) - 4
        assert other.read(4) == LITTLE[:4]
        assert stream.read() == LITTLE[-4:]
        assert stream.seek(len(LITTLE) + 1) == len(LITTLE) + 1
        assert stream.read(1) == b""


# Symbolic links, and /var apart from /etc.


@pytest.mark.parametrize("target", ["/data/log", "../data/log", "../data/./here/../log", "../data/link"])
def test_linked_var_log(tree: Path, tmp_path: Path, target: str) -> None:
    (tree / "data").mkdir()
    (tree / "data/here").mkdir()
    (tree / "var/log").rename(tree / "data/log")
    (tree / "data/link").symlink_to("log")
    (tree / "var/log").symlink_to(target)
    evidence = Evidence(str(ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == expected("", "/data/log/atop")
    assert evidence.problems == []


@pytest.mark.parametrize("target", ["/elsewhere", "log", "/var/log/atop/atop_20260101/x"])
def test_link_that_leads_nowhere_is_told(tmp_path: Path, target: str) -> None:
    tree = write(tmp_path / "tree", {"etc/passwd": PASSWD, "var/log/syslog": b""})
    (tree / "var/log/atop").symlink_to(target)
    evidence = Evidence(str(ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == []
    what = f"symbolic link to {target}, which this volume does not have"
    assert Problem(f"{evidence.path} /var/log/atop", what, serious=False) in evidence.problems


def test_log_with_two_names_counts_once(tree: Path, tmp_path: Path) -> None:
    home = tree / "var/log/atop"
    (home / "atop_copy").hardlink_to(home / "atop_20260101")
    (home / "atop_link").symlink_to("atop_20260101")
    evidence = Evidence(str(ext4(tree, tmp_path / "disk.raw")), ["/var/log/atop/*", "/**/atop_2026*"])
    assert found(evidence) == expected("")
    assert [path for _, path, _ in found(Evidence(str(tree)))] == [
        "var/log/atop/atop_20260101",
        "var/log/atop/atop_20260102",
    ]


@pytest.mark.parametrize("depth", ["var", "var/log", "var/log/atop"])
def test_var_may_be_a_volume_of_its_own(tree: Path, tmp_path: Path, depth: str) -> None:
    (tree / depth).rename(tmp_path / "own")
    own = tmp_path / "own"
    if depth == "var/log/atop":
        own = tmp_path / "mount"
        own.mkdir()
        (tmp_path / "own").rename(own / "atop")
    volumes = [ext4(root, tmp_path / f"{root.name}.raw") for root in (tree, own)]
    evidence = Evidence(str(images.gpt(tmp_path / "disk.raw", *volumes)))
    home = {"var": "/log/atop", "var/log": "/atop", "var/log/atop": "/atop"}[depth]
    assert found(evidence) == expected("p2", home)
    assert [log.users for log in evidence.logs()] == [USERS, USERS]


def test_two_systems_keep_their_own_users(tree: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"etc/passwd": b"toor:x:0:0:::\n", "var/log/atop/atop_1": LITTLE})
    third = write(tmp_path / "third", {"log/atop/atop_1": LITTLE})
    volumes = [ext4(root, tmp_path / f"{root.name}.raw") for root in (tree, other, third)]
    evidence = Evidence(str(images.gpt(tmp_path / "disk.raw", *volumes)))
    assert [(log.volume, log.users) for log in evidence.logs()] == [
        ("p1", USERS),
        ("p1", USERS),
        ("p2", {0: "toor"}),
        ("p3", {}),
    ]


@pytest.mark.parametrize(
    ("passwd", "users"),
    [
        (b"a:x:1:\nb:x:1:\n", {1: "a"}),
        (b"1000:x:0:\n:x:2:\n+::::::\nshort\nn:x:-1:\nn:x:1_0:\nn:x:4294967296:\nok:x:7", {7: "ok"}),
        (b"n:x:" + b"9" * 5000 + b":\nx\x1b[31m:x:8:\n\xff:x:9:\n", {8: "x\\x1b[31m", 9: "\\xff"}),
        (b"\x00\xff" * 1000, {}),
        (b"", {}),
    ],
    ids=["first name", "odd lines", "hostile names", "no text", "empty"],
)
def test_users(tmp_path: Path, passwd: bytes, users: dict[int, str]) -> None:
    tree = write(tmp_path / "tree", {"etc/passwd": passwd, "var/log/atop/atop_1": LITTLE})
    assert [log.users for log in Evidence(str(tree)).logs()] == [users]
    assert [log.users for log in Evidence(str(ext4(tree, tmp_path / "disk.raw"))).logs()] == [users]


# What is bad stays alone.


def swap(image: Path) -> Path:
    image.write_bytes(bytes(4086) + b"SWAPSPACE2" + bytes(4 << 20))
    os.truncate(image, 4 << 20)
    return image


def luks1(image: Path) -> Path:
    image.write_bytes(_luks1())
    return image


@cache
def _luks1() -> bytes:
    with TemporaryDirectory() as folder:
        raw = Path(folder) / "plain"
        raw.write_bytes(bytes(1 << 20))
        return images.luks(raw, Path(folder) / "luks").read_bytes()


def damaged_luks2(image: Path) -> Path:
    image.write_bytes(b"LUKS\xba\xbe\x00\x02" + bytes((4 << 20) - 8))
    return image


def btrfs(image: Path) -> Path:
    image.write_bytes(bytes(0x10040) + b"_BHRfS_M" + bytes((4 << 20) - 0x10048))
    return image


def damaged_ext4(image: Path) -> Path:
    tree = write(image.with_suffix(".tree"), {"var/log/atop/atop_1": LITTLE})
    with ext4(tree, image).open("r+b") as stream:
        stream.seek(1024 + 4)
        stream.write(b"\xff" * 50)
    return image


def bios_boot(image: Path) -> Path:
    return random_bytes(image, 1)


BAD: list[tuple[Callable[[Path], Path], str, bool]] = [
    (random_bytes, "unknown contents, cannot be read", True),
    (damaged_luks2, "LUKS2, encrypted, cannot be read", True),
    (luks1, "LUKS1, encrypted, cannot be read", True),
    (btrfs, "Btrfs, cannot be read", True),
    (damaged_ext4, "ext2/3/4, cannot be read", True),
    (swap, "swap, cannot be read", False),
    (bios_boot, "unknown contents, cannot be read", False),
]


@pytest.mark.parametrize(("make", "what", "serious"), BAD, ids=[make.__name__ for make, _, _ in BAD])
@pytest.mark.parametrize("table", [images.mbr, images.gpt], ids=["MBR", "GPT"])
@pytest.mark.parametrize("good_number", [1, 2])
def test_bad_volume_hides_no_other(  # noqa: PLR0913, PLR0917  three tables
    tree: Path,
    tmp_path: Path,
    table: Callable[..., Path],
    make: Callable[[Path], Path],
    what: str,
    serious: bool,  # noqa: FBT001  a table's column
    good_number: int,
) -> None:
    volumes = [make(tmp_path / "bad.raw")]
    volumes.insert(good_number - 1, ext4(tree, tmp_path / "good.raw"))
    evidence = Evidence(str(table(tmp_path / "disk.raw", *volumes)))
    assert found(evidence) == expected(f"p{good_number}")
    (problem,) = evidence.problems
    assert problem.where == f"{evidence.path} p{3 - good_number}"
    assert problem.what.startswith(what)
    assert problem.serious is serious


def test_hostile_name_hides_no_log(tree: Path, tmp_path: Path) -> None:
    home = os.fsencode(tree / "var/log/atop")
    for name in (b"atop_2025\xff", b"aaa\xff", b"atop_2026\xfe"):
        Path(os.fsdecode(home + b"/" + name)).write_bytes(BIG if name == b"atop_2026\xfe" else b"text")
    for image in (ext4(tree, tmp_path / "ext4.raw"), images.xfs(tree, tmp_path / "xfs.raw")):
        evidence = Evidence(str(image))
        logs = found(evidence)
        assert [data for _, _, data in logs] == [BIG, LITTLE, BIG]
        assert logs[0][1].startswith("/var/log/atop/(undecodable name, inode ")
        assert logs[1:] == expected("")
        assert not any(problem.serious for problem in evidence.problems)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("atop_1.gz", b"\x1f\x8b\x08\x00\x00", GZIPPED),
        ("atop_1", b"", "named like an atop log, but is empty"),
        (
            "atop_1",
            bytes(5),
            "named like an atop log, but begins with 00 00 00 00 instead of the magic (zeros)",
        ),
        ("atop_1", b"\xef\xbe\xed", "named like an atop log, but begins with ef be ed instead of the magic"),
        ("daily.log", b"text", "no atop log: begins with 74 65 78 74 instead of the magic (text)"),
        ("daily.log", b"", "no atop log: is empty"),
    ],
)
def test_what_only_looks_like_a_log_is_told(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    tree = write(tmp_path / "tree", {f"var/log/atop/{name}": data, "var/log/atop.log": b"x"})
    image = ext4(tree, tmp_path / "disk.raw")
    for evidence, slash in ((Evidence(str(tree)), ""), (Evidence(str(image)), "/")):
        assert list(evidence.logs()) == []
        problem = Problem(f"{evidence.path} {slash}var/log/atop/{name}", what, serious=name != "daily.log")
        assert evidence.problems == [problem]


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("/srv/mon/*", ["srv/mon/a.raw", "srv/mon/b"]),
        ("/srv/mon/?.raw", ["srv/mon/a.raw"]),
        ("/srv/**", ["srv/deep/er/c", "srv/mon/a.raw", "srv/mon/b"]),
        ("/**/c", ["srv/deep/er/c"]),
        ("/srv/*/[a-b]*", ["srv/mon/a.raw", "srv/mon/b"]),
        ("/none/*", []),
    ],
)
def test_log_paths(tmp_path: Path, glob: str, names: list[str]) -> None:
    files = {"srv/mon/a.raw": LITTLE, "srv/mon/b": BIG, "srv/deep/er/c": LITTLE, "srv/.x/y": b"text"}
    tree = write(tmp_path / "tree", files)
    image = ext4(tree, tmp_path / "disk.raw")
    for evidence, slash in ((Evidence(str(tree), [glob]), ""), (Evidence(str(image), [glob]), "/")):
        assert [path for _, path, _ in found(evidence)] == [slash + name for name in names]
        told = [Problem(f"{evidence.path} {slash}srv/.x/y", ASKED, serious=True)] if glob == "/srv/**" else []
        assert evidence.problems == told


# Folders, logs, and what is neither.


def test_folder_at_any_depth(tmp_path: Path) -> None:
    files = {
        "web1/[root]/etc/passwd": PASSWD,
        "web1/[root]/var/log/atop/atop_20260101": LITTLE,
        "web1/[root]/var/log/atop/odd.log": BIG,
        "web1/[root]/var/log/other.log": b"text",
        "web2/var/log/atop/atop_20260101": BIG,
        "copied/atop_20260103": LITTLE,
        "etc/passwd": b"toor:x:0:0::/:\n",
    }
    evidence = Evidence(str(write(tmp_path / "case", files)))
    assert [(log.volume, log.path, log.users) for log in evidence.logs()] == [
        ("", "copied/atop_20260103", {0: "toor"}),
        ("", "web1/[root]/var/log/atop/atop_20260101", USERS),
        ("", "web1/[root]/var/log/atop/odd.log", USERS),
        ("", "web2/var/log/atop/atop_20260101", {}),
    ]
    assert evidence.problems == []
    assert evidence.searched == [f"{evidence.path}: folder"]


def test_folder_that_is_a_log_folder(tree: Path) -> None:
    write(tree, {"var/log/atop/odd.log": LITTLE})
    evidence = Evidence(str(tree / "var/log/atop"))
    assert [(log.path, log.users) for log in evidence.logs()] == [
        ("atop_20260101", USERS),
        ("atop_20260102", USERS),
        ("odd.log", USERS),
    ]


def test_folder_with_traps(tree: Path, tmp_path: Path) -> None:
    home = tree / "var/log/atop"
    os.mkfifo(home / "atop_fifo")
    (home / "atop_loop").symlink_to(".")
    (home / "atop_link").symlink_to("/etc/hostname")
    (home / "atop_folder").mkdir()
    outside = write(tmp_path / "outside", {"atop_1": LITTLE})
    (tree / "linked").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as unix, pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        unix.bind("atop_socket")
    Path(os.fsdecode(os.fsencode(home) + b"/atop_\xff\n\xe2\x80\xae")).write_bytes(LITTLE)
    evidence = Evidence(str(tree))
    assert found(evidence) == [
        ("", "var/log/atop/atop_20260101", LITTLE),
        ("", "var/log/atop/atop_20260102", BIG),
        ("", "var/log/atop/atop_\\xff\\x0a\\u202e", LITTLE),
    ]
    assert evidence.problems == []


def test_folder_reads_no_passwd_through_links(tree: Path) -> None:
    (tree / "etc").rename(tree / "usr")
    (tree / "etc").symlink_to("usr")
    assert [log.users for log in Evidence(str(tree)).logs()] == [{}, {}]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_folder_without_permission_is_told(tree: Path) -> None:
    (tree / "etc").chmod(0)
    evidence = Evidence(str(tree))
    assert len(found(evidence)) == 2
    what = "cannot be searched: Permission denied"
    assert evidence.problems == [Problem(f"{tree} etc", what, serious=True)]


@pytest.mark.parametrize("data", LOGS.values(), ids=LOGS)
def test_log_by_itself(tmp_path: Path, data: bytes) -> None:
    evidence = Evidence(str(write(tmp_path, {"any name.raw": data}) / "any name.raw"))
    assert found(evidence) == [("", "any name.raw", data)]
    assert [log.users for log in evidence.logs()] == [{}]
    assert evidence.searched == [f"{tmp_path}/any name.raw: atop log"]


def nothing(image: Path) -> Path:
    return image


def empty(image: Path) -> Path:
    image.touch()
    return image


def fifo(image: Path) -> Path:
    os.mkfifo(image)
    return image


def gzipped(image: Path) -> Path:
    image.write_bytes(b"\x1f\x8b\x08\x00")
    return image


def compressed_qcow2(image: Path) -> Path:
    return images.qemu(random_text(image.with_suffix(".raw")), image, "qcow2", "-c")


def compressed_qcow2_with_subclusters(image: Path) -> Path:
    options = ("-c", "-o", "extended_l2=on,cluster_size=128k")
    return images.qemu(random_text(image.with_suffix(".raw")), image, "qcow2", *options)


def damaged_qcow2(image: Path) -> Path:
    image.write_bytes(b"QFI\xfb\x00\x00\x00\x03" + b"\xff" * 200)
    return image


def vdi(image: Path) -> Path:
    return images.qemu(random_text(image.with_suffix(".raw")), image, "vdi")


def later_segment(image: Path) -> Path:
    raw = random_bytes(image.with_suffix(".raw"), 3)
    return images.ewf(raw, image.with_suffix(".E01"), "none", 1 << 20).with_suffix(".E02")


def locked_disk(image: Path) -> Path:
    return images.gpt(image, damaged_luks2(image.with_suffix(".p1")), random_bytes(image.with_suffix(".p2")))


def random_text(image: Path) -> Path:
    image.write_bytes(b"text" * 300_000)
    os.truncate(image, 2 << 20)
    return image


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (nothing, ": No such file or directory"),
    (empty, ": empty"),
    (fifo, ": neither a file nor a folder"),
    (gzipped, ": neither a readable disk image, nor a folder, nor an atop log, but gzip"),
    (random_text, ": neither a readable disk image, nor a folder, nor an atop log, but text"),
    (damaged_luks2, "nor an atop log, but LUKS2, encrypted"),
    (compressed_qcow2, ": qcow2 with compressed clusters, which libqcow misreads: convert it with `qemu-img"),
    (compressed_qcow2_with_subclusters, ": qcow2 with compressed clusters"),
    (damaged_qcow2, ": damaged qcow2 image: cluster_bits 4294967295"),
    (vdi, "nor an atop log, but VirtualBox VDI: convert it with `qemu-img convert -O raw`"),
    (later_segment, ": segment 2 of a split image, open the first one"),
    (locked_disk, ": no file system in this image can be read: p1 LUKS2, encrypted, cannot be read: "),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_what_cannot_be_searched_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    path = str(make(tmp_path / "evidence"))
    with pytest.raises(EvidenceError) as raised:
        Evidence(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_image_without_logs(tmp_path: Path) -> None:
    evidence = Evidence(str(ext4(write(tmp_path / "tree", {"etc/passwd": PASSWD}), tmp_path / "disk.raw")))
    assert found(evidence) == []
    assert evidence.problems == []


# Several paths.


def test_several_at_once(tree: Path, tmp_path: Path) -> None:
    paths = [str(ext4(tree, tmp_path / "disk.raw")), str(tree), f"{tree}/var/log/atop/atop_20260102"]
    together = open_evidence([*paths, paths[0], f"{tree}/../tree"])
    assert [evidence.path for evidence in together] == paths
    assert [len(found(evidence)) for evidence in together] == [2, 2, 1]


@pytest.mark.parametrize(
    ("names", "distinct"),
    [
        (["a.001", "a.002", "a.010", "b.002"], ["a.001", "b.002"]),
        (["a.000", "a.001"], ["a.000"]),
        (["a.aaa", "a.aab", "a.raw"], ["a.aaa", "a.raw"]),
        (["a-flat.vmdk", "a-s001.vmdk", "a.vmdk", "b-flat.vmdk"], ["a.vmdk", "b-flat.vmdk"]),
        (["atop.log.0", "atop.log.1", "atop.log.2"], ["atop.log.0", "atop.log.1", "atop.log.2"]),
        (["a.E01", "a.E02", "a.raw"], ["a.E01", "a.E02", "a.raw"]),
    ],
    ids=["raw from 1", "raw from 0", "letters", "VMDK", "rotated logs", "named only like E01"],
)
def test_later_segments_are_no_evidence_of_their_own(
    tmp_path: Path, names: list[str], distinct: list[str]
) -> None:
    paths = [str(tmp_path / name) for name in names]
    assert distinct_paths(paths) == [str(tmp_path / name) for name in distinct]


def test_test_data_is_what_its_readme_says() -> None:
    lines = (TEST_DATA / "README.md").read_text().splitlines()
    table = dict(line.split("  ")[::-1] for line in lines if re.match("[0-9a-f]{64}  ", line))
    assert table == {name: sha256((TEST_DATA / name).read_bytes()) for name in table}
    assert {f"logs/{log.name}/atop_raw" for log in (TEST_DATA / "logs").iterdir()} <= set(table)
