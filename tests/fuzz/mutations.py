"""Damage to raw logs, at random, but the same for the same seed.

A mutation takes a log and a source of chance and gives another log. Some know nothing of the format; the rest
know where samples are, and change lengths, counts, checksums and tasks while all around stays right.
"""

import zlib
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.layout import MAGICS, VERSIONS, Layout, load
from tests.fuzz import corpus
from tests.fuzz.places import LENGTHS, MAGIC, Place, field, leaves, places, poked, rewritten, tasks_of, with_numbers

Mutation = Callable[[bytes, Random], bytes]

MOST_BYTES = 1 << 17
"""No mutation makes a longer log."""

_FIELDS_OF_HEADER = ("magic", "aversion", "rawheadlen", "rawreclen", "hertz", "sstatlen", "tstatlen", "pagesize")
_TEXTS = (b"", b"\0", b"\xff", b"\x1b[2J", b"=cmd|' /C calc'!A1", "\u202e\u2028".encode(), b'",\r\n"', b"a" * 300)


def mutated(data: bytes, mutation: str, seed: int) -> bytes:
    """What one of `MUTATIONS` makes of a log."""
    return MUTATIONS[mutation](data, Random(seed))[:MOST_BYTES]


# Any bytes.


def _flip(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(4)):
        if changed:
            changed[_point(data, chance) % len(changed)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, chance: Random) -> bytes:
    begin, end = _range(data, chance)
    return data[:begin] + _filling(end - begin, chance) + data[end:]


def _cut(data: bytes, chance: Random) -> bytes:
    return data[: _point(data, chance)]


def _behead(data: bytes, chance: Random) -> bytes:
    return data[_point(data, chance) :]


def _insert(data: bytes, chance: Random) -> bytes:
    point = _point(data, chance)
    return data[:point] + _filling(_length(chance), chance) + data[point:]


def _delete(data: bytes, chance: Random) -> bytes:
    begin, end = _range(data, chance)
    return data[:begin] + data[end:]


def _repeat(data: bytes, chance: Random) -> bytes:
    begin, end = _range(data, chance)
    return data[:begin] + data[begin:end] * chance.choice((2, 2, 3, 20)) + data[end:]


def _move(data: bytes, chance: Random) -> bytes:
    begin, end = _range(data, chance)
    rest = data[:begin] + data[end:]
    point = _point(rest, chance)
    return rest[:point] + data[begin:end] + rest[point:]


# Two logs.


def _concatenate(data: bytes, chance: Random) -> bytes:
    return data + _other(chance)


def _splice(data: bytes, chance: Random) -> bytes:
    other = _other(chance)
    return data[: _point(data, chance)] + other[_point(other, chance) :]


def _transplant(data: bytes, chance: Random) -> bytes:
    other = _other(chance)
    begin, end = _range(other, chance)
    point = _point(data, chance)
    return data[:point] + other[begin:end] + data[point if chance.randrange(2) else point + end - begin :]


def _behead_and_crown(data: bytes, chance: Random) -> bytes:
    return _other(chance)[:RAWHEADER_BYTES] + data[RAWHEADER_BYTES:]


# Samples as a whole.


def _drop_sample(data: bytes, chance: Random) -> bytes:
    place = _some_place(data, chance)
    return data[: place.record] + data[place.end :] if place else data


def _repeat_sample(data: bytes, chance: Random) -> bytes:
    place, point = _some_place(data, chance), _point(data, chance)
    return data[:point] + data[place.record : place.end] + data[point:] if place else data


def _empty_samples(data: bytes, chance: Random) -> bytes:
    place = _some_place(data, chance)
    if place is None:
        return data
    empty = rewritten(data, place, zlib.compress(b""), {"ndeviat": 0})
    return data[: place.end] + empty * chance.choice((1, 2, 100)) + data[place.end :]


def _swallow(data: bytes, chance: Random) -> bytes:
    """A sample in the sstat of another."""
    place, inner = _some_place(data, chance), _some_place(data, chance)
    if place is None or inner is None:
        return data
    sstat = data[inner.record : inner.end]
    changed = {"scomplen": len(sstat)}
    return data[: place.record] + with_numbers(data, place, changed) + sstat + data[place.tasks :]


# Numbers of records and headers.


def _set_record_field(data: bytes, chance: Random) -> bytes:
    place = _some_place(data, chance)
    if place is None:
        return data
    field = chance.choice(leaves(place.layout.rawrecord))
    return poked(data, place.record, field, _extreme(data, chance))


