"""Logs that an attacker built to cost much: small, and right in all that can be checked at little cost."""

import zlib

import numpy as np

from atop_timeline.layout import load
from tests.fuzz.corpus import header

_MODULUS = 65521  # of adler32
_PAD_BYTES = 640
_ODD_TSTAT_BYTES = 4001
_RECORD = load("2.8", "x86-64").rawrecord


def record(**numbers: int) -> bytes:
    """A record of atop 2.8, in which all else is 0."""
    made = np.zeros(1, _RECORD)
    made["curtime"], made["interval"] = 1_795_404_820, 2
    for name, number in numbers.items():
        made[name] = number
    return made.tobytes()


def sample(sstat: bytes, tasks: bytes, count: int) -> bytes:
    """A sample of two streams."""
    return record(scomplen=len(sstat), pcomplen=len(tasks), ndeviat=count) + sstat + tasks


def of_no_known_atop(count: int, task: bytes) -> bytes:
    """A sample that says as often as wanted what is no task of any atop."""
    return sample(zlib.compress(bytes(100)), zlib.compress(task * count, 9), count)


def of_many_texts(count: int) -> bytes:
    """A log of one sample whose tasks all have another name and another long command line."""
    tasks = np.zeros(count, load("2.8", "x86-64").tstat)
    gen, numbers = tasks["gen"], range(1, count + 1)
    gen["pid"] = gen["tgid"] = numbers
    gen["isproc"], gen["state"], gen["btime"] = 1, ord("S"), 1_795_404_000
    gen["name"] = [b"x%d" % number for number in numbers]
    gen["cmdline"] = [b"\x01\x02\xff\x1b" * 60 + b"%d" % number for number in numbers]
    return header("2.8.1") + sample(b"", zlib.compress(tasks.tobytes(), 1), count)


def nested(records: int, tasks_bytes: int) -> bytes:
    """Records in each other's sstat, so that one task list proves them all.

    Each sstat is a stored block that ends where all others do: so all share a checksum, for which the bytes
    before the next record make up.
    """
    count = tasks_bytes // _ODD_TSTAT_BYTES
    tasks = zlib.compress(bytes(count * _ODD_TSTAT_BYTES), 9)
    inner, end = bytes(100), b"\x01\0\0\xff\xff"  # an empty last block
    end += zlib.adler32(inner).to_bytes(4, "big")
    for number in range(records):
        length = len(inner).to_bytes(2, "little")
        complement = (len(inner) ^ 0xFFFF).to_bytes(2, "little")
        stream = b"\x78\x01\0" + length + complement
        head = record(scomplen=len(stream) + len(inner) + len(end), pcomplen=len(tasks), ndeviat=count) + stream
        inner = head + inner if number == records - 1 else _neutral(head) + inner
    return inner + end + tasks


def _neutral(head: bytes) -> bytes:
    """Some bytes and then these, which before other bytes leave their adler32 as it is."""
    length = _PAD_BYTES + len(head)
    total = -sum(head) % _MODULUS + _MODULUS
    pad = np.full(_PAD_BYTES, total // _PAD_BYTES)
    pad[: total % _PAD_BYTES] += 1
    weighted = length + int((np.arange(length, 0, -1) * [*pad.tolist(), *head]).sum())
    half = _PAD_BYTES // 2
    moves, rest = divmod(weighted % _MODULUS, half)
    pad[:half] -= moves // half + (np.arange(half) < moves % half)
    pad[half:] += moves // half + (np.arange(half) < moves % half)
    pad[0] -= rest > 0
    pad[rest] += rest > 0
    return bytes(pad.tolist()) + head
