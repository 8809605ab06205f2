"""Events out of the real Plaso are those of our own command, log by log."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from atop_timeline import plugins
from atop_timeline.events import Event
from atop_timeline.evidence import Evidence
from atop_timeline.extraction import Report, extract, extract_logs
from atop_timeline.plaso.directory import put_together
from atop_timeline.plaso.event_data import time_attribute
from tests.rawlogs import offsets, raw, without
from tests.servers import PACK

IMAGE = Path("test_data/server.E01").absolute()
GOLDEN = Path("tests/golden")
PLASO_ONLY = {
    *("__container_type__", "__type__", "date_time", "display_name", "message", "parser", "pathspec"),
    *("timestamp", "sha256_hash"),
}
DESCRIPTION = 10  # the column of l2tcsv
OURS_ONLY = {"evidence", "volume", "filename", "inode"}


def run(folder: Path, command: str, *arguments: object) -> str:
    """A console script of this environment, in a folder."""
    script = Path(sys.executable).parent / command
    done = subprocess.run(
        [script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def extracted(folder: Path, source: Path, *options: str) -> Path:
    storage = folder / "case.plaso"
    quiet = ("--unattended", "-q", "--status_view", "none", "--logfile", folder / "log.gz", "--storage-file", storage)
    run(folder, "atop-log2timeline", *quiet, "--parsers", "atop", "--single-process", *options, source)
    return storage


def shown(
    storage: Path, form: str, *options: object, command: str = "atop-psort", name: str = "wrapped", only: str = ""
) -> str:
    output = storage.with_name(f"{name}.{form}")
    quiet = ("--unattended", "-q", "--status_view", "none", "--logfile", storage.with_suffix(".log.gz"))
    run(storage.parent, command, *quiet, *options, "-o", form, "-w", output, storage, *filter(None, [only]))
    return output.read_text(encoding="utf-8") if output.exists() else ""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extracted(
        tmp_path_factory.mktemp("image"), IMAGE, "--partitions", "all", "--artifact-filters", "LinuxAtopLogs"
    )


def ours() -> Iterator[tuple[str, Event, str]]:
    """Events of each log by itself, with the log's path, and the message in l2tcsv."""
    for log in Evidence(str(IMAGE)).logs():
        with extract_logs([log], Report()).timeline as timeline:
            stream = io.BytesIO()
            plugins.formatters()["l2tcsv"].write(timeline, stream)
            messages = (line.split(",")[DESCRIPTION] for line in stream.getvalue().decode().splitlines()[1:])
            for event, message in zip(timeline.events(), messages, strict=True):
                yield log.path, event, message


def plain(event: Event) -> dict[str, Any]:
    """What both ways say of an event."""
    known = {name: value for name, value in event.attributes.items() if value not in (None, "")}
    time_us = round(event.date_time.CopyToPosixTimestamp() * 1_000_000)
    named = {"data_type": event.data_type, "timestamp_desc": event.timestamp_desc, "time_us": time_us}
    return named | {name: value for name, value in known.items() if name not in OURS_ONLY}


def told(line: str) -> str:
    """An event as psort shows it in JSON, with its log's path."""
    event = json.loads(line)
    facts = {name: value for name, value in event.items() if name not in PLASO_ONLY}
    path, message = event["display_name"].partition(":")[2], event["message"].replace(",", " ")
    return json.dumps([path, facts | {"time_us": event["timestamp"]}, message], sort_keys=True)


def test_image_gives_the_events_of_each_log(storage: Path) -> None:
    theirs = Counter(map(told, shown(storage, "json_line").splitlines()))
    expected = Counter(json.dumps([path, plain(each), message], sort_keys=True) for path, each, message in ours())
    assert expected.total() > 7000
    assert list((theirs - expected).items())[:2] == list((expected - theirs).items())[:2]
    assert theirs == expected


def test_dynamic_has_the_events_of_each_log(storage: Path) -> None:
    rows = csv.DictReader(shown(storage, "dynamic", "--dynamic-time", name="rows").splitlines())
    names = ("datetime", "timestamp_desc", "message", "parser")
    theirs = Counter((*(row[name] for name in names), row["display_name"].partition(":")[2]) for row in rows)
    expected = Counter(
        (
            event.date_time.CopyToDateTimeStringISO8601(),
            event.timestamp_desc,
            message,
            "atop",
            path,
        )
        for path, event, message in ours()
    )
    assert theirs == expected


def test_dynamic_is_the_same_from_the_stock_psort(storage: Path) -> None:
    messages = storage.with_name("messages.yaml")
    yaml = sorted(Path("formatters").glob("*.yaml"))
    messages.write_text("".join(each.read_text(encoding="utf-8") for each in yaml), encoding="utf-8")
    wrapped = shown(storage, "dynamic", "--dynamic-time")
    stock = ("--dynamic-time", "--custom-formatter-definitions", messages)
    assert wrapped.count("atop process") == 2523
    assert shown(storage, "dynamic", *stock, command="psort", name="stock") == wrapped


