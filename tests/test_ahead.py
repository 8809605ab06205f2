"""Work that is begun before it is asked for."""

import threading
import time
from collections.abc import Iterator

import pytest

from atop_timeline.ahead import beside, by_threads, in_order, one_ahead


@pytest.mark.parametrize(("ahead", "begun"), [(0, [1, 2, 3, 4, 5]), (2, [3, 4, 5, 5, 5]), (9, [5, 5, 5, 5, 5])])
def test_so_many_items_are_begun_ahead(ahead: int, begun: list[int]) -> None:
    started: list[int] = []

    def begin(item: int) -> int:
        started.append(item)
        return -item

    seen = [(item, result, len(started)) for item, result in in_order(begin, range(5), ahead)]
    assert seen == [(item, -item, count) for item, count in enumerate(begun)]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order(threads: int) -> None:
    assert list(by_threads(str, range(20), threads)) == [str(number) for number in range(20)]


def test_who_does_it() -> None:
    here = threading.get_ident()
    names = {threads: set(by_threads(lambda _: threading.get_ident(), range(5), threads)) for threads in (0, 1)}
    assert (names[0] == {here}, here in names[1]) == (True, False)


@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_raised_comes_at_its_place(threads: int) -> None:
    results = by_threads(lambda number: 1 / number, [1, 2, 0, 4], threads)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("threads", [0, 1])
def test_the_first_is_done_here_and_others_beside_it(threads: int) -> None:
    done: dict[int, int] = {}
    beside(lambda item: done.update({item: threading.get_ident()}), range(3), threads)
    here = [each == threading.get_ident() for _, each in sorted(done.items())]
    assert here == ([True, False, False] if threads else [True, True, True])


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("divisors", [(0, 1), (1, 0)])
def test_what_is_raised_beside_comes_as_well(threads: int, divisors: tuple[int, int]) -> None:
    with pytest.raises(ZeroDivisionError):
        beside(lambda divisor: 1 / divisor, divisors, threads)


def counted(begun: list[int]) -> Iterator[int]:
    for number in range(4):
        begun.append(number)
        yield number


def test_none_is_made_while_a_large_one_is_looked_at() -> None:
    begun: list[int] = []
    seen = [(number, len(begun)) for number in one_ahead(counted(begun), lambda _: True)]
    assert seen == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_the_next_one_is_made_while_one_is_looked_at() -> None:
    begun: list[int] = []
    for number in one_ahead(counted(begun), lambda number: number == 3):
        give_up = time.monotonic() + 60
        while len(begun) < min(number + 2, 4):
            assert time.monotonic() < give_up
    assert begun == [0, 1, 2, 3]


def test_what_is_raised_while_one_is_looked_at_comes_behind_it() -> None:
    results = one_ahead((1 / number for number in (1, 2, 0)), lambda _: False)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
