"""The command `atop-timeline`: arguments, messages, exit status.

What takes time to import is imported where it is used: `--help` is asked for often.
"""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence

from atop_timeline.arguments import add_evidence, add_keys, add_messages, add_period, add_resources, cores, count, names
from atop_timeline.errors import AtopTimelineError, UsageError
from atop_timeline.interrupts import held, interruptible

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
    if not (options.sources or options.show):
        parser.error("name at least one SOURCE: a disk image, a collection, a folder or an atop log")
    return status_of(parser, lambda: _run(options))


def status_of(parser: argparse.ArgumentParser, work: Callable[[], bool]) -> int:
    """The exit status of a command's work, which gives whether nothing was damaged or unreadable; errors are told."""
    name = parser.prog.split()[0]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's library would start threads that nothing uses
    try:
        with interruptible():
            return DONE if work() else DAMAGED
    except UsageError as error:
        parser.error(str(error))
    except AtopTimelineError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return FAILED
    except MemoryError:
        print(f"{name}: error: this machine has not enough memory left; --jobs 1 takes the least", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as error:
        print(f"{name}: interrupted, {str(error) or 'nothing was written'}", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace) -> bool:
    if options.show:
        options.show()
        return True
    gc.disable()  # there is no garbage yet
    with held():  # DuckDB would abort
        from atop_timeline import command  # noqa: PLC0415  heavy
    gc.freeze()  # nor will any of that be
    gc.enable()
    return (command.show if options.list else command.run)(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atop-timeline",
        usage="%(prog)s [OPTION ...] [SOURCE ...]",
        description="Makes a forensic timeline of what ran on a Linux machine from its atop logs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evidence = parser.add_argument_group("evidence")
    add_evidence(evidence)
    evidence.add_argument("--list", action="store_true", help="shows volumes and logs, and ends without a timeline")
    add_keys(parser)
    _add_selection(parser.add_argument_group("selection"))
    _add_output(parser.add_argument_group("output"))
    _add_upload(parser)
    _add_resources(parser.add_argument_group("resources"))
    add_messages(parser.add_argument_group("messages, on standard error"))
    return parser


def _add_selection(group: "argparse._ArgumentGroup") -> None:
    add_period(group)
    group.add_argument(
        "--only",
        type=names,
        metavar="KINDS",
        help="just these kinds of events or all of these parsers, by commas, such as starts,exits",
    )
    group.add_argument(
        "--parsers",
        type=names,
        default=[],
        metavar="NAMES",
        help="further parsers, by commas: system, cgroup; or all; process and recording always work",
    )
    group.add_argument("--threads", action="store_true", help="observations of threads as well")


def _add_output(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="default: timeline.csv, none with --timesketch; - is standard output",
    )
    group.add_argument("--format", metavar="NAME", help="default: by the suffix of FILE, else timesketch")
    group.add_argument(
        "--raw-csv",
        dest="format",
        action="store_const",
        const="timesketch-raw",
        help="CSV without the guard: a spreadsheet would run cells that an attacker wrote",
    )
    _add_listing(group, "--list-formats", _list_formats, "shows the formats and what each loses, and ends")
    group.add_argument(
        "--profile",
        default="full",
        metavar="NAME",
        help="which attributes go out: minimal, standard, full (default), or a YAML file of yours",
    )
    _add_listing(group, "--list-profiles", _list_profiles, "shows the profiles with their attributes, and ends")
    _add_listing(group, "--list-attributes", _list_attributes, "shows what each kind of event tells, and ends")
    group.add_argument("--overwrite", action="store_true", help="replaces FILE if it exists")
    group.add_argument(
        "--split",
        type=count,
        metavar="LINES",
        help="several files of at most so many lines, header included: FILE-1, FILE-2 ... before the suffix",
    )
    group.add_argument("--summary-json", metavar="FILE", help="writes the summary, with every log and loss, as JSON")


def _add_listing(group: "argparse._ArgumentGroup", option: str, show: Callable[[], None], told: str) -> None:
    group.add_argument(option, dest="show", action="store_const", const=show, help=told)


def _add_upload(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "upload to Timesketch",
        "Who logs in: TIMESKETCH_USER and TIMESKETCH_PASSWORD in the environment, what ~/.timesketchrc of\n"
        "Timesketch's client says of that server, or who is asked on the terminal.",
    )
    group.add_argument("--timesketch", metavar="URL", help="server, such as https://timesketch.example.org")
    group.add_argument("--sketch", type=count, metavar="N", help="number of the sketch that the timeline is added to")
    group.add_argument("--timeline-name", metavar="NAME", help="default: the name of the first SOURCE")


def _add_resources(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--jobs", type=count, default=cores(), metavar="N", help="processors to use at once; default: all there are"
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://10.0.0.1:8786: its workers read the logs, from the same paths as here;"
        " what unlocks volumes is sent along, so over tls:// if need be",
    )
    add_resources(group)


def _list_formats() -> None:
    from atop_timeline import output, plugins  # noqa: PLC0415  heavy

    known = plugins.formatters().values()
    output.show(f"{each.name:17} {each.suffix:9} {each.description}; loses: {each.loses}" for each in known)


def _list_profiles() -> None:
    from atop_timeline import output, profiles  # noqa: PLC0415  heavy

    output.show(
        f"{each.name:9} {each.description}" + "".join(f"; {name}" for name in sorted(each.attributes or ()))
        for each in profiles.profiles()
    )


def _list_attributes() -> None:
    from atop_timeline import output, plugins  # noqa: PLC0415  heavy

    output.show(
        f"{each.name:32} {each.kind.name.lower():8} {each.unit:5} {','.join(kinds)}: {each.meaning}"
        for each, kinds in plugins.attributes()
    )


if __name__ == "__main__":
    sys.exit(main())
