"""Whose samples without a header are, and what is said where it is not known."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from atop_timeline.machines import Machines, boots_of
from tests.rawlogs import whole

HEADER = whole("2.8.1")[0].header
LAYOUT = HEADER.layout
FROM = "carved without a header: host name taken from the header at offset 0, as"
UNKNOWN = "carved without a header, host not known:"


@pytest.mark.parametrize(
    ("boots", "caveat"),
    [
        pytest.param({1000: 9000}, f"{FROM} that machine booted at the same time", id="same boot"),
        pytest.param({1001: 2000}, f"{FROM} that machine booted at the same time", id="same boot, measured anew"),
        pytest.param({}, f"{FROM} no other here is of a machine with the same structures", id="no boot"),
        pytest.param(
            {5001: 9000},
            f"{FROM} no other here is of a machine with the same structures, "
            "though behind it that machine booted at another time",
            id="later boot",
        ),
        pytest.param(
            {3000: 9000},
            f"{UNKNOWN} the only machine here with the same structures had booted at another time then",
            id="boot of another machine",
        ),
    ],
)
def test_one_machine_with_these_structures(boots: Mapping[int, int], caveat: str) -> None:
    machines = Machines()
    machines.known(HEADER)
    machines.booted(HEADER, {1000: 5000})
    owner = machines.owner(LAYOUT, boots)
    assert (owner.hostname, owner.caveat) == ("" if UNKNOWN in caveat else "lab-guest", caveat)


@pytest.mark.parametrize(
    ("boots", "hostname"), [({1000: 2000}, "lab-guest"), ({7000: 8000}, "other"), ({9500: 9600}, "")]
)
def test_two_machines_with_these_structures(boots: Mapping[int, int], hostname: str) -> None:
    machines, other = Machines(), replace(HEADER, hostname="other", start=9480)
    for header, boot in ((HEADER, 1000), (other, 7000)):
        machines.known(header)
        machines.booted(header, {boot: boot + 1500})
    assert machines.owner(LAYOUT, boots).hostname == hostname


def test_headers_that_tell_the_same_are_one() -> None:
    machines = Machines()
    assert machines.known(HEADER) is HEADER
    assert machines.known(replace(HEADER, start=9480)) is HEADER


def test_owners_that_are_the_same_are_one() -> None:
    """So that blocks of samples need not end between them."""
    machines = Machines()
    machines.known(HEADER)
    assert machines.owner(LAYOUT, {}) is machines.owner(LAYOUT, {})


def test_boots() -> None:
    assert boots_of(whole("2.8.1")[0]) == {1795405513: 1795406190}
