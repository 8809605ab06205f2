"""What must hold however a log is damaged."""

import io
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from atop_timeline.errors import UnknownLayout, WrongParser
from atop_timeline.header import RAWHEADER_BYTES, Header
from atop_timeline.rawlog import Damage, RawLog
from atop_timeline.record import LAST_SECOND, Remark, Sample
from tests.fuzz.corpus import Pristine
from tests.fuzz.places import LENGTHS, MAGIC, Place, places

_HEADER = "header"


class Reading(NamedTuple):
    """All that comes of reading a log."""

    samples: list[Sample]
    headers: list[Header]
    damages: list[Damage]
    remarks: list[Remark]

    def told(self) -> object:
        """The same, to be compared."""
        samples = [(each.offset, each.record.tobytes(), each.digest, each.caveat) for each in self.samples]
        return samples, [each.tasks.tobytes() for each in self.samples], *self[1:3], sorted(set(self.remarks))


class Span(NamedTuple):
    """Bytes of a log that are accounted for."""

    begin: int
    end: int
    sooner: int
    """Where what follows may begin if not at the end."""
    what: str

    def is_followed_at(self, offset: int) -> bool:
        """Whether what comes next may begin here; in a header as well, if that is cut."""
        return offset in {self.end, self.sooner} or (self.what == _HEADER and self.begin < offset < self.end)


def read(data: bytes) -> Reading | None:
    """What comes of a log; None where it is none that can be read."""
    try:
        log = RawLog(io.BytesIO(data))
    except (WrongParser, UnknownLayout):
        return None
    return Reading(list(log.samples()), log.headers, log.damages, log.remarks)


def check(data: bytes, known: Sequence[Pristine]) -> None:
    """Asserts all that can be told of one reading; `known` are samples that may be somewhere in the log."""
    reading = read(data)
    _assert_known_are_given(data, reading, known)
    if reading:
        _assert_proved_are_given(data, reading)
        _assert_all_is_accounted_for(data, reading)
        whats = [each.what for each in reading.damages] + [each.what for each in reading.remarks]
        assert not any(map(controls, whats)), "a message with control characters"


def check_twice(data: bytes) -> None:
    """Asserts that a log is read in the same way again, in blocks, and by several who each read a stretch."""
    first, second = read(data), read(data)
    assert (first and first.told()) == (second and second.told()), "not the same twice"
    if first:
        assert [(each.offset, each.tasks.tobytes()) for each in first.samples] == list(_by_blocks(data)), (
            "not so in blocks"
        )
        assert first.told() == by_stretches(data, 3).told(), "not so in stretches"


