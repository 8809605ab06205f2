"""Disk images for tests, built from a folder without mounting anything; a missing tool skips the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_SECTOR = 512
_MIB = 1 << 20
_TOOLS = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_LUKS_TRIES = 8  # qemu-img's benchmark fails now and then: "Unable to get accurate CPU usage"
_UUID = "11111111-2222-3333-4444-55555555555"  # and one digit


def run(tool: str, *arguments: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> None:
    """Run a tool in the folder of its last argument; one that fails fails the test."""
    command = shutil.which(tool, path=_TOOLS)
    if command is None:
        pytest.skip(f"{tool} is not installed")
    folder = Path(str(arguments[-1])).parent
    subprocess.run(
        [command, *map(str, arguments)],
        input=stdin,
        env={**os.environ, **(env or {})},
        cwd=folder,
        check=True,
        capture_output=True,
    )


def ext(tree: Path, image: Path, kind: str = "ext4", size_mib: int = 4, env: Mapping[str, str] | None = None) -> Path:
    """Make an ext2, ext3 or ext4 of a tree; the same bytes from the same tree, but for its ctimes."""
    _blank(image, size_mib * _MIB)
    features = () if kind == "ext3" else ("-O", "^has_journal")
    fixed = ("-U", f"{_UUID}0", "-E", f"hash_seed={_UUID}1,root_owner=0:0", "-m", 0)
    run(f"mkfs.{kind}", "-q", "-F", "-b", 1024, *features, *fixed, "-d", tree, image, env=env)
    return image


def ext2(tree: Path, image: Path) -> Path:
    return ext(tree, image, "ext2")


def ext3(tree: Path, image: Path) -> Path:
    return ext(tree, image, "ext3")


def ext4(tree: Path, image: Path) -> Path:
    return ext(tree, image)


def xfs(tree: Path, image: Path) -> Path:
    """Make an XFS of a tree; mkfs.xfs wants 300 MiB, nearly all of it a hole."""
    proto = image.with_suffix(".proto")
    proto.write_bytes(b"/none\n0 0\nd--755 0 0\n" + b"".join(_proto(tree)) + b"$\n")
    _blank(image, 300 * _MIB)
    run("mkfs.xfs", "-q", "-p", proto, image)
    return image


def _proto(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.iterdir()):
        name = os.fsencode(path.name)
        if path.is_symlink():
            yield name + b" l--777 0 0 " + os.fsencode(path.readlink()) + b"\n"
        elif path.is_dir():
            yield name + b" d--755 0 0\n" + b"".join(_proto(path)) + b"$\n"
        else:
            yield name + b" ---644 0 0 " + os.fsencode(path) + b"\n"


def random_bytes(image: Path, mib: int = 4) -> Path:
    image.write_bytes(b"\xa7" + os.urandom((mib << 20) - 1))
    return image


def damaged_luks2(image: Path) -> Path:
    image.write_bytes(b"LUKS\xba\xbe\x00\x02" + bytes((4 << 20) - 8))
    return image


def mbr(image: Path, *volumes: Path) -> Path:
    """Put volumes behind an MBR partition table."""
    return _partitioned(image, "dos", volumes)


def gpt(image: Path, *volumes: Path) -> Path:
    """Put volumes behind a GPT."""
    return _partitioned(image, "gpt", volumes)


def _partitioned(image: Path, label: str, volumes: tuple[Path, ...]) -> Path:
    table, start = [f"label: {label}", "label-id: " + (f"{_UUID}2" if label == "gpt" else "0x12345678")], _MIB
    for number, volume in enumerate(volumes, 3):
        identity = f", uuid={_UUID}{number}" if label == "gpt" else ""
        size = volume.stat().st_size
        table.append(f"start={start // _SECTOR}, size={size // _SECTOR}{identity}")
        start += (size + _MIB - 1) // _MIB * _MIB
    _blank(image, start + _MIB)
    run("sfdisk", "-q", image, stdin="\n".join(table).encode())
    start = _MIB
    for volume in volumes:
        _copy_into(image, volume, start)
        start += (volume.stat().st_size + _MIB - 1) // _MIB * _MIB
    return image


def _copy_into(image: Path, volume: Path, start: int) -> None:
    """Copy a volume to an offset in bytes, its holes as holes."""
    zeros = bytes(_MIB)
    with volume.open("rb") as source, image.open("r+b") as target:
        for offset in range(0, volume.stat().st_size, _MIB):
            piece = source.read(_MIB)
            if piece != zeros:
                target.seek(start + offset)
                target.write(piece)


def ewf(raw: Path, image: Path, compression: str = "fast", segment_bytes: int = 1 << 30) -> Path:
    """Acquire an E01, in segments of at most this size (1 MiB is the least); the first one's path."""
    texts = ("-C", "test", "-D", "atop-timeline test image", "-e", "nobody", "-E", "1", "-N", "synthetic")
    form = ("-f", "encase6", "-m", "fixed", "-M", "physical", "-c", compression, "-S", segment_bytes)
    run("ewfacquire", "-q", "-u", *texts, *form, "-t", image.with_suffix(""), raw)
    return image


def qemu(raw: Path, image: Path, form: str, *options: str) -> Path:
    """Convert to a format of qemu-img's."""
    run("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, image)
    return image


def split(raw: Path, first: Path, piece_bytes: int) -> Path:
    """Cut into `.001`, `.002` ...; the first one's path."""
    data = raw.read_bytes()
    for number, offset in enumerate(range(0, len(data), piece_bytes), 1):
        first.with_suffix(f".{number:03d}").write_bytes(data[offset : offset + piece_bytes])
    return first


def luks(raw: Path, image: Path) -> Path:
    """Encrypt with LUKS1."""
    secret = ("--object", "secret,id=s0,data=test1234", "-o", "key-secret=s0,iter-time=10")
    for _ in range(_LUKS_TRIES):
        try:
            return qemu(raw, image, "luks", *secret)
        except subprocess.CalledProcessError:
            image.unlink(missing_ok=True)
    pytest.skip("qemu-img could not make a LUKS volume")


def _blank(image: Path, size: int) -> None:
    with image.open("wb") as stream:
        stream.truncate(size)
