"""What is given is opened, told, or refused, whatever it is."""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import Evidence, Problem, Wanted, open_evidence
from atop_timeline.openers import dissected
from tests import disks
from tests.servers import BIG, LITTLE, PACK, TEST_DATA, found, sha256, write

ASKED = "named like an atop log, but begins with 74 65 78 74 instead of the magic (text)"


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
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
    tree = write(tmp_path / "tree", {f"var/log/atop/{name}": data, "var/log/other": b"x"})
    image = disks.ext4(tree, tmp_path / "disk.raw")
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
    image = disks.ext4(tree, tmp_path / "disk.raw")
    for evidence, slash in ((Evidence(str(tree), Wanted([glob])), ""), (Evidence(str(image), Wanted([glob])), "/")):
        assert [path for _, path, _ in found(evidence)] == [slash + name for name in names]
        told = [Problem(f"{evidence.path} {slash}srv/.x/y", ASKED, serious=True)] if glob == "/srv/**" else []
        assert evidence.problems == told


# Compressed logs.


@pytest.mark.parametrize("kind", PACK)
def test_compressed_logs_are_logs(tmp_path: Path, kind: str) -> None:
    names = {"var/log/atop/atop_1.packed": LITTLE, "var/log/atop/daily.log": BIG}
    tree = write(tmp_path / "tree", {name: PACK[kind](data) for name, data in names.items()})
    image = disks.ext4(tree, tmp_path / "disk.raw")
    for evidence, slash in ((Evidence(str(tree)), ""), (Evidence(str(image)), "/")):
        assert found(evidence) == [("", slash + name, data) for name, data in names.items()]
        assert [log.size for log in evidence.logs()] == [(tree / name).stat().st_size for name in names]
        assert evidence.problems == []


@pytest.mark.parametrize("kind", PACK)
def test_compressed_log_by_itself(tmp_path: Path, kind: str) -> None:
    evidence = Evidence(str(write(tmp_path, {"any name": PACK[kind](LITTLE)}) / "any name"))
    assert found(evidence) == [("", "any name", LITTLE)]
    assert evidence.searched == [f"{tmp_path}/any name: atop log"]


@pytest.mark.parametrize("kind", PACK)
def test_damaged_compressed_log_is_a_log_as_far_as_it_goes(tmp_path: Path, kind: str) -> None:
    packed = PACK[kind](LITTLE)
    (log,) = Evidence(str(write(tmp_path, {"atop_1": packed + packed[:-1]}))).logs()
    with log.open() as stream:
        assert stream.read(2 * len(LITTLE)) == 2 * LITTLE
        with pytest.raises(EvidenceError, match=f"^{kind}: .*ends at offset {2 * len(packed) - 1} without its end"):
            stream.read(1)


@pytest.mark.parametrize("kind", ["", *PACK])
@pytest.mark.parametrize(
    "header", [b"", bytes(480), b"text" * 120, b"\xa7" * 480], ids=["missing", "zeros", "text", "noise"]
)
def test_log_by_itself_whose_header_is_lost(tmp_path: Path, kind: str, header: bytes) -> None:
    data = header + LITTLE[480:]
    log = write(tmp_path, {"copy": PACK[kind](data) if kind else data}) / "copy"
    assert found(Evidence(str(log))) == [("", "copy", data)]


