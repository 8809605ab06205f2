"""What the tests' own makers make is what others' tools read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import bitlocker, disks
from tests.encryption import BINARY_KEY, PASSWORD
from tests.tools import printed


@pytest.mark.parametrize("key", [PASSWORD, bitlocker.RECOVERY_KEY], ids=["password", "recovery key"])
def test_cryptsetup_opens_bitlocker(tree: Path, tmp_path: Path, key: str) -> None:
    volume = bitlocker.bitlocker(disks.ext4(tree, tmp_path / "volume.raw"), tmp_path / "disk.raw")
    shown = printed("cryptsetup", "bitlkDump", volume).decode()
    assert "aes\nCipher mode:  \txts-plain64\n" in shown
    disks.run("cryptsetup", "open", "--type", "bitlk", "--test-passphrase", "-d", "-", volume, stdin=key.encode())


@pytest.mark.parametrize("unlock", ["unlock_with_passphrase", "unlock_with_recovery_password"])
def test_dissect_reads_bitlocker(tree: Path, tmp_path: Path, unlock: str) -> None:
    bde = pytest.importorskip("dissect.fve.bde")
    raw = disks.ext4(tree, tmp_path / "volume.raw")
    with bitlocker.bitlocker(raw, tmp_path / "disk.raw").open("rb") as stream:
        volume = bde.BDE(stream)
        getattr(volume, unlock)(PASSWORD if unlock.endswith("passphrase") else bitlocker.RECOVERY_KEY)
        assert volume.open().read(raw.stat().st_size) == raw.read_bytes()


@pytest.mark.parametrize("key", [PASSWORD.encode(), BINARY_KEY], ids=["password", "key file"])
@pytest.mark.parametrize("make", [disks.luks, disks.luks2], ids=["LUKS1", "LUKS2"])
def test_cryptsetup_opens_luks(
    tree: Path, tmp_path: Path, make: Callable[[Path, Path, bytes], Path], key: bytes
) -> None:
    volume = make(disks.ext4(tree, tmp_path / "volume.raw"), tmp_path / "disk.raw", key)
    disks.run("cryptsetup", "open", "--test-passphrase", "-d", "-", volume, stdin=key)
