"""Logs read by a real Dask cluster on this machine: the same bytes, whatever happens to it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import pytest

from tests.rawlogs import LOGS, raw
from tests.test_cli import COMMAND, run, status_of
from tests.test_workers import ONLY, long_logs

distributed = pytest.importorskip("distributed")

VERSIONS = ("1.26", "2.3.0", "torn-append-2.8.1", "2.13.0", "debian-2.8.1-s390x")
QUICK = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
DASK = [sys.executable, "-m", "dask"]


@dataclass
class Cluster:
    """A scheduler and workers that have a thread each; `folder` is where they put what they have."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(json.loads((self.folder / "scheduler.json").read_bytes())["address"])

    def grow(self, environment: Mapping[str, str] = MappingProxyType({}), start: Sequence[str] = DASK) -> None:
        """Starts another worker, and waits for it."""
        number = len(self.workers) + 1
        place = ["--local-directory", str(self.folder / f"{number}")]
        options = [self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", *QUICK, *place]
        self.workers.append(begun([*start, "worker", *options], self.folder / f"{number}.txt", environment))
        while self.workers[-1].poll() is None and b"Registered to" not in (self.folder / f"{number}.txt").read_bytes():
            time.sleep(0.02)

    def kill(self, *victims: subprocess.Popen[bytes]) -> None:
        """Ends some of it, at once."""
        for each in victims:
            each.kill()
            each.wait()


def begun(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        environment = {**os.environ, **environment}
        return subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent, env=environment)


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A cluster of so many workers."""
    folder.mkdir()
    command = [*DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", *QUICK]
    scheduler = begun([*command, "--scheduler-file", str(folder / "scheduler.json")], folder / "0.txt", {})
    made, written = Cluster(folder, scheduler), folder / "scheduler.json"
    try:
        while scheduler.poll() is None and not (written.exists() and written.read_bytes().endswith(b"}")):
            time.sleep(0.02)
        for _ in range(workers):
            made.grow()
        yield made
    finally:
        made.kill(*made.workers, scheduler)


@pytest.fixture(name="two", scope="module")
def _two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("two") / "cluster", 2) as made:
        yield made


def outcome(evidence: Sequence[str], out: Path, *options: str) -> tuple[int, list[str], bytes]:
    """Exit status, what is told, and the timeline."""
    done = run(*evidence, "-o", str(out), *options)
    told = [line for line in done.stderr.decode().splitlines() if not line.startswith(("elapsed", "output"))]
    return done.returncode, told, out.read_bytes()


def test_a_cluster_gives_the_same(two: Cluster, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "case.tar.gz", "w:gz") as archive:
        archive.add(LOGS / "2.8.1" / "atop_raw", "var/log/atop/atop_20261123")
    logs = [str(LOGS / name / "atop_raw") for name in VERSIONS]
    evidence = [str(tmp_path / "case.tar.gz"), str(LOGS.parent / "server.E01"), *logs, "--parsers", "all", "-v"]
    here = outcome(evidence, tmp_path / "here.csv", "--jobs", "1")
    assert outcome(evidence, tmp_path / "there.csv", "--cluster", two.address) == here
    assert here[0] == 3


def test_what_workers_do_not_see_is_read_here(two: Cluster, tmp_path: Path) -> None:
    """A log on standard input is on this machine alone, and the cluster is not asked for it."""
    command = [*COMMAND, "-", str(LOGS / "2.3.0" / "atop_raw"), "--cluster", two.address, "-o"]
    done = subprocess.run([*command, str(tmp_path / "a.csv")], input=raw("2.8.1"), capture_output=True, check=True)
    notes = [line for line in done.stderr.decode().splitlines() if line.startswith("note: ")]
    assert notes == ["note: logs read here, as the cluster did not give them: 1"]


@pytest.fixture(name="long", scope="module")
def _long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Logs that take a while, and their timeline as it is made here."""
    folder = long_logs(tmp_path_factory.mktemp("long"))
    return folder, outcome([str(folder)], folder.parent / "here.csv", *ONLY, "--jobs", "1")[-1]


def working(made: Cluster, evidence: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command on its way, when a worker has a task, and another one has been done."""
    command = [*COMMAND, str(evidence), "-o", str(out), "--cluster", made.address, *ONLY]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    with distributed.Client(made.address, set_as_default=False) as client:
        while process.poll() is None and not (any(client.processing().values()) and any(client.has_what().values())):
            time.sleep(0.002)
    return process


Victims: TypeAlias = Callable[[Cluster], list["subprocess.Popen[bytes]"]]


@pytest.mark.parametrize(
    ("victims", "are_lost"),
    [
        pytest.param(lambda made: made.workers[:1], False, id="a worker"),
        pytest.param(lambda made: made.workers, True, id="all workers"),
        pytest.param(lambda made: [*made.workers, made.scheduler], True, id="everybody"),
    ],
)
def test_who_is_lost_costs_nothing_but_time(
    victims: Victims,
    are_lost: bool,  # noqa: FBT001  a table
    long: tuple[Path, bytes],
    tmp_path: Path,
) -> None:
    with cluster(tmp_path / "cluster", 2) as made:
        process = working(made, long[0], tmp_path / "there.csv")
        made.kill(*victims(made))
        told = process.communicate(timeout=50)[1].decode()
    assert (process.returncode, (tmp_path / "there.csv").read_bytes() == long[1]) == (0, True)
    assert ("note: logs read here" in told, "Traceback" in told, "distributed" in told) == (are_lost, False, False)


def test_interrupted(two: Cluster, long: tuple[Path, bytes], tmp_path: Path) -> None:
    process = working(two, long[0], tmp_path / "there.csv")
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)[1]
    assert (process.returncode, told) == (130, b"atop-timeline: interrupted, nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def refused(address: str, environment: Mapping[str, str] = MappingProxyType({})) -> tuple[int, str]:
    """Exit status and error."""
    done = run(str(LOGS / "2.8.1" / "atop_raw"), "-o", "-", "--cluster", address, environment=environment)
    assert done.stdout == b""
    return done.returncode, done.stderr.decode().splitlines()[-1].removeprefix("atop-timeline: error: ")


@pytest.mark.parametrize("address", ["10.0.0.1", "http://10.0.0.1:8786", "tcp://:8786", "tcp://10.0.0.1:port", ""])
def test_what_is_no_address(address: str) -> None:
    assert refused(address) == (2, f"--cluster {address}: no address such as tcp://10.0.0.1:8786")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("atop_timeline.cluster._PATIENCE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    status = status_of(str(LOGS / "2.8.1" / "atop_raw"), "-o", "-", "--cluster", address)
    told = f"{address}: no Dask scheduler answers: Timed out trying to connect to {address} after 1 s"
    assert (status, capsys.readouterr()) == (1, ("", f"atop-timeline: error: {told}\n"))


def test_no_workers(tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster", 0) as made:
        assert refused(made.address) == (1, f"{made.address}: no workers; dask worker {made.address} starts one")


def test_no_certificates(two: Cluster) -> None:
    address = two.address.replace("tcp", "tls")
    assert refused(address) == (2, f"--cluster {address}: Dask's configuration names no certificates")


def test_dask_is_not_installed(two: Cluster, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError('No module named distributed')")
    status, told = refused(two.address, {"PYTHONPATH": str(tmp_path)})
    advice = "--cluster: pip install 'atop-timeline[cluster]' adds it (No module named distributed)"
    assert (status, told) == (2, advice)


def test_another_version(tmp_path: Path) -> None:
    other = tmp_path / "other" / "atop_timeline-99.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: atop-timeline\nVersion: 99\n")
    with cluster(tmp_path / "cluster", 1) as made:
        made.grow({"PYTHONPATH": str(other.parent)})
        status, told = refused(made.address)
    assert status == 1
    assert re.fullmatch(
        rf"{made.address}: the worker \S+ has atop-timeline 99, here is {version('atop-timeline')}", told
    )


def test_a_worker_without_us(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "atop" not in package.name:
            (tmp_path / "packages" / package.name).symlink_to(package)
    with cluster(tmp_path / "cluster", 0) as made:
        made.grow({"PYTHONPATH": str(tmp_path / "packages")}, [sys.executable, "-S", *DASK[1:]])
        status, told = refused(made.address)
    assert status == 1
    assert re.fullmatch(rf"{made.address}: the worker \S+ has no atop-timeline", told)
