"""Logs are found in a folder at any depth, and no trap in it leads outside."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from atop_timeline.evidence import Evidence, Problem
from tests.servers import BIG, LITTLE, LOGS, PASSWD, USERS, found, write


def test_folder_at_any_depth(tmp_path: Path) -> None:
    files = {
        "web1/[root]/etc/passwd": PASSWD,
        "web1/[root]/var/log/atop/atop_20260101": LITTLE,
        "web1/[root]/var/log/atop/odd.log": BIG,
        "web1/[root]/var/log/other.log": b"text",
        "web2/var/log/atop/atop_20260101": BIG,
        "copied/atop_20260103": LITTLE,
        "etc/passwd": b"toor:x:0:0::/:\n",
    }
    evidence = Evidence(str(write(tmp_path / "case", files)))
    assert [(log.volume, log.path, log.users) for log in evidence.logs()] == [
        ("", "copied/atop_20260103", {0: "toor"}),
        ("", "web1/[root]/var/log/atop/atop_20260101", USERS),
        ("", "web1/[root]/var/log/atop/odd.log", USERS),
        ("", "web2/var/log/atop/atop_20260101", {}),
    ]
    assert evidence.problems == []
    assert evidence.searched == [f"{evidence.path}: folder"]


def test_folder_that_is_a_log_folder(tree: Path) -> None:
    write(tree, {"var/log/atop/odd.log": LITTLE})
    evidence = Evidence(str(tree / "var/log/atop"))
    assert [(log.path, log.users) for log in evidence.logs()] == [
        ("atop_20260101", USERS),
        ("atop_20260102", USERS),
        ("odd.log", USERS),
    ]


def test_folder_with_traps(tree: Path, tmp_path: Path) -> None:
    home = tree / "var/log/atop"
    os.mkfifo(home / "atop_fifo")
    (home / "atop_loop").symlink_to(".")
    (home / "atop_link").symlink_to("/etc/hostname")
    (home / "atop_folder").mkdir()
    outside = write(tmp_path / "outside", {"atop_1": LITTLE})
    (tree / "linked").symlink_to(outside)
    with socket.socket(socket.AF_UNIX) as unix, pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        unix.bind("atop_socket")
    Path(os.fsdecode(os.fsencode(home) + b"/atop_\xff\n\xe2\x80\xae")).write_bytes(LITTLE)
    evidence = Evidence(str(tree))
    assert found(evidence) == [
        ("", "var/log/atop/atop_20260101", LITTLE),
        ("", "var/log/atop/atop_20260102", BIG),
        ("", "var/log/atop/atop_\\xff\\x0a\\u202e", LITTLE),
    ]
    assert evidence.problems == []


def test_folder_reads_no_passwd_through_links(tree: Path) -> None:
    (tree / "etc").rename(tree / "usr")
    (tree / "etc").symlink_to("usr")
    assert [log.users for log in Evidence(str(tree)).logs()] == [{}, {}]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights, to whom nothing is closed."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_folder_without_permission_is_told(tree: Path) -> None:
    with TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        copy = shutil.copytree(tree, Path(open_to_all) / "tree", symlinks=True)
        (copy / "etc").chmod(0)
        with as_nobody():
            evidence = Evidence(str(copy))
            logs = list(evidence.logs())
    assert len(logs) == 2
    assert evidence.problems == [Problem(f"{copy} etc", "cannot be searched: Permission denied", serious=True)]


@pytest.mark.parametrize("data", LOGS.values(), ids=LOGS)
def test_log_by_itself(tmp_path: Path, data: bytes) -> None:
    evidence = Evidence(str(write(tmp_path, {"any name.raw": data}) / "any name.raw"))
    assert found(evidence) == [("", "any name.raw", data)]
    assert [(log.users, log.size) for log in evidence.logs()] == [({}, len(data))]
    assert evidence.searched == [f"{tmp_path}/any name.raw: atop log"]
