"""What a run takes of the machine: memory, processors, and temporary files, of which nothing stays."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from nanoarrow._utils import NanoarrowException

from atop_timeline import cli
from atop_timeline.arguments import cores, size
from atop_timeline.errors import StoreError, UsageError
from atop_timeline.output import folder_beside
from atop_timeline.store import Room, Store
from atop_timeline.temporary import TemporaryFolder, all_in
from tests import tools
from tests.benchmarks.crowded import Crowd, crowded
from tests.benchmarks.patterns import Pattern
from tests.hunts import log
from tests.test_cli import COMMAND, run, status_of
from tests.test_hunt_command import COMMAND as HUNT

LOG = log("2.8.1")
ROOT = Path(__file__).parents[1]
MEMORY_MB = """
import os, pathlib, sys
from tests.benchmarks.costs import cost
print(cost(sys.argv[1:], pathlib.Path(os.devnull)).memory_mb)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("600M", 600_000_000),
        ("2G", 2_000_000_000),
        ("1.5GiB", 1_610_612_736),
        ("1 gib", 1 << 30),
        ("500000KB", 500_000_000),
        ("700000000", 700_000_000),
        ("1T", 10**12),
    ],
)
def test_size(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--memory-limit", "much"], "argument --memory-limit: 'much' is no size such as 600M, 2G or 1.5GiB"),
        (["--memory-limit", "-1G"], "argument --memory-limit: expected one argument"),
        (["--memory-limit", "1e9"], "argument --memory-limit: '1e9' is no size such as 600M, 2G or 1.5GiB"),
        (["--memory-limit", "600iB"], "argument --memory-limit: '600iB' is no size such as 600M, 2G or 1.5GiB"),
        (["--memory-limit", "64M"], "--memory-limit: 64,000,000 bytes are not enough; at least 500,000,000"),
        (["--jobs", "0"], "argument --jobs: '0' is no whole number of at least 1"),
        (["--jobs", "two"], "argument --jobs: 'two' is no whole number of at least 1"),
    ],
)
def test_wrong_arguments(arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(LOG, "-o", str(tmp_path / "timeline.csv"), *arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"atop-timeline: error: {told}"
    assert list(tmp_path.iterdir()) == []


def memory_mb(*arguments: str) -> float:
    """What the command takes; started by a small process, or the memory of all tests would be counted to it."""
    command = [sys.executable, "-c", MEMORY_MB, *COMMAND, *arguments]
    return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


@pytest.mark.parametrize("suffix", ["ndjson", "parquet"])
def test_memory_is_bounded_where_nothing_repeats(suffix: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        stream.writelines(crowded(Pattern(Path(LOG).read_bytes()), Crowd(samples=2, letters=20, apart=1)))
    assert memory_mb(str(tmp_path / "log"), "-q", "--jobs", "2", "-o", str(tmp_path / f"timeline.{suffix}")) < 600


def test_the_least_memory_suffices_for_logs_of_many_versions(tmp_path: Path) -> None:
    """All columns of texts are joined there; two such queries at the same time have no room."""
    out = tmp_path / "timeline.ndjson"
    done = run(str(ROOT / "test_data" / "server.E01"), "-q", "--jobs", "2", "--memory-limit", "500M", "-o", str(out))
    assert (done.returncode, out.stat().st_size > 10_000_000) == (3, True)


def test_the_processors_are_those_that_this_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(before)])
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)


@pytest.mark.parametrize(
    ("memory", "less", "all_of_it"),
    [
        (500_000_000, "76.2 MiB", "190.7 MiB"),
        (600_000_000, "114.4 MiB", "286.1 MiB"),
        (2_000_000_000, "648.4 MiB", "1.5 GiB"),
        (10**27, "409.5 TiB", "1023.9 TiB"),
    ],
)
def test_the_database_gets_what_is_left_of_the_memory(memory: int, less: str, all_of_it: str) -> None:
    store = Store(Room(memory))
    asked = "SELECT current_setting('memory_limit'), current_setting('threads')"
    while_reading = store.execute(asked)
    store.take_all()
    assert (while_reading, store.execute(asked)) == ([(less, 1)], [(all_of_it, 1)])
    store.close()


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 500,000,000"):
        Room(499_999_999)


def test_what_memory_does_not_hold_lies_in_the_folder_and_goes_with_it(tmp_path: Path) -> None:
    store = Store(Room(500_000_000, str(tmp_path)))
    store.execute("CREATE TEMP TABLE large AS SELECT md5(range::VARCHAR) FROM range(4000000)")
    files = {each.relative_to(store.directory).parts[0] for each in tmp_path.rglob("*") if each.is_file()}
    assert (store.directory.parent, files) == (tmp_path, {"lock", "spilled"})
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_told() -> None:
    store = Store(Room(500_000_000))
    with pytest.raises(StoreError, match=r"^the memory that may be taken does not suffice; --memory-limit gives more$"):
        store.execute("SELECT list(range) FROM range(100000000)")
    store.close()


