"""The README says what is: its example runs, its tables are those of the code."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from atop_timeline import plugins
from tests.readme import README, commands

ROOT = Path(__file__).parent.parent
LETTERS = {"starts": "S", "changes": "C", "observations": "O", "threads": "T", "ends": "L", "exits": "E", "all": "all"}
LETTERS |= dict.fromkeys(("recording_starts", "recording_ends", "recording_notes"), "R")


def test_the_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=True)
    killed, samples = (
        re.findall(r"^2026-.* lab-guest \d+ ", ran.stdout, re.MULTILINE),
        ran.stdout.count("/var/log/atop/"),
    )
    assert (len(killed), samples) == (7, 70)  # each log: kill -9 once


def test_the_output_is_what_the_main_command_prints(tmp_path: Path) -> None:
    (tmp_path / "test_data").symlink_to(ROOT / "test_data")
    command = [sys.executable, "-m", "atop_timeline.cli", "test_data/server.E01", "-o", "timeline.csv"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    printed = [*ran.stderr.splitlines(), f"exit status {ran.returncode}"]
    (block,) = re.findall(r"```\n((?:warning|note): .*?)```", README, re.DOTALL)
    assert [line for line in block.splitlines() if "elapsed" not in line] == [
        line for line in printed if "elapsed" not in line
    ]


def _events(kinds: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(LETTERS[kind] for kind in kinds if kind in LETTERS))


def test_every_attribute_is_told() -> None:
    """Of those parsers that work where a user does not choose."""
    told = [
        f"| `{column.name}` | {_events(kinds)} | {column.kind.name.lower()} | {column.unit} | {column.meaning} |"
        for column, kinds in plugins.attributes()
        if _events(kinds)
    ]
    table = README.split("### Attributes")[1].split("<details>")[0]
    assert re.findall(r"^\| `.*$", table, re.MULTILINE) == told


def test_every_format_is_told() -> None:
    told = [
        f"| `{each.name}` | `{each.suffix}` | {each.description} | {each.loses} |"
        for each in plugins.formatters().values()
    ]
    table = README.split("## Formats")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `.*$", table, re.MULTILINE)) == sorted(told)


@pytest.mark.parametrize("command", ["main", "tests"])
def test_each_command_sets_itself_up(command: str) -> None:
    assert commands(command).startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
