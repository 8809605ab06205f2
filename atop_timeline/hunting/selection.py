"""What a user wants of all that is known, as SQL."""

from argparse import Namespace

from atop_timeline.store import literal


def times(options: Namespace, column: str) -> str:
    """Whether a time lies in the period."""
    return " AND ".join(_bounds(options, column, column))


def lasting(options: Namespace) -> str:
    """Whether a process or a face of one is of the host and the user, and was there in the period."""
    conditions = [*_bounds(options, "first_us", "last_us"), *_named(options, "host", "host = {}")]
    conditions += _named(options, "user", "guid IN (SELECT guid FROM faces WHERE {0} IN (user, CAST(uid AS VARCHAR)))")
    return " AND ".join(conditions)


def of_host(options: Namespace, column: str) -> str:
    """Whether something is of the host."""
    return " AND ".join(["true", *_named(options, "host", f"{column} = {{}}")])


def _bounds(options: Namespace, first: str, last: str) -> list[str]:
    bounds = ["true"]
    if options.first is not None:
        bounds.append(f"{last} >= {options.first}")
    if options.last is not None:
        bounds.append(f"{first} < {options.last}")
    return bounds


def _named(options: Namespace, name: str, condition: str) -> list[str]:
    value = getattr(options, name)
    return [] if value is None else [condition.format(literal(value))]
