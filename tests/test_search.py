"""Logs are found where machines have them, and only there; with --scan wherever they lie."""

import gzip
from pathlib import Path

import pytest

from atop_timeline.evidence import Evidence, Problem, Wanted
from tests import disks
from tests.servers import BIG, LITTLE, PASSWD, found, write

PLACES = {
    "Debian, RHEL, Amazon, SUSE, Alpine": "var/log/atop/atop_20261123",
    "rotated": "var/log/atop/atop_20261123.1",
    "compressed": "var/log/atop/atop_20261123.gz",
    "another name in its folder": "var/log/atop/saved",
    "Debian's 1.x": "var/log/atop.log",
    "Debian's 1.x, rotated": "var/log/atop.log.3.gz",
    "twin": "tmp/atoptwinX7aB2c",
}


@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_known_places(tmp_path: Path, name: str) -> None:
    tree = write(tmp_path / "tree", {name: gzip.compress(LITTLE) if name.endswith(".gz") else LITTLE})
    image = disks.ext4(tree, tmp_path / "disk.raw")
    assert found(Evidence(str(image))) == [("", f"/{name}", LITTLE)]
    assert found(Evidence(str(tree))) == [("", name, LITTLE)]


SETTINGS = [
    ("etc/default/atop", b"LOGPATH=/srv/mon\n", "srv/mon/atop_1"),
    ("etc/default/atop", b'# LOGPATH=/no\nLOGINTERVAL=60\nLOGPATH="/srv/a b"   # here\n', "srv/a b/atop_1"),
    ("etc/sysconfig/atop", b"export LOGPATH='/data/log/atop/'\n", "data/log/atop/atop_1"),
    ("etc/default/atop", b"LOGPATH=/link\n", "real/atop_1"),
    ("etc/default/atop", b"LOGPATH=/[x]\n", "[x]/atop_1"),
    ("etc/atop/atop.daily", b"#!/bin/sh\nLOGPATH=/log2  # where\nBINPATH=/usr/bin\n", "log2/atop_1"),
]


@pytest.mark.parametrize(("settings", "text", "name"), SETTINGS)
def test_places_from_the_machines_settings(tmp_path: Path, settings: str, text: bytes, name: str) -> None:
    tree = write(tmp_path / "tree", {settings: text, name: LITTLE, "no/atop_1": BIG})
    (tree / "link").symlink_to("real")
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == [("", f"/{name}", LITTLE)]
    assert evidence.problems == []


def test_place_from_the_settings_of_another_volume(tmp_path: Path) -> None:
    root = write(tmp_path / "root", {"etc/default/atop": b"LOGPATH=/data/atop-logs\n", "etc/passwd": PASSWD})
    data = write(tmp_path / "data", {"atop-logs/atop_1": LITTLE, "other/atop_2": BIG})
    volumes = [disks.ext4(tree, tree.with_suffix(".raw")) for tree in (root, data)]
    assert found(Evidence(str(disks.gpt(tmp_path / "disk.raw", *volumes)))) == [("p2", "/atop-logs/atop_1", LITTLE)]


ODD = [b"LOGPATH=\n", b"LOGPATH=/../../..\n", b"LOGPATH=" + b"/x" * 40_000, b"\xff\x00LOGPATH=\xff"]


@pytest.mark.parametrize("text", ODD, ids=["empty", "dots", "long", "no text"])
def test_settings_that_lead_nowhere(tree: Path, tmp_path: Path, text: bytes) -> None:
    write(tree, {"etc/default/atop": text})
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")))
    assert [data for _, _, data in found(evidence)] == [LITTLE, BIG]


def test_scan_looks_at_every_file(tmp_path: Path) -> None:
    names = {"home/eve/.cache/x": LITTLE, "opt/backup.gz": gzip.compress(BIG), "var/log/atop/atop_1": BIG}
    tree = write(tmp_path / "tree", {**names, "etc/hosts": b"text", "bin/true": bytes(9), "empty": b""})
    image = disks.ext4(tree, tmp_path / "disk.raw")
    for evidence, slash in ((str(image), "/"), (str(tree), "")):
        scanned = Evidence(evidence, Wanted(scan=True))
        expected = {slash + name: LITTLE if data == LITTLE else BIG for name, data in names.items()}
        assert {path: data for _, path, data in found(scanned)} == expected
        assert scanned.problems == []
        assert [path for _, path, _ in found(Evidence(evidence))] == [f"{slash}var/log/atop/atop_1"]


def test_volumes_can_be_chosen(tree: Path, tmp_path: Path) -> None:
    volumes = [disks.ext4(tree, tmp_path / f"{number}.raw") for number in range(3)]
    disk = str(disks.gpt(tmp_path / "disk.raw", *volumes))
    for names, chosen in ((["p1"], ["p1"]), (["2", "p3"], ["p2", "p3"]), ([], ["p1", "p2", "p3"])):
        logs = Evidence(disk, Wanted(volumes=names)).logs()
        assert sorted({log.volume for log in logs}) == chosen
    with pytest.raises(Exception, match=r"disk\.raw: has no volume p4; there are p1, p2, p3$"):
        Evidence(disk, Wanted(volumes=["4"]))


def test_what_a_link_leads_to_is_told_where_it_is_missing(tmp_path: Path) -> None:
    tree = write(tmp_path / "tree", {"etc/default/atop": b"LOGPATH=/srv/atop\n"})
    (tree / "srv").symlink_to("/gone")
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == []
    what = "symbolic link to /gone, which this volume does not have"
    assert evidence.problems == [Problem(f"{evidence.path} /srv", what, serious=False)]
