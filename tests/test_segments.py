"""Each piece of evidence that is given counts once, also where it is given inside a folder."""

from pathlib import Path

import pytest

from atop_timeline.evidence import open_evidence
from atop_timeline.segments import distinct_paths
from tests import disks
from tests.servers import LITTLE, found, write


@pytest.mark.parametrize(
    ("names", "distinct"),
    [
        (["a.001", "a.002", "a.010", "b.002"], ["a.001", "b.002"]),
        (["a.000", "a.001"], ["a.000"]),
        (["a.aaa", "a.aab", "a.raw"], ["a.aaa", "a.raw"]),
        (["a-flat.vmdk", "a-s001.vmdk", "a.vmdk", "b-flat.vmdk"], ["a.vmdk", "b-flat.vmdk"]),
        (["atop.log.0", "atop.log.1", "atop.log.2"], ["atop.log.0", "atop.log.1", "atop.log.2"]),
        (["a.E01", "a.E02", "a.raw"], ["a.E01", "a.E02", "a.raw"]),
    ],
    ids=["raw from 1", "raw from 0", "letters", "VMDK", "rotated logs", "named only like E01"],
)
def test_later_segments_are_no_evidence_of_their_own(tmp_path: Path, names: list[str], distinct: list[str]) -> None:
    paths = [str(tmp_path / name) for name in names]
    assert distinct_paths(paths) == [str(tmp_path / name) for name in distinct]


def test_evidence_in_a_folder_is_opened(tree: Path, tmp_path: Path) -> None:
    case = write(tmp_path / "case", {"sub/disk.raw": b"", "readme.txt": b"text", "swapfile.img": bytes(4096)})
    raw = disks.ext4(tree, tmp_path / "ext4")
    disks.split(raw, case / "web1.001", 1 << 20)
    disks.ewf(raw, case / "web2.E01", "none", 1 << 20)
    (case / "link.raw").symlink_to(raw)
    write(case, {"atop_1": LITTLE})
    opened = open_evidence([str(case)])
    assert [evidence.path.removeprefix(str(case)) for evidence in opened] == ["", "/web1.001", "/web2.E01"]
    assert [len(found(evidence)) for evidence in opened] == [1, 2, 2]
