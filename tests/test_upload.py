"""Timelines uploaded to a real Timesketch, with a stand-in for OpenSearch, and read back."""

import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from timesketch_api_client.client import TimesketchApi
from timesketch_api_client.config import ConfigAssistant
from timesketch_api_client.credentials import TimesketchPwdCredentials
from timesketch_api_client.crypto import CredentialStorage
from timesketch_api_client.search import Search
from timesketch_api_client.sketch import Sketch

from tests import timesketch_server
from tests.readme import commands
from tests.test_cli import COMMAND, SMALL
from tests.test_importer import microseconds
from tests.test_timesketch import SERVER, SOURCES
from tests.timelines import written
from tests.timesketch_server import PASSWORD, USER, Timesketch

Event: TypeAlias = dict[str, Any]
Done: TypeAlias = subprocess.CompletedProcess[str]

LOGIN = {"TIMESKETCH_USER": USER, "TIMESKETCH_PASSWORD": PASSWORD}


@pytest.fixture(name="timesketch", scope="module")
def _timesketch(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timesketch]:
    prefix = timesketch_server.installed(pytestconfig.cache.mkdir("timesketch"))
    with timesketch_server.running(prefix, tmp_path_factory.mktemp("timesketch")) as server:
        yield server


@pytest.fixture(name="api", scope="module")
def _api(timesketch: Timesketch) -> TimesketchApi:
    return TimesketchApi(timesketch.url, USER, PASSWORD)


@pytest.fixture(name="sketch")
def _sketch(api: TimesketchApi) -> Sketch:
    return api.create_sketch("case")


def run(*arguments: object, home: Path, environment: Event = LOGIN) -> Done:
    env = {name: text for name, text in os.environ.items() if name not in LOGIN} | {"HOME": str(home)} | environment
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=home, env=env, text=True, capture_output=True, check=False
    )


def timelines(sketch: Sketch) -> list[Any]:
    """What a sketch has now; the client would keep what it had."""
    sketch.lazyload_data(refresh_cache=True)
    return list(sketch.list_timelines())


def indexed(timesketch: Timesketch, sketch: Sketch) -> dict[str, list[Event]]:
    """What the index has of each timeline of a sketch, without its number there."""
    names = {each.id: each.name for each in timelines(sketch)}
    events: dict[str, list[Event]] = {name: [] for name in names.values()}
    for index in timesketch.opensearch.indices.values():
        for each in index.documents:
            if each["__ts_timeline_id"] in names:
                events[names[each["__ts_timeline_id"]]].append(
                    {name: value for name, value in each.items() if name != "__ts_timeline_id"}
                )
    return events


def expected(lines: str) -> list[Event]:
    events = [json.loads(line) for line in lines.splitlines()]
    return [each | {"datetime": each["timestamp"]} for each in events]


def arrived(events: list[Event]) -> list[Event]:
    return [each | {"datetime": microseconds(each["datetime"])} for each in events]


def test_every_event_of_a_server_is_indexed_and_read_back(
    timesketch: Timesketch, sketch: Sketch, tmp_path: Path
) -> None:
    output, summary = tmp_path / "case.jsonl", tmp_path / "summary.json"
    where = ("--timesketch", timesketch.url, "--sketch", sketch.id)
    done = run(SERVER, "-o", output, "--summary-json", summary, *where, home=tmp_path)
    assert done.returncode == 3, done.stderr  # a log in it is torn
    events = expected(output.read_text())
    assert arrived(indexed(timesketch, sketch)["server.E01"]) == events
    assert json.loads(summary.read_text())["timesketch"] == {
        "url": timesketch.url,
        "sketch": sketch.id,
        "timeline": "server.E01",
        "timeline_id": timelines(sketch)[0].id,
        "events": len(events),
    }
    search = Search(sketch)
    search.query_string, search.return_fields, search.max_entries = "*", "message,timestamp", 1_000_000
    found = search.to_pandas()
    assert list(zip(found["timestamp"], found["message"], strict=True)) == [
        (each["timestamp"], each["message"]) for each in events
    ]


