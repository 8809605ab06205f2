"""Logs in collections of every kind are read in place, whole or damaged, and no trap in one leads anywhere."""

import bz2
import gc
import gzip
import io
import lzma
import os
import pickle
import random
import struct
import tarfile
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from atop_timeline.errors import EvidenceError
from atop_timeline.hostfiles import HostFile
from atop_timeline.keys import LOCKED, NONE_FITS, Keys
from atop_timeline.kinds import kind_of
from atop_timeline.openers.archives import ArchiveTree, archive, is_archive, tars, zipmembers, zips
from atop_timeline.trees import Entry, Kind
from tests.disks import run
from tests.servers import BIG, LITTLE, PACK, PASSWD, write

LOG_1, LOG_2 = b"var/log/atop/atop_20260101", b"var/log/atop/atop_20260102"
UAC = {
    "[root]/etc/passwd": PASSWD,
    "[root]/var/log/atop/atop_20260101": LITTLE,
    "[root]/var/log/atop/atop_20260102": BIG,
    f"[root]/{'long/' * 30}{'name' * 40}/atop_20260103": LITTLE,
}
EMPTY_END = b"PK\x05\x06" + bytes(18)


class Bytes(NamedTuple):
    """Evidence in memory."""

    data: bytes

    def open(self) -> io.BufferedReader:  # noqa: D102
        return io.BufferedReader(io.BytesIO(self.data))


def named_like_a_log(path: bytes, _head: bytes) -> bool:
    return b"atop_" in path or path.endswith(b"/passwd")


def opened(data: bytes, keys: Keys | None = None) -> ArchiveTree:
    return archive(Bytes(data), keys or Keys(), named_like_a_log)


