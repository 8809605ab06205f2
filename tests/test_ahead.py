"""Work that is begun before it is asked for."""

import threading

import pytest

from atop_timeline.ahead import by_threads, in_order


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
