"""A log is read in a process that knows nothing of this one and works in another folder as it is read here."""

import gc
import gzip
import inspect
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from atop_timeline.evidence import Evidence, LogFile, Wanted
from atop_timeline.keys import Keys
from tests import disks
from tests.bitlocker import bitlocker, startup_key
from tests.encryption import PASSWORD
from tests.servers import BIG, LITTLE, PACK, PASSWD, write
from tests.tools import looped

Make: TypeAlias = Callable[[Path, Path], Path]

UNLOCKED = Wanted(keys=Keys((PASSWORD,)))
BY_DFVFS, BY_DISSECT = Wanted(opener="dfvfs"), Wanted(opener="dissect")
SMALL = 4096
LONG_AGO = 1_000_000_000


def outcomes(logs: Sequence[LogFile]) -> list[list[str | None]]:
    """The SHA-256 of each log, read without and with digesting, and of the file as it lies there; or why not."""
    from hashlib import sha256  # noqa: PLC0415  this is source for another process, too

    found: list[list[str | None]] = []
    for log in logs:
        try:
            stream, hashed = log.open_hashed()
            with log.open() as plain, stream:
                digests = [sha256(each.read()).hexdigest() for each in (plain, stream)]
                found.append([*digests, hashed.sha256()])
        except OSError as error:
            found.append([str(error)])
    return found


def elsewhere(logs: bytes, folder: Path, before: str = "", told: str = "outcomes(logs)") -> Any:  # noqa: ANN401  any JSON
    """What is told of pickled logs in a fresh process, which works in this folder."""
    lines = (
        "import json, pickle, sys",
        "from collections.abc import Sequence",
        inspect.getsource(outcomes).replace("LogFile", "object"),
        before,
        "logs = pickle.load(sys.stdin.buffer)",
        f"print(json.dumps({told}))",
    )
    command = [sys.executable, "-W", "error", "-c", "\n".join(lines)]
    return json.loads(subprocess.run(command, input=logs, cwd=folder, check=True, capture_output=True).stdout)


@pytest.fixture(name="away")
def _away(tmp_path: Path) -> Path:
    folder = tmp_path / "away"
    folder.mkdir()
    return folder


# Each kind of evidence.


def odd_folder(tree: Path, path: Path) -> Path:
    odd = os.fsencode(tree) + b"/var/log/atop/atop_\xff\n"
    Path(os.fsdecode(odd)).write_bytes(BIG)
    return tree.rename(path)


def packed(kind: str) -> Make:
    def make(_tree: Path, path: Path) -> Path:
        path.write_bytes(PACK[kind](LITTLE))
        return path

    return make


def tarred(mode: str) -> Make:
    def make(tree: Path, path: Path) -> Path:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # a mode in a variable
            archive.add(tree, "case")
        return path

    return make


def torn_tar(tree: Path, path: Path) -> Path:
    """In gzip, of which a member inside the first log is damaged."""
    data = tarred("w")(tree, path).read_bytes()
    pieces = [gzip.compress(data[at : at + 8192]) for at in range(0, len(data), 8192)]
    damaged = data.index(LITTLE[:512]) // 8192 + 2
    pieces[damaged] = pieces[damaged][:2000] + bytes(100) + pieces[damaged][2100:]
    path.write_bytes(b"".join(pieces))
    return path


