"""BitLocker: independent readers agree about what `bitlocker` makes, and the logs in it are found, or it is told."""

from pathlib import Path
from typing import Any

import pybde
import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import Evidence, Wanted
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from tests import disks
from tests.bitlocker import RECOVERY_KEY, bitlocker, startup_key
from tests.encryption import PASSWORD
from tests.servers import expected, found
from tests.tools import MIB, blank, printed, run

WRONG_PASSWORD, WRONG_RECOVERY_KEY, NO_RECOVERY_KEY = "test1235", "-".join(["000011"] * 8), RECOVERY_KEY[:-7]
BY_PASSWORD, BY_RECOVERY_KEY = Keys((PASSWORD,)), Keys(recovery_keys=(RECOVERY_KEY,))
BY_STARTUP_KEY, NO_KEY_FILE = Keys(key_files=(startup_key(),)), Keys(key_files=(b"no key" * 30,))
MISTYPED = Keys(recovery_keys=(NO_RECOVERY_KEY,))


@pytest.fixture(name="raw")
def _raw(tree: Path, tmp_path: Path) -> Path:
    return disks.ntfs(tree, tmp_path / "ntfs.raw")


@pytest.fixture(name="volume")
def _volume(raw: Path, tmp_path: Path) -> Path:
    return bitlocker(raw, tmp_path / "volume.raw")


@pytest.fixture(name="raw_fat")
def _raw_fat(tree: Path, tmp_path: Path) -> Path:
    """A small FAT: dissect's own decryption is slow."""
    run("mkfs.vfat", blank(tmp_path / "fat.raw", 4 * MIB))
    run("mcopy", "-s", "-i", tmp_path / "fat.raw", *sorted(tree.iterdir()), "::/")
    return tmp_path / "fat.raw"


@pytest.fixture(name="to_go")
def _to_go(raw_fat: Path, tmp_path: Path) -> Path:
    return bitlocker(raw_fat, tmp_path / "volume.raw", to_go=True)


def by_libbde(image: Path, setter: str, key: str) -> bytes:
    volume = pybde.volume()
    getattr(volume, setter)(key)
    volume.open(str(image))
    return bytes(volume.read(volume.get_size()))


def by_dissect(image: Path, unlock: str, key: Any) -> bytes:  # noqa: ANN401  dissect has no types
    bde = pytest.importorskip("dissect.fve.bde")
    with image.open("rb") as stream:
        volume = bde.BDE(stream)
        getattr(volume, unlock)(key)
        return bytes(volume.open().read())


def test_libbde_decrypts_it(raw: Path, volume: Path) -> None:
    assert by_libbde(volume, "set_recovery_password", RECOVERY_KEY) == raw.read_bytes()


def test_readers_decrypt_it_to_go(raw_fat: Path, to_go: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.BEK"
    key.write_bytes(startup_key())
    assert by_libbde(to_go, "read_startup_key", str(key)) == raw_fat.read_bytes()
    with key.open("rb") as stream:
        assert by_dissect(to_go, "unlock_with_bek", stream) == raw_fat.read_bytes()


def test_cryptsetup_unlocks_it(volume: Path) -> None:
    dump = printed("cryptsetup", "bitlkDump", volume).decode()
    told = [
        line.split(":")[-1].strip() for line in dump.splitlines() if "Protection:" in line or "Cipher mode:" in line
    ]
    assert told == [
        "xts-plain64",
        "VMK protected with passphrase",
        "VMK protected with recovery passphrase",
        "VMK protected with startup key",
    ]
    for key in (PASSWORD, RECOVERY_KEY):
        run("cryptsetup", "open", "--type", "bitlk", "--test-passphrase", "--key-file", "-", volume, stdin=key.encode())


def opened(path: Path, opener: str, keys: Keys) -> Evidence:
    if opener == "dissect":
        pytest.importorskip("dissect.volume")
    return Evidence(str(path), Wanted(opener=opener, keys=keys))


@pytest.mark.parametrize(
    ("opener", "keys"),
    [
        pytest.param("auto", BY_PASSWORD, id="auto, password"),
        pytest.param("dfvfs", BY_PASSWORD, id="dfvfs, password"),
        pytest.param("dissect", BY_PASSWORD, id="dissect, password"),
        pytest.param("dfvfs", BY_RECOVERY_KEY, id="dfvfs, recovery key"),
        pytest.param("dissect", BY_RECOVERY_KEY, id="dissect, recovery key"),
        pytest.param("auto", BY_STARTUP_KEY, id="auto, startup key"),
        pytest.param("dfvfs", BY_STARTUP_KEY, id="dfvfs, startup key"),
        pytest.param("dfvfs", Keys(ask=lambda _volume: RECOVERY_KEY), id="dfvfs, prompt"),
        pytest.param("dissect", BY_STARTUP_KEY, id="dissect, startup key"),
        pytest.param("dissect", Keys(ask=lambda _volume: RECOVERY_KEY), id="dissect, prompt"),
    ],
)
def test_logs_are_found(volume: Path, opener: str, keys: Keys) -> None:
    evidence = opened(volume, opener, keys)
    assert (found(evidence), evidence.problems) == (expected(""), [])


@pytest.mark.parametrize("opener", ["dfvfs", "dissect"])
def test_logs_are_found_in_a_partition_by_the_second_key(volume: Path, tmp_path: Path, opener: str) -> None:
    keys = Keys(recovery_keys=(NO_RECOVERY_KEY, RECOVERY_KEY))
    evidence = opened(disks.gpt(tmp_path / "disk.raw", volume), opener, keys)
    assert (found(evidence), evidence.problems) == (expected("p1"), [])


@pytest.mark.parametrize("opener", ["dfvfs", "dissect"])
def test_logs_are_found_to_go(to_go: Path, tmp_path: Path, opener: str) -> None:
    evidence = opened(disks.gpt(tmp_path / "disk.raw", to_go), opener, BY_STARTUP_KEY)
    assert (found(evidence), evidence.problems) == (expected("p1"), [])


@pytest.mark.parametrize(
    ("opener", "keys", "why"),
    [
        pytest.param("auto", Keys(), LOCKED, id="auto, none"),
        pytest.param("dfvfs", Keys(), LOCKED, id="dfvfs, none"),
        pytest.param("dissect", Keys(), LOCKED, id="dissect, none"),
        pytest.param("dfvfs", Keys((WRONG_PASSWORD,)), NONE_FITS, id="dfvfs, password"),
        pytest.param("dissect", Keys((WRONG_PASSWORD,)), NONE_FITS, id="dissect, password"),
        pytest.param("dfvfs", Keys((), (WRONG_RECOVERY_KEY,)), NONE_FITS, id="dfvfs, recovery key"),
        pytest.param("dfvfs", MISTYPED, NONE_FITS, id="dfvfs, mistyped"),
        pytest.param("dissect", MISTYPED, NONE_FITS, id="dissect, mistyped"),
        pytest.param("dfvfs", NO_KEY_FILE, NONE_FITS, id="dfvfs, key file"),
        pytest.param("dissect", NO_KEY_FILE, NONE_FITS, id="dissect, key file"),
    ],
)
def test_locked_is_told_and_no_key(volume: Path, tmp_path: Path, opener: str, keys: Keys, why: str) -> None:
    disk = disks.gpt(tmp_path / "disk.raw", volume)
    with pytest.raises(EvidenceError) as caught:
        opened(disk, opener, keys)
    told = f"no file system in this image can be read: p1 BitLocker, encrypted, cannot be read: {why}"
    assert str(caught.value) == f"{disk}: {told}"
