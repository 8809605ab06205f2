"""BitLocker volumes as Windows 10 makes them (AES-XTS-128), for no tool of Linux makes any.

After libbde's description of the format:
https://github.com/libyal/libbde/blob/main/documentation/BitLocker%20Drive%20Encryption%20(BDE)%20format.asciidoc
"""

import hashlib
import struct
import zlib
from functools import cache
from pathlib import Path
from uuid import UUID

import pycaes  # of dfVFS's dependencies; cryptsetup and dissect judge by others

from tests.encryption import PASSWORD, xts
from tests.tools import SECTOR

RECOVERY_KEY = "-".join(f"{number * 11:06d}" for number in range(1001, 65536, 8191))
"""48 digits, in groups of 11 times 16 bits."""

_BLOCK, _MOVED, _CLUSTER = 1 << 16, 8192, 4096  # bytes: a metadata block, what stands elsewhere
_SIGNATURE = b"-FVE-FS-"
_BITLOCKER = UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
_VOLUME, _BY_PASSWORD, _BY_RECOVERY_KEY, _BY_STARTUP_KEY = (UUID(int=number).bytes_le for number in range(1, 5))
_TIME = 132_223_104_000_000_000  # 2020-01-01 as FILETIME
_ROUNDS = 1 << 20

_PROPERTY, _VMK, _FVEK, _STARTUP_KEY, _HEADER_PLACE = 0, 2, 3, 6, 15  # entry types
_KEY, _STRETCHED, _SEALED, _PROTECTED, _EXTERNAL, _PLACE = 1, 3, 5, 8, 9, 15  # types of values
_STRETCH_METHOD, _EXTERNAL_METHOD, _VMK_METHOD, _HASH_METHOD, _XTS_128 = 0x1000, 0x2002, 0x2003, 0x2005, 0x8004
_STARTUP_PROTECTS, _RECOVERY_PROTECTS, _PASSWORD_PROTECTS = 0x0200, 0x0800, 0x2000

_MASTER_KEY, _DISK_KEY, _EXTERNAL_KEY = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))


