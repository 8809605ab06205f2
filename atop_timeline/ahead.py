"""Work that others begin before it is asked for: in order, and not too much of it at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(begin: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int) -> Iterator[tuple[_Item, _Result]]:
    """Each item, and what it was begun with, such as a future, when so many further ones were begun as well."""
    waiting: deque[tuple[_Item, _Result]] = deque()
    for item in items:
        waiting.append((item, begin(item)))
        if len(waiting) > ahead:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def one_ahead(items: Iterator[_Item], is_large: Callable[[_Item], bool] = lambda _: False) -> Iterator[_Item]:
    """The same items, none of them None, each made by another thread while one that is not large is looked at."""
    with ThreadPoolExecutor(1) as executor:
        item = next(items, None)
        while item is not None:
            future = None if is_large(item) else executor.submit(next, items, None)
            yield item
            del item
            item = future.result() if future else next(items, None)


def by_threads(function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> Iterator[_Result]:
    """What a function gives for each item, by so many threads besides this one, each one item ahead; by none, here."""
    if not threads:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as executor:
        for _, future in in_order(lambda item: executor.submit(function, item), items, threads):
            yield future.result()


def beside(function: Callable[[_Item], object], items: Sequence[_Item], threads: int) -> None:
    """Calls a function with each item: the first one here, and the others by so many threads meanwhile, or here."""
    with ThreadPoolExecutor(threads or 1) as executor:
        others = (executor.map if threads else map)(function, items[1:])
        for _ in chain(map(function, items[:1]), others):
            pass
