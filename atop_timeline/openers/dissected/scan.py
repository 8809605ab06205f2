"""The volumes in the bytes of disks, by dissect: which there are, and what is in them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from atop_timeline.keys import Keys
from atop_timeline.kinds import HEAD_BYTES, PHYSICAL_VOLUME, kind_of
from atop_timeline.openers.dissected.btrfs import group_of, is_btrfs
from atop_timeline.openers.dissected.files import has_files
from atop_timeline.openers.dissected.keys import unlocked
from atop_timeline.openers.dissected.layers import FAILURES, DissectBytes, Given, Layer, Logical, Part, stream_of, why
from atop_timeline.openers.dissected.lvm import group_id, physical_volume, volume_group
from atop_timeline.openers.dissected.tables import partitions
from atop_timeline.openers.dissected.trees import subvolumes_on, tree_of
from atop_timeline.trees import DISK_MARK, Source, Volume

_NESTED_MAX = 8  # a group may lie in a logical volume of another one
_ANY_GROUP = "LVM"
_POOLS = {"thin-pool", "cache-pool", "vdo-pool"}


class _Place(NamedTuple):
    """A volume to be looked into; `is_mapped` as `Volume` has it."""

    name: str
    layer: Layer
    is_mapped: bool = False

    def inner(self, name: str, layer: Layer, *, is_mapped: bool = False) -> "_Place":
        return _Place("/".join(filter(None, (self.name, name))), layer, self.is_mapped or is_mapped)


class _Member(NamedTuple):
    """A volume that makes sense with the others of its group alone; `volume` is it by itself."""

    place: _Place
    group: str
    volume: Volume


def volumes(disks: Sequence[tuple[str, Source]], keys: Keys) -> list[Volume]:
    """See `dissected.volumes`."""
    layers = [(name, source.layer if isinstance(source, DissectBytes) else Given(source)) for name, source in disks]
    found = [each for name, layer in layers for each in _within(_Place(name, layer), keys)]
    for _ in range(_NESTED_MAX):
        found = list(_joined(found, keys))
    return [each.volume if isinstance(each, _Member) else each for each in found]


def _within(place: _Place, keys: Keys) -> Iterator[Volume | _Member]:
    """What is in a disk or a volume, and be it nothing that can be read; this raises nothing."""
    try:
        stream = stream_of(place.layer)
        stream.seek(0)
        head = stream.read(HEAD_BYTES)
    except FAILURES as error:
        yield Volume(place.name, "damaged", 0, None, None, why(error), place.is_mapped)
        return
    kind = kind_of(head) or "unknown contents"
    source = None if kind.endswith("encrypted") else DissectBytes(place.layer)
    alone = Volume(place.name, kind, stream.size, source, None, "", place.is_mapped)
    try:
        yield from _opened(place, alone, head, keys)
    except FAILURES as error:
        yield alone._replace(why=why(error))


def _opened(place: _Place, alone: Volume, head: bytes, keys: Keys) -> Iterator[Volume | _Member]:
    is_disk = not place.name or place.name.endswith(DISK_MARK)
    parts = partitions(stream_of(place.layer), alone.size) if is_disk else []
    if parts:
        for name, offset, size in parts:
            yield from _within(place.inner(name, Part(place.layer, offset, size)), keys)
    elif alone.source is None:
        layer = unlocked(place.name, place.layer, alone.kind, keys)
        yield from _within(_Place(place.name, layer, is_mapped=True), keys)
    elif alone.kind == PHYSICAL_VOLUME:
        device = physical_volume(stream_of(place.layer))
        group = f"{_ANY_GROUP} {group_id(device)}" if device.metadata else _ANY_GROUP
        yield _Member(place, group, alone._replace(why="its group is not there"))
    elif is_btrfs(head):
        yield _Member(place, f"Btrfs {group_of(head)}", alone)
    elif has_files(head):
        tree = tree_of(place.name, (place.layer,))
        yield alone._replace(kind=tree.kind, tree=tree)
    else:
        yield alone


def _joined(found: Sequence[Volume | _Member], keys: Keys) -> Iterator[Volume | _Member]:
    """The same, with what is in each group at the place of its first member."""
    groups: dict[str, list[_Member]] = defaultdict(list)
    for each in found:
        if isinstance(each, _Member):
            groups[each.group].append(each)
    spare = groups.pop(_ANY_GROUP, [])
    has_group = any(name.startswith(_ANY_GROUP) for name in groups)
    for each in found:
        if isinstance(each, Volume):
            yield each
        elif each.group == _ANY_GROUP:
            if not has_group:
                yield each
        elif each.group in groups:
            yield from _opened_group(groups.pop(each.group), spare, keys)


def _opened_group(members: list[_Member], spare: list[_Member], keys: Keys) -> Iterator[Volume | _Member]:
    opener = _logical if members[0].group.startswith(_ANY_GROUP) else _btrfs
    try:
        yield from opener(members, spare, keys)
    except FAILURES as error:
        yield from (member.volume._replace(why=why(error)) for member in members)


def _logical(members: list[_Member], spare: list[_Member], keys: Keys) -> Iterator[Volume | _Member]:
    """Logical volumes; physical ones without metadata may be of any group."""
    layers = tuple(member.place.layer for member in (*members, *spare))
    group = volume_group([physical_volume(stream_of(layer)) for layer in layers])
    is_mapped = any(member.place.is_mapped for member in members)
    first = members[0].place
    for number, (name, volume) in enumerate(group.logical_volumes.items(), 1):
        if volume.is_visible and volume.type not in _POOLS:
            layer = Logical(layers, name)
            place = first.inner(f"lvm{number}", layer, is_mapped=is_mapped or not _is_in_one_piece(volume))
            yield from _within(place, keys)


def _is_in_one_piece(volume: Any) -> bool:  # noqa: ANN401  dissect has no types
    return [len(getattr(segment, "stripes", ())) for segment in volume.segments] == [1]


def _btrfs(members: list[_Member], _spare: list[_Member], _keys: Keys) -> Iterator[Volume]:
    """Each subvolume; the bytes are those of the top one alone."""
    layers = tuple(member.place.layer for member in members)
    first, alone = members[0].place, members[0].volume
    is_mapped = alone.is_mapped or len(members) > 1
    for number, path in subvolumes_on(layers):
        place = first.inner(path, first.layer)
        source = None if path else alone.source
        volume = Volume(place.name, alone.kind, alone.size, source, None, "", is_mapped)
        try:
            tree = tree_of(place.name, layers, number)
            yield volume._replace(kind=tree.kind, tree=tree)
        except FAILURES as error:
            yield volume._replace(why=why(error))
