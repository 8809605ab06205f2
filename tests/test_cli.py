"""The command, run as a user runs it; set UPDATE_GOLDEN=1 to write tests/golden anew."""

import argparse
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from atop_timeline import cli, plugins
from atop_timeline.cli import main
from atop_timeline.errors import EvidenceError
from atop_timeline.header import RAWHEADER_BYTES
from atop_timeline.rawlog import RawLog

GOLDEN = Path(__file__).parent / "golden"
TEST_DATA = Path(__file__).parents[1] / "test_data"
SERVER = str(TEST_DATA / "server.E01")
COMMAND = [sys.executable, "-m", "atop_timeline.cli"]

Lines = Callable[..., list[dict[str, object]]]
Done = subprocess.CompletedProcess[bytes]


def log(name: str) -> str:
    return str(TEST_DATA / "logs" / name / "atop_raw")


LOG, SMALL, TORN = log("2.8.1"), log("odd-1.26"), log("torn-append-2.8.1")


@pytest.fixture(name="stores", autouse=True)
def _stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command's temporary stores are."""
    stores = tmp_path / "stores"
    stores.mkdir()
    monkeypatch.setenv("TMPDIR", str(stores))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stores


def run(*arguments: str, cwd: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})) -> Done:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False
    )


def shell(script: str, *arguments: str) -> Done:
    """What bash makes of a script in which `"$@"` is the command with its arguments."""
    return subprocess.run(["/bin/bash", "-c", script, "bash", *COMMAND, *arguments], capture_output=True, check=False)


