"""Arguments that the commands share: what is evidence, what unlocks it, which time, what is told.

Imports nothing that takes time.
"""

import argparse
import os
import re
from datetime import UTC, date, datetime, timedelta

from atop_timeline.trees import OPENERS

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"0*[1-9]\d{0,8}", re.ASCII)


def add_evidence(group: "argparse._ArgumentGroup") -> None:
    """What to read, and where to look in it."""
    group.add_argument(
        "sources",
        nargs="*",
        type=_source,
        metavar="SOURCE",
        help="disk image (E01, raw, qcow2, VMDK, VHD ...), collection (tar, zip), folder or atop log; - is a log on"
        " standard input; or a Parquet timeline that was made before",
    )
    group.add_argument(
        "--log-path",
        action="append",
        default=[],
        metavar="GLOB",
        help="further place of logs, such as '/srv/atop/*'; repeatable; /var/log/atop is always searched",
    )
    group.add_argument("--scan", action="store_true", help="looks at the first bytes of every file")
    group.add_argument(
        "--carve", action="store_true", help="searches all bytes of images, and of any other file, for deleted logs"
    )
    group.add_argument(
        "--volumes",
        "--partitions",
        type=names,
        default=[],
        metavar="NAMES",
        help="volumes to search, by commas, such as p1,p3/lvm1; default: all; --list shows them",
    )
    group.add_argument("--opener", choices=OPENERS, default=OPENERS[0], help="library that opens images")


def _source(path: str) -> str:
    """A path that is not empty, as one out of a variable that is not set: to the system that is the working folder."""
    if not path:
        raise argparse.ArgumentTypeError("an empty name; . is the folder that you are in")
    return path


def add_keys(parser: argparse.ArgumentParser) -> None:
    """What unlocks volumes, as a group of its own."""
    group = parser.add_argument_group(
        "locked volumes",
        "Other users of this machine can see a command line. Better: files; ATOP_TIMELINE_PASSWORD and\n"
        "ATOP_TIMELINE_RECOVERY_KEY in the environment; or to be asked on the terminal.",
    )
    group.add_argument(
        "--password", action="append", default=[], metavar="TEXT", help="of LUKS or BitLocker; repeatable"
    )
    group.add_argument(
        "--password-file", action="append", default=[], metavar="FILE", help="the same, in the first line of a file"
    )
    group.add_argument("--recovery-key", action="append", default=[], metavar="DIGITS", help="of BitLocker; repeatable")
    group.add_argument(
        "--key-file", action="append", default=[], metavar="FILE", help="of LUKS, or BitLocker's .BEK; repeatable"
    )


def add_period(group: "argparse._ArgumentGroup") -> None:
    """From when to when; `first` and `last` are microseconds since 1970."""
    group.add_argument("--from", dest="first", type=first_moment, metavar="TIME", help="first time to show, UTC")
    group.add_argument(
        "--to", dest="last", type=end_moment, metavar="TIME", help="last time to show, UTC; a date: its whole day"
    )


def add_resources(group: "argparse._ArgumentGroup") -> None:
    """What may be taken of the machine: bytes of memory, and where temporary files go."""
    group.add_argument(
        "--memory-limit",
        type=size,
        default=size("600M"),
        metavar="SIZE",
        help="most memory to take in all, such as 2G or 1.5GiB; at least 500M; default: 600M",
    )
    group.add_argument(
        "--temp-dir",
        metavar="DIR",
        help="where temporary files go; default: beside FILE, or where the system has them if that is no file",
    )


def add_messages(group: "argparse._ArgumentGroup") -> None:
    """What is told on standard error."""
    group.add_argument("-q", "--quiet", action="store_true", help="nothing but errors and what was lost")
    group.add_argument("-v", "--verbose", action="store_true", help="also what was searched, and each log")
    group.add_argument("--no-color", action="store_true", help="plain text; also by the environment's NO_COLOR")
    group.add_argument("--version", action=ShowVersion, nargs=0, help="show program's version number and exit")


class ShowVersion(argparse.Action):
    """The version, looked up when it is shown."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Shows it, and ends."""
        from importlib.metadata import version  # noqa: PLC0415  heavy

        print(f"{parser.prog} {version('atop-timeline')}")
        parser.exit()


def size(text: str) -> int:
    """Bytes of a size: a number with a unit of powers of 1000, or with an `i` of 1024."""
    found = _SIZE.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 600M, 2G or 1.5GiB")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " KMGT".index((unit or " ").upper()))


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not _COUNT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Linux alone has it
        return os.cpu_count() or 1


def names(text: str) -> list[str]:
    """What a list by commas names; at least one."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("names nothing")
    return found


def first_moment(text: str) -> int:
    """Microseconds since 1970 of a time."""
    return _microseconds(_moment(text))


def end_moment(text: str) -> int:
    """Microseconds since 1970 of the end of what a time names: a day, or a second."""
    try:
        date.fromisoformat(text)
    except ValueError:
        length = timedelta(seconds=1)
    else:
        length = timedelta(days=1)
    return _microseconds(_moment(text)) + length // timedelta(microseconds=1)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-23 or 2026-11-23T14:30:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
