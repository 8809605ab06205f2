"""The file of a result: whole or not at all."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atop_timeline.errors import OutputError, StoreError
from atop_timeline.output import check, opened

DATA = [b"datetime,message\n", b"", b"2026-11-23T03:56:30+00:00,x\n" * 1000]


def test_a_file_is_there_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "timeline.csv"
    with opened(str(path), overwrite=False) as stream:
        for each in DATA:
            stream.write(each)
        assert not path.exists()
    assert path.read_bytes() == b"".join(DATA)
    assert list(tmp_path.iterdir()) == [path]


def test_size_and_digest_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "timeline.csv"
    with opened(str(path), overwrite=False, hashed=True) as stream:
        counts = [stream.write(each) for each in DATA]
    assert counts == [17, 0, 28_000]
    assert stream.told == {"size": 28_017, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_no_digest_is_made_of_what_nobody_is_told(tmp_path: Path) -> None:
    with opened(str(tmp_path / "timeline.csv"), overwrite=False) as stream:
        stream.write(DATA[0])
    assert stream.told == {"size": 17}


def test_nothing_written_is_an_empty_file(tmp_path: Path) -> None:
    with opened(str(tmp_path / "empty"), overwrite=False, hashed=True) as stream:
        pass
    assert (tmp_path / "empty").read_bytes() == b""
    assert stream.told["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_what_exists_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "timeline.csv"
    path.write_bytes(b"old")
    with pytest.raises(OutputError) as raised, opened(str(path), overwrite=False):
        pytest.fail("it was opened")
    assert str(raised.value) == f"{path} exists already; --overwrite replaces it"
    assert path.read_bytes() == b"old"


def test_what_exists_is_replaced_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "timeline.csv"
    path.write_bytes(b"old")
    with opened(str(path), overwrite=True) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def fill(path: Path, error: type[BaseException] | None = None) -> None:
    """Writes half a file; then something happens, or somebody else writes it meanwhile."""
    with opened(str(path), overwrite=error is not None) as stream:
        stream.write(b"half")
        if error:
            raise error
        path.write_bytes(b"somebody else's")


def test_what_came_to_exist_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        fill(tmp_path / "timeline.csv")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"somebody else's"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, StoreError, ZeroDivisionError])
@pytest.mark.parametrize("before", [[], [b"old"]], ids=["new", "replaced"])
def test_on_errors_all_is_as_it_was(error: type[BaseException], before: list[bytes], tmp_path: Path) -> None:
    for each in before:
        (tmp_path / "timeline.csv").write_bytes(each)
    with pytest.raises(error):
        fill(tmp_path / "timeline.csv", error)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == before


@pytest.mark.parametrize(
    ("name", "what"),
    [
        pytest.param("missing/timeline.csv", "No such file or directory", id="no folder"),
        pytest.param("file/timeline.csv", "Not a directory", id="a file as folder"),
        pytest.param("folder", "Is a directory", id="a folder"),
        pytest.param("n" * 256, "File name too long", id="too long a name"),
    ],
)
def test_where_nothing_can_be_written(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{name}"
    with pytest.raises(OutputError) as raised, opened(path, overwrite=True) as stream:
        stream.write(b"new")
    assert str(raised.value) == f"{path}: {what}"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]


def test_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with opened("-", overwrite=False, hashed=True) as stream:
        for each in DATA:
            stream.write(each)
    assert capsysbinary.readouterr().out == b"".join(DATA)
    assert stream.told == {"size": 28_017, "sha256": hashlib.sha256(b"".join(DATA)).hexdigest()}


@pytest.mark.parametrize(("name", "overwrite"), [("new", False), ("old", True), ("-", False)])
def test_checked_before_anything_is_done(name: str, overwrite: bool, tmp_path: Path) -> None:  # noqa: FBT001  a table
    (tmp_path / "old").write_bytes(b"old")
    check(name if name == "-" else str(tmp_path / name), overwrite=overwrite)
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    with opened(str(pipe), overwrite=True) as stream:
        stream.write(b"a line\n")
    assert (reader.communicate()[0], pipe.is_fifo()) == (b"a line\n", True)


def test_a_device_is_written_to_and_stays() -> None:
    before = Path("/dev/full").stat()
    with pytest.raises(OutputError) as raised, opened("/dev/full", overwrite=False) as stream:
        stream.write(b"a line\n")
    assert str(raised.value) == "/dev/full: No space left on device"
    assert os.path.samestat(before, Path("/dev/full").stat())


def test_a_pipe_by_the_name_of_standard_output() -> None:
    script = "from atop_timeline.output import opened\nwith opened('/dev/stdout', overwrite=False) as stream:"
    done = subprocess.run([sys.executable, "-c", f"{script} stream.write(b'a line')"], capture_output=True, check=True)
    assert done.stdout == b"a line"


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with opened(str(link), overwrite=True) as stream:
        stream.write(b"new")
    assert (target.read_bytes(), link.is_symlink()) == (b"new", True)
