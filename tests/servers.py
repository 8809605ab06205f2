"""A server's files for tests: what lies in its tree, and what is to be found there."""

import bz2
import gzip
import hashlib
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

from atop_timeline.evidence import Evidence

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEST_DATA = Path(__file__).parent.parent / "test_data"
LOGS = {name: (TEST_DATA / "logs" / name / "atop_raw").read_bytes() for name in ("2.8.1", "debian-2.8.1-s390x")}
LITTLE, BIG = LOGS.values()
USERS = {0: "root", 1000: "alice"}
PASSWD = b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"


def _zstd(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": _zstd,
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def found(evidence: Evidence) -> list[tuple[str, str, bytes]]:
    """Volume, path and bytes of every log; bytes as read in one go and piecemeal."""
    logs = []
    for log in evidence.logs():
        with log.open() as whole, log.open() as piecemeal:
            data = whole.read()
            assert b"".join(iter(lambda: piecemeal.read(4099), b"")) == data
        logs.append((log.volume, log.path, data))
    return logs


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def expected(volume: str, home: str = "/var/log/atop") -> list[tuple[str, str, bytes]]:
    return [(volume, f"{home}/atop_20260101", LITTLE), (volume, f"{home}/atop_20260102", BIG)]