def status_of(*arguments: str) -> int:
    """The exit status, without the time that a process takes to start."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def golden(name: str, text: str) -> str:
    """What it should be."""
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    return (GOLDEN / name).read_text(encoding="utf-8")


def steady(text: str) -> str:
    """Without what differs between runs, or with every change of a format."""
    return re.sub(r"(elapsed +|SHA-256 +|, (?=[\d,]+ bytes$))\S+", r"\1...", text, flags=re.MULTILINE)


def test_help() -> None:
    done = run("--help")
    text = done.stdout.decode().replace("-o FILE, --output FILE", "-o, --output FILE")  # as Python 3.13 has it
    assert (done.returncode, done.stderr) == (0, b"")
    assert text == golden("help.txt", text)


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_nothing_heavy(argument: str) -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", *COMMAND[1:], argument], capture_output=True, check=True)
    imported = set(re.findall(r"\| +(\w+)", done.stderr.decode()))
    heavy = {"numpy", "duckdb", "dfvfs", "dfdatetime", "rich", "yaml", "dissect", "isal", "nanoarrow"}
    assert (imported & heavy, "argparse" in imported) == (set(), True)


def test_a_log_imports_nothing_of_images() -> None:
    arguments = ["-X", "importtime", *COMMAND[1:], LOG, "-q", "-o", os.devnull]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    imported = set(re.findall(r"\| +(\w+)", done.stderr.decode()))
    assert (imported & {"dfvfs", "rich", "flow", "pyewf", "pandas", "pyarrow"}, "duckdb" in imported) == (set(), True)


def test_version() -> None:
    assert re.fullmatch(rb"atop-timeline \d+\.\d+\.\d+\n", run("--version").stdout)


def test_the_command_that_is_installed() -> None:
    command = Path(sys.executable).with_name("atop-timeline")
    done = subprocess.run([command, "--version"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, run("--version").stdout)


def test_list_formats() -> None:
    done = run("--list-formats")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == golden("formats.txt", done.stdout.decode())


def test_the_main_job(tmp_path: Path) -> None:
    path, summary = tmp_path / "timeline.csv", tmp_path / "summary.json"
    done = run("server.E01", "-o", str(path), "--summary-json", str(summary), cwd=TEST_DATA)
    told = steady(done.stderr.decode().replace(f"{tmp_path}/", ""))
    assert (done.returncode, done.stdout) == (3, b"")
    assert told == golden("summary.txt", told)
    head = "".join(path.read_text().splitlines(keepends=True)[:4])
    assert head == golden("head.csv", head)
    whole = json.loads(summary.read_bytes())
    size, sha256 = whole["output"].pop("size"), whole["output"].pop("sha256")
    assert (size, sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    text = json.dumps(whole, indent=2).replace(f"{tmp_path}/", "") + "\n"
    assert text == golden("summary.json", text)


def test_json_of_the_summary_and_its_text_tell_the_same(tmp_path: Path) -> None:
    done = run(LOG, "-o", str(tmp_path / "timeline.csv"), "--summary-json", str(tmp_path / "summary.json"))
    summary = json.loads((tmp_path / "summary.json").read_bytes())
    assert summary["output"]["events"] == sum(summary["events"].values())
    events = ", ".join(f"{count:,} {name}" for name, count in summary["events"].items())
    assert f"events     {events}\n" in done.stderr.decode()
    assert f"SHA-256    {summary['output']['sha256']}\n" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        pytest.param([LOG], 0, "", id="done"),
        pytest.param(["{tmp}/missing"], 1, "no sample could be read", id="no such file"),
        pytest.param(["{tmp}/empty"], 1, "no atop log found; searched {tmp}/empty: folder", id="no log"),
        pytest.param([LOG, "-o", "{tmp}/missing/x"], 1, "{tmp}/missing/x: No such file or directory", id="no folder"),
        pytest.param([LOG, "-o", "{tmp}/empty"], 1, "{tmp}/empty: Is a directory", id="folder"),
        pytest.param([LOG, "-o", "n" * 300], 1, f"{'n' * 300}: File name too long", id="too long a name"),
        pytest.param([TORN], 3, "", id="damaged"),
        pytest.param([LOG, "{tmp}/missing"], 3, "", id="one of two"),
    ],
)
def test_exit_status(arguments: list[str], status: int, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run(*(each.format(tmp=tmp_path) for each in arguments), cwd=tmp_path)
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("atop-timeline:")]
    assert (done.returncode, errors) == (status, [f"atop-timeline: error: {told.format(tmp=tmp_path)}"] * bool(told))
    assert (tmp_path / "timeline.csv").exists() == (status != 1)


FORMATS = ", ".join(plugins.formatters())
TYPES = ", ".join([*plugins.parsers(), *(each.name for each in plugins.event_types())])
NO_TIME = "is no time such as 2026-11-23 or 2026-11-23T14:30:00"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name at least one SOURCE: a disk image, a collection, a folder or an atop log"),
        ([LOG, "--format", "xlsx"], f"--format xlsx: there are {FORMATS}"),
        ([LOG, "--only", "starts,stops"], f"--only starts,stops: there are {TYPES}"),
        ([LOG, "--parsers", "wtmp"], f"--parsers wtmp: there are {', '.join(plugins.parsers())}, all"),
        ([LOG, "--from", "yesterday"], f"argument --from: 'yesterday' {NO_TIME}"),
        ([LOG, "--to", "2026-02-30"], f"argument --to: '2026-02-30' {NO_TIME}"),
        ([LOG, "--nonsense"], "unrecognized arguments: --nonsense"),
        ([LOG, ""], "argument SOURCE: an empty name; . is the folder that you are in"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, errors = capsys.readouterr()
    assert (ended.value.code, out, [each.name for each in tmp_path.iterdir()]) == (2, "", ["stores"])
    usage = "usage: atop-timeline [OPTION ...] [SOURCE ...]"
    assert errors.splitlines() == [usage, f"atop-timeline: error: {told}"]


def test_too_little_memory_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> bool:
        raise MemoryError

    assert cli.status_of(argparse.ArgumentParser(prog="atop-timeline"), work) == cli.FAILED
    told = "this machine has not enough memory left; --jobs 1 takes the least"
    assert capsys.readouterr().err == f"atop-timeline: error: {told}\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--only", ","), ("--only", ""), ("--from", "0001-01-01T00:00+23:00"), ("--to", "9999-12-31")]
)
def test_odd_arguments_are_no_bug(option: str, value: str, tmp_path: Path) -> None:
    assert status_of(SMALL, "-q", "-o", str(tmp_path / "timeline.csv"), option, value) in {0, 2}


@pytest.fixture(name="lines")
def _lines(tmp_path: Path) -> Lines:
    """The events that the command writes as JSON lines, without the time that a process takes to start."""

    def written(*arguments: str) -> list[dict[str, object]]:
        path = tmp_path / "timeline.jsonl"
        assert main([LOG, "-q", "-o", str(path), *arguments]) == 0
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    return written


@pytest.mark.parametrize(
    ("arguments", "first", "last"),
    [
        pytest.param([], "30", "48", id="all"),
        pytest.param(["--from", "2026-11-23T03:56:34"], "34", "48", id="from its second on"),
        pytest.param(["--to", "2026-11-23T03:56:34"], "30", "34", id="to the end of its second"),
        pytest.param(["--from", "2026-11-23T03:56:34", "--to", "2026-11-23T03:56:34"], "34", "34", id="one second"),
        pytest.param(["--from", "2026-11-23T04:56:34+01:00"], "34", "48", id="zone"),
        pytest.param(["--from", "2026-11-22T22:56:34-05:00"], "34", "48", id="zone of another day"),
        pytest.param(["--to", "2026-11-23T03:56:34Z"], "30", "34", id="Zulu"),
        pytest.param(["--from", "2026-11-23", "--to", "2026-11-23"], "30", "48", id="a day"),
        pytest.param(["--from", "2026-11-24"], None, None, id="the next day"),
        pytest.param(["--to", "2026-11-22"], None, None, id="the day before"),
    ],
)
def test_from_and_to(arguments: list[str], first: str | None, last: str | None, lines: Lines) -> None:
    seconds = [str(each["datetime"])[17:19] for each in lines("--only", "observations", *arguments)]
    assert (min(seconds, default=None), max(seconds, default=None)) == (first, last)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], {"Start Time", "Update Time", "Sample Time", "Last Seen Time", "Exit Time", "End Time"}),
        (["--only", "starts"], {"Start Time"}),
        (["--only", "exits, starts"], {"Start Time", "Exit Time"}),
        (["--only", "observations"], {"Sample Time"}),
        (["--only", "threads"], {"Sample Time of a thread"}),
        (["--only", "exits", "--threads"], {"Exit Time", "Sample Time of a thread"}),
        (["--only", "process"], {"Start Time", "Update Time", "Sample Time", "Last Seen Time", "Exit Time"}),
        (["--only", "exits", "--threads", "--parsers", "all"], {"Exit Time", "Sample Time of a thread"}),
    ],
)
def test_only_and_threads(arguments: list[str], found: set[str], lines: Lines) -> None:
    threads = {True: "", False: " of a thread"}
    told = {f"{each['timestamp_desc']}{threads[bool(each.get('is_process', True))]}" for each in lines(*arguments)}
    assert told == found


@pytest.mark.parametrize(
    ("name", "arguments", "start"),
    [
        ("timeline.csv", [], b"datetime,timestamp_desc,message"),
        ("timeline.jsonl", [], b'{"datetime": "2026'),
        ("TIMELINE.JSONL", [], b'{"datetime": "2026'),
        ("timeline.l2tcsv", [], b"date,time,timezone,MACB,"),
        ("timeline.txt", [], b"datetime,timestamp_desc,message"),
        ("timeline", [], b"datetime,timestamp_desc,message"),
        ("timeline.csv", ["--format", "timesketch-jsonl"], b'{"datetime": "2026'),
    ],
)
def test_the_format_follows_the_suffix(
    name: str, arguments: list[str], start: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([SMALL, "-q", "-o", name, *arguments]) == 0
    assert (tmp_path / name).read_bytes()[: len(start)] == start


def test_raw_csv_is_a_format(tmp_path: Path) -> None:
    paths = [tmp_path / "option.csv", tmp_path / "format.csv"]
    for path, chosen in zip(paths, (["--raw-csv"], ["--format", "timesketch-raw"]), strict=True):
        assert main([SMALL, "-q", "-o", str(path), *chosen]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_standard_output_has_the_bytes_of_the_file(tmp_path: Path) -> None:
    run(SMALL, "-o", str(tmp_path / "timeline.jsonl"))
    done = run(SMALL, "-o", "-", "--format", "timesketch-jsonl")
    assert done.stdout == (tmp_path / "timeline.jsonl").read_bytes()
    assert done.stderr.decode().splitlines()[0].startswith("hosts      lab-1-26")


def test_each_run_gives_the_same_bytes() -> None:
    environments = ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"})
    first, second = (run(LOG, log("odd-2.13.0"), "-q", "-o", "-", environment=each) for each in environments)
    assert (first.stdout, first.stderr) == (second.stdout, second.stderr)
    assert len(first.stdout) > 500_000


def test_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "timeline.csv"
    path.write_bytes(b"old")
    assert (main([SMALL, "-q", "-o", str(path)]), path.read_bytes()) == (1, b"old")
    assert (main([SMALL, "-q", "-o", str(path), "--overwrite"]), path.read_bytes()[:9]) == (0, b"datetime,")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_evidence_is_never_written_to(overwrite: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "atop_20261123"
    copy.write_bytes(Path(SMALL).read_bytes())
    assert status_of(str(copy), "-o", str(copy), *overwrite) in {1, 2}
    assert copy.read_bytes() == Path(SMALL).read_bytes()


def test_timeline_and_summary_do_not_share_a_file(tmp_path: Path) -> None:
    both = str(tmp_path / "both")
    assert status_of(SMALL, "-o", both, "--summary-json", both, "--overwrite") in {1, 2}
    assert not Path(both).exists()


def test_quiet_tells_only_what_was_lost() -> None:
    assert run(SMALL, "-q", "-o", "-").stderr == b""
    told = run(TORN, "-q", "-o", "-").stderr.decode().splitlines()
    assert [each.partition(" ")[0] for each in told] == ["warning:"]


def test_verbose_tells_each_log() -> None:
    told = run(SMALL, TORN, "-v", "-o", "-").stderr.decode().splitlines()
    assert [each for each in told if each.startswith(("searched: ", "log: "))] == [
        f"searched: {SMALL}: atop log",
        f"searched: {TORN}: atop log",
        f"log: {SMALL}: lab-1-26, atop 1.26, 9 samples",
        f"log: {TORN}: lab-2-8-1, atop 2.8, 9 samples",
    ]


def test_several_sources(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "atop_1").write_bytes(Path(log("odd-1.26")).read_bytes())
    done = run(LOG, str(tmp_path / "folder"), log("debian-2.8.1-s390x"), LOG, "-o", "-")
    assert done.returncode == 0
    assert "hosts      lab-1-26, lab-bookworm-s390x, lab-guest\n" in done.stderr.decode()
    assert "logs       3 read\n" in done.stderr.decode()


def test_log_path(tmp_path: Path) -> None:
    for name, data in (("srv/recording", SMALL), ("opt/a.bin", log("odd-2.3.0"))):
        (tmp_path / "disk" / name).parent.mkdir(parents=True)
        (tmp_path / "disk" / name).write_bytes(Path(data).read_bytes())
    both, statuses, hosts = ("--log-path", "/srv/*", "--log-path", "/opt/*.bin"), [], []
    for number, options in enumerate(((), both[:2], both)):
        summary = tmp_path / f"summary{number}"
        output = ("-q", "-o", f"{summary}.csv", "--summary-json", str(summary))
        statuses.append(main([str(tmp_path / "disk"), *options, *output]))
        hosts.append(
            [each["hostname"] for each in json.loads(summary.read_bytes())["hosts"]] if summary.exists() else []
        )
    assert (statuses, hosts) == ([1, 0, 0], [[], ["lab-1-26"], ["lab-1-26", "lab-2-3-0"]])


def on_terminal(*arguments: str, **environment: str) -> str:
    """What the command writes to standard error where that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | environment
    )
    os.close(theirs)
    told = b""
    try:
        while data := os.read(ours, 1 << 16):
            told += data
    except OSError:  # Linux says so when the other side is closed
        pass
    process.wait()
    os.close(ours)
    return told.decode()


