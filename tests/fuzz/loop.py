"""Random logs without a fuzzer, as many as wanted: `python -m tests.fuzz.loop KIND COUNT [FIRST_SEED]`.

Tells each seed that fails, and in the end how long the slowest input took and how much memory there was.
"""

import resource
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from atop_timeline.header import read_header
from atop_timeline.layout import MAGICS
from tests.fuzz.compression import Member, check_compressed
from tests.fuzz.corpus import NAMES, all_pristine, chosen, header, small
from tests.fuzz.invariants import check, check_twice
from tests.fuzz.mutations import ANYWHERE, MUTATIONS, mutated
from tests.fuzz.timelines import check_timeline
from tests.servers import PACK

_MOST_TOLD = 3
_LOGS_PER_TIMELINE = 10
_CONTENTS = ("tasks", "tasks", "tasks", "count", "grow", "repeat sample", "record field", "empty samples")


class Cost(NamedTuple):
    """What one input took, with the checks; to be compared."""

    seconds: float
    length: int
    seed: int


class Memory(NamedTuple):
    """The most memory that there was so far, and which input was the first to take it."""

    mib: int
    seed: int


def pieces(chance: Random) -> int:
    """Checks a small log put together at random of what logs are made of; gives its length."""
    parts = [_piece(chance) for _ in range(chance.randrange(1, 8))]
    data = header(chance.choice(NAMES)) * (chance.randrange(4) > 0) + b"".join(parts)
    check(data, ())
    if chance.randrange(8) == 0:
        check_twice(data)
    return len(data)


def noise(chance: Random) -> int:
    """Checks a header or half of one, with a record and a few bytes of anything behind it: quickly done."""
    name = chance.choice(NAMES)
    data = bytearray(
        header(name) + chosen(name)[0].data[: chance.randrange(200)] + chance.randbytes(chance.randrange(40))
    )
    for _ in range(chance.randrange(4)):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    check(bytes(data), ())
    return len(data)


def logs(chance: Random) -> int:
    """Checks a damaged log."""
    data = _damaged(chance, tuple(MUTATIONS))
    check(data, all_pristine())
    check_twice(data)
    return len(data)


def timelines(chance: Random) -> int:
    """Checks the timeline of a folder of logs whose tasks hold anything."""
    found = [
        _damaged(chance, _CONTENTS if chance.randrange(4) else tuple(MUTATIONS)) for _ in range(_LOGS_PER_TIMELINE)
    ]
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder, "evidence")
        evidence.mkdir()
        for number, data in enumerate(found):
            (evidence / f"atop_{number}").write_bytes(data)
        check_timeline(evidence, Path(folder))
    return sum(map(len, found))


def compressed(chance: Random) -> int:
    """Checks a damaged compressed file of some members."""
    kind = chance.choice(sorted(PACK))
    members = [_member(kind, chance.choice(NAMES)) for _ in range(chance.choice((1, 1, 2, 3)))]
    data = b"".join(member.packed for member in members)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        data = mutated(data, chance.choice(ANYWHERE), chance.getrandbits(32))
    check_compressed(data, kind, members)
    return len(data)


@cache
def _member(kind: str, name: str) -> Member:
    return Member(PACK[kind](small(name)), small(name))


def _damaged(chance: Random, kinds: tuple[str, ...]) -> bytes:
    data = small(chance.choice(NAMES))
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        data = mutated(data, chance.choice(kinds), chance.getrandbits(32))
    return data


def _piece(chance: Random) -> bytes:
    kind = chance.randrange(10)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return bytes(chance.randrange(200))
    if kind == 2:
        return chance.choice((*MAGICS, b"\x78\x9c", b"\x78\x01", header(chance.choice(NAMES))))
    if kind == 3:
        return _stream(chance.choice((0, 1, 616, 968, 5000)))
    return _sample(chance)


def _sample(chance: Random) -> bytes:
    """A sample of some version, with few and empty tasks or real ones, that is right or nearly so."""
    name = chance.choice(NAMES)
    layout = read_header(header(name)).layout
    record = np.frombuffer(chosen(name)[0].record, layout.rawrecord).copy()
    count = chance.choice((0, 1, 3))
    sstat = _stream(chance.choice((0, 1, 88_368, layout.sstat.itemsize)))
    tasks = _stream(count * chance.choice((layout.tstat.itemsize, layout.tstat.itemsize, 736, 968, 1200)))
    record["scomplen"], record["pcomplen"] = len(sstat), len(tasks)
    record["ndeviat" if "ndeviat" in (record.dtype.names or ()) else "nlist"] = count
    for field in {"ccomplen", "icomplen"} & set(record.dtype.names or ()):
        record[field] = chance.choice((0, 0, 1, 100))
    if chance.randrange(4) == 0:
        record[chance.choice(("scomplen", "pcomplen", "interval", "flags"))] += chance.randrange(1, 200)
    return record.tobytes() + sstat + tasks


@cache
def _stream(length: int) -> bytes:
    return zlib.compress(bytes(length), 9)


KINDS: dict[str, Callable[[Random], int]] = {
    "noise": noise,
    "pieces": pieces,
    "logs": logs,
    "timelines": timelines,
    "compressed": compressed,
}


def run(kind: str, count: int, first: int) -> None:
    """Checks so many inputs, and tells what came of it."""
    costs: list[Cost] = []
    failed = 0
    largest = Memory(_peak_mib(), -1)
    for seed in range(first, first + count):
        begin, length = time.process_time(), 0
        try:
            length = KINDS[kind](Random(seed))
        except Exception:  # noqa: BLE001  told, and the next one's turn
            failed += 1
            sys.stdout.write(f"seed {seed}: {traceback.format_exc()}\n")
        costs = sorted([*costs, Cost(time.process_time() - begin, length, seed)])[-_MOST_TOLD:]
        largest = max(largest, Memory(_peak_mib(), seed), key=lambda each: each.mib)
    sys.stdout.write(f"{kind}: {count} inputs, {failed} failed, {time.process_time():.0f} s CPU\n")
    for told in (largest, *costs):
        sys.stdout.write(f"{told}\n")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
