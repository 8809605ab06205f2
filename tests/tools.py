"""Tools that make what tests read; a missing one skips the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20
SECTOR = 512

_TOOLS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_OTHER_NAMES = {"7z": "7zz"}
"""What a tool is called where it does not have its name: Debian's updates of 7zip have one of its programs only."""


def run(tool: str, *arguments: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> None:
    """Run a tool in the folder of its last argument; one that fails fails the test."""
    printed(tool, *arguments, stdin=stdin, env=env)


def printed(tool: str, *arguments: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
    """Run it likewise; what it prints."""
    command = shutil.which(tool, path=_TOOLS) or shutil.which(_OTHER_NAMES.get(tool, tool), path=_TOOLS)
    if command is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        [command, *map(str, arguments)],
        input=stdin,
        env={**os.environ, **(env or {})},
        cwd=Path(str(arguments[-1])).parent,
        check=True,
        capture_output=True,
    )
    return done.stdout


def blank(image: Path, size: int) -> Path:
    """Make a file of nothing but a hole."""
    with image.open("wb") as stream:
        stream.truncate(size)
    return image


def copy_into(image: Path, volume: Path, start: int, skip: int = 0, size: int | None = None) -> None:
    """Copy a volume, or these bytes of it, to an offset; holes stay holes."""
    end = volume.stat().st_size if size is None else skip + size
    with volume.open("rb") as source, image.open("r+b") as target:
        source.seek(skip)
        for offset in range(skip, end, MIB):
            piece = source.read(min(MIB, end - offset))
            if piece.strip(b"\0"):
                target.seek(start + offset - skip)
                target.write(piece)


@contextmanager
def looped(*images: Path) -> Iterator[list[str]]:
    """Loop devices of images; where there are none the test is skipped."""
    devices: list[str] = []
    try:
        for image in images:
            try:
                devices.append(printed("losetup", "-f", "--show", image).decode().strip())
            except subprocess.CalledProcessError:
                pytest.skip("no loop devices here")
        yield devices
    finally:
        for device in devices:
            run("losetup", "-d", device)


@contextmanager
def mounted(image: Path, kind: str = "auto") -> Iterator[Path]:
    """A folder where a file system is mounted; where that cannot be, the test is skipped."""
    folder = image.with_name(f"{image.name}.mounted")
    folder.mkdir()
    try:
        run("mount", "-t", kind, "-o", "loop", image, folder)
    except subprocess.CalledProcessError:
        pytest.skip("only root mounts, and not everywhere")
    try:
        yield folder
    finally:
        run("umount", folder)
        folder.rmdir()
