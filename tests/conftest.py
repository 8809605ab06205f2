"""Fixtures of more than one test file."""

import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import BIG, LITTLE, PASSWD, write
from tests.timesketch_server import Timesketch

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_configure() -> None:
    """Ctrl-C ends tests and the programs that they start: a shell has it ignored of what it runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a server logged is shown where its test fails."""
    report = yield
    server = getattr(item, "funcargs", {}).get("timesketch")
    if report.failed and isinstance(server, Timesketch):
        report.sections.append(("Timesketch's logs", server.logs()))
    return report


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A server's files: two logs, as found in byte order, and users."""
    home = "var/log/atop"
    logs = {f"{home}/atop_20260101": LITTLE, f"{home}/atop_20260102": BIG}
    return write(tmp_path / "tree", {"etc/passwd": PASSWD, **logs})