def bitlocker(raw: Path, image: Path, *, to_go: bool = False) -> Path:
    """Encrypt an NTFS or, as BitLocker To Go, a FAT; libbde wants no others.

    The metadata lie, as Windows lays them, in clusters of the file system that have zeros; such is what they
    read as. There are no other files around a volume To Go.
    """
    data = raw.read_bytes()
    place = data.index(bytes(3 * _BLOCK + _MOVED + _CLUSTER), _MOVED)
    first = -(-place // _CLUSTER) * _CLUSTER
    moved = first + _BLOCK
    blocks = (first, moved + _MOVED, moved + _MOVED + _BLOCK)
    metadata = _metadata(len(data), blocks, moved)
    header = xts(data[:_MOVED], moved // SECTOR, _DISK_KEY)
    area = b"".join((metadata, header, metadata, metadata))
    body = xts(data[_MOVED:], _MOVED // SECTOR, _DISK_KEY)
    begin, end = first - _MOVED, first - _MOVED + len(area)
    image.write_bytes(_volume_header(len(data), blocks, to_go=to_go) + body[:begin] + area + body[end:])
    return image


def _volume_header(size: int, blocks: tuple[int, ...], *, to_go: bool) -> bytes:
    """What stands where the file system's first bytes stood."""
    signature, place = (b"MSWIN4.1", 424) if to_go else (_SIGNATURE, 160)
    sectors = size // SECTOR if to_go else 0
    head = b"\xeb\x58\x90" + signature + struct.pack("<HB18xI", SECTOR, _CLUSTER // SECTOR, sectors)
    recognition = _BITLOCKER + struct.pack("<3Q", *blocks)
    return ((head.ljust(place, b"\0") + recognition).ljust(510, b"\0") + b"\x55\xaa").ljust(_MOVED, b"\0")


def startup_key() -> bytes:
    """What is in the .BEK file."""
    key = _entry(_PROPERTY, _KEY, struct.pack("<I", _EXTERNAL_METHOD) + _EXTERNAL_KEY)
    return _dataset(
        _BY_STARTUP_KEY, 0, _entry(_STARTUP_KEY, _EXTERNAL, struct.pack("<16sQ", _BY_STARTUP_KEY, _TIME) + key)
    )


def _metadata(size: int, blocks: tuple[int, ...], moved: int) -> bytes:
    """A metadata block, one of three alike."""
    entries = (
        _protected(_BY_PASSWORD, _PASSWORD_PROTECTS, *_stretched(_password_hash(PASSWORD), _BY_PASSWORD)),
        _protected(_BY_RECOVERY_KEY, _RECOVERY_PROTECTS, *_stretched(_recovery_hash(RECOVERY_KEY), _BY_RECOVERY_KEY)),
        _protected(_BY_STARTUP_KEY, _STARTUP_PROTECTS, _EXTERNAL_KEY, b""),
        _entry(_FVEK, _SEALED, _sealed(_MASTER_KEY, _XTS_128, _DISK_KEY, 9)),
        _entry(_HEADER_PLACE, _PLACE, struct.pack("<2Q", moved, _MOVED)),
    )
    dataset = _dataset(_VOLUME, _XTS_128, *entries)
    units = -(-(64 + len(dataset)) // 16)
    state = (4, 4)  # encrypted, and to stay so
    first = struct.pack("<8s4HQ2I4Q", _SIGNATURE, units, 2, *state, size, 0, _MOVED // SECTOR, *blocks, moved)
    block = (first + dataset).ljust(units * 16, b"\0")
    return (block + _validation(block)).ljust(_BLOCK, b"\0")


def _dataset(identity: bytes, method: int, *entries: bytes) -> bytes:
    data = b"".join(entries)
    length = 48 + len(data)
    return struct.pack("<4I16s2IQ", length, 1, 48, length, identity, 10, method, _TIME) + data


def _validation(block: bytes) -> bytes:
    """What tells whether a metadata block is whole."""
    digest = _entry(_PROPERTY, _SEALED, _sealed(_MASTER_KEY, _HASH_METHOD, hashlib.sha256(block).digest(), 8))
    return struct.pack("<2HI", 8 + len(digest), 2, zlib.crc32(block)) + digest


def _entry(role: int, kind: int, data: bytes) -> bytes:
    return struct.pack("<4H", 8 + len(data), role, kind, 1) + data


def _protected(identity: bytes, protection: int, key: bytes, stretch: bytes) -> bytes:
    """The volume's master key, sealed by another one; how that is made of a password, if it is."""
    sealed = _entry(_PROPERTY, _SEALED, _sealed(key, _VMK_METHOD, _MASTER_KEY, protection))
    return _entry(_VMK, _PROTECTED, struct.pack("<16sQ2H", identity, _TIME, 0, protection) + stretch + sealed)


def _password_hash(password: str) -> bytes:
    return hashlib.sha256(hashlib.sha256(password.encode("utf-16-le")).digest()).digest()


def _recovery_hash(key: str) -> bytes:
    return hashlib.sha256(struct.pack("<8H", *(int(group) // 11 for group in key.split("-")))).digest()


@cache
def _stretched(hashed: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key that a password makes, and the entry that tells how."""
    key, constant = bytes(32), hashed + salt
    for number in range(_ROUNDS):
        key = hashlib.sha256(key + constant + number.to_bytes(8, "little")).digest()
    sealed = _entry(_PROPERTY, _SEALED, _sealed(_MASTER_KEY, _STRETCH_METHOD, key, _STRETCH_METHOD + salt[0]))
    return key, _entry(_PROPERTY, _STRETCHED, struct.pack("<I16s", _STRETCH_METHOD, salt) + sealed)


def _sealed(key: bytes, method: int, secret: bytes, number: int) -> bytes:
    """A key encrypted by another one with AES-CCM (RFC 3610): nonce, authentication code, key."""
    nonce = struct.pack("<QI", _TIME, number)
    data = _entry(_PROPERTY, _KEY, struct.pack("<I", method) + secret)
    padded = data.ljust(-(-len(data) // 16) * 16, b"\0")
    first = b"\x3a" + nonce + len(data).to_bytes(3, "big")
    code = pycaes.crypt_cbc(_aes(key), pycaes.crypt_modes.ENCRYPT, bytes(16), first + padded)[-16:]
    counters = (b"\x02" + nonce + block.to_bytes(3, "big") for block in range(1 + len(padded) // 16))
    stream = b"".join(pycaes.crypt_ecb(_aes(key), pycaes.crypt_modes.ENCRYPT, each) for each in counters)
    return nonce + bytes(each ^ other for each, other in zip(code + data, stream, strict=False))


def _aes(key: bytes) -> "pycaes.context":
    context = pycaes.context()
    context.set_key(pycaes.crypt_modes.ENCRYPT, key)
    return context
