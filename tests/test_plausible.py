"""What atop wrote makes sense; what it cannot have written does not."""

import random

import numpy as np
import pytest

from atop_timeline.plausible import plausible
from tests.rawlogs import NAMES, whole


@pytest.mark.parametrize("name", NAMES)
def test_all_tasks_of_real_logs(name: str) -> None:
    assert all(plausible(each.tasks, int(each.record["curtime"])).all() for each in whole(name) if each.whole)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pid", 0),
        ("pid", -1),
        ("pid", 1 << 23),
        ("ppid", -1),
        ("tgid", 1 << 23),
        ("isproc", 2),
        ("state", 0),
        ("state", ord("Q")),
        ("btime", 0),
        ("btime", 1 << 40),
        ("elaps", 1),
        ("name", b""),
        ("name", b"sixteen bytes...."),
        ("name", b"a\0b"),
        ("cmdline", b"-" * 256),
    ],
)
def test_what_no_atop_writes(field: str, value: object) -> None:
    sample = whole("2.8.1")[0]
    tasks = sample.tasks.copy()
    tasks["gen"][field][3] = value
    found = plausible(tasks, int(sample.record["curtime"]))
    assert np.flatnonzero(~found).tolist() == [3]


def test_noise_is_none() -> None:
    tstat = whole("2.8.1")[0].header.layout.tstat
    noise = np.frombuffer(random.Random(1).randbytes(1000 * tstat.itemsize), tstat)
    assert not plausible(noise, 1 << 40).any()
