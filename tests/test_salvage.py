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
    ends, last = offsets(name), whole(name)[9]
    cut = ends[9] + last.record.itemsize + int(last.record["scomplen"]) + int(last.record["pcomplen"]) * 2 // 3
    following = raw(name)[ends[0] : ends[1]] if behind else b""
    (part,) = damaged(raw(name)[:cut] + following)
    assert is_start_of(part, last)
    assert part.caveat == (
        f"damaged sample: the first {len(part.tasks)} of {len(last.tasks)} tasks, not proved by a checksum"
    )


def test_no_task_is_given_that_makes_no_sense() -> None:
    """Zeros in the middle of a task list: what the stream then gives is none of atop's."""
    sample = whole("2.8.1")[6]
    start = sample.offset + sample.record.itemsize + int(sample.record["scomplen"])
    middle = start + int(sample.record["pcomplen"]) // 2
    (part,) = damaged(without(raw("2.8.1"), middle, middle + 64, bytes(64)))
    count = len(part.tasks)
    assert 10 < count < len(sample.tasks)
    assert part.tasks[:-1].tobytes() == sample.tasks[: count - 1].tobytes()


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
