"""The command `atop-hunt`: its questions and arguments, exit status.

What takes time to import is imported where it is used: `--help` is asked for often.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from atop_timeline.arguments import (
    ShowVersion,
    add_evidence,
    add_keys,
    add_messages,
    add_period,
    add_resources,
    count,
    first_moment,
)
from atop_timeline.cli import status_of
from atop_timeline.interrupts import held

from .usage import KINDS

_QUESTIONS = {
    "first-last": "each program, command line and user: first and last seen, on which hosts",
    "tree": "who was whose child at a time, also those whom no sample shows alive; or around a pid",
    "short-lived": "processes that no sample shows alive, between two samples or before the first",
    "by-user": "each user: processes, programs, first and last seen, processor time",
    "children-of": "processes whose parent had a name, at that time",
    "top": "processes that used most processor time, memory, disk or network",
    "gaps": "what happened to the recording: gaps, boots, clock, accounting off, hosts changed",
    "search": "processes whose name or command line a regular expression matches",
    "rare": "programs seen on few of several hosts, or on few of several days",
}
_NEEDED = {"tree": "(--at TIME | --pid PID) ", "children-of": "NAME ", "search": "REGEX "}
_EPILOG = """\
SOURCE is what atop-timeline takes, or a Parquet timeline that it made before (-o case.parquet); or several, of both.
Times are in UTC. Of a period counts what was there at some time in it. What is not known stays empty.

exit status:
  0    answered, also where nothing was found
  1    no log found, or failed
  2    wrong arguments
  3    answered, but something of the evidence was damaged or unreadable: see the warnings
  130  interrupted

examples:
  atop-hunt first-last image.E01 -o programs.csv
  atop-hunt tree --at 2026-11-23T03:50:21 case.parquet
  atop-hunt children-of sshd --deep --from 2026-11-22T03:00 --to 2026-11-22T04:30 case.parquet
  atop-hunt search -i 'ncat|socat|/dev/tcp/' case.parquet collections/ --user www-data
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit status."""
    parser, questions = _parsers()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in questions:
        parser.parse_args(words)
        parser.error("name a question first")
    parser = questions[words[0]]
    options = parser.parse_intermixed_args(words[1:])
    if not options.sources:
        parser.error("name at least one SOURCE: evidence, or a Parquet timeline")
    return status_of(parser, lambda: _run(words[0], options))


def _run(question: str, options: argparse.Namespace) -> bool:
    with held():  # DuckDB would abort
        from .hunt import run  # noqa: PLC0415  heavy
    return run(question, options)


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command's own parser, and that of each question."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="atop-hunt",
        description="Answers questions about what ran on Linux machines, from their atop logs.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show program's version number and exit")
    listed = "\n".join(f"{name:12} {text}" for name, text in _QUESTIONS.items())
    added = parser.add_subparsers(title="questions", description=listed, metavar="QUESTION", required=True)
    questions = {
        name: added.add_parser(name, usage=_usage(name), description=text, formatter_class=raw)
        for name, text in _QUESTIONS.items()
    }
    for name, question in questions.items():
        asked = question.add_argument_group("question")
        _add_own(name, asked)
        _add_selection(asked)
        add_evidence(question.add_argument_group("evidence"))
        add_keys(question)
        _add_output(question.add_argument_group("output"))
        add_resources(question.add_argument_group("resources"))
        add_messages(question.add_argument_group("messages, on standard error"))
    return parser, questions


def _usage(question: str) -> str:
    return f"%(prog)s {_NEEDED.get(question, '')}[OPTION ...] SOURCE ..."


def _add_own(name: str, group: "argparse._ArgumentGroup") -> None:
    """What only one question is asked with."""
    match name:
        case "tree":
            which = group.add_mutually_exclusive_group(required=True)
            which.add_argument("--at", type=first_moment, metavar="TIME", help="all that lived in this second, UTC")
            which.add_argument("--pid", type=int, help="ancestors and descendants of each process that had this pid")
        case "children-of":
            group.add_argument("name", metavar="NAME", type=_text, help="the parent's name, at most 15 bytes")
            group.add_argument("--deep", action="store_true", help="also their children, and so on")
        case "top":
            group.add_argument("--by", choices=KINDS, default="cpu", help="default: %(default)s")
            group.add_argument("--most", type=count, default=20, metavar="N", help="how many; default: %(default)s")
        case "search":
            group.add_argument("expression", metavar="REGEX", type=_text, help="in RE2's syntax; matches anywhere")
            group.add_argument("-i", "--ignore-case", action="store_true", help="capitals or not")
        case "rare":
            group.add_argument(
                "--most", type=count, default=1, metavar="N", help="on so many hosts or days; default: %(default)s"
            )


def _add_selection(group: "argparse._ArgumentGroup") -> None:
    add_period(group)
    group.add_argument("--host", type=_text, metavar="NAME", help="only of this host")
    group.add_argument("--user", type=_text, metavar="NAME", help="only of this user: a name, or a user id")


def _add_output(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="CSV, JSON or JSON lines, by its suffix; default: a text"
    )
    group.add_argument("--overwrite", action="store_true", help="replaces FILE if it exists")


def _text(argument: str) -> str:
    """A text as a timeline has it."""
    from atop_timeline.texts import decode  # noqa: PLC0415  heavy

    return decode(os.fsencode(argument))


if __name__ == "__main__":
    sys.exit(main())
