"""Fixtures of more than one test file."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers import BIG, LITTLE, PASSWD, write

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A server's files: two logs, as found in byte order, and users."""
    home = "var/log/atop"
    logs = {f"{home}/atop_20260101": LITTLE, f"{home}/atop_20260102": BIG}
    return write(tmp_path / "tree", {"etc/passwd": PASSWD, **logs})
