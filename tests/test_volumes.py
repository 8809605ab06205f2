"""Logs are found through links, beside hostile names, and with the users of their own machine."""

import os
from pathlib import Path

import pytest

from atop_timeline.evidence import Evidence, Problem, Wanted
from tests import disks
from tests.servers import BIG, LITTLE, PASSWD, USERS, expected, found, write


def test_reader_seeks(tree: Path, tmp_path: Path) -> None:
    log = next(Evidence(str(disks.ext4(tree, tmp_path / "disk.raw"))).logs())
    with log.open() as stream, log.open() as other:
        assert stream.seek(-4, os.SEEK_END) == len(LITTLE) - 4
        assert other.read(4) == LITTLE[:4]
        assert stream.read() == LITTLE[-4:]
        assert stream.seek(len(LITTLE) + 1) == len(LITTLE) + 1
        assert stream.read(1) == b""


# Symbolic links, and /var apart from /etc.


@pytest.mark.parametrize("target", ["/data/log", "../data/log", "../data/./here/../log", "../data/link"])
def test_linked_var_log(tree: Path, tmp_path: Path, target: str) -> None:
    (tree / "data").mkdir()
    (tree / "data/here").mkdir()
    (tree / "var/log").rename(tree / "data/log")
    (tree / "data/link").symlink_to("log")
    (tree / "var/log").symlink_to(target)
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == expected("", "/data/log/atop")
    assert evidence.problems == []


@pytest.mark.parametrize("target", ["/elsewhere", "log", "/var/log/atop/atop_20260101/x"])
def test_link_that_leads_nowhere_is_told(tmp_path: Path, target: str) -> None:
    tree = write(tmp_path / "tree", {"etc/passwd": PASSWD, "var/log/syslog": b""})
    (tree / "var/log/atop").symlink_to(target)
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")))
    assert found(evidence) == []
    what = f"symbolic link to {target}, which this volume does not have"
    assert Problem(f"{evidence.path} /var/log/atop", what, serious=False) in evidence.problems


def test_log_with_two_names_counts_once(tree: Path, tmp_path: Path) -> None:
    home = tree / "var/log/atop"
    (home / "atop_copy").hardlink_to(home / "atop_20260101")
    (home / "atop_link").symlink_to("atop_20260101")
    evidence = Evidence(str(disks.ext4(tree, tmp_path / "disk.raw")), Wanted(["/var/log/atop/*", "/**/atop_2026*"]))
    assert found(evidence) == expected("")
    assert [path for _, path, _ in found(Evidence(str(tree)))] == [
        "var/log/atop/atop_20260101",
        "var/log/atop/atop_20260102",
    ]


@pytest.mark.parametrize("depth", ["var", "var/log", "var/log/atop"])
def test_var_may_be_a_volume_of_its_own(tree: Path, tmp_path: Path, depth: str) -> None:
    (tree / depth).rename(tmp_path / "own")
    own = tmp_path / "own"
    if depth == "var/log/atop":
        own = tmp_path / "mount"
        own.mkdir()
        (tmp_path / "own").rename(own / "atop")
    volumes = [disks.ext4(root, tmp_path / f"{root.name}.raw") for root in (tree, own)]
    evidence = Evidence(str(disks.gpt(tmp_path / "disk.raw", *volumes)))
    home = {"var": "/log/atop", "var/log": "/atop", "var/log/atop": "/atop"}[depth]
    assert found(evidence) == expected("p2", home)
    assert [log.users for log in evidence.logs()] == [USERS, USERS]


def test_two_systems_keep_their_own_users(tree: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"etc/passwd": b"toor:x:0:0:::\n", "var/log/atop/atop_1": LITTLE})
    third = write(tmp_path / "third", {"log/atop/atop_1": LITTLE})
    volumes = [disks.ext4(root, tmp_path / f"{root.name}.raw") for root in (tree, other, third)]
    evidence = Evidence(str(disks.gpt(tmp_path / "disk.raw", *volumes)))
    assert [(log.volume, log.users) for log in evidence.logs()] == [
        ("p1", USERS),
        ("p1", USERS),
        ("p2", {0: "toor"}),
        ("p3", {}),
    ]


@pytest.mark.parametrize(
    ("passwd", "users"),
    [
        (b"a:x:1:\nb:x:1:\n", {1: "a"}),
        (b"1000:x:0:\n:x:2:\n+::::::\nshort\nn:x:-1:\nn:x:1_0:\nn:x:4294967296:\nok:x:7", {7: "ok"}),
        (b"n:x:" + b"9" * 5000 + b":\nx\x1b[31m:x:8:\n\xff:x:9:\n", {8: "x\\x1b[31m", 9: "\\xff"}),
        (b"\x00\xff" * 1000, {}),
        (b"", {}),
    ],
    ids=["first name", "odd lines", "hostile names", "no text", "empty"],
)
def test_users(tmp_path: Path, passwd: bytes, users: dict[int, str]) -> None:
    tree = write(tmp_path / "tree", {"etc/passwd": passwd, "var/log/atop/atop_1": LITTLE})
    assert [log.users for log in Evidence(str(tree)).logs()] == [users]
    assert [log.users for log in Evidence(str(disks.ext4(tree, tmp_path / "disk.raw"))).logs()] == [users]


def test_longest_name_hides_no_log(tree: Path, tmp_path: Path) -> None:
    (tree / "var/log/atop" / ("a" * 255)).write_bytes(b"text")
    for make in (disks.ext4, disks.xfs):
        evidence = Evidence(str(make(tree, tmp_path / make.__name__)))
        assert found(evidence) == expected("")
        assert not any(problem.serious for problem in evidence.problems)


def test_hostile_name_hides_no_log(tree: Path, tmp_path: Path) -> None:
    home = os.fsencode(tree / "var/log/atop")
    for name in (b"atop_2025\xff", b"aaa\xff", b"atop_2026\xfe"):
        Path(os.fsdecode(home + b"/" + name)).write_bytes(BIG if name == b"atop_2026\xfe" else b"text")
    for image in (disks.ext4(tree, tmp_path / "ext4.raw"), disks.xfs(tree, tmp_path / "xfs.raw")):
        evidence = Evidence(str(image))
        logs = found(evidence)
        assert [data for _, _, data in logs] == [BIG, LITTLE, BIG]
        assert logs[0][1].startswith("/var/log/atop/(undecodable name, inode ")
        assert logs[1:] == expected("")
        assert not any(problem.serious for problem in evidence.problems)
