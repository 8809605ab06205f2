"""atop among what else Plaso finds on a Linux disk, with its own commands and the stock ones."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import filesystems, tools

LOG = Path("test_data/logs/2.13.0/atop_raw").absolute()
SECOND = "2026-11-23T03:51:47,000000+00:00"
LOGINS = f"""\
[2] [00000] [~~  ] [reboot  ] [~           ] [6.1.0               ] [0.0.0.0        ] [{SECOND}]
[7] [20077] [ts/0] [root    ] [pts/0       ] [10.0.0.7            ] [10.0.0.7       ] [{SECOND}]
[8] [20077] [ts/0] [        ] [pts/0       ] [                    ] [0.0.0.0        ] [{SECOND}]
"""
SYSLOG = "Nov 23 03:51:47 lab-guest sshd[20077]: Accepted publickey for root from 10.0.0.7 port 50022 ssh2\n"
JOURNAL = f"""\
__REALTIME_TIMESTAMP=1795405907000000
__MONOTONIC_TIMESTAMP=1000
_BOOT_ID={"0123456789abcdef" * 2}
_HOSTNAME=lab-guest
PRIORITY=6
SYSLOG_IDENTIFIER=sshd
MESSAGE=session opened

"""
AUTOLOAD = "import atop_timeline.plaso.autoload"
QUIET = ("--unattended", "-q", "--status_view", "none", "--logfile", "log.gz")


def plaso(folder: Path, command: str, *arguments: object) -> None:
    """A command of Plaso's or ours, in a Python that has the line of the README in its start."""
    script = Path(sys.executable).parent / command
    environment = {**os.environ, "TZ": "UTC", "PYTHONPATH": str(folder)}
    subprocess.run([script, *QUIET, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with atop's log among those of the machine, each made by the tool that knows its form."""
    folder = tmp_path_factory.mktemp("disk")
    logs = folder / "tree/var/log"
    for name in ("atop", "journal"):
        (logs / name).mkdir(parents=True)
    shutil.copy(LOG, logs / "atop/atop_20261123")
    (logs / "auth.log").write_text(SYSLOG, encoding="utf-8")
    (logs / "wtmp").write_bytes(tools.printed("utmpdump", "-r", "/dev/stdin", stdin=LOGINS.encode()))
    journal_remote = "/lib/systemd/systemd-journal-remote"
    tools.run(journal_remote, "-o", logs / "journal/system.journal", "-", stdin=JOURNAL.encode())
    for path, text in {"passwd": "root:x:0:0:root:/root:/bin/sh\n", "os-release": "NAME=Debian\nID=debian\n"}.items():
        (folder / "tree/etc").mkdir(exist_ok=True)
        (folder / "tree/etc" / path).write_text(text, encoding="utf-8")
    return filesystems.ext(folder / "tree", folder / "disk.raw", size_mib=24)


def parsers(table: Path) -> Counter[str]:
    """Events by the parser that gave them, but for those of the file system, whose number is the tools' matter."""
    found = Counter(line.split(",")[5] for line in table.read_text(encoding="utf-8").splitlines()[1:])
    del found["filestat"]
    return found


@pytest.mark.parametrize("prefix", ["atop-", ""], ids=["ours", "stock"])
def test_atop_is_among_utmp_syslog_and_journal(disk: Path, tmp_path: Path, prefix: str) -> None:
    if not prefix:
        (tmp_path / "sitecustomize.py").write_text(AUTOLOAD, encoding="utf-8")
    plaso(tmp_path, f"{prefix}log2timeline", "--hashers", "none", "--storage-file", "case.plaso", disk)
    plaso(tmp_path, f"{prefix}psort", "-o", "dynamic", "--dynamic-time", "-w", "case.csv", "case.plaso")
    others = {"systemd_journal": 1, "text/syslog_traditional": 1, "utmp": 3}
    assert parsers(tmp_path / "case.csv") == {"atop": 1198, **others}
    assert "atop process,Process: fx_victim pid: 20096" in (tmp_path / "case.csv").read_text(encoding="utf-8")


def test_new_worker_processes_of_the_stock_command_know_the_parser(tmp_path: Path) -> None:
    lines = ("import multiprocessing", "multiprocessing.set_start_method('spawn', force=True)", AUTOLOAD)
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "logs").mkdir()
    for name in ("2.8.1", "debian-2.8.1-s390x"):
        shutil.copy(LOG.parents[1] / name / "atop_raw", tmp_path / "logs" / name)
    plaso(tmp_path, "log2timeline", "--hashers", "none", "--workers", "2", "--storage-file", "case.plaso", "logs")
    plaso(tmp_path, "atop-psort", "-o", "dynamic", "-w", "case.csv", "case.plaso")
    assert parsers(tmp_path / "case.csv") == {"atop": 1552}
