"""Who takes part in tests/benchmarks/speed.py, and the logs that they get.

Imports nothing that is large, lest its memory be counted to the peers: logs are written and read by other processes.
"""

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "test_data" / "logs"
FROM_PIP = ("atoparser", "dissect.target")


class Log(NamedTuple):
    """A raw log, the version of atop that wrote it, and how much is in it."""

    path: Path
    release: str
    bytes: int
    samples: int
    tasks: int


class Tool(NamedTuple):
    """A program, and its command for some logs and an output, in a folder of its own.

    It reads logs of these releases, all if there are none; of `like`, in test_data, is one of them. A slow one takes
    minutes for a million tasks.
    """

    name: str
    command: Callable[[list[Path], Path], list[str]]
    releases: frozenset[str] = frozenset()
    like: str = ""
    is_slow: bool = False


def log_at(path: Path) -> Log:
    """What a log is."""
    return Log(path, **json.loads(_module("converted", path)))


def grown(path: Path, samples: int, first: int = 0) -> Log:
    """A new log of so many samples, that goes on where one of `first` samples ended."""
    _module("grown", LOGS / "2.8.1" / "atop_raw", path, "--samples", samples, "--first", first)
    return log_at(path)


def as_read_by(tool: Tool, log: Log, folder: Path) -> Log:
    """A log, or the same tasks as one of a version that a tool reads, in a folder for these."""
    if not tool.releases or log.release in tool.releases:
        return log
    path = folder / tool.like
    if not path.exists():
        _module("converted", log.path, path, LOGS / tool.like / "atop_raw")
    return log._replace(path=path)


def _module(name: str, *arguments: object) -> bytes:
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def install(folder: Path) -> str:
    """A new folder of programs, with the peers that pip knows."""
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", *FROM_PIP], check=True, stdout=subprocess.DEVNULL)
    return str(folder / "bin")


def peers(path: str) -> Iterator[Tool]:
    """Those that are on a path, and have a log in test_data that they read."""
    for program, tool_of in (("atop", _atop), ("atoparser", _atoparser), ("target-query", _dissect)):
        found = shutil.which(program, path=path)
        tool = tool_of(Path(found)) if found else None
        if tool and (LOGS / tool.like / "atop_raw").exists():
            yield tool


def _atop(program: Path) -> Tool:
    """It reads what its own version wrote."""
    found = re.search(r"Version: (\d+\.\d+)([.\d]*)", _printed(program, "-V"))
    release, patch = found.groups() if found else ("", "")

    def command(logs: list[Path], _: Path) -> list[str]:
        return [str(program), "-r", str(logs[0]), "-P", "PRG,PRC,PRM,PRD"]

    return Tool(f"atop {release}{patch} `-P PRG,PRC,PRM,PRD` (C)", command, frozenset([release]), release + patch)


def _atoparser(program: Path) -> Tool:
    def command(logs: list[Path], _: Path) -> list[str]:
        return [str(program), "--tstats", str(logs[0])]

    releases = frozenset(["1.26", *(f"2.{minor}" for minor in range(3, 13))])
    return Tool(f"{_named(program, 'atoparser')} `--tstats` (JSON)", command, releases, "2.12.1", is_slow=True)


def _dissect(program: Path) -> Tool:
    """It reads logs as part of a machine's files; rdump would guess from the first bytes what it gets."""

    def command(logs: list[Path], output: Path) -> list[str]:
        home = output.with_name("machine") / "var" / "log" / "atop"
        home.mkdir(parents=True)
        (home.parents[2] / "etc").mkdir()
        shutil.copy(logs[0], home / "atop_20261123")
        pipe = '"$0" -q -f atop "$1" | "$2" -m csv stream:///dev/stdin'
        return ["sh", "-c", pipe, str(program), str(home.parents[2]), str(program.with_name("rdump"))]

    name = f"{_named(program, 'dissect.target')} `-f atop`, `rdump` to CSV"
    return Tool(name, command, frozenset(["2.6", "2.7"]), "2.7.1", is_slow=True)


def _named(program: Path, distribution: str) -> str:
    """With the version that is beside a program."""
    python = program.with_name("python")
    asked = f"from importlib.metadata import version; print(version({distribution!r}))"
    return f"{distribution} {_printed(python, '-c', asked)}" if python.exists() else distribution


def ours(path: str, name: str, suffix: str, jobs: int) -> Tool | None:
    """Our own command for a format; None where it would have to do several jobs, and does not know how."""
    program = shutil.which("atop-timeline", path=path) or sys.exit("atop-timeline is not installed")
    has_jobs = "--jobs" in _printed(Path(program), "--help")

    def command(logs: list[Path], output: Path) -> list[str]:
        asked = ["--jobs", str(jobs)] if has_jobs else []
        written = str(output.with_suffix(f".{suffix}"))
        return [program, "-q", "--overwrite", *asked, "-o", written, *map(str, logs)]

    called = f"atop-timeline, {name}" + (f", `--jobs {jobs}`" if has_jobs else "")
    return Tool(called, command) if has_jobs or jobs == 1 else None


def _printed(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True).stdout.strip()