YELLOW = "\x1b[33m"


@pytest.mark.parametrize(
    ("arguments", "environment", "progress", "color"),
    [
        pytest.param([], {}, True, True, id="a terminal"),
        pytest.param(["--no-color"], {}, True, False, id="--no-color"),
        pytest.param([], {"NO_COLOR": "1"}, True, False, id="NO_COLOR"),
        pytest.param(["-q"], {}, False, True, id="-q"),
    ],
)
def test_a_terminal(arguments: Sequence[str], environment: dict[str, str], progress: bool, color: bool) -> None:  # noqa: FBT001  a table
    told = on_terminal(TORN, "-o", "-", *arguments, **environment)
    assert ("reading" in told, "writing" in told, f"{YELLOW}warning:" in told) == (progress, progress, color)


def test_no_terminal_no_progress() -> None:
    told = run(TORN, "-o", "-").stderr.decode()
    assert [each for each in ("reading", "writing", "\x1b", "\r") if each in told] == []


def test_names_from_evidence_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    (evidence / "atop_\x1b[2J\n\u202e").write_bytes(b"text\n")
    (evidence / "atop_1").write_bytes(Path(LOG).read_bytes())
    told = run(str(evidence), "-v", "-o", "-").stderr.decode()
    assert rf"{evidence} atop_\x1b[2J\x0a\u202e: named like an atop log" in told
    assert [each for each in ("\x1b", "\u202e") if each in told] == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param('"$@" | head -c 10 >&2', b"standard output was closed before all was written", id="closed early"),
        pytest.param('"$@" > /dev/full', b"-: No space left on device", id="full"),
        pytest.param('"$@" >&-', b"", id="closed from the start"),
    ],
)
def test_standard_output_that_fails(script: str, told: bytes, stores: Path) -> None:
    done = shell(f"set -o pipefail; {script}", SMALL, "-q", "-o", "-")
    assert (done.returncode, b"Traceback" in done.stderr, list(stores.iterdir())) == (1, False, [])
    assert b"atop-timeline: error: " + told in done.stderr