IN_GZIP = "named like an atop log, but what is in the gzip"


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("atop_1.gz", b"\x1f\x8b\x08\x00\x00", "cannot be read: gzip: ends at offset 5 without its end marker"),
        ("atop_1.gz", gzip.compress(LITTLE)[:12], "cannot be read: gzip: ends at offset 12 without its end marker"),
        ("atop_1.gz", gzip.compress(b"text"), f"{IN_GZIP} begins with 74 65 78 74 instead of the magic (text)"),
        ("atop_1.gz", gzip.compress(b""), f"{IN_GZIP} is empty"),
        (
            "atop_1.xz.gz",
            gzip.compress(PACK["xz"](LITTLE)),
            f"{IN_GZIP} begins with fd 37 7a 58 instead of the magic (xz)",
        ),
        (
            "daily.log",
            gzip.compress(b"text"),
            "no atop log: what is in the gzip begins with 74 65 78 74 instead of the magic (text)",
        ),
    ],
    ids=["header only", "nothing given", "text", "empty", "nested", "not named like one"],
)
def test_compressed_files_without_a_log_are_told(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    evidence = Evidence(str(write(tmp_path, {f"var/log/atop/{name}": data})))
    assert list(evidence.logs()) == []
    assert evidence.problems == [Problem(f"{tmp_path} var/log/atop/{name}", what, serious=name != "daily.log")]


# What cannot be searched.


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


def gzipped_image(image: Path) -> Path:
    image.write_bytes(gzip.compress(disks.gpt(image, disks.random_bytes(image.with_suffix(".p1"))).read_bytes()))
    return image


def compressed_qcow2(image: Path) -> Path:
    return disks.qemu(random_text(image.with_suffix(".raw")), image, "qcow2", "-c")


def compressed_qcow2_with_subclusters(image: Path) -> Path:
    options = ("-c", "-o", "extended_l2=on,cluster_size=128k")
    return disks.qemu(random_text(image.with_suffix(".raw")), image, "qcow2", *options)


def damaged_qcow2(image: Path) -> Path:
    image.write_bytes(b"QFI\xfb\x00\x00\x00\x03" + b"\xff" * 200)
    return image


def vdi(image: Path) -> Path:
    return disks.qemu(random_text(image.with_suffix(".raw")), image, "vdi")


def unfinished_vhdx(image: Path) -> Path:
    return disks.vhdx_with_log(random_text(image.with_suffix(".raw")), image)


def qcow2_on_another(image: Path) -> Path:
    base = disks.qemu(random_text(image.with_suffix(".raw")), image.with_suffix(".base"), "qcow2")
    disks.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base.name, image)
    return image


def lvm_of(tree: Path, image: Path) -> Path:
    return disks.lvm_segments(image, disks.ext(tree, image.with_suffix(".ext4"), size_mib=8))


def vdi_of(tree: Path, image: Path) -> Path:
    return disks.qemu(disks.ext4(tree, image.with_suffix(".raw")), image, "vdi")


def vhdx_of_changes(image: Path) -> Path:
    """Flagged as one that has a parent: [MS-VHDX] 2.6.2.1."""
    data = bytearray(disks.qemu(random_text(image.with_suffix(".raw")), image, "vhdx").read_bytes())
    place = data.index(UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le)
    metadata = int.from_bytes(data[place + 16 : place + 24], "little")
    item = data.index(UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le, metadata)
    data[metadata + int.from_bytes(data[item + 16 : item + 20], "little") + 4] |= 2
    image.write_bytes(data)
    return image


def vmdk_on_an_exchanged_one(image: Path) -> Path:
    child = disks.backed(random_text(image.with_suffix(".raw")), image, "vmdk", "vmdk")
    (base,) = [path for path in image.parent.iterdir() if b"parentCID=ffffffff" in path.read_bytes()[:65536]]
    base.write_bytes(re.sub(rb"\nCID=[0-9a-f]+", b"\nCID=0", base.read_bytes(), count=1))
    return child


def later_segment(image: Path) -> Path:
    raw = disks.random_bytes(image.with_suffix(".raw"), 3)
    return disks.ewf(raw, image.with_suffix(".E01"), "none", 1 << 20).with_suffix(".E02")


def locked_disk(image: Path) -> Path:
    return disks.gpt(image, disks.damaged_luks2(image.with_suffix(".p1")), disks.random_bytes(image.with_suffix(".p2")))


def random_text(image: Path) -> Path:
    image.write_bytes(b"text" * 300_000)
    os.truncate(image, 2 << 20)
    return image


REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (nothing, ": No such file or directory"),
    (empty, ": empty"),
    (fifo, ": neither a file nor a folder"),
    (gzipped, ": neither a readable disk image, nor a collection, a folder or an atop log, but gzip"),
    (gzipped_image, ": neither a readable disk image, nor a collection, a folder or an atop log, but gzip"),
    (random_text, ": neither a readable disk image, nor a collection, a folder or an atop log, but text"),
    (disks.damaged_luks2, "a folder or an atop log, but LUKS2, encrypted"),
    (compressed_qcow2, ": qcow2 with compressed clusters, which libqcow misreads"),
    (compressed_qcow2_with_subclusters, ": qcow2 with compressed clusters"),
    (damaged_qcow2, ": damaged qcow2 image: cluster_bits 4294967295"),
    (vdi, "a folder or an atop log, but VirtualBox VDI"),
    (unfinished_vhdx, ": VHDX with changes that are only in its log: `qemu-img check"),
    (vhdx_of_changes, ": VHDX with changes to another image: merge"),
    (vmdk_on_an_exchanged_one, ": VMDK with changes to another image, which has itself changed since"),
    (qcow2_on_another, ": qcow2 with a backing file, which libqcow misreads"),
    (later_segment, ": segment 2 of a split image, open the first one"),
    (locked_disk, ": no file system in this image can be read: p1 LUKS2, encrypted, cannot be read: "),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_what_cannot_be_searched_is_refused(tmp_path: Path, make: Callable[[Path], Path], message: str) -> None:
    path = str(make(tmp_path / "evidence"))
    with pytest.raises(EvidenceError) as raised:
        Evidence(path, Wanted(opener="dfvfs"))
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("make", [compressed_qcow2, vdi, disks.damaged_luks2, locked_disk])
def test_the_second_opener_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(dissected, "is_installed", lambda: False)
    with pytest.raises(EvidenceError, match=r"pip install 'atop-timeline\[dissect\]' adds a second opener"):
        Evidence(str(make(tmp_path / "evidence")))


@pytest.mark.parametrize("make", [disks.btrfs, vdi_of, lvm_of])
def test_an_image_that_cannot_be_opened_is_no_log_by_itself(
    tree: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    """Though the bytes of whole samples are in it."""
    image = make(tree, tmp_path / "image")
    with pytest.raises(EvidenceError, match=r"neither a readable disk image|no file system in this image"):
        Evidence(str(image), Wanted(opener="dfvfs"))


def test_raw_segment_that_is_missing_is_told(tree: Path, tmp_path: Path) -> None:
    first = disks.split(disks.ext4(tree, tmp_path / "raw"), tmp_path / "disk.001", 1 << 20)
    first.with_suffix(".003").unlink()
    evidence = Evidence(str(first))
    assert evidence.problems[0] == Problem(evidence.path, "segment 3 of a split image is missing", serious=True)


def test_dissect_alone_where_it_is_missing(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissected, "is_installed", lambda: False)
    with pytest.raises(EvidenceError, match=r"dissect is not installed: pip install 'atop-timeline\[dissect\]'"):
        Evidence(str(disks.ext4(tree, tmp_path / "disk")), Wanted(opener="dissect"))


def test_vmdk_whose_parent_is_lost_is_no_log_by_itself(tree: Path, tmp_path: Path) -> None:
    child = disks.backed(disks.ext4(tree, tmp_path / "raw"), tmp_path / "sda.vmdk", "vmdk", "vmdk")
    (tmp_path / "base").unlink()
    with pytest.raises(EvidenceError, match=r"VMDK with changes to another image, '.*base', which cannot be read"):
        Evidence(str(child))


def test_small_image_is_opened_by_the_second_opener(tmp_path: Path) -> None:
    pytest.importorskip("dissect.hypervisor")
    tree = write(tmp_path / "tree", {"atop/atop_1": LITTLE[:30_000]})
    image = disks.qemu(disks.ext(tree, tmp_path / "raw", size_mib=1), tmp_path / "disk.vdi", "vdi")
    assert image.stat().st_size < 2 << 20
    assert found(Evidence(str(image))) == [("", "/atop/atop_1", LITTLE[:30_000])]


# Several paths.


def test_several_at_once(tree: Path, tmp_path: Path) -> None:
    paths = [str(disks.ext4(tree, tmp_path / "disk.raw")), str(tree), f"{tree}/var/log/atop/atop_20260102"]
    together = open_evidence([*paths, paths[0], f"{tree}/../tree"])
    assert [evidence.path for evidence in together] == paths
    assert [len(found(evidence)) for evidence in together] == [2, 2, 1]


def test_test_data_is_what_its_readme_says() -> None:
    lines = (TEST_DATA / "README.md").read_text().splitlines()
    table = dict(line.split("  ")[::-1] for line in lines if re.match("[0-9a-f]{64}  ", line))
    assert table == {name: sha256((TEST_DATA / name).read_bytes()) for name in table}
    assert {f"logs/{log.name}/atop_raw" for log in (TEST_DATA / "logs").iterdir()} <= set(table)