def walked(tree: ArchiveTree, folder: Entry | None = None, path: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
    for entry in tree.entries(folder or tree.top()[-1]):
        if isinstance(entry, Entry):
            yield path + entry.name, entry
            if entry.kind is Kind.FOLDER:
                yield from walked(tree, entry, path + entry.name + b"/")


def losses(tree: ArchiveTree) -> list[str]:
    return [str(each) for each in tree.entries(tree.top()[-1]) if isinstance(each, EvidenceError)]


def read(tree: ArchiveTree, file: Entry) -> tuple[bytes, str]:
    """All bytes there are of a file, and what is told behind them; from another process too."""
    with pickle.loads(pickle.dumps(tree.source(file))).open() as stream:  # noqa: S301  our own
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        data = stream.read(size)
        try:
            stream.read(1)
        except EvidenceError as error:
            return data, str(error)
        return data, ""


def files(tree: ArchiveTree) -> list[tuple[bytes, bytes, str]]:
    """Path, bytes and what is told behind them, of every file."""
    return sorted((path, *read(tree, entry)) for path, entry in walked(tree) if entry.kind is Kind.FILE)


def whole(members: Mapping[str, bytes]) -> list[tuple[bytes, bytes, str]]:
    return sorted((name.encode(), data, "") for name, data in members.items())


def tarred(members: Mapping[str, bytes], layout: int = tarfile.USTAR_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=layout) as out:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            out.addfile(header, io.BytesIO(data))
    return packed.getvalue()


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return packed.getvalue()


TWO = {LOG_1.decode(): LITTLE, LOG_2.decode(): BIG}


# What is whole, made by the tools that people use.


def by_tar(*options: str) -> Callable[[Path, Path], None]:
    return lambda folder, out: run("tar", "-c", *options, "-C", folder, ".", "-f", out)


def by_zip(*options: str) -> Callable[[Path, Path], None]:
    return lambda folder, out: run("sh", "-c", f"cd '{folder}' && zip -qr {' '.join(options)} - . > '{out}'", out)


def by_7z(*options: str) -> Callable[[Path, Path], None]:
    return lambda folder, out: run("7z", "a", "-tzip", *options, f"-w{out.parent}", out, f"{folder}/*")


TOOLS = {
    **{f"tar --format={layout}": ("tar archive", by_tar(f"--format={layout}")) for layout in ("gnu", "pax", "oldgnu")},
    "tar --gzip": ("tar archive in gzip", by_tar("--gzip")),
    "tar --xz": ("tar archive in xz", by_tar("--xz")),
    "tar --bzip2": ("tar archive in bzip2", by_tar("--bzip2")),
    "tar --zstd": ("tar archive in zstd", by_tar("--zstd")),
    "zip": ("zip archive", by_zip()),
    "zip -0": ("zip archive", by_zip("-0")),
    "zip of bzip2": ("zip archive", by_zip("-Z", "bzip2")),
    "7z": ("zip archive", by_7z()),
    "7z of LZMA": ("zip archive", by_7z("-mm=LZMA")),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools(tmp_path: Path, tool: str) -> None:
    kind, pack = TOOLS[tool]
    pack(write(tmp_path / "case", UAC), out := tmp_path / "packed.zip")
    source = HostFile(os.fsencode(out))
    assert is_archive(source)
    tree = archive(source, Keys(), named_like_a_log)
    assert (tree.name, tree.kind, tree.is_rooted, losses(tree)) == ("", kind, False, [])
    assert files(tree) == whole(UAC)


@pytest.mark.parametrize("layout", ["v7", "ustar"])
def test_tar_without_long_names(tmp_path: Path, layout: str) -> None:
    by_tar(f"--format={layout}")(write(tmp_path / "case", TWO), tmp_path / "out.tar")
    assert files(opened((tmp_path / "out.tar").read_bytes())) == whole(TWO)


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_by_python(layout: int) -> None:
    assert files(opened(tarred(UAC | {"é\n": b"text"} if layout else TWO, layout))) == (
        whole(UAC | {"é\n": b"text"}) if layout else whole(TWO)
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_by_python(method: int) -> None:
    members = {"uploads/auto/var/log/atop/atop_20260101": LITTLE, "uploads/auto/%2Fvar%2Flog": BIG, "empty": b""}
    assert files(opened(zipped(members, method))) == whole(members)


def test_zip_64() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out, out.open("atop_1", "w", force_zip64=True) as member:
        member.write(LITTLE)
    assert files(opened(packed.getvalue())) == whole({"atop_1": LITTLE})


def test_zip_behind_a_program() -> None:
    assert files(opened(b"#!/bin/sh\n" + zipped(TWO))) == whole(TWO)


@pytest.mark.parametrize("layout", ["gnu", *(f"pax --sparse-version={each}" for each in ("0.0", "0.1", "1.0"))])
@pytest.mark.parametrize("packing", ["", "--gzip"], ids=["plain", "gzip"])
def test_sparse_files(tmp_path: Path, layout: str, packing: str) -> None:
    sparse = tmp_path / "case/atop_sparse"
    sparse.parent.mkdir()
    with sparse.open("wb") as stream:
        for place in range(0, 60 << 16, 1 << 16):
            stream.seek(place)
            stream.write(b"data" * 1024)
        stream.truncate(61 << 16)
    format_, *version = layout.split()
    by_tar("-S", f"--format={format_}", *version, *packing.split())(sparse.parent, tmp_path / "out.tar")
    data = (tmp_path / "out.tar").read_bytes()
    assert len(data) < 1 << 19
    assert files(opened(data)) == whole({"atop_sparse": sparse.read_bytes()})


def test_links_in_a_tar(tmp_path: Path) -> None:
    home = write(tmp_path / "case", {"atop_1": LITTLE})
    (home / "atop_2").symlink_to("../atop_1")
    os.link(home / "atop_1", home / "atop_3")
    run("tar", "-C", home, "-czf", tmp_path / "out.tar", "atop_1", "atop_2", "atop_3")
    tree = opened((tmp_path / "out.tar").read_bytes())
    entries = dict(walked(tree))
    assert {name: entry.kind for name, entry in entries.items()} == {
        b"atop_1": Kind.FILE,
        b"atop_2": Kind.LINK,
        b"atop_3": Kind.FILE,
    }
    assert tree.target(entries[b"atop_2"]) == b"../atop_1"
    assert read(tree, entries[b"atop_3"]) == (LITTLE, "")


def test_link_in_a_zip(tmp_path: Path) -> None:
    home = write(tmp_path / "case", {"atop_1": LITTLE})
    (home / "atop_2").symlink_to("atop_1")
    by_zip("-y")(home, tmp_path / "out.zip")
    tree = opened((tmp_path / "out.zip").read_bytes())
    assert tree.target(dict(walked(tree))[b"atop_2"]) == b"atop_1"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_both_of_one_name(pack: Callable[[bytes], bytes]) -> None:
    tree = opened(pack(tarred({"./atop_1": LITTLE}) + tarred({"atop_1": BIG})))
    assert [read(tree, entry) for _, entry in walked(tree)] == [(LITTLE, ""), (BIG, "")]


def test_archive_in_an_archive() -> None:
    tree = opened(zipped({"collection/uac.tar.gz": gzip.compress(tarred(TWO))}))
    inner = next(tree.source(entry) for _, entry in walked(tree) if entry.kind is Kind.FILE)
    assert is_archive(inner)
    assert files(archive(inner, Keys(), named_like_a_log)) == whole(TWO)


def test_of_a_compressed_tar_only_what_matters_is_kept() -> None:
    asked = []

    def wanted(path: bytes, head: bytes) -> bool:
        asked.append((path, head[:4]))
        return head[:4] == LITTLE[:4]

    tree = archive(Bytes(gzip.compress(tarred({"a": LITTLE, "b": b"text" * 999, "c": LITTLE}))), Keys(), wanted)
    assert asked == [(b"a", LITTLE[:4]), (b"b", b"text"), (b"c", LITTLE[:4])]
    assert files(tree) == whole({"a": LITTLE, "c": LITTLE})


def test_temporary_file_goes_with_what_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tree = opened(gzip.compress(tarred({"atop_1": LITTLE})))
    source = tree.source(next(walked(tree))[1])
    del tree
    gc.collect()
    with source.open() as stream:
        assert stream.read() == LITTLE
    del source
    gc.collect()
    assert list(tmp_path.iterdir()) == []


# What is encrypted.


def encrypted(tmp_path: Path, *options: str) -> bytes:
    by_7z("-psecret", *options)(write(tmp_path / "case", TWO), tmp_path / "out.zip")
    return (tmp_path / "out.zip").read_bytes()


def passwords_by_check_byte(data: bytes) -> tuple[str, str]:
    """Two wrong passwords: one whose check byte fits the smallest member, and one whose check byte fits none."""
    stream = io.BytesIO(data)
    found = [each for each in zips.members(stream, zips.directory(stream)) if isinstance(each, zips.Header)]
    headers = sorted((each for each in found if each.size), key=lambda each: each.size)

    def fits(text: str, header: zips.Header) -> bool:
        return zipmembers.password(Bytes(data), header, len(data), [text]) is not None

    texts = [f"wrong{number}" for number in range(5000)]
    fitting = next(text for text in texts if fits(text, headers[0]))
    return fitting, next(text for text in texts if not any(fits(text, header) for header in headers))


def test_zip_with_a_password(tmp_path: Path) -> None:
    tree = opened(encrypted(tmp_path), Keys(("wrong", "secret")))
    assert (files(tree), losses(tree)) == (whole(TWO), [])


@pytest.mark.parametrize("which", [0, 1], ids=["check byte fits", "nothing fits"])
def test_zip_asks_for_a_password_once(tmp_path: Path, which: int) -> None:
    data = encrypted(tmp_path)
    answers = [passwords_by_check_byte(data)[which], "secret"]
    tree = opened(data, Keys(ask=lambda _: answers.pop(0)))
    assert (files(tree), losses(tree)) == (whole(TWO), [])


@pytest.mark.parametrize(("count", "why"), [(0, LOCKED), (1, NONE_FITS)], ids=["none", "wrong"])
def test_zip_without_its_password(tmp_path: Path, count: int, why: str) -> None:
    data = encrypted(tmp_path)
    tree = opened(data, Keys(passwords_by_check_byte(data)[1:][:count]))
    assert losses(tree) == [f"members are encrypted, {why}"]
    with pytest.raises(EvidenceError, match=f"encrypted, {why}"):
        read(tree, dict(walked(tree))[LOG_1])


@pytest.mark.parametrize(("option", "method"), [("-mem=AES256", "AES"), ("-mm=Deflate64", "Deflate64")])
def test_what_is_not_read_here_is_told(tmp_path: Path, option: str, method: str) -> None:
    tree = opened(encrypted(tmp_path, option), Keys(("secret",)))
    assert losses(tree) == [f"2 members packed with {method}, which is not read here; unpack it with: 7z x"]
    with pytest.raises(EvidenceError, match=f"packed with {method}, which is not read here"):
        read(tree, dict(walked(tree))[LOG_1])


# What is damaged.

PLAIN = tarred(TWO | {"var/log/atop/atop_20260103": LITTLE})
SECOND = 512 + len(LITTLE) + -len(LITTLE) % 512
THIRD = SECOND + 512 + len(BIG) + -len(BIG) % 512


def test_truncated_tar() -> None:
    tree = opened(PLAIN[: SECOND + 512 + 1000])
    missing = f"{len(BIG)} bytes expected, 1000 found"
    assert files(tree) == [(LOG_1, LITTLE, ""), (LOG_2, BIG[:1000], f"{missing} in this archive")]
    assert losses(tree) == [f"{LOG_2.decode()}, member at offset {SECOND + 512}: {missing}"]


def test_truncated_between_members() -> None:
    tree = opened(PLAIN[:SECOND])
    assert files(tree) == [(LOG_1, LITTLE, "")]
    assert losses(tree) == [f"ends at offset {SECOND} without its end marker"]


@pytest.mark.parametrize("kind", PACK)
def test_truncated_compressed_tar(kind: str) -> None:
    data = PACK[kind](tarred({"atop_1": random.Random(1).randbytes(3_000_000), "atop_2": BIG}))
    tree = opened(data[: len(data) // 2])
    [(path, kept, missing)] = files(tree)
    assert path == b"atop_1"
    assert 400_000 < len(kept) < 3_000_000
    assert kept == random.Random(1).randbytes(3_000_000)[: len(kept)]
    assert missing == f"3000000 bytes expected, {len(kept)} found in this archive"
    assert losses(tree)[-1] == f"{kind}: ends at offset {len(data) // 2} without its end marker"


@pytest.mark.parametrize("shift", [0, 100], ids=["in place", "some bytes gone"])
def test_goes_on_behind_a_damaged_header(shift: int) -> None:
    tree = opened(PLAIN[:SECOND] + b"\xff" * (200 - shift) + PLAIN[SECOND + 200 :])
    assert files(tree) == whole({LOG_1.decode(): LITTLE, "var/log/atop/atop_20260103": LITTLE})
    passed = THIRD - SECOND - shift
    assert losses(tree) == [f"no member at offset {SECOND}, but ff ff ff ff; {passed} bytes passed over"]


def test_no_byte_behind_a_gap_is_taken_for_one_before_it() -> None:
    """Members of a gzip file, as bgzip and parallel compressors make them; one is lost."""
    parts = [gzip.compress(PLAIN[start : start + 9000]) for start in range(0, len(PLAIN), 9000)]
    offset, kept = sum(map(len, parts[:4])), 36_000 - 512
    tree = opened(b"".join([*parts[:4], b"x" * 100, *parts[5:]]))
    missing = f"{len(LITTLE)} bytes expected, {kept} found"
    assert files(tree) == [
        (LOG_1, LITTLE[:kept], f"{missing} in this archive"),
        *whole({LOG_2.decode(): BIG, "var/log/atop/atop_20260103": LITTLE}),
    ]
    assert losses(tree) == [
        f"{LOG_1.decode()}, member at offset 512: {missing}",
        f"no member at offset 36000, where bytes are lost; {SECOND - 45_000} bytes passed over",
        f"gzip: no member at offset {offset}, but 78 78 78 78; 100 bytes passed over",
    ]


ZIPPED = zipped(TWO | {"var/log/atop/atop_20260103": LITTLE})
LOST_DIRECTORY = "no directory at its end; members are looked for one by one"


def test_zip_without_its_directory() -> None:
    tree = opened(ZIPPED[: ZIPPED.index(b"PK\x01\x02")])
    assert files(tree) == whole(TWO | {"var/log/atop/atop_20260103": LITTLE})
    assert losses(tree) == [LOST_DIRECTORY]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflate"])
def test_truncated_zip(method: int) -> None:
    data = zipped(TWO, method)
    end = data.rindex(b"PK\x03\x04") + 1000
    tree = opened(data[:end])
    (_, little, told_1), (_, big, told_2) = files(tree)
    assert (little, told_1) == (LITTLE, "")
    assert BIG.startswith(big)
    assert len(big) > 900
    assert "expected" in told_2 or "without its end marker" in told_2


def test_zip_that_was_streamed_without_its_directory(tmp_path: Path) -> None:
    write(tmp_path / "case", TWO)
    run("sh", "-c", f"cd '{tmp_path}/case' && zip -qr - . | cat > ../out.zip", tmp_path / "out.zip")
    data = (tmp_path / "out.zip").read_bytes()
    assert files(opened(data[: data.index(b"PK\x01\x02")])) == whole(TWO)


def test_damaged_member_of_a_zip() -> None:
    data = bytearray(ZIPPED)
    data[300] ^= 0xFF
    (_, little, told), *others = files(opened(bytes(data)))
    assert little != LITTLE
    assert told.startswith("deflate: ")
    assert others == whole({LOG_2.decode(): BIG, "var/log/atop/atop_20260103": LITTLE})


def test_stored_member_is_checked() -> None:
    data = zipped({"atop_1": LITTLE}, zipfile.ZIP_STORED).replace(LITTLE[-9:], bytes(9), 1)
    size, crcs = len(LITTLE), (zlib.crc32(LITTLE), zlib.crc32(LITTLE[:-9] + bytes(9)))
    told = f"stored: {size} bytes with CRC {crcs[0]:08x} expected, {size} with {crcs[1]:08x} found"
    assert files(opened(data)) == [(b"atop_1", LITTLE[:-9] + bytes(9), told)]


def test_damaged_directory_of_a_zip() -> None:
    offset = ZIPPED.rindex(b"PK\x01\x02")
    tree = opened(ZIPPED[:offset] + b"XX" + ZIPPED[offset + 2 :])
    assert files(tree) == whole(TWO | {"var/log/atop/atop_20260103": LITTLE})
    told = f"directory damaged at offset {offset}; further members are looked for one by one"
    assert losses(tree) == [told]


# What is made to hurt.


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"../../etc/cron.d/atop_1", b"../../etc/cron.d/atop_1"),
        (b"/etc/atop_1", b"etc/atop_1"),
        (b".//./a//atop_1", b"a/atop_1"),
        (b"atop_\n\xff\xe2\x80\xae", b"atop_\n\xff\xe2\x80\xae"),
    ],
    ids=["parent", "absolute", "dots", "no text"],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names(kind: str, name: bytes, path: bytes) -> None:
    stand_in = "x" * len(name)
    data = tarred({stand_in: b"log"}) if kind == "tar" else zipped({stand_in: b"log"})
    changed = data.replace(stand_in.encode(), name)
    changed = signed(changed[:512]) + changed[512:] if kind == "tar" else changed
    assert files(opened(changed)) == [(path, b"log", "")]


def signed(block: bytes) -> bytes:
    """A tar header with its checksum."""
    return block[:148] + b"%06o\0 " % sum(block[:148] + b" " * 8 + block[156:]) + block[156:]


def header(name: bytes, size: bytes, flag: bytes = b"0") -> bytes:
    block = name.ljust(124, b"\0") + size.ljust(32, b"\0") + flag
    return signed(block.ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"))


LARGEST, NEGATIVE = b"\x80" + (2**63 - 1).to_bytes(11, "big"), b"\xff" * 12
TRAPS = {
    "size of 2^63": (header(b"atop_1", LARGEST), 1),
    "negative size": (header(b"atop_1", NEGATIVE), 0),
    "extended header of 2^63 bytes": (header(b"x", LARGEST, b"x"), 0),
    "extended header of 1 GiB": (header(b"x", b"%o" % (1 << 30), b"x"), 0),
    "long name of 1 GiB": (header(b"x", b"%o" % (1 << 30), b"L"), 0),
    "name of many parts": (header(b"x", b"2000", b"L") + b"a/" * 512, 0),
    "sparse without an end": (signed(header(b"atop_1", b"0", b"S")[:482] + b"\1" + bytes(29)) + b"\1" * 4096, 0),
    "pax record without a length": (header(b"x", b"4", b"x") + b"0 a=".ljust(512, b"\0"), 0),
    "pax map of many": (header(b"x", b"144", b"x") + b"28 GNU.sparse.realsize=100\n" * 3, 0),
    "hard link to itself": (header(b"atop_1", b"0", b"1"), 0),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("trap", TRAPS)
def test_trap_in_a_tar(trap: str, pack: Callable[[bytes], bytes]) -> None:
    data, count = TRAPS[trap]
    tracemalloc.start()
    tree = opened(pack(PLAIN[:THIRD] + data + bytes(1 << 16)))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert files(tree)[-2:] == whole(TWO) or count
    assert len(files(tree)) == 2 + count


def test_after_too_much_that_looks_like_a_header_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "_TRIES_MOST", 1000)
    tree = opened(PLAIN[:SECOND] + b"ustar\x0000" * 10_000)
    assert files(tree) == [(LOG_1, LITTLE, "")]
    passed = 8 * (999 + -(-257 // 8)) - 257
    told = f"no member at offset {SECOND}, but 75 73 74 61; {passed} bytes passed over, not read further"
    assert losses(tree) == [told]


def test_extended_header_that_is_too_long_is_passed_over() -> None:
    long = header(b"x", b"%o" % (1 << 21), b"x") + bytes(1 << 21)
    tree = opened(long + tarred({"atop_1": LITTLE}))
    assert files(tree) == whole({"atop_1": LITTLE})
    assert losses(tree) == ["offset 512: 2097152 bytes about a member, 1048576 at most are read"]


def test_members_of_a_zip_that_overlap() -> None:
    data = bytearray(zipped({"atop_1": bytes(1000), "atop_2": bytes(1000)}))
    offset = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, offset + 20, 50)
    tree = opened(bytes(data))
    with pytest.raises(EvidenceError, match=r"50 bytes at offset 36 overlap what is at offset \d+"):
        read(tree, dict(walked(tree))[b"atop_1"])


def test_members_of_a_zip_in_one_place() -> None:
    data = bytearray(zipped({"atop_1": b"log", "atop_2": b"log"}))
    struct.pack_into("<L", data, data.rindex(b"PK\x01\x02") + 42, 0)
    tree = opened(bytes(data))
    assert files(tree) == whole({"atop_1": b"log"})
    assert losses(tree) == ["another member lies at offset 0 too; passed over"]


def test_member_of_a_zip_inflates_no_further_than_a_log() -> None:
    tree = opened(zipped({"atop_1": bytes(100 << 20)}))
    data, told = read(tree, dict(walked(tree))[b"atop_1"])
    assert 0 < len(data) < 80 << 20
    assert "which no atop log does; not read further" in told


@pytest.mark.parametrize("kind", ["xz", "zstd"])
def test_bomb_in_a_compressed_tar(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tree = opened(PACK[kind](tarred({"atop_1": bytes(100 << 20)})))
    [(_, entry)] = walked(tree)
    data, told = read(tree, entry)
    assert 0 < len(data) < 80 << 20
    assert told == f"104857600 bytes expected, {len(data)} found in this archive"
    assert losses(tree)[0].endswith("bytes of members that may be logs; the others are not kept")


def test_many_members() -> None:
    block = header(b"var/log/x", b"0")
    blocks = [signed(block[:4] + b"%08d" % number + block[12:]) for number in range(20_000)]
    data = b"".join([*blocks, bytes(1024)])
    tracemalloc.start()
    tree = opened(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(1 for _ in walked(tree)) == 20_001
    assert peak < 20_000 * 500


@pytest.mark.parametrize("mutation", range(60))
def test_any_damage_is_told_in_a_line(mutation: int) -> None:
    chance = random.Random(mutation)
    packed = chance.choice([PLAIN, ZIPPED, gzip.compress(PLAIN), bz2.compress(PLAIN), lzma.compress(PLAIN)])
    data = bytearray(packed)
    for _ in range(chance.choice([1, 20, 400])):
        data[chance.randrange(8, len(data))] = chance.randrange(256)
    try:
        tree = opened(bytes(data))
    except EvidenceError:
        return
    lost = "".join(losses(tree))
    for entry in [entry for _, entry in walked(tree) if entry.kind is Kind.FILE]:
        with suppress(EvidenceError):
            inside, told = read(tree, entry)
            assert "\n" not in told + lost
            assert told or lost or inside in (LITTLE, BIG) or packed is PLAIN


# What is no archive.


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (LITTLE, ""),
        (gzip.compress(LITTLE), "gzip"),
        (b"", ""),
        (bytes(10240), "zeros"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "RAR archive"),
        (b"070701" + b"0" * 104, "cpio archive"),
    ],
    ids=["log", "packed log", "nothing", "zeros", "7z", "rar", "cpio"],
)
def test_no_archive(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind
    assert not is_archive(Bytes(data))
    with pytest.raises(EvidenceError, match="neither a zip nor a tar archive"):
        opened(data)


def test_empty_archive_is_one() -> None:
    assert files(opened(EMPTY_END)) == []
