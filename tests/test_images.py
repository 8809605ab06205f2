"""Logs are found and read whole, whatever image holds them, and whatever lies beside them."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from dfvfs.lib import luksde_helper

from atop_timeline import extract
from atop_timeline.evidence import Evidence, LogFile, Problem, Wanted, open_evidence
from atop_timeline.keys import Keys
from tests import disks
from tests.encryption import PASSWORD
from tests.servers import BIG, LITTLE, PASSWD, TEST_DATA, USERS, expected, found, sha256, write

Build: TypeAlias = Callable[[Path, Path], Path]


@pytest.mark.parametrize("file_system", [disks.ext4, disks.xfs], ids=["ext4", "XFS"])
def test_logs_come_with_users_size_and_inode(tree: Path, tmp_path: Path, file_system: Build) -> None:
    logs = list(Evidence(str(file_system(tree, tmp_path / "volume.raw"))).logs())
    assert [(log.users, log.size) for log in logs] == [(USERS, len(LITTLE)), (USERS, len(BIG))]
    assert len({log.inode for log in logs} - {None, 0}) == 2
    assert {log.allocation for log in logs} == {"allocated"}


def test_image_in_test_data() -> None:
    evidence = Evidence(str(TEST_DATA / "server.E01"))
    hashes = {path.parent.name: sha256(path.read_bytes()) for path in TEST_DATA.glob("logs/*/atop_raw")}
    torn = sha256((TEST_DATA / "logs/2.9.0/atop_raw").read_bytes()[:57_000])
    versions = ("1.26-a", "2.3.0", "2.8.1", "2.11.1", "2.13.0")
    assert [sha256(data) for _, _, data in found(evidence)] == [hashes["2.2.6-a"], torn, *map(hashes.get, versions)]
    home = f"{evidence.path} p1 /var/log/atop"
    text = "no atop log: begins with 41 54 4f 50 instead of the magic (text)"
    assert evidence.problems == [Problem(f"{home}/daily.log", text, serious=False)]
    assert evidence.searched == [f"{evidence.path} p1: ext2/3/4 file system"]


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


def test_image_without_logs(tmp_path: Path) -> None:
    evidence = Evidence(str(disks.ext4(write(tmp_path / "tree", {"etc/passwd": PASSWD}), tmp_path / "disk.raw")))
    assert found(evidence) == []
    assert evidence.problems == []


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
        return disks.luks(raw, Path(folder) / "luks").read_bytes()


def btrfs(image: Path) -> Path:
    image.write_bytes(bytes(0x10040) + b"_BHRfS_M" + bytes((4 << 20) - 0x10048))
    return image


def damaged_ext4(image: Path) -> Path:
    tree = write(image.with_suffix(".tree"), {"var/log/atop/atop_1": LITTLE})
    with disks.ext4(tree, image).open("r+b") as stream:
        stream.seek(1024 + 4)
        stream.write(b"\xff" * 50)
    return image


def bios_boot(image: Path) -> Path:
    return disks.random_bytes(image, 1)


BAD: list[tuple[Callable[[Path], Path], str, bool]] = [
    (disks.random_bytes, "unknown contents, cannot be read", True),
    (disks.damaged_luks2, "LUKS2, encrypted, cannot be read", True),
    (luks1, "LUKS1, encrypted, cannot be read", True),
    (btrfs, "Btrfs, cannot be read", True),
    (damaged_ext4, "ext2/3/4, cannot be read", True),
    (swap, "swap, cannot be read", False),
    (bios_boot, "unknown contents, cannot be read", False),
]


@pytest.mark.parametrize(("make", "what", "serious"), BAD, ids=[make.__name__ for make, _, _ in BAD])
@pytest.mark.parametrize("table", [disks.mbr, disks.gpt], ids=["MBR", "GPT"])
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
    volumes.insert(good_number - 1, disks.ext4(tree, tmp_path / "good.raw"))
    evidence = Evidence(str(table(tmp_path / "disk.raw", *volumes)))
    assert found(evidence) == expected(f"p{good_number}")
    (problem,) = evidence.problems
    assert problem.where == f"{evidence.path} p{3 - good_number}"
    assert problem.what.startswith(what)
    assert problem.serious is serious


# Volume groups over several images.


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("table", [None, disks.gpt], ids=["no table", "GPT"])
def test_volume_group_over_two_disks_is_read_once(
    tree: Path, tmp_path: Path, table: Callable[..., Path] | None, order: tuple[int, int]
) -> None:
    pytest.importorskip("dissect.volume")
    volume = disks.ext(tree, tmp_path / "root.raw", size_mib=8)
    members = disks.lvm_across(tmp_path / "a.raw", tmp_path / "b.raw", volume)
    given = [table(member.with_suffix(".gpt"), member) if table else member for member in members]
    first, second = open_evidence([str(given[number]) for number in order])
    assert (found(first), first.problems) == (expected("p1/lvm1" if table else "lvm1"), [])
    assert (found(second), [problem.serious for problem in second.problems]) == ([], [False])


@pytest.mark.parametrize("opener", ["dfvfs", "auto"])
def test_key_is_derived_once(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: str) -> None:
    """It may take minutes."""
    tried, real = [], luksde_helper.LUKSDEOpenVolume

    def counting(volume: Any, spec: Any, stream: Any, chain: Any) -> None:  # noqa: ANN401  dfVFS has no types
        tried.append(chain.GetCredential(spec, "password"))
        real(volume, spec, stream, chain)

    monkeypatch.setattr(luksde_helper, "LUKSDEOpenVolume", counting)
    locked = disks.luks(disks.ext4(tree, tmp_path / "volume.raw"), tmp_path / "luks")
    wanted = Wanted(carve=True, opener=opener, keys=Keys((PASSWORD,)))
    evidence = Evidence(str(disks.gpt(tmp_path / "disk.raw", locked)), wanted)
    assert [(volume, path, data) for volume, path, data in found(evidence) if path] == expected("p1")
    assert tried.count(PASSWORD) == 1


@pytest.mark.parametrize("opener", ["auto", "dissect"])
def test_chunk_of_an_e01_whose_checksum_fails_costs_its_samples_alone(tree: Path, tmp_path: Path, opener: str) -> None:
    pytest.importorskip("dissect.evidence")
    image = disks.ewf(disks.ext4(tree, tmp_path / "disk.raw"), tmp_path / "disk.E01", "none")
    data = bytearray(image.read_bytes())
    data[data.index(LITTLE[30_000:30_050])] ^= 1
    image.write_bytes(data)
    timeline, report = extract([str(image)], Wanted(opener=opener))
    timeline.close()
    assert [(log.samples - log.parts, len(log.damages)) for log in report.logs] == [(6, 1), (10, 0)]
    assert report.logs[0].sha256 is None