def zipped(tree: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(tree.rglob("*")):
            archive.write(each, each.relative_to(tree))
    return path


def tar_in_zip(tree: Path, path: Path) -> Path:
    folder = path.with_name("nested")
    folder.mkdir()
    tarred("w:gz")(tree, folder / "uac.tar.gz")
    return zipped(folder, path)


def zip_in_tar(tree: Path, path: Path) -> Path:
    folder = path.with_name("nested")
    folder.mkdir()
    zipped(tree, folder / "case.zip")
    return tarred("w:xz")(folder, path)


def image(form: str, *options: str) -> Make:
    def make(tree: Path, path: Path) -> Path:
        disk = disks.gpt(tree.with_suffix(".gpt"), disks.ext4(tree, tree.with_suffix(".raw")))
        return disks.qemu(disk, path, form, *options)

    return make


def ewf(tree: Path, path: Path) -> Path:
    return disks.ewf(disks.ext4(tree, tree.with_suffix(".raw")), path.with_suffix(".E01"), "none", 1 << 20)


def damaged_ewf(tree: Path, path: Path) -> Path:
    found = disks.ewf(disks.ext4(tree, tree.with_suffix(".raw")), path.with_suffix(".E01"), "none")
    data = bytearray(found.read_bytes())
    data[data.index(LITTLE[30_000:30_050])] ^= 1
    found.write_bytes(data)
    return found


def split(tree: Path, path: Path) -> Path:
    return disks.split(disks.ext4(tree, tree.with_suffix(".raw")), path.with_suffix(".001"), 1 << 20)


def luks1(tree: Path, path: Path) -> Path:
    return disks.gpt(path, disks.luks(disks.ext4(tree, tree.with_suffix(".raw")), tree.with_suffix(".luks")))


def luks2(tree: Path, path: Path) -> Path:
    return disks.gpt(path, disks.luks2(disks.ext4(tree, tree.with_suffix(".raw")), tree.with_suffix(".luks")))


def locked_ntfs(tree: Path, path: Path) -> Path:
    return disks.gpt(path, bitlocker(disks.ntfs(tree, tree.with_suffix(".ntfs")), tree.with_suffix(".bde")))


def lvm(tree: Path, path: Path) -> Path:
    return disks.gpt(path, disks.lvm(tree.with_suffix(".lvm"), disks.ext(tree, tree.with_suffix(".raw"), size_mib=8)))


def lvm_segments(tree: Path, path: Path) -> Path:
    return disks.lvm_segments(path, disks.ext(tree, tree.with_suffix(".raw"), size_mib=8))


KINDS: dict[str, tuple[Make, Wanted]] = {
    "log": (lambda tree, path: (tree / "var/log/atop/atop_20260101").rename(path), Wanted()),
    **{f"log in {kind}": (packed(kind), Wanted()) for kind in PACK},
    "folder": (odd_folder, Wanted()),
    "tar": (tarred("w"), Wanted()),
    "tar in gzip": (tarred("w:gz"), Wanted()),
    "tar in xz": (tarred("w:xz"), Wanted()),
    "zip": (zipped, Wanted()),
    "tar in gzip in zip": (tar_in_zip, Wanted()),
    "zip in tar in xz": (zip_in_tar, Wanted()),
    "raw": (disks.ext4, Wanted()),
    "split raw": (split, Wanted()),
    "E01": (ewf, Wanted()),
    "E01, by libewf": (ewf, BY_DFVFS),
    "E01 with a damaged chunk": (damaged_ewf, Wanted()),
    "qcow2": (image("qcow2"), Wanted()),
    "qcow2, compressed": (image("qcow2", "-c"), Wanted()),
    "VMDK": (image("vmdk"), Wanted()),
    "VHD": (image("vpc", "-o", "force_size=on"), Wanted()),
    "VHDX": (image("vhdx", "-o", "block_size=1048576"), Wanted()),
    "qcow2, by dissect": (image("qcow2"), BY_DISSECT),
    "XFS": (disks.xfs, Wanted()),
    "XFS, by dissect": (disks.xfs, BY_DISSECT),
    "FAT": (disks.fat, Wanted()),
    "NTFS": (disks.ntfs, Wanted()),
    "Btrfs": (disks.btrfs, Wanted()),
    "LVM": (lvm, Wanted()),
    "LVM in pieces": (lvm_segments, Wanted()),
    "LUKS1": (luks1, UNLOCKED),
    "LUKS1, by dissect": (luks1, replace(UNLOCKED, opener="dissect")),
    "LUKS2": (luks2, UNLOCKED),
    "BitLocker by password": (locked_ntfs, UNLOCKED),
    "BitLocker by startup key": (locked_ntfs, Wanted(keys=Keys(key_files=(startup_key(),)))),
    "carved disk": (disks.ext4, Wanted(carve=True)),
    "carved LUKS1": (luks1, replace(UNLOCKED, carve=True)),
}


@pytest.mark.parametrize(("make", "wanted"), KINDS.values(), ids=KINDS)
def test_log_is_read_elsewhere(  # noqa: PLR0913, PLR0917  a table's two columns
    tree: Path, tmp_path: Path, away: Path, monkeypatch: pytest.MonkeyPatch, make: Make, wanted: Wanted
) -> None:
    if wanted.opener != "dfvfs":
        pytest.importorskip("dissect.volume")
    (tmp_path / "case").mkdir()
    given = make(tree, tmp_path / "case/evidence")
    monkeypatch.chdir(tmp_path)
    evidence = Evidence(f"case/{given.name}", wanted)
    logs = list(evidence.logs())
    assert logs
    assert {log.evidence for log in logs} == {f"case/{given.name}"}
    assert all(log.can_travel for log in logs)
    assert elsewhere(pickle.dumps(logs), away) == outcomes(logs)
    assert [len(pickle.dumps(log)) for log in logs if len(pickle.dumps(log)) > SMALL] == []
    assert PASSWORD not in repr(logs)


def test_standard_input_is_read_elsewhere_on_this_machine(
    tmp_path: Path, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (write(tmp_path, {"log": gzip.compress(LITTLE)}) / "log").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        logs = list(Evidence("-").logs())
    assert elsewhere(pickle.dumps(logs), away) == outcomes(logs)
    assert [(log.evidence, log.can_travel) for log in logs] == [("standard input", False)]


def test_device_is_read_elsewhere_on_this_machine(tree: Path, tmp_path: Path, away: Path) -> None:
    with looped(disks.ext4(tree, tmp_path / "disk.raw")) as devices:
        logs = list(Evidence(devices[0]).logs())
        assert elsewhere(pickle.dumps(logs), away) == outcomes(logs)
    assert [log.can_travel for log in logs] == [False, False]


# Once per process, and without a trace.


@pytest.mark.parametrize("make", [disks.ext4, split, ewf, image("qcow2")], ids=["raw", "split raw", "E01", "qcow2"])
def test_reading_elsewhere_leaves_no_trace(tree: Path, tmp_path: Path, away: Path, make: Make) -> None:
    (tmp_path / "case").mkdir()
    logs = list(Evidence(str(make(tree, tmp_path / "case/evidence"))).logs())
    paths = sorted((tmp_path / "case").iterdir())
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))
    assert len(elsewhere(pickle.dumps(logs), away)) == len(logs)
    assert {path.stat().st_atime for path in paths} == {LONG_AGO}


