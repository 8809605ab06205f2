"""Logs read by other processes of this machine: the same bytes, and nothing left of them however it ends."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from atop_timeline import workers
from atop_timeline.errors import EvidenceError
from atop_timeline.evidence import open_evidence
from atop_timeline.extraction import extract
from atop_timeline.store import Room
from atop_timeline.summary import summarize
from atop_timeline.workers import Task, Workers, do, local, ready
from tests.benchmarks.grown import Growth, write
from tests.benchmarks.patterns import Pattern
from tests.rawlogs import LOGS, NAMES, raw
from tests.servers import PACK
from tests.test_cli import COMMAND, run
from tests.timelines import written

SERVER = LOGS.parent / "server.E01"

ONLY = ["--only", "starts,exits"]  # less to write

Outcome: TypeAlias = tuple[bytes, dict[str, Any]]


@pytest.fixture(name="evidence", scope="module")
def _evidence(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All versions, damaged logs, compressed ones, an image, a tar, and what is no log."""
    folder = tmp_path_factory.mktemp("evidence")
    logs = [LOGS / name / "atop_raw" for name in NAMES]
    for kind, pack in PACK.items():
        (folder / f"atop_1.{kind}").write_bytes(pack(logs[0].read_bytes()))
    (folder / "atop_2").write_bytes(logs[1].read_bytes()[:400])
    with tarfile.open(folder / "case.tar.gz", "w:gz") as archive:
        archive.add(logs[2], "var/log/atop/atop_20261123")
    return [str(folder), str(folder / "case.tar.gz"), str(SERVER), str(folder / "missing"), *map(str, logs)]


def outcome(evidence: list[str], given: Workers | None) -> Outcome:
    """The timeline as CSV, and the summary."""
    timeline, report = extract(evidence, workers=given, only=["process", "recording", "system", "cgroup"])
    with timeline:
        return written(timeline, "timesketch"), summarize(report, timeline, {})


@pytest.fixture(name="here", scope="module")
def _here(evidence: list[str]) -> Outcome:
    return outcome(evidence, None)


@pytest.fixture(name="eager")
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are used for small logs as well."""
    monkeypatch.setattr(workers, "_LEAST_BYTES", 0)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("begun", [lambda room: nullcontext(local(room)), ready], ids=["new", "copied"])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_any_number_of_processes_gives_the_same(
    jobs: int, begun: Callable[[Room], AbstractContextManager[Workers | None]], evidence: list[str], here: Outcome
) -> None:
    with begun(Room(2_000_000_000, jobs=jobs)) as given:
        assert outcome(evidence, given) == here
        assert (given.left if given else None) == (None if jobs == 1 else 1)


class Unreliable(Executor):
    """Refuses every third task, forgets every other third, and does the rest at once."""

    def __init__(self) -> None:
        self.asked = 0

    def submit(self, function: Callable[..., Any], /, *arguments: object, **_: object) -> Future[Any]:  # noqa: D102
        self.asked += 1
        if not self.asked % 3:
            raise RuntimeError("refused")
        future: Future[Any] = Future()
        if self.asked % 3 == 1:
            future.set_exception(MemoryError())
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("start", [partial(ThreadPoolExecutor, 3), Unreliable], ids=["threads", "unreliable"])
def test_any_executor_works_in_its_place(start: Callable[[], Executor], evidence: list[str], here: Outcome) -> None:
    assert outcome(evidence, Workers(start, ahead=2)) == here


def test_what_is_too_much_for_memory_is_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MOST_PACKED_BYTES", 30_000)
    evidence = [str(LOGS / name / "atop_raw") for name in ("1.26", "odd-2.8.1", "2.8.1")]
    given = Workers(partial(ThreadPoolExecutor, 1), ahead=1)
    assert outcome(evidence, given) == outcome(evidence, None)
    assert given.left == 1


@pytest.mark.usefixtures("eager")
def test_large_samples_are_read_while_nobody_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BLOCK_BYTES", 150_000)
    evidence = [str(LOGS / name / "atop_raw") for name in ("1.26", "2.8.1", "2.13.0", "2.11.1", "2.6.0")]
    at_work, seen = list[Executor](), list[tuple[str, bool]]()

    @contextmanager
    def start() -> Iterator[Executor]:
        with ThreadPoolExecutor(2) as executor:
            at_work.append(executor)
            yield executor
        at_work.clear()

    given = Workers(start, ahead=1, are_here=True)
    timeline, report = extract(
        evidence,
        workers=given,
        only=["process", "recording", "system", "cgroup"],
        progress=lambda step: seen.append((Path(step.log.evidence).parent.name, bool(at_work))),
    )
    with timeline:
        assert (written(timeline, "timesketch"), summarize(report, timeline, {})) == outcome(evidence, None)
    assert list(dict.fromkeys(seen)) == [
        ("1.26", True),
        ("2.8.1", False),
        ("2.13.0", True),
        ("2.11.1", False),
        ("2.6.0", True),
    ]
    assert given.left == 2


@pytest.mark.parametrize("name", ["missing", "no log"])
def test_a_log_that_cannot_be_read_leaves_no_file(name: str, tmp_path: Path) -> None:
    copy, folder = tmp_path / "atop_1", tmp_path / "files"
    copy.write_bytes(raw("2.8.1"))
    folder.mkdir()
    (file,) = open_evidence([str(copy)])[0].logs()
    copy.unlink() if name == "missing" else copy.write_bytes(bytes(1000))
    with pytest.raises(EvidenceError):
        do(Task(file, ("process",), frozenset({"starts"})), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("memory", "jobs", "ahead"),
    [
        (600_000_000, 1, None),
        (600_000_000, 2, 4),
        (600_000_000, 16, 4),
        (500_000_000, 1, None),
        (500_000_000, 2, 2),
        (10**10, 16, 32),
    ],
)
def test_there_are_as_many_as_there_is_room_for(memory: int, jobs: int, ahead: int | None) -> None:
    given = local(Room(memory, jobs=jobs))
    assert (given.ahead if given else None) == ahead


@pytest.mark.parametrize("names", [["2.8.1"], ["2.8.1", "2.13.0"]], ids=["one log", "small logs"])
def test_what_takes_no_time_starts_no_process(names: list[str]) -> None:
    given = local(Room(jobs=2))
    assert given
    evidence = [str(LOGS / name / "atop_raw") for name in names]
    assert outcome(evidence, replace(given, start=pytest.fail)) == outcome(evidence, None)


def test_who_is_not_needed_ends() -> None:
    at_work = list[int]()
    with ready(Room(jobs=2)) as given:
        count = len(multiprocessing.active_children())
        extraction = extract(
            [str(LOGS / "2.8.1" / "atop_raw")],
            workers=given,
            progress=lambda _: at_work.append(len(multiprocessing.active_children())),
        )
        extraction.timeline.close()
    assert (count, {*at_work}) == (2, {0})


@pytest.fixture(name="long", scope="module", params=[(8, 40), (1, 400)], ids=["several logs", "a log that is shared"])
def _long(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_logs(tmp_path_factory.mktemp("long"), *request.param)


def long_logs(folder: Path, count: int = 8, samples: int = 40) -> Path:
    """In a folder, logs that take a while, one like the other."""
    with (folder / "atop_00").open("wb") as stream:
        write(Pattern(raw("2.8.1")), Growth(samples), stream)
    for number in range(1, count):
        shutil.copy(folder / "atop_00", folder / f"atop_{number:02}")
    return folder


def begun(evidence: Path, out: Path, *, is_reading: bool = True) -> subprocess.Popen[bytes]:
    """The command as a session of its own, when it has begun a process, or that reads."""
    command = [*COMMAND, str(evidence), "-q", "-o", str(out / "timeline.csv"), "--jobs", "2", *ONLY]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while process.poll() is None and not (list(out.glob("*/tmp*")) if is_reading else readers(process)):
        time.sleep(0.005)
    return process


def members(process: subprocess.Popen[bytes]) -> dict[int, str]:
    """The processes of its session that live, and their commands."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == process.pid and state != "Z":
                found[int(path.name)] = (path / "cmdline").read_text()
    return found


