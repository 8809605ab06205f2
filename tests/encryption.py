"""LUKS volumes, made without a device mapper; the password is `PASSWORD`."""

import shutil
from pathlib import Path

import pycaes  # of dfVFS's dependencies

from tests.tools import MIB, SECTOR, run

PASSWORD = "test1234"  # noqa: S105  of these images alone
BINARY_KEY = bytes(range(256)) * 2
"""Of a key file: no text, with a NUL."""

_DISK_KEY = bytes(range(100, 164))
_LUKS2_BYTES = 4 * MIB
_CHEAP = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", 1000)


def luks(raw: Path, image: Path, key: bytes = PASSWORD.encode(), *, rounds: int = 1000) -> Path:
    """Encrypt with LUKS1, with a password or the contents of a key file."""
    disk_key = image.with_name(f"{image.name}.key")
    disk_key.write_bytes(_DISK_KEY)
    with image.open("wb") as stream:
        stream.truncate(2 * MIB + raw.stat().st_size)
    how = ("--type", "luks1", "--cipher", "aes-xts-plain64", "--key-size", 512, "--align-payload", 2 * MIB // SECTOR)
    secret = ("--pbkdf-force-iterations", rounds, "--volume-key-file", disk_key, "--key-file", "-")
    run("cryptsetup", "luksFormat", "-q", *how, *secret, image, stdin=key)
    disk_key.unlink()
    with image.open("r+b") as stream:
        stream.seek(2 * MIB)
        stream.write(xts(raw.read_bytes(), 0, _DISK_KEY))
    return image


def xts(data: bytes, sector: int, key: bytes) -> bytes:
    """Whole sectors encrypted by AES-XTS, the first one having this number."""
    context = pycaes.tweaked_context()
    context.set_keys(pycaes.crypt_modes.ENCRYPT, key[: len(key) // 2], key[len(key) // 2 :])
    pieces = (
        pycaes.crypt_xts(context, pycaes.crypt_modes.ENCRYPT, number.to_bytes(16, "little"), data[at : at + SECTOR])
        for number, at in enumerate(range(0, len(data), SECTOR), sector)
    )
    return b"".join(pieces)


def luks2(raw: Path, image: Path, key: bytes = PASSWORD.encode(), *options: object) -> Path:
    """Encrypt with LUKS2, with a password or the contents of a key file; options such as another `--pbkdf`."""
    shutil.copy(raw, image)
    with image.open("r+b") as stream:
        stream.truncate(raw.stat().st_size + _LUKS2_BYTES)
    where = ("--force-offline-reencrypt", "--reduce-device-size", _LUKS2_BYTES, "--luks2-keyslots-size", MIB)
    how = ("--encrypt", "--type", "luks2", *where, *(options or _CHEAP))
    run("cryptsetup", "reencrypt", *how, "-q", "--key-file", "-", image, stdin=key)
    return image