COUNTING = """
tried, real = [], {0}
def counting(*arguments):
    tried.append(1)
    return real(*arguments)
{0} = counting
"""


def test_key_is_derived_once_elsewhere(tree: Path, tmp_path: Path, away: Path) -> None:
    other = disks.luks(disks.ext4(tree, tmp_path / "other.raw"), tmp_path / "other.luks")
    locked = disks.luks(disks.ext4(tree, tmp_path / "volume.raw"), tmp_path / "volume.luks")
    evidence = Evidence(str(disks.gpt(tmp_path / "disk.raw", locked, other)), UNLOCKED)
    logs = [log for log in evidence.logs() if log.volume == "p1"]
    before = "from dfvfs.lib import luksde_helper" + COUNTING.format("luksde_helper.LUKSDEOpenVolume")
    told = elsewhere(pickle.dumps(logs), away, before, "[outcomes(logs), len(tried)]")
    assert told == [outcomes(logs), 1]


PASSED: dict[str, Make] = {
    "tar": tarred("w:gz"),
    "torn tar": torn_tar,
    "tar in zip": tar_in_zip,
    "zip in tar": zip_in_tar,
}


@pytest.mark.parametrize("make", PASSED.values(), ids=PASSED)
def test_compressed_archive_is_decompressed_once_where_nothing_is_kept(
    tree: Path, tmp_path: Path, away: Path, make: Make
) -> None:
    logs = list(Evidence(str(make(tree, tmp_path / "evidence"))).logs())
    assert len(logs) == 2
    here, pickled = outcomes(logs), pickle.dumps(logs)
    del logs
    gc.collect()
    before = "from atop_timeline import compressed" + COUNTING.format("compressed.Passing.__init__")
    told = elsewhere(pickled, away, before, "[outcomes(logs), len(tried)]")
    assert told == [here, 1]


def test_what_an_archive_gave_before_is_not_there_any_more(tree: Path, tmp_path: Path, away: Path) -> None:
    path = tarred("w:gz")(tree, tmp_path / "evidence")
    logs = list(Evidence(str(path)).logs())
    pickled = pickle.dumps(logs)
    path.write_bytes(path.read_bytes()[: len(LITTLE)])
    del logs
    gc.collect()
    expected = f"{len(PASSWD + LITTLE + BIG)} bytes of members were found in this archive before"
    assert [[why.split(",")[0] for why in found] for found in elsewhere(pickled, away)] == [[expected]] * 2


@pytest.mark.parametrize("make", [tarred("w"), tarred("w:gz"), zipped], ids=["tar", "tar in gzip", "zip"])
def test_what_else_is_in_an_archive_does_not_travel(tree: Path, tmp_path: Path, make: Make) -> None:
    write(tree, {f"home/file{number}": b"" for number in range(3000)})
    logs = list(Evidence(str(make(tree, tmp_path / "evidence"))).logs())
    assert [len(pickle.dumps(log)) for log in logs if len(pickle.dumps(log)) > SMALL] == []