def test_too_little_memory_is_told_that_a_stream_needs() -> None:
    told = pytest.raises(StoreError, match=r"--memory-limit gives more$")
    with closing(Store(Room(500_000_000))) as store, told, store.errors():
        raise NanoarrowException("ArrowArrayStream::get_next()", 5, "Out of Memory Error: failed to pin block")


def test_the_store_leaves_memory_to_others() -> None:
    with closing(Store(Room(600_000_000))) as store:
        store.take_all(but=100_000_000)
        assert store.execute("SELECT current_setting('memory_limit')") == [("190.7 MiB",)]


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; where none can be mounted, the test is skipped."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        tools.run("mount", "-t", "tmpfs", "-o", "size=2m", "none", folder)
    except subprocess.CalledProcessError:
        pytest.skip("only root mounts, and not everywhere")
    yield folder
    tools.run("umount", folder)


def test_a_full_disk_under_the_store_is_told(small_disk: Path) -> None:
    store = Store(Room(500_000_000, str(small_disk)))
    with pytest.raises(StoreError) as raised:
        store.execute("CREATE TABLE large AS SELECT md5(range::VARCHAR) FROM range(8000000)")
    store.close()
    told = f"temporary files in {small_disk}: No space left on device; --temp-dir chooses another place"
    assert (str(raised.value), list(small_disk.iterdir())) == (told, [])


def test_a_full_disk_under_the_output_is_told(small_disk: Path) -> None:
    path = small_disk / "timeline.csv"
    done = run(log("debian-2.8.1-3boots"), LOG, "-q", "-o", str(path), "--temp-dir", str(small_disk.parent))
    told = f"atop-timeline: error: {path}: No space left on device\n"
    assert (done.returncode, done.stderr.decode(), list(small_disk.iterdir())) == (1, told, [])
    assert list(small_disk.parent.iterdir()) == [small_disk]


def test_a_full_disk_under_all_temporary_files_is_told(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "all").write_bytes(bytes(2 << 20))
    done = run(LOG, "-q", "-o", str(tmp_path / "timeline.csv"), "--temp-dir", str(small_disk))
    told = f"temporary files in {small_disk}: No space left on device; --temp-dir chooses another place"
    assert (done.returncode, done.stderr.decode()) == (1, f"atop-timeline: error: {told}\n")
    assert [each.name for each in (*tmp_path.iterdir(), *small_disk.iterdir())] == ["small", "all"]


@pytest.mark.parametrize(
    ("name", "told"), [("missing", "No such file or directory"), ("file", "Not a directory")], ids=["missing", "file"]
)
def test_a_wrong_place_is_told(name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    status = status_of(LOG, "-q", "-o", str(tmp_path / "timeline.csv"), "--temp-dir", str(tmp_path / name))
    expected = f"temporary files in {tmp_path / name}: {told}; --temp-dir chooses another place"
    assert (status, capsys.readouterr().err) == (1, f"atop-timeline: error: {expected}\n")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["", "below"])