def importer(timesketch: Timesketch, sketch: Sketch, file: str, home: Path) -> None:
    """The import client's own command, and what it does not wait for."""
    command = [
        *(str(Path(sysconfig.get_path("scripts"), "timesketch_importer")), "--host", timesketch.url),
        *("--username", USER, "--password", PASSWORD, "--sketch_id", str(sketch.id)),
        *("--timeline_name", file, "--quick", file),
    ]
    subprocess.run(command, cwd=home, env={**os.environ, "HOME": str(home)}, check=True)
    end = time.monotonic() + 60
    [timeline] = [each for each in timelines(sketch) if each.name == file]
    while timeline.status != "ready":
        assert time.monotonic() < end, timeline.status
        time.sleep(0.1)


def test_every_trap_is_indexed(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    with SOURCES["hostile"]() as timeline:
        lines = written(timeline, "timesketch-jsonl")
    (tmp_path / "hostile.jsonl").write_bytes(lines)
    importer(timesketch, sketch, "hostile.jsonl", tmp_path)
    assert arrived(indexed(timesketch, sketch)["hostile.jsonl"]) == expected(lines.decode())


def test_a_timeline_joins_those_of_a_sketch(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    """Also where another tool's has numbers for names, and names for numbers."""
    other = "message,datetime,timestamp_desc,username,pid\nlogged in,2026-11-23T04:00:00+00:00,Logged Time,1000,a\n"
    (tmp_path / "other.csv").write_text(other)
    importer(timesketch, sketch, "other.csv", tmp_path)
    where = ("--timesketch", timesketch.url, "--sketch", sketch.id, "--timeline-name", "web1")
    done = run(SMALL, *where, home=tmp_path)
    assert done.returncode == 0, done.stderr
    run(SMALL, "-o", "small.jsonl", home=tmp_path, environment={})
    events = indexed(timesketch, sketch)
    assert arrived(events["web1"]) == expected((tmp_path / "small.jsonl").read_text())
    assert [each["message"] for each in events["other.csv"]] == ["logged in"]


def test_the_commands_of_the_readme(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    save_settings(timesketch, tmp_path)
    run(SMALL, "-o", "web3.jsonl", home=tmp_path, environment={})
    for name in ("web1.E01", "web2.E01"):
        (tmp_path / name).symlink_to(SMALL)
    _, _, *lines = commands("timesketch").splitlines()  # the first ones install, and ask for a password
    assert [each.split()[0] for each in lines] == ["atop-timeline", "atop-timeline", "timesketch_importer"]
    here = "\n".join(lines).replace("https://timesketch.example.org", timesketch.url).replace(" 7 ", f" {sketch.id} ")
    environment = os.environ | LOGIN | {"HOME": str(tmp_path)}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", here], cwd=tmp_path, env=environment, check=True, capture_output=True)
    events = {name: len(each) for name, each in indexed(timesketch, sketch).items()}
    assert events == dict.fromkeys(("web1.E01", "web2", "web3"), len(expected((tmp_path / "web3.jsonl").read_text())))
    assert len((tmp_path / "web2.jsonl").read_text().splitlines()) == events["web2"]


def test_nothing_stays_without_an_output(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    done = run(SMALL, "--timesketch", timesketch.url, "--sketch", sketch.id, "--temp-dir", ".", home=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (0, []), done.stderr


def save_settings(timesketch: Timesketch, home: Path) -> None:
    """What the client keeps of a server and a user in their home."""
    assistant = ConfigAssistant()
    token = str(home / "token")
    settings = {"host_uri": timesketch.url, "username": USER, "auth_mode": "userpass", "token_file_path": token}
    assistant.load_config_dict(settings)
    credentials = TimesketchPwdCredentials()
    credentials.credential = {"username": USER, "password": PASSWORD}
    CredentialStorage(file_path=token).save_credentials(credentials, config_assistant=assistant)
    assistant.save_config(str(home / ".timesketchrc"), token_file_path=token)


def test_settings_of_the_client_log_in(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    save_settings(timesketch, tmp_path)
    done = run(SMALL, "--timesketch", timesketch.url, "--sketch", sketch.id, home=tmp_path, environment={})
    assert (done.returncode, list(indexed(timesketch, sketch))) == (0, ["atop_raw"]), done.stderr


def test_what_the_index_refuses_is_told(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    where = ("--timesketch", timesketch.url, "--sketch", sketch.id)
    before = set(timesketch.opensearch.indices)
    assert run(SMALL, *where, home=tmp_path).returncode == 0
    [own] = set(timesketch.opensearch.indices) - before
    timesketch.opensearch.indices[own].types["command_line"] = "long"
    done = run(SMALL, *where, "--timeline-name", "again", home=tmp_path)
    assert done.returncode == 1
    assert "mapper_parsing_exception" in done.stderr.splitlines()[-1]
    assert f"warning: the timeline again in sketch {sketch.id} is incomplete: delete it there" in done.stderr


def test_an_interrupted_upload_is_told(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    before = set(timesketch.opensearch.indices)
    where = ("--timesketch", timesketch.url, "--sketch", str(sketch.id), "--temp-dir", ".")
    process = subprocess.Popen(
        [*COMMAND, str(SERVER), *where], cwd=tmp_path, env={**os.environ, **LOGIN}, stderr=subprocess.PIPE
    )
    while process.poll() is None and not set(timesketch.opensearch.indices) - before:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    *_, warning, told = process.communicate()[1].decode().splitlines()
    assert (process.returncode, told) == (130, "atop-timeline: interrupted, the upload was not finished")
    place = f"the timeline server.E01 in sketch {sketch.id}"
    assert warning in {
        f"warning: {place} {state} incomplete: delete it there" for state in ("is", "may be there, and is")
    }
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_upload_is_told(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    where = ("--timesketch", timesketch.url, "--sketch", sketch.id, "--to", "1999-01-01")
    done = run(SMALL, *where, home=tmp_path)
    told = "atop-timeline: error: there are no events to upload"
    assert (done.returncode, done.stderr.splitlines()[-1], sketch.list_timelines()) == (1, told, [])
    assert "incomplete" not in done.stderr


def test_a_name_that_is_taken_is_told(timesketch: Timesketch, sketch: Sketch, tmp_path: Path) -> None:
    where = ("--timesketch", timesketch.url, "--sketch", sketch.id)
    assert run(SMALL, *where, home=tmp_path).returncode == 0
    done = run(SMALL, *where, home=tmp_path)
    told = f"sketch {sketch.id} has a timeline atop_raw already; --timeline-name chooses another"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"atop-timeline: error: {told}")
    assert len(timelines(sketch)) == 1


@pytest.mark.parametrize(
    ("number", "environment", "told"),
    [
        pytest.param("9999", LOGIN, "{url}: there is no sketch 9999", id="sketch"),
        pytest.param(
            "1",
            LOGIN | {"TIMESKETCH_PASSWORD": "guessed"},
            "{url}: Unable to connect to server, error: Authentication failed: Invalid username or password.",
            id="password",
        ),
        pytest.param(
            "1",
            {},
            "--timesketch {url}: TIMESKETCH_USER and TIMESKETCH_PASSWORD in the environment, or ~/.timesketchrc of"
            " Timesketch's client, log in",
            id="nobody",
        ),
    ],
)
def test_who_is_not_let_in_is_told(
    timesketch: Timesketch, tmp_path: Path, number: str, environment: Event, told: str
) -> None:
    done = run(SMALL, "--timesketch", timesketch.url, "--sketch", number, home=tmp_path, environment=environment)
    expected_line = f"atop-timeline: error: {told.format(url=timesketch.url)}"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1 if environment else 2, expected_line)
    assert "guessed" not in done.stderr


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(SMALL, "--timesketch", "http://127.0.0.1:9", "--sketch", "1", home=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("atop-timeline: error: http://127.0.0.1:9: Timesketch server unreachable: ")
    assert "Connection refused" in last


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--timesketch", "http://a"], "--timesketch URL and --sketch N go together", id="no-sketch"),
        pytest.param(["--sketch", "1"], "--timesketch URL and --sketch N go together", id="no-server"),
        pytest.param(
            ["--timesketch", "https://me:secret@a", "--sketch", "1"],
            "--timesketch: no address such as https://timesketch.example.org; none holds a password",
            id="password-in-address",
        ),
        pytest.param(
            ["--timesketch", "http://a", "--sketch", "1", "-o", "a.csv"],
            "--timesketch: timesketch-jsonl is what is uploaded, so -o FILE.jsonl or none",
            id="csv",
        ),
    ],
)
def test_wrong_arguments_are_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = run(SMALL, *arguments, home=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"atop-timeline: error: {told}")
