"""Makes test_data/server.E01 of the logs in test_data/logs: `python -m tests.make_test_image`, from the root.

The disk in it has the same bytes each time (SHA-256 in test_data/README.md); the E01 around it tells when it
was acquired.
"""

import gzip
import hashlib
import os
import tempfile
from pathlib import Path

from tests import disks

TEST_DATA = Path(__file__).parent.parent / "test_data"
LOGS = {
    "atop_20261119": "1.26-a",
    "atop_20261120": "2.3.0",
    "atop_20261121": "2.8.1",
    "atop_20261122": "2.11.1",
    "atop_20261123": "2.13.0",
}
TORN = ("atop_20261118", "2.9.0", 57_000)  # of 57322 bytes, inside the last record
PACKED = ("atop_20261117.gz", "2.2.6-a")
USERS = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
messagebus:x:100:107::/nonexistent:/usr/sbin/nologin
alice:x:1000:1001:Alice,,,:/home/alice:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
batch:x:4000000000:3999999999::/nonexistent:/usr/sbin/nologin
"""
TIME = 1795406400  # of every file, 2026-11-23 04:00:00 UTC


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk = make_disk(Path(folder))
        print(hashlib.sha256(disk.read_bytes()).hexdigest(), disk.name)  # noqa: T201  for the README
        image = disks.ewf(disk, Path(folder) / "server.E01", compression="best")
        (TEST_DATA / "server.E01").write_bytes(image.read_bytes())


def make_disk(folder: Path) -> Path:
    """Make the disk of a small server: a GPT with one ext4."""
    tree, volume = folder / "tree", folder / "ext4.raw"
    make_tree(tree)
    paths = ["/", *(f"/{path.relative_to(tree)}" for path in sorted(tree.rglob("*")))]
    disks.ext(tree, volume, size_mib=8, env={"E2FSPROGS_FAKE_TIME": str(TIME)})
    times = ("atime", "ctime", "mtime", "crtime")
    values = {
        **dict.fromkeys(times, f"@{TIME}"),
        **{f"{time}_extra": 0 for time in times},
        "uid": 0,
        "gid": 0,
    }
    commands = [f"sif {path} {field} {value}" for path in (*paths, "/lost+found") for field, value in values.items()]
    script = folder / "debugfs"
    script.write_text("\n".join(commands))
    disks.run("debugfs", "-w", "-f", script, volume, env={"E2FSPROGS_FAKE_TIME": str(TIME)})
    return disks.gpt(folder / "server.raw", volume)


def make_tree(tree: Path) -> None:
    """Lay out /etc and /var/log/atop."""
    (tree / "var/log/atop").mkdir(parents=True)
    (tree / "etc").mkdir()
    files = {
        "etc/passwd": USERS.encode(),
        "etc/hostname": b"lab-guest\n",
        "var/log/atop/daily.log": b"ATOP - lab-guest: no raw log, although it lies beside them\n",
        f"var/log/atop/{TORN[0]}": _log(TORN[1])[: TORN[2]],
        f"var/log/atop/{PACKED[0]}": gzip.compress(_log(PACKED[1]), mtime=0),
        **{f"var/log/atop/{name}": _log(version) for name, version in LOGS.items()},
    }
    for name, data in files.items():
        (tree / name).write_bytes(data)
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (TIME, TIME))


def _log(version: str) -> bytes:
    return (TEST_DATA / "logs" / version / "atop_raw").read_bytes()


if __name__ == "__main__":
    main()
