"""What is left of damaged samples: leading tasks, which are those that atop wrote."""

import pytest

from atop_timeline.record import Sample
from tests.rawlogs import offsets, raw, samples, whole, with_field, without


def damaged(data: bytes) -> list[Sample]:
    return [each for each in samples(data)[0] if not each.whole]


def is_start_of(part: Sample, sample: Sample) -> bool:
    return sample.tasks.tobytes().startswith(part.tasks.tobytes()) and len(part.tasks) > 0


@pytest.mark.parametrize("name", ["1.26-a", "2.1", "2.8.1", "2.13.0", "debian-2.8.1-i386", "debian-2.8.1-s390x"])
@pytest.mark.parametrize("behind", [b"", b"appended"], ids=["end", "middle"])
def test_a_cut_task_list_gives_its_first_tasks(name: str, behind: bytes) -> None:
    cut_one = max(whole(name), key=lambda each: len(each.tasks))
    place = cut_one.offset + cut_one.record.itemsize + int(cut_one.record["scomplen"])
    cut = place + int(cut_one.record["pcomplen"]) * 4 // 5
    following = raw(name)[: offsets(name)[1]] if behind else b""
    (part,) = damaged(raw(name)[:cut] + following)
    assert is_start_of(part, cut_one)
    assert part.caveat == (
        f"damaged sample: the first {len(part.tasks)} of {len(cut_one.tasks)} tasks, not proved by a checksum"
    )


@pytest.mark.parametrize("name", ["1.26-a", "2.8.1", "2.13.0", "debian-2.8.1-s390x"])
@pytest.mark.parametrize(
    ("filling", "right"),
    [(bytes(64), 0.998), (b"\xff" * 64, 0.998), (b"", 0.995), (b"\0", 0.95)],
    ids=["zeros", "ones", "missing", "shorter"],
)
def test_nearly_all_tasks_are_as_atop_wrote_them(name: str, filling: bytes, right: float) -> None:
    """What a broken stream gives before zlib notices may make sense and be wrong; that is why the caveat is there."""
    given = wrong = 0
    for sample in whole(name):
        start = sample.offset + sample.record.itemsize + int(sample.record["scomplen"])
        for place in range(start + 64, start + int(sample.record["pcomplen"]) - 64, 256):
            for part in damaged(without(raw(name), place, place + 64, filling)):
                given += len(part.tasks)
                theirs = sample.tasks[: len(part.tasks)]
                wrong += sum(one.tobytes() != other.tobytes() for one, other in zip(part.tasks, theirs, strict=True))
    assert given > 500
    assert 1 - wrong / given > right


def test_a_list_of_another_sample_is_not_taken_for_its_own() -> None:
    """The end of a sample is gone, with the record of the next one: whose list that is, nobody can tell."""
    given, damages = samples(without(raw("2.10.0"), 2048, 6144, bytes(4096)))
    assert [each.tasks.tobytes() for each in given] == [each.tasks.tobytes() for each in whole("2.10.0")[2:]]
    assert [(each.offset, each.parts) for each in damages] == [(480, 0)]


@pytest.mark.parametrize(
    ("field", "error", "caveat"),
    [
        ("ndeviat", 1, "damaged record: announces 81 tasks, but its task list is whole with 80"),
        ("ndeviat", -1, "damaged record: announces 79 tasks, but its task list is whole with 80"),
        ("ndeviat", 1 << 30, "damaged record: announces 1073741904 tasks, but its task list is whole with 80"),
        ("pcomplen", 7, "damaged record: its lengths are wrong, but its task list is whole"),
        ("pcomplen", 1 << 30, "damaged record: its lengths are wrong, but its task list is whole"),
        ("scomplen", -7, "damaged record: its lengths are wrong, but its task list is whole"),
    ],
)
def test_a_wrong_record_before_a_whole_task_list(field: str, error: int, caveat: str) -> None:
    sample = whole("2.8.1")[1]
    (part,) = damaged(with_field("2.8.1", 1, field, int(sample.record[field]) + error))
    assert (part.tasks.tobytes(), part.caveat) == (sample.tasks.tobytes(), caveat)


def test_damaged_samples_one_behind_the_other() -> None:
    data, ends = raw("2.8.1"), offsets("2.8.1")
    for number in (3, 4):
        data = without(data, ends[number + 1] - 900, ends[number + 1] - 899, b"\xff")
    parts = damaged(data)
    assert [part.offset for part in parts] == [ends[3], ends[4]]