@pytest.mark.parametrize("how", ["--temp-dir", "TMPDIR"])
def test_no_place_is_in_evidence(how: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = tmp_path / "evidence"
    (evidence / place).mkdir(parents=True)
    shutil.copy(LOG, evidence)
    monkeypatch.setenv("TMPDIR", str(evidence / place))
    given = ["--temp-dir", str(evidence / place), "-o", str(tmp_path / "timeline.csv")]
    done = run(str(evidence), *(given if how == "--temp-dir" else ["-o", "-"]))
    told = f"{evidence / place}: temporary files would be in the evidence {evidence}; see --temp-dir"
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (2, f"atop-timeline: error: {told}")
    assert (tmp_path / "timeline.csv").exists() is False


@pytest.mark.parametrize(
    ("path", "place"),
    [
        pytest.param("out/timeline.csv", "out", id="file"),
        pytest.param("link", "out", id="link"),
        pytest.param("-", "system", id="standard output"),
        pytest.param("/dev/null", "system", id="device"),
        pytest.param("pipe", "system", id="pipe"),
    ],
)
def test_temporary_files_go_beside_the_output(
    path: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out" / "linked.csv")
    os.mkfifo(tmp_path / "pipe")
    assert folder_beside(path) == str(tmp_path / place)


@pytest.mark.parametrize(
    "name", ["it's", 'a "b"', "new\nline", "time[l]ine*", "case=12", os.fsdecode(b"caf\xe9"), "\u00e4"]
)
def test_the_output_may_be_in_any_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    done = run(LOG, "-q", "-o", str(tmp_path / name / "timeline.parquet"))
    asked = subprocess.run([*HUNT, "gaps", LOG, "-q", "-o", str(tmp_path / name / "gaps.csv")], check=False)
    assert (done.returncode, done.stderr, asked.returncode) == (0, b"", 0)
    assert sorted(each.name for each in (tmp_path / name).iterdir()) == ["gaps.csv", "timeline.parquet"]


def test_a_place_that_the_store_cannot_take_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "case=12"
    place.mkdir()
    assert status_of(LOG, "-q", "-o", str(tmp_path / "timeline.csv"), "--temp-dir", str(place)) == 1
    told = f"temporary files in {place}: a pattern to DuckDB, or no UTF-8; --temp-dir is another place"
    assert (capsys.readouterr().err, list(place.iterdir())) == (f"atop-timeline: error: {told}\n", [])


def test_files_of_tempfile_are_in_a_folder_as_well(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with all_in(str(tmp_path)):
        os.close(tempfile.mkstemp()[0])
        assert [len(list(each.iterdir())) for each in tmp_path.iterdir()] == [2]
    assert (list(tmp_path.iterdir()), tempfile.gettempdir()) == ([], before)


def begun(out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command on its way, with a timeline and its temporary files in a folder."""
    command = [*COMMAND, *LOGS, "-o", str(out / f"{len(list(out.iterdir()))}.csv"), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    before = set(out.glob(".atop-timeline-*/lock"))
    while process.poll() is None and len({*out.glob(".atop-timeline-*/lock")} - before) < 2:
        time.sleep(0.002)
    return process


LOGS = [log(name) for name in ("2.8.1", "debian-2.8.1-3boots", "odd-2.8.1")]


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.kill()
    process.communicate()
    assert {each.name[:15] for each in tmp_path.iterdir()} == {".atop-timeline-"}
    assert cli.main([LOG, "-q", "-o", str(tmp_path / "timeline.csv")]) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["timeline.csv"]


def test_runs_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    process = begun(tmp_path)
    process.send_signal(signal.SIGSTOP)
    folders = set(tmp_path.glob(".atop-timeline-*"))
    assert cli.main([LOG, "-q", "-o", str(tmp_path / "timeline.csv")]) == 0
    assert (set(tmp_path.glob(".atop-timeline-*")), len(folders) > 1) == (folders, True)
    process.send_signal(signal.SIGCONT)
    process.communicate()
    assert (process.returncode, {each.name for each in tmp_path.iterdir()}) == (0, {"0.csv", "timeline.csv"})


def test_interrupted_again_and_again_it_still_tidies_up(tmp_path: Path) -> None:
    process = begun(tmp_path)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    assert (process.communicate()[1], list(tmp_path.iterdir())) == (INTERRUPTED, [])


INTERRUPTED = b"atop-timeline: interrupted, nothing was written\n"


def test_nohup(tmp_path: Path) -> None:
    """Who had it ignored, as nohup does, is not ended by a closed terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = begun(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert (process.returncode, [each.name for each in tmp_path.iterdir()]) == (0, ["0.csv"])


def test_a_folder_is_left_behind_only_if_it_is_ours(tmp_path: Path) -> None:
    """Of a run in a place, a copy elsewhere, one without a lock, one whose lock is a pipe, and a file stay."""
    with TemporaryFolder(str(tmp_path)) as folder:
        shutil.copytree(folder.path, tmp_path / ".atop-timeline-copy")
    for name in ("data", "pipe"):
        (tmp_path / f".atop-timeline-{name}").mkdir()
    (tmp_path / ".atop-timeline-data" / "data").write_bytes(b"")
    os.mkfifo(tmp_path / ".atop-timeline-pipe" / "lock")
    (tmp_path / ".atop-timeline-link").symlink_to(tmp_path / ".atop-timeline-copy")
    (tmp_path / ".atop-timeline-file").write_bytes(b"")
    before = set(tmp_path.rglob("*"))
    TemporaryFolder(str(tmp_path)).remove()
    assert set(tmp_path.rglob("*")) == before


def test_a_folder_that_its_owner_forgets_is_removed(tmp_path: Path) -> None:
    script = "import sys\nfrom atop_timeline.temporary import TemporaryFolder\nprint(TemporaryFolder(sys.argv[1]).path)"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True)
    assert (done.stdout.decode().startswith(f"{tmp_path}/.atop-timeline-"), list(tmp_path.iterdir())) == (True, [])


def test_a_worker_process_does_not_remove_it(tmp_path: Path) -> None:
    with TemporaryFolder(str(tmp_path)) as folder:
        child = os.fork()
        if not child:
            folder.remove()
            os._exit(0)
        os.waitpid(child, 0)
        assert folder.path.is_dir()
    assert list(tmp_path.iterdir()) == []