def by_stretches(data: bytes, count: int) -> Reading:
    """What comes of a log that at most so many read, each a stretch, as far as those before end as they should."""
    offsets = [len(data) * number // count for number in range(1, count)]
    found = Reading([], [], [], [])
    for stretch in RawLog(io.BytesIO(data)).stretches(offsets):
        log = RawLog(io.BytesIO(data), stretch=stretch)
        found.samples.extend(log.samples())
        found.headers.extend(log.headers[stretch.is_rest :])
        found.damages.extend(log.damages)
        found.remarks.extend(log.remarks)
        if not log.goes_on:
            break
    return found


def _by_blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and tasks of each sample, as the blocks of a log have them."""
    for block in RawLog(io.BytesIO(data)).blocks():
        ends = np.searchsorted(block.sample, np.arange(len(block.records)), "right").tolist()
        for offset, begin, end in zip(block.offsets.tolist(), [0, *ends], ends, strict=False):
            yield offset, block.tasks.take(block.which[begin:end]).tobytes()


def controls(text: str) -> set[str]:
    """Its characters that control, or part lines."""
    return {each for each in set(text) if unicodedata.category(each) in {"Cc", "Zl", "Zp", "Cs"}}


def _assert_known_are_given(data: bytes, reading: Reading | None, known: Sequence[Pristine]) -> None:
    """Each sample that is there with all its bytes is among those given, at its place, whole, with its tasks.

    But not one in what another announces as its own: a record whose task list is right is believed.
    """
    given = _whole(reading)
    for sample in known:
        for offset in _occurrences(data, sample.data):
            if not _is_within(offset, given):
                found = given.get(offset)
                assert found, f"lost: sample at {offset}"
                assert found.record.tobytes() == sample.record, f"another record at {offset}"
                assert found.tasks.tobytes() == sample.tasks, f"other tasks at {offset}"


def _assert_proved_are_given(data: bytes, reading: Reading) -> None:
    """Each sample whose two streams are whole is given, where the only header is intact and at the start."""
    if reading.headers[0].caveat or len(reading.headers) > 1 or len(MAGIC.findall(data)) != 1:
        return
    given = _whole(reading)
    for place in places(data):
        if place.record not in given and not _is_within(place.record, given):
            assert not _is_proved(data, place), f"lost: sample at {place.record}, whose streams are whole"


def _assert_all_is_accounted_for(data: bytes, reading: Reading) -> None:
    """Each byte is of one header, sample or damage, and saved parts are of damages."""
    spans = sorted([*_headers(reading), *map(_span, _whole(reading).values()), *_damages(reading)])
    for before, span in pairwise(spans):
        assert before.is_followed_at(span.begin), f"{span} does not follow {before}"
    assert not spans or spans[-1].is_followed_at(len(data)), f"{spans[-1]} does not reach to {len(data)}"
    parts = [each for each in reading.samples if not each.whole]
    for damage in reading.damages:
        end = damage.offset + damage.length
        assert damage.parts == sum(damage.offset <= each.offset < end for each in parts), damage
    assert sum(each.parts for each in reading.damages) == len(parts)


def _whole(reading: Reading | None) -> dict[int, Sample]:
    """The samples that are as atop wrote them, by offset."""
    return {each.offset: each for each in reading.samples if each.whole} if reading else {}


def _is_within(offset: int, given: dict[int, Sample]) -> bool:
    """Whether it is in a sample, but not where that begins."""
    return any(span.begin < offset < span.end for span in map(_span, given.values()))


def _occurrences(data: bytes, part: bytes) -> Iterator[int]:
    """Where some bytes are in others."""
    offset = data.find(part)
    while offset >= 0:
        yield offset
        offset = data.find(part, offset + 1)


def _is_proved(data: bytes, place: Place) -> bool:
    """Whether a sample is as its record and its header say."""
    record = np.frombuffer(data, place.layout.rawrecord, 1, place.record)[0]
    count = int(record["ndeviat" if "ndeviat" in (record.dtype.names or ()) else "nlist"])
    lengths = place.layout.lengths
    return (
        0 < int(record["curtime"]) <= LAST_SECOND
        and _is_stream(data[place.sstat : place.tasks], lengths.sstat)
        and _is_stream(data[place.tasks : place.others], count * lengths.tstat)
    )


def _is_stream(data: bytes, length: int) -> bool:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, length + 1)
    except zlib.error:
        return False
    return len(found) == length and inflater.eof and not inflater.unused_data


def _headers(reading: Reading) -> list[Span]:
    """The first, if there is one, and those of which remarks say that they are there."""
    first = [0] if reading.headers[0].start else []
    others = [each.offset for each in reading.remarks if each.what.startswith("another header: ")]
    ends = [(each, each + RAWHEADER_BYTES) for each in (*first, *others)]
    return [Span(begin, end, end, _HEADER) for begin, end in ends]


def _span(sample: Sample) -> Span:
    """Its record and blobs; of a damaged record the last two may be shorter."""
    names = [name for name in LENGTHS if name in (sample.record.dtype.names or ())]
    lengths = [int(sample.record[name]) for name in names]
    start = sample.offset + sample.record.dtype.itemsize
    return Span(sample.offset, start + sum(lengths), start + sum(lengths[:2]), "sample")


def _damages(reading: Reading) -> list[Span]:
    return [Span(offset, offset + length, offset + length, what) for offset, length, _, _, what in reading.damages]