def _set_length(data: bytes, chance: Random) -> bytes:
    """A length that leads somewhere else."""
    place = _some_place(data, chance)
    if place is None:
        return data
    name = chance.choice([name for name in LENGTHS if name in (place.layout.rawrecord.names or ())])
    value = _point(data, chance) - chance.choice(place.bounds)
    return data[: place.record] + with_numbers(data, place, {name: value}) + data[place.sstat :]


def _set_header_field(data: bytes, chance: Random) -> bytes:
    offsets = [match.start() for match in MAGIC.finditer(data) if match.start() + RAWHEADER_BYTES <= len(data)]
    if not offsets:
        return data
    offset = chance.choice(offsets)
    form = load(VERSIONS[-1], MAGICS[data[offset : offset + 4]]).rawheader
    return poked(data, offset, field(form, chance.choice(_FIELDS_OF_HEADER)), _extreme(data, chance))


# Streams.


def _change_tasks(data: bytes, chance: Random) -> bytes:
    """Tasks whose fields hold anything, in a stream that is right."""
    return _with_tasks(data, chance, _disturbed)


def _change_count(data: bytes, chance: Random) -> bytes:
    """More or fewer tasks, which the record announces."""
    return _with_tasks(data, chance, _multiplied)


def _change_stream(data: bytes, chance: Random) -> bytes:
    """A stream that is not what it should be, and lengths that are right."""
    place = _some_place(data, chance)
    if place is None:
        return data
    begin, end, name = chance.choice(((place.sstat, place.tasks, "scomplen"), (place.tasks, place.others, "pcomplen")))
    stream = _spoiled(data[begin:end], chance)
    head = with_numbers(data, place, {name: len(stream)})
    return data[: place.record] + head + data[place.sstat : begin] + stream + data[end:]


def _change_sstat(data: bytes, chance: Random) -> bytes:
    """An sstat of any length."""
    place = _some_place(data, chance)
    if place is None:
        return data
    stream = zlib.compress(bytes(chance.choice((0, 1, 1000, place.layout.sstat.itemsize, 5 << 20))))
    return data[: place.record] + with_numbers(data, place, {"scomplen": len(stream)}) + stream + data[place.tasks :]


def _bomb(data: bytes, chance: Random) -> bytes:
    place = _some_place(data, chance)
    if place is None:
        return data
    count = chance.choice((1, 1000, 30_000))
    stream = _zeros(count * place.layout.tstat.itemsize)
    announced = count + chance.choice((-1, 0, 0, 1))
    return data[: place.record] + rewritten(data, place, stream, {"ndeviat": announced}) + data[place.end :]


def _grow(data: bytes, chance: Random) -> bytes:
    """A log as an atop to come might write it: longer tasks, with `gen` moved."""
    before, behind = 4 * chance.choice((0, 1, 10)), 4 * chance.choice((0, 1, 2, 50))
    parts, done = [], 0
    for place in places(data):
        tasks = tasks_of(data, place)
        if tasks is not None and len(tasks):
            longer = np.pad(tasks, ((0, 0), (before, behind)), constant_values=chance.randrange(256))
            parts += [data[done : place.record], rewritten(data, place, zlib.compress(longer.tobytes()), {})]
            done = place.end
    rest = b"".join([*parts, data[done:]])
    return rest if chance.randrange(4) == 0 else _lengthened(rest, before + behind)


MUTATIONS: dict[str, Mutation] = {
    "flip": _flip,
    "overwrite": _overwrite,
    "cut": _cut,
    "behead": _behead,
    "insert": _insert,
    "delete": _delete,
    "repeat": _repeat,
    "move": _move,
    "concatenate": _concatenate,
    "splice": _splice,
    "transplant": _transplant,
    "another header": _behead_and_crown,
    "drop sample": _drop_sample,
    "repeat sample": _repeat_sample,
    "empty samples": _empty_samples,
    "swallow": _swallow,
    "record field": _set_record_field,
    "length": _set_length,
    "header field": _set_header_field,
    "tasks": _change_tasks,
    "count": _change_count,
    "stream": _change_stream,
    "sstat": _change_sstat,
    "bomb": _bomb,
    "grow": _grow,
}
"""By name."""


ANYWHERE = ("flip", "overwrite", "cut", "behead", "insert", "delete", "repeat", "move")
"""Those that do the same to any bytes."""