@pytest.mark.parametrize(("form", "options"), [("l2tcsv", ()), ("dynamic", ("--dynamic-time",)), ("json_line", ())])
def test_one_process_is_as_it_was(storage: Path, form: str, options: Sequence[str]) -> None:
    told = shown(storage, form, *options, name="plaso", only="pid == 20096").replace(str(IMAGE), "server.E01")
    expected = (GOLDEN / f"plaso.{form}").read_text(encoding="utf-8")
    assert sorted(told.splitlines()) == sorted(expected.splitlines())  # Plaso has those of one moment in any order


def test_damage_is_a_warning(storage: Path) -> None:
    told = " ".join(run(storage.parent, "atop-pinfo", "-v", "--sections", "warnings", storage).split())
    assert (
        "record at offset 52565: announces 4661 bytes behind it, 4339 are left; 4,435 bytes from offset 52565" in told
    )


def test_tags(storage: Path) -> None:
    tagged = shutil.copy(storage, storage.with_name("tagged.plaso"))
    shown(Path(tagged), "null", "--analysis", "tagging", "--tagging-file", "tag_linux.txt")
    sections = run(storage.parent, "atop-pinfo", "--sections", "events", tagged)
    labels = dict(re.findall(r"(atop_\w+) : (\d+)", sections))
    assert labels == {"atop_kernel_thread_look_alike": "13", "atop_killed": "14", "atop_short_lived": "546"}


def test_gaps_are_tagged(tmp_path: Path) -> None:
    (tmp_path / "atop_1").write_bytes(raw("debian-2.8.1-3boots"))
    (tmp_path / "atop_2").write_bytes(without(raw("2.8.1"), offsets("2.8.1")[3], offsets("2.8.1")[8]))
    storage = extracted(tmp_path, tmp_path, "--hashers", "none")
    shown(storage, "null", "--analysis", "tagging", "--tagging-file", "tag_linux.txt")
    assert "atop_gap : 3" in run(tmp_path, "atop-pinfo", "--sections", "events", storage)


def test_parser_is_listed_and_in_the_preset_for_linux(tmp_path: Path) -> None:
    listed = run(tmp_path, "atop-log2timeline", "--parsers", "list")
    assert re.search(r"^ *atop : Parser for atop raw log files", listed, re.MULTILINE)
    assert re.search(r"^ *linux : atop, ", listed, re.MULTILINE)


def test_l2tcsv_is_that_of_our_own_command(tmp_path: Path) -> None:
    log = shutil.copy("test_data/logs/debian-2.8.1-s390x/atop_raw", tmp_path)
    own = tmp_path / "own.l2tcsv"
    run(tmp_path, "atop-timeline", "-q", log, "-o", own)
    theirs = shown(extracted(tmp_path, Path(log), "--hashers", "none"), "l2tcsv").replace(f"OS:{tmp_path}/", "")
    lines = [re.sub("; evidence: [^;]*", "", line) for line in own.read_text(encoding="utf-8").splitlines()]
    assert sorted(theirs.splitlines()) == sorted(lines)


def test_every_kind_of_event_has_a_time(tmp_path: Path) -> None:
    text = (put_together(tmp_path / "data") / "timeliner.yaml").read_text(encoding="utf-8")
    known = {
        (each["data_type"], mapping["name"], mapping["description"])
        for each in yaml.safe_load_all(text)
        for mapping in each.get("attribute_mappings", ())
    }
    types = plugins.event_types()
    assert {(each.data_type, time_attribute(each.timestamp_desc), each.timestamp_desc) for each in types} <= known


@pytest.mark.parametrize("name", ["atop_20261123.zst", "by any name"])
def test_logs_in_zstd_are_read(name: str, tmp_path: Path) -> None:
    log = Path("test_data/logs/2.8.1/atop_raw")
    (tmp_path / name).write_bytes(PACK["zstd"](log.read_bytes()))
    (tmp_path / "other.zst").write_bytes(PACK["zstd"](b"no log"))
    storage = extracted(tmp_path, tmp_path, "--hashers", "none")
    with extract([str(log)]).timeline as timeline:
        expected = sum(timeline.count(each) for each in timeline.types)
    assert len(shown(storage, "json_line").splitlines()) == expected


def test_without_plaso_it_says_what_brings_it() -> None:
    code = "import sys; sys.modules['plaso'] = None; import atop_timeline.plaso.commands"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    told = "error: no module plaso.scripts; pip install 'atop-timeline[plaso]' brings Plaso\n"
    assert (done.returncode, done.stderr) == (1, told)
