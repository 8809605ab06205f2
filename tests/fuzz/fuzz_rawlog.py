"""A fuzz target for libFuzzer by atheris: raw logs, mutated by what knows how they are built.

See README.md beside this file.
"""

import sys
import zlib
from random import Random

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # not a dependency, and has no types
from atheris.import_hook import HookManager  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the same

# Of instrument_imports() without its tracing of comparisons: in atheris 3.0.0 that leaks each array that one gives.
with HookManager({"atop_timeline"}, set(), enable_loader_override=True, trace_dataflow=False):
    from tests.fuzz.corpus import all_pristine
    from tests.fuzz.invariants import check, check_twice
    from tests.fuzz.mutations import MUTATIONS, mutated

_NAMES = tuple(MUTATIONS)


def one_input(data: bytes) -> None:
    """What libFuzzer calls."""
    check(data, all_pristine())
    if zlib.crc32(data) % 8 == 0:
        check_twice(data)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """One to four mutations, or now and then one of libFuzzer's own."""
    chance = Random(seed)
    if chance.randrange(8) == 0:
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        data = mutated(data, chance.choice(_NAMES), chance.getrandbits(32))
    return data[:max_size]


def main() -> None:
    """Runs libFuzzer with the arguments of the command."""
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
