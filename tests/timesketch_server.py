"""The real Timesketch on this machine: web application, worker, redis; with a stand-in for OpenSearch."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import opensearch

USER, PASSWORD = "analyst", "pass word"
_REQUIREMENTS = Path(__file__).with_name("timesketch_requirements.txt")
_PATIENCE_S = 120
_SETTINGS = """\
SECRET_KEY = "a secret of this test alone, for nobody else"
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/timesketch.db"
SQLALCHEMY_ENGINE_OPTIONS = {{}}
OPENSEARCH_HOSTS = [{{"host": "127.0.0.1", "port": {opensearch}}}]
OPENSEARCH_USER = OPENSEARCH_PASSWORD = None
OPENSEARCH_SSL = OPENSEARCH_VERIFY_CERTS = False
OPENSEARCH_TIMEOUT = 10
OPENSEARCH_FLUSH_INTERVAL = 5000
OPENSEARCH_FLUSH_BYTE_SIZE = 52428800
OPENSEARCH_MAPPING_BUFFER = 0.1
OPENSEARCH_MAPPING_UPPER_LIMIT = 1000
LABELS_TO_PREVENT_DELETION = []
TIMEOUT_FOR_EVENT_IMPORT = 180
UPLOAD_ENABLED = True
UPLOAD_FOLDER = "{folder}"
UPLOAD_FILE_PERMISSION = 0o640
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = "redis://127.0.0.1:{redis}"
GENERIC_MAPPING_FILE = "{prefix}/share/timesketch/generic.mappings"
PLASO_MAPPING_FILE = "{prefix}/share/timesketch/plaso.mappings"
SIGMA_CONFIG = "{prefix}/share/timesketch/sigma_config.yaml"
AUTO_SKETCH_ANALYZERS = []
MAX_FORM_MEMORY_SIZE = 209715200
LLM_PROVIDER_CONFIGS = {{}}
ENABLE_EXPERIMENTAL_UI = DFIQ_ENABLED = SEARCH_PROCESSING_TIMELINES = False
REVERSE_PROXY_COUNT = 0
WTF_CSRF_ENABLED = True
"""


class Timesketch(NamedTuple):
    """Where it answers, its stand-in's indices, and where it logs."""

    url: str
    opensearch: opensearch.OpenSearch
    folder: Path

    def logs(self) -> str:
        """The end of all that it logged."""
        return _logs(self.folder)


def installed(cache: Path) -> Path:
    """The environment of the application, which needs other versions than we do; made once.

    Where a tool is missing the test is skipped.
    """
    for tool in ("redis-server", "setpriv"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    prefix = cache / "environment"
    done = prefix / "done"
    wanted = _REQUIREMENTS.read_text()
    if not done.exists() or done.read_text() != wanted:
        venv.create(prefix, clear=True, with_pip=True)
        subprocess.run([prefix / "bin/pip", "install", "-q", "-r", _REQUIREMENTS], check=True)
        done.write_text(wanted)
    return prefix


@contextmanager
def running(prefix: Path, folder: Path) -> Iterator[Timesketch]:
    """All of it on free ports."""
    redis, web = _free_port(), _free_port()
    settings = folder / "timesketch.conf"
    with ExitStack() as stack:
        store = stack.enter_context(opensearch.running())
        settings.write_text(_SETTINGS.format(folder=folder, prefix=prefix, opensearch=store.port, redis=redis))
        env = {**os.environ, "TIMESKETCH_SETTINGS": str(settings), "PATH": f"{prefix}/bin:{os.environ['PATH']}"}

        def start(*command: str) -> Callable[[], bool]:
            return stack.enter_context(_process(command, folder, env))

        subprocess.run([prefix / "bin/tsctl", "create-user", USER, "--password", PASSWORD], env=env, check=True)
        database = start("redis-server", "--bind", "127.0.0.1", "--port", str(redis), "--save", "")
        _await(lambda: _listens(redis), folder, database)
        worker = start("celery", "-A", "timesketch.lib.tasks", "worker", "--pool", "solo")
        server = start("gunicorn", "-b", f"127.0.0.1:{web}", "--threads", "4", "timesketch.wsgi:application")
        _await(lambda: _answers(f"http://127.0.0.1:{web}/login/"), folder, server, worker)
        yield Timesketch(f"http://127.0.0.1:{web}", store, folder)


@contextmanager
def _process(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[Callable[[], bool]]:
    """Whether a process lives; it ends with this one, however that ends."""
    with (folder / f"{command[0]}.log").open("wb") as stream:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], cwd=folder, env=env, stdout=stream, stderr=stream
        )
    try:
        yield lambda: process.poll() is None
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _logs(folder: Path) -> str:
    return "\n".join(f"{each.name}: {each.read_text(errors='replace')[-8000:]}" for each in folder.glob("*.log"))


def _await(condition: Callable[[], bool], folder: Path, *alive: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert all(each() for each in alive), _logs(folder)
        assert time.monotonic() < end, _logs(folder)
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
