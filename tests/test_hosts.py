"""Machines are told apart by their name and by the evidence that they come from."""

import json
from pathlib import Path

import pytest

from atop_timeline import extract
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.summary import lines, summarize
from tests.rawlogs import offsets, raw
from tests.servers import write

NAME = "2.8.1"
HEAD, CUTS = raw(NAME)[:RAWHEADER_BYTES], offsets(NAME)


def part(first: int, end: int) -> bytes:
    """A log of some of the samples."""
    return HEAD + raw(NAME)[CUTS[first] : CUTS[end]]


def starts_of_init(*evidence: Path) -> tuple[int, list[list[str]]]:
    """How many processes 1 are told, and the evidence of each host."""
    with extract([str(path) for path in evidence]).timeline as made:
        starts = [each for each in made.events() if (each.pid, each.timestamp_desc) == (1, "Start Time")]
        return len(starts), [evidence for _, evidence in made.hosts()]


def test_two_disks_of_one_host_name_are_two_hosts(tmp_path: Path) -> None:
    disks = [write(tmp_path / name, {"atop_1": part(*cut)}) for name, cut in (("a", (0, 5)), ("b", (5, 10)))]
    assert starts_of_init(*disks) == (2, [[str(disks[0])], [str(disks[1])]])


def test_disks_that_share_a_sample_are_one_host(tmp_path: Path) -> None:
    cuts = {"a": (0, 4), "b": (6, 10), "c": (3, 7)}
    disks = [write(tmp_path / name, {"atop_1": part(*cut)}) for name, cut in cuts.items()]
    assert starts_of_init(*disks) == (1, [[str(disk) for disk in disks]])


def test_logs_of_one_disk_are_of_one_host(tmp_path: Path) -> None:
    disk = write(tmp_path / "a", {"atop_1": part(0, 5), "atop_2": part(5, 10)})
    assert starts_of_init(disk) == (1, [[str(disk)]])


def test_logs_that_are_given_by_themselves_are_of_one_host(tmp_path: Path) -> None:
    folder = write(tmp_path, {"atop_1": part(0, 5), "atop_2": part(5, 10)})
    logs = [folder / "atop_1", folder / "atop_2"]
    assert starts_of_init(*logs) == (1, [[str(log) for log in logs]])


@pytest.mark.parametrize(("cut", "told"), [((5, 10), "lab-guest (A), lab-guest (B)"), ((4, 10), "lab-guest")])
def test_the_summary_names_the_evidence_of_hosts_of_one_name(tmp_path: Path, cut: tuple[int, int], told: str) -> None:
    disks = [write(tmp_path / name, {"atop_1": part(*each)}) for name, each in (("a", (0, 5)), ("b", cut))]
    timeline, report = extract([str(disk) for disk in disks])
    with timeline:
        summary = summarize(report, timeline, {"path": "-", "size": 0, "sha256": ""})
    shown = dict(lines(summary))["hosts"].replace(str(disks[0]), "A").replace(str(disks[1]), "B")
    assert shown == told
    assert json.loads(json.dumps(summary))["hosts"][0]["hostname"] == "lab-guest"
