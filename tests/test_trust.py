"""Images that a library would misread are known by their own bytes."""

from pathlib import Path

import pytest

from atop_timeline.openers.trust import unfinished
from tests.servers import write

CHANGED = "VMDK with changes to another image, which has itself changed since"


@pytest.mark.parametrize(
    ("own", "named", "why"),
    [
        ("12345678", "12345678", ""),
        ("abc", "00000abc", ""),
        ("ABC", "abc", ""),
        ("abc", "abcd", CHANGED),
        ("0", "1", CHANGED),
        ("0", "ffffffff", ""),
        ("", "1", CHANGED),
    ],
)
def test_parent_of_a_vmdk(tmp_path: Path, own: str, named: str, why: str) -> None:
    head = f'# Disk DescriptorFile\nversion=1\nCID=7\nparentCID={named}\nparentFileNameHint="base.vmdk"\n'.encode()
    write(tmp_path, {"base.vmdk": f"KDMV\nCID={own}\nparentCID=ffffffff\n".encode(), "child.vmdk": head})
    assert unfinished(str(tmp_path / "child.vmdk"), head) == why
