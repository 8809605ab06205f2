"""What --list shows: volumes and logs of each piece of evidence, on standard output."""

import subprocess
import sys
from pathlib import Path

import pytest

from atop_timeline.evidence import Evidence
from atop_timeline.openers import dissected
from tests import disks
from tests.servers import LITTLE, PASSWD, write


def listed(*arguments: object, **environment: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "atop_timeline.cli", "-q", "--list", *map(str, arguments)]
    done = subprocess.run(command, env={"PATH": "/usr/bin", **environment}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_log_by_itself(tmp_path: Path) -> None:
    log = write(tmp_path, {"atop_1": LITTLE}) / "atop_1"
    assert listed(log) == (
        0,
        [
            f"{log}",
            "  log      bytes  host       atop  samples  first, UTC           last, UTC            state",
            "  atop_1  68,242  lab-guest  2.8        10  2026-11-23 03:56:30  2026-11-23 03:56:48  whole",
            "",
        ],
    )


@pytest.fixture(name="locked")
def _locked(tmp_path: Path) -> Path:
    pytest.importorskip("dissect.fve")
    tree = write(tmp_path / "tree", {"etc/passwd": PASSWD, "var/log/atop/atop_1": LITTLE[:-9]})
    empty = disks.ext4(write(tmp_path / "boot", {"vmlinuz": b""}), tmp_path / "boot.raw")
    return disks.gpt(tmp_path / "disk.raw", empty, disks.luks2(disks.ext4(tree, tmp_path / "root"), tmp_path / "luks"))


def test_disk_with_a_locked_volume(locked: Path) -> None:
    status, lines = listed(locked)
    assert (status, lines[0], lines[2], lines[4]) == (
        3,
        str(locked),
        "  p1      4,194,304  ext2/3/4 file system",
        "  no atop log",
    )
    assert lines[3].endswith(
        "LUKS2, encrypted, not readable (locked; --password, --recovery-key or --key-file unlock it)"
    )


@pytest.mark.parametrize("way", ["environment", "file", "argument", "key file"])
def test_disk_with_an_unlocked_volume(locked: Path, tmp_path: Path, way: str) -> None:
    files = write(tmp_path / "keys", {"password": b"test1234\r\nmore", "key": b"test1234"})
    ways: dict[str, tuple[list[object], dict[str, str]]] = {
        "environment": ([], {"ATOP_TIMELINE_PASSWORD": "test1234"}),
        "file": (["--password-file", files / "password"], {}),
        "argument": (["--password", "wrong", "--password", "test1234"], {}),
        "key file": (["--key-file", files / "key"], {}),
    }
    arguments, environment = ways[way]
    status, lines = listed(locked, *arguments, **environment)
    assert (status, lines[2:4], lines[5].split()) == (
        3,
        ["  p1      4,194,304  ext2/3/4 file system", "  p2      6,291,456  ext2/3/4 file system"],
        [
            *("p2", "/var/log/atop/atop_1", "68,233", "lab-guest", "2.8", "10"),
            *("2026-11-23", "03:56:30", "2026-11-23", "03:56:48", "damaged", "in", "1", "place"),
        ],
    )


def test_without_the_second_opener_it_is_named(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissected, "is_installed", lambda: False)
    (problem,) = Evidence(str(locked)).problems
    assert problem.what.endswith("pip install 'atop-timeline[dissect]' adds a second opener that may know it")


def test_standard_input(tmp_path: Path) -> None:
    log = write(tmp_path, {"any": LITTLE}) / "any"
    with log.open("rb") as stream:
        command = [sys.executable, "-m", "atop_timeline.cli", "--list", "-"]
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "standard input")
    assert done.stdout.splitlines()[2].split()[:5] == ["standard", "input", "68,242", "lab-guest", "2.8"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("what", ["--list", "--list-formats"])
def test_standard_output_that_is_full(tmp_path: Path, what: str) -> None:
    log = write(tmp_path, {"atop_1": LITTLE}) / "atop_1"
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "atop_timeline.cli", what, str(log)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "atop-timeline: error: -: No space left on device\n")