@pytest.mark.parametrize("kib", [64, 1000])
def test_no_room_on_disk(kib: int, tmp_path: Path, stores: Path) -> None:
    done = shell(f'ulimit -f {kib}; "$@"', log("debian-2.8.1-3boots"), "-o", str(tmp_path / "timeline.csv"))
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"atop-timeline: error: ")
    assert b"File too large" in done.stderr
    assert (list(stores.iterdir()), list(tmp_path.iterdir())) == ([], [stores])


@pytest.fixture(name="long_log", scope="module")
def _long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 925 samples: one over and over, each time some hours later."""
    data, path = Path(log("debian-2.8.1-3boots")).read_bytes(), tmp_path_factory.mktemp("long") / "atop_long"
    with Path(log("debian-2.8.1-3boots")).open("rb") as stream:
        read = RawLog(stream)
        places = [(each.offset, int(each.record["curtime"])) for each in read.samples()]
    with path.open("wb") as long:
        long.write(data[:RAWHEADER_BYTES])
        for turn in range(25):
            later = bytearray(data)
            for offset, curtime in places:
                later[offset : offset + 8] = np.int64(curtime + turn * 10_000).tobytes()
            long.write(later[RAWHEADER_BYTES:])
    return path


def interrupted(process: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGTERM) -> str:
    """What a process tells whose exit status is that of an interrupt."""
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130
    return told.decode()


def begun(phase: str, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process that has made a file, by a pattern, in a folder."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not list(folder.glob(phase)):
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("words", [["cli", LOG, "-o", "-"], ["hunting.cli", "first-last", LOG]], ids=["cli", "hunt"])
def test_interrupted_while_duckdb_is_loaded(words: Sequence[str]) -> None:
    command = [sys.executable, "-m", f"atop_timeline.{words[0]}", *words[1:]]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            loaded = Path(f"/proc/{process.pid}/maps")
            while process.poll() is None and "_duckdb" not in loaded.read_text():
                time.sleep(0.001)
            assert interrupted(process).endswith(": interrupted, nothing was written\n")


def test_interrupted_in_source_that_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("""
import argparse, os, signal, sys
from atop_timeline.cli import status_of
sys.exit(status_of(argparse.ArgumentParser(), lambda: exec("while True: os.kill(os.getpid(), signal.SIGTERM)")))
""")
    done = subprocess.run([sys.executable, "-m", "script"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"interrupted, nothing was written")) == (130, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("phase", "later"),
    [("out/.atop-timeline-*", 0.0), ("out/.atop-timeline-*", 0.4), ("out/.atop-timeline-*/unfinished", 0.1)],
    ids=["begun", "reading", "writing"],
)
def test_interrupted(phase: str, later: float, number: signal.Signals, long_log: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    process = begun(phase, tmp_path, str(long_log), "-o", str(tmp_path / "out" / "timeline.csv"))
    time.sleep(later)
    assert interrupted(process, number) == "atop-timeline: interrupted, nothing was written\n"
    assert (list((tmp_path / "out").iterdir()), list((tmp_path / "stores").iterdir())) == ([], [])


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_while_columns_are_written(jobs: str, long_log: Path, tmp_path: Path) -> None:
    arguments = (str(long_log), "--jobs", jobs, "-o", str(tmp_path / "timeline.parquet"))
    process = begun(".atop-timeline-*/whole.parquet", tmp_path, *arguments)
    time.sleep(0.1)
    assert interrupted(process) == "atop-timeline: interrupted, nothing was written\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "stores"]


def test_interrupted_when_the_output_is_whole(tmp_path: Path) -> None:
    pipe, output = tmp_path / "summary.json", tmp_path / "timeline.csv"
    os.mkfifo(pipe)  # it is opened when somebody reads it
    process = begun("timeline.csv", tmp_path, LOG, "-q", "-o", str(output), "--summary-json", str(pipe))
    assert interrupted(process) == f"atop-timeline: interrupted, {output} is whole\n"
    assert output.read_bytes() == run(LOG, "-q", "-o", "-").stdout


def test_interrupted_where_part_of_it_is_already_read(long_log: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, str(long_log), "-q", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.read(1)
    assert interrupted(process) == "atop-timeline: interrupted, standard output has not got all\n"


class Interrupting:
    """Interrupts when it is removed, where no error can be raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)  # SIGINT is ignored in the background


def lasting() -> bool:
    Interrupting()
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        pass
    return True


def failing() -> bool:
    Interrupting()
    raise EvidenceError("image.E01: unable to read from handle")


@pytest.fixture(name="_signals")
def _restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("work", [lasting, failing])
def test_an_interrupt_is_not_lost(work: Callable[[], bool], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(argparse.ArgumentParser("atop-timeline"), work) == 130
    assert capsys.readouterr().err == "atop-timeline: interrupted, nothing was written\n"
