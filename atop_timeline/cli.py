"""The command `atop-timeline`: arguments, messages, exit status.

What takes time to import is imported where it is used: `--help` is asked for often.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from types import FrameType

from atop_timeline.errors import AtopTimelineError, UsageError
from atop_timeline.trees import OPENERS

DONE, FAILED, DAMAGED, INTERRUPTED = 0, 1, 3, 130  # 2 is argparse's own, for wrong arguments

_EPILOG = """\
exit status:
  0    done
  1    nothing found, or failed
  2    wrong arguments
  3    done, but something was damaged or unreadable: see the warnings
  130  interrupted

examples:
  atop-timeline image.E01 -o timeline.csv
  atop-timeline /mnt/disk1 web2.qcow2 uac-web3.tar.gz atop_20261123 -o case.jsonl
  atop-timeline --list image.E01
  atop-timeline image.E01 --from 2026-11-22T03:00 --to 2026-11-22T04:30 --only starts,exits -o - | less
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.sources and not options.list_formats:
        parser.error("name at least one SOURCE: a disk image, a collection, a folder or an atop log")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.list_formats:
            return _list_formats()
        from atop_timeline import command  # noqa: PLC0415  heavy

        return DONE if (command.show if options.list else command.run)(options) else DAMAGED
    except UsageError as error:
        parser.error(str(error))
    except AtopTimelineError as error:
        print(f"atop-timeline: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("atop-timeline: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atop-timeline",
        description="Makes a forensic timeline of what ran on a Linux machine from its atop logs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_evidence(parser.add_argument_group("evidence"))
    _add_keys(
        parser.add_argument_group(
            "locked volumes",
            "Other users of this machine can see a command line. Better: files; ATOP_TIMELINE_PASSWORD and\n"
            "ATOP_TIMELINE_RECOVERY_KEY in the environment; or to be asked on the terminal.",
        )
    )
    _add_selection(parser.add_argument_group("selection"))
    _add_output(parser.add_argument_group("output"))
    _add_messages(parser.add_argument_group("messages, on standard error"))
    return parser


def _add_evidence(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="disk image (E01, raw, qcow2, VMDK, VHD ...), collection (tar, zip), folder or atop log; - is a log on"
        " standard input",
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
        type=_names,
        default=[],
        metavar="NAMES",
        help="volumes to search, by commas, such as p1,p3/lvm1; default: all; --list shows them",
    )
    group.add_argument("--opener", choices=OPENERS, default=OPENERS[0], help="library that opens images")
    group.add_argument("--list", action="store_true", help="shows volumes and logs, and ends without a timeline")


def _add_keys(group: "argparse._ArgumentGroup") -> None:
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


def _add_selection(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--from", dest="first", type=_first, metavar="TIME", help="first time to show, UTC")
    group.add_argument(
        "--to", dest="last", type=_end, metavar="TIME", help="last time to show, UTC; a date: its whole day"
    )
    group.add_argument(
        "--only",
        type=_names,
        metavar="KINDS",
        help="kinds of events, by commas: starts,exits,observations,threads",
    )
    group.add_argument("--threads", action="store_true", help="observations of threads as well")


def _add_output(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-o",
        "--output",
        default="timeline.csv",
        metavar="FILE",
        help="default: %(default)s; - is standard output",
    )
    group.add_argument("--format", metavar="NAME", help="default: by the suffix of FILE, else timesketch")
    group.add_argument(
        "--raw-csv",
        dest="format",
        action="store_const",
        const="timesketch-raw",
        help="CSV without the guard: a spreadsheet would run cells that an attacker wrote",
    )
    group.add_argument("--list-formats", action="store_true", help="shows the formats and what each loses, and ends")
    group.add_argument("--overwrite", action="store_true", help="replaces FILE if it exists")
    group.add_argument("--summary-json", metavar="FILE", help="writes the summary, with every log and loss, as JSON")


def _add_messages(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("-q", "--quiet", action="store_true", help="nothing but errors and what was lost")
    group.add_argument("-v", "--verbose", action="store_true", help="also what was searched, and each log")
    group.add_argument("--no-color", action="store_true", help="plain text; also by the environment's NO_COLOR")
    group.add_argument("--version", action=_ShowVersion, nargs=0, help="show program's version number and exit")


class _ShowVersion(argparse.Action):
    """The version, looked up when it is shown."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415  heavy

        print(f"atop-timeline {version('atop-timeline')}")
        parser.exit()


def _first(text: str) -> int:
    """Microseconds since 1970 of a time."""
    return _microseconds(_moment(text))


def _end(text: str) -> int:
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


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names nothing")
    return names


def _list_formats() -> int:
    from atop_timeline import output, plugins  # noqa: PLC0415  heavy

    known = plugins.formatters().values()
    output.show(f"{each.name:17} {each.suffix:9} {each.description}; loses: {each.loses}" for each in known)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