def _other(chance: Random) -> bytes:
    return corpus.small(chance.choice(corpus.NAMES))


def _length(chance: Random) -> int:
    return chance.choice((1, 4, 96, 480, 512, 4096, chance.randrange(1 << chance.randrange(1, 14))))


def _point(data: bytes, chance: Random) -> int:
    """An offset: any, or one at or near the bounds of a sample."""
    place = _some_place(data, chance) if chance.randrange(2) else None
    if place is None:
        return chance.randrange(len(data) + 1)
    near = chance.choice((0, 0, 0, -1, 1, chance.randrange(-100, 100)))
    return min(max(chance.choice(place.bounds) + near, 0), len(data))


def _range(data: bytes, chance: Random) -> tuple[int, int]:
    begin = _point(data, chance)
    if chance.randrange(3) == 0:
        return tuple(sorted((begin, _point(data, chance))))  # type: ignore[return-value]  # two
    return begin, min(begin + _length(chance), len(data))


def _filling(length: int, chance: Random) -> bytes:
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(length)
    return bytes([(0, 0, 0xFF, chance.randrange(256))[kind]]) * length


def _some_place(data: bytes, chance: Random) -> Place | None:
    found = places(data)
    return chance.choice(found) if found else None


def _extreme(data: bytes, chance: Random) -> int:
    power = 1 << chance.randrange(64)
    return chance.choice((0, 1, -1, power, power - 1, -power, len(data), 253_402_300_799, chance.getrandbits(64)))


def _with_tasks(
    data: bytes, chance: Random, change: Callable[[NDArray[np.uint8], Layout, Random], NDArray[np.uint8]]
) -> bytes:
    place = _some_place(data, chance)
    tasks = tasks_of(data, place) if place else None
    if place is None or tasks is None:
        return data
    tasks = change(tasks, place.layout, chance)
    stream = zlib.compress(tasks.tobytes(), chance.choice((0, 1, 6, 9)))
    return data[: place.record] + rewritten(data, place, stream, {"ndeviat": len(tasks)}) + data[place.end :]


def _disturbed(tasks: NDArray[np.uint8], layout: Layout, chance: Random) -> NDArray[np.uint8]:
    """Tasks in which some fields, of one or of all, have extreme values, odd texts or random bytes."""
    changed = tasks.copy()
    for _ in range(1 << chance.randrange(7)):
        offset, dtype = chance.choice(leaves(layout.tstat))
        rows = slice(None) if chance.randrange(4) == 0 else slice(chance.randrange(len(tasks) + 1), None, 7)
        changed[rows, offset : offset + dtype.itemsize] = np.frombuffer(_value(dtype, chance), np.uint8)
    return changed


def _value(dtype: np.dtype[Any], chance: Random) -> bytes:
    if dtype.kind == "S":
        return (chance.choice(_TEXTS) + _filling(dtype.itemsize, chance))[: dtype.itemsize]
    return poked(bytes(dtype.itemsize), 0, (0, dtype), _extreme(b"", chance))


def _multiplied(tasks: NDArray[np.uint8], layout: Layout, chance: Random) -> NDArray[np.uint8]:
    del layout
    count = chance.choice((0, 1, len(tasks) // 2, len(tasks) * 2, 3000))
    return np.resize(tasks, (count if len(tasks) else 0, tasks.shape[1]))


def _spoiled(stream: bytes, chance: Random) -> bytes:
    """A stream that is torn, followed by more, wrongly summed, or none."""
    kinds = (
        lambda: stream[: chance.randrange(len(stream) + 1)],
        lambda: stream + _filling(_length(chance), chance),
        lambda: stream + stream,
        lambda: stream[:-1] + bytes(byte ^ 1 for byte in stream[-1:]),
        lambda: stream[:2] + chance.randbytes(max(len(stream) - 2, 0)),
        lambda: zlib.compress(chance.randbytes(_length(chance))),
    )
    return chance.choice(kinds)()


@cache
def _zeros(length: int) -> bytes:
    return zlib.compress(bytes(length), 9)


def _lengthened(data: bytes, more: int) -> bytes:
    """A log whose header says that tasks are longer."""
    abi = MAGICS.get(data[:4])
    if abi is None or len(data) < RAWHEADER_BYTES:
        return data
    offset, dtype = field(load(VERSIONS[-1], abi).rawheader, "tstatlen")
    known = int(np.frombuffer(data, dtype, 1, offset)[0])
    return poked(data, 0, (offset, dtype), known + more)