def readers(process: subprocess.Popen[bytes]) -> list[int]:
    others = {pid: command for pid, command in members(process).items() if pid != process.pid}
    return [pid for pid, command in others.items() if "resource_tracker" not in command]


def test_a_process_that_is_killed_costs_nothing_but_time(long: Path, tmp_path: Path) -> None:
    process = begun(long, tmp_path)
    os.kill(readers(process)[0], signal.SIGKILL)
    assert (process.communicate()[1], process.returncode, until_alone(process)) == (b"", 0, {})
    done = run(str(long), "-q", "-o", str(tmp_path / "here.csv"), "--jobs", "1", *ONLY)
    assert (done.returncode, {each.name for each in tmp_path.iterdir()}) == (0, {"here.csv", "timeline.csv"})
    assert (tmp_path / "timeline.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_where_no_process_can_start_one_is_enough(long: Path, tmp_path: Path) -> None:
    bare = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*bare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root mounts, and not everywhere")
    arguments = [str(long), "-q", "--overwrite", "-o", str(tmp_path / "timeline.csv"), *ONLY]
    made = list[bytes]()
    for before, jobs in ((bare, "2"), ([], "1")):
        done = subprocess.run([*before, *COMMAND, *arguments, "--jobs", jobs], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        made.append((tmp_path / "timeline.csv").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("is_reading", [False, True], ids=["as a process begins", "while they read"])
@pytest.mark.parametrize(
    "interrupt",
    [
        pytest.param(lambda pid: os.killpg(pid, signal.SIGINT), id="by the terminal"),
        pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), id="by kill"),
        pytest.param(lambda pid: os.killpg(pid, signal.SIGHUP), id="by a lost terminal"),
    ],
)
def test_interrupted(interrupt: Callable[[int], None], is_reading: bool, long: Path, tmp_path: Path) -> None:  # noqa: FBT001  a table
    process = begun(long, tmp_path, is_reading=is_reading)
    interrupt(process.pid)
    told = process.communicate(timeout=20)[1].decode()
    assert (process.returncode, told) == (130, "atop-timeline: interrupted, nothing was written\n")
    assert (until_alone(process), list(tmp_path.iterdir())) == ({}, [])


def test_processes_end_with_the_one_that_began_them(long: Path, tmp_path: Path) -> None:
    process = begun(long, tmp_path)
    process.kill()
    process.communicate()
    assert until_alone(process) == {}


def until_alone(process: subprocess.Popen[bytes]) -> dict[int, str]:
    """Who of its session lives, though it was given time to end."""
    end = time.monotonic() + 20
    while members(process) and time.monotonic() < end:
        time.sleep(0.02)
    return members(process)
