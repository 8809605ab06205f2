"""Who was whose child: at one time, or around all processes that had one pid."""

from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from atop_timeline.events import Kind
from atop_timeline.store import Questions

from .selection import lasting
from .tables import moment

_END_OF_TIME = (1 << 63) - 1
_LINKS = """
SELECT child.id, parent.id FROM processes AS child JOIN processes AS parent ON child.parent_guid = parent.guid
"""
# Of several faces the one at the time, else the first.
_TREE = """
WITH named AS (
    SELECT guid, process, command_line, user FROM faces QUALIFY 1 = row_number() OVER (
        PARTITION BY guid
        ORDER BY first_us > {at}, CASE WHEN first_us > {at} THEN first_us ELSE -first_us END, last_us, process,
            command_line, user
    )
)
SELECT depth, {state} AS state, {started} AS started, {last_seen} AS last_seen, "end", host, pid, named.user,
    named.process, named.command_line
FROM tree JOIN processes USING (id) JOIN named USING (guid) ORDER BY position
"""


def tree(questions: Questions, options: Namespace) -> str:
    """The processes of a tree, each behind its parent and `depth` below the root; `state` tells why it is there."""
    if options.at is None:
        at, state = _END_OF_TIME, f"CASE WHEN pid = {options.pid} THEN 'asked for' ELSE 'relative' END"
        condition = f"pid = {options.pid}"
    else:
        at = options.at + 999_999  # times are whole seconds
        condition, state = _was_there(options.at), _state(options.at)
    found = questions.execute(f"SELECT id FROM processes WHERE {condition} AND {lasting(options)}")
    _keep(questions, [number for (number,) in found], with_descendants=options.at is None)
    return _TREE.format(at=at, state=state, started=moment("started_us"), last_seen=moment("last_us"))


def _was_there(at: int) -> str:
    """Whether a process lived in a second, or may have."""
    known = f"last_us >= {at}"
    gone_later = f"ended_us IS NULL AND fate = 'gone' AND TRY_CAST(gone_by AS TIMESTAMP) > make_timestamp({at})"
    not_told = f"ended_us IS NULL AND fate = 'unknown' AND {at} <= (SELECT max(time_us) FROM samples)"
    return f"coalesce(started_us, first_us) <= {at + 999_999} AND ({known} OR {gone_later} OR {not_told})"


def _state(at: int) -> str:
    return f"CASE WHEN last_us >= {at} THEN 'alive' WHEN {_was_there(at)} THEN 'perhaps alive' ELSE 'ended' END"


def _keep(questions: Questions, chosen: Collection[int], *, with_descendants: bool) -> None:
    """Makes the table `tree` of processes and their relatives, by their numbers."""
    parents: dict[int, int] = dict(questions.execute(_LINKS))
    children: dict[int, list[int]] = {}
    for child, parent in sorted(parents.items()):
        children.setdefault(parent, []).append(child)
    family = _reached(chosen, {child: [parent] for child, parent in parents.items()})
    if with_descendants:
        family |= _reached(chosen, children)
    order = np.array(list(_in_order(family, parents, children)), np.int64).reshape(-1, 2)
    table = questions.table("tree", dict.fromkeys(("id", "depth", "position"), Kind.INTEGER))
    if len(order):
        table.add({"id": order[:, 0], "depth": order[:, 1], "position": np.arange(len(order))})
        table.flush()


def _reached(begins: Collection[int], links: Mapping[int, Collection[int]]) -> set[int]:
    """These, and all that links lead to."""
    reached, todo = set(begins), list(begins)
    while todo:
        new = set(links.get(todo.pop(), ())) - reached
        reached |= new
        todo += new
    return reached


def _in_order(
    family: Collection[int], parents: Mapping[int, int], children: Mapping[int, Sequence[int]]
) -> Iterator[tuple[int, int]]:
    """Each of a family behind its parent, and how far below a root it is; those in a circle have a root as well."""
    left = set(family)
    roots = [each for each in sorted(family) if parents.get(each) not in left]
    for root in (*roots, *sorted(family)):
        todo = [(root, 0)]
        while todo:
            each, depth = todo.pop()
            if each in left:
                left.remove(each)
                yield each, depth
                todo += [(child, depth + 1) for child in reversed(children.get(each, ()))]
