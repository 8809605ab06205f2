"""Evidence stays as it is, to the time of its last access; and nothing is written into it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests import disks
from tests.servers import sha256

LONG_AGO = 1_000_000_000

Make: TypeAlias = Callable[[Path, Path], Path]


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "atop_timeline.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def state(paths: list[Path]) -> dict[Path, tuple[float, ...]]:
    """Times and sizes."""
    found = {path: path.lstat() for path in paths}
    return {path: (each.st_atime, each.st_mtime, each.st_ctime, each.st_size) for path, each in found.items()}


EVIDENCE: dict[str, Make] = {
    "log": lambda tree, folder: (tree / "var/log/atop/atop_20260101").rename(folder / "atop_1"),
    "folder": lambda tree, folder: tree.rename(folder / "tree"),
    "raw": lambda tree, folder: disks.ext4(tree, folder / "disk.raw"),
    "split raw": lambda tree, folder: disks.split(
        disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.001", 1 << 20
    ),
    "E01": lambda tree, folder: disks.ewf(
        disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.E01", "none", 1 << 20
    ),
    "qcow2": lambda tree, folder: disks.qemu(
        disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.qcow2", "qcow2"
    ),
    "VMDK": lambda tree, folder: disks.qemu(disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.vmdk", "vmdk"),
    "flat VMDK": lambda tree, folder: disks.qemu(
        disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.vmdk", "vmdk", "-o", "subformat=monolithicFlat"
    ),
    "VHDX": lambda tree, folder: disks.qemu(disks.ext4(tree, tree.with_suffix(".raw")), folder / "disk.vhdx", "vhdx"),
}


@pytest.mark.parametrize("options", [("-o", "../t.csv"), ("--list",), ("--carve", "--scan", "-o", "../t.csv")])
@pytest.mark.parametrize("make", EVIDENCE.values(), ids=EVIDENCE)
def test_no_time_and_no_byte_changes(tree: Path, tmp_path: Path, make: Make, options: tuple[str, ...]) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    given = make(tree, folder)
    paths = sorted(folder.rglob("*"))
    contents = {path: sha256(path.read_bytes()) for path in paths if path.is_file()}
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))
    before = state(paths)
    done = run(given.name, *options, cwd=folder)
    assert (done.returncode, "2026-11-23" in done.stderr + done.stdout) == (0, True), done.stderr
    assert state(paths) == before
    assert {path: sha256(path.read_bytes()) for path in contents} == contents


@pytest.mark.parametrize("output", ["timeline.csv", "case/timeline.csv", "case/var/log/new.csv"])
@pytest.mark.parametrize("option", ["-o", "--summary-json"])
def test_nothing_is_written_into_evidence(tree: Path, tmp_path: Path, output: str, option: str) -> None:
    tree.rename(tmp_path / "case")
    others = ("-o", os.devnull) if option != "-o" else ()
    done = run("case", option, output, *others, cwd=tmp_path)
    if output.startswith("case/"):
        told = f"{output}: belongs to the evidence case, to which nothing is written"
        assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"atop-timeline: error: {told}")
    assert ((tmp_path / output).exists(), done.returncode == 0) == (not output.startswith("case/"),) * 2


def test_no_segment_of_evidence_is_replaced(tree: Path, tmp_path: Path) -> None:
    image = disks.split(disks.ext4(tree, tmp_path / "x.raw"), tmp_path / "disk.001", 1 << 20)
    before = image.with_suffix(".002").read_bytes()
    done = run("disk.001", "-o", "disk.002", "--overwrite", cwd=tmp_path)
    assert (done.returncode, image.with_suffix(".002").read_bytes()) == (2, before)
