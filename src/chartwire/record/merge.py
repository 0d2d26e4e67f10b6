"""Element by element: what a message says meets what stands (domain-rules.md section 2). Pure.

Empty leaves, `""` clears, a value is set where its word counts. A repeating field that is sent replaces the items that
the same field of the same source gave before; the items of other sources stay. A word that only repeats what stands
changes nothing but keeps its time fresh, so that a message that comes late cannot undo it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chartwire.mapping.conversion import Contribution, Json, Mapped
from chartwire.record.bodies import same_text
from chartwire.record.elements import Shape, shape_of
from chartwire.record.lineage import Lineage, Part, Stamp, judge

Group = tuple[Part, list[Any]]


@dataclass(slots=True)
class Merged:
    """The outcome: body, lineage, names of changed elements, and the paths on which two sources tie.

    `refreshed` says that only times in the lineage are new; `outranked` names the paths of an actor's word that stand
    against it, since a source of higher rank holds them.
    """

    body: Json
    lineage: Lineage
    changed: list[str] = field(default_factory=list)
    ties: list[str] = field(default_factory=list)
    refreshed: bool = False
    outranked: list[str] = field(default_factory=list)


def merge(
    standing: Json,
    lineage: Lineage,
    mapped: Mapped,
    stamp: Stamp,
    *,
    barred: Iterable[str] = (),
    never_late: frozenset[str] = frozenset(),
    replay: bool = False,
) -> Merged:
    """What becomes of `standing` (a body without meta; {} for a new resource) when `mapped` is told with `stamp`.

    `barred` names element paths that this message may not change, `never_late` those that it changes though later words
    stand there. A `replay` changes, among words of its own time, only what its message said. The inputs do not change.
    """
    shape = shape_of(mapped.type)
    if not standing and not lineage.parts:
        return _first_word(shape, mapped, stamp)
    telling = _Telling(shape, standing, lineage, stamp, never_late, replay=replay)
    barred_paths = frozenset(barred)
    for path, value in telling.shape.told(mapped.body).items():
        if path not in barred_paths:
            telling.tell(path, value, _fields(mapped.lineage, path))
    for path, source_field in mapped.clears.items():
        if path not in barred_paths:
            for name in source_field.split():
                telling.clear(path, name)
    return telling.outcome()


def set_elements(
    standing: Json,
    lineage: Lineage,
    resource_type: str,
    values: Json,
    stamp: Stamp,
    source_field: str,
    *,
    replay: bool = False,
) -> Merged:
    """Set whole elements for a reason other than their own field: a snapshot that left a member out, a merge."""
    telling = _Telling(shape_of(resource_type), standing, lineage, stamp, replay=replay)
    for path, value in values.items():
        telling.set_one(path, value, source_field)
    return telling.outcome()


def clear_elements(
    standing: Json,
    lineage: Lineage,
    resource_type: str,
    paths: Iterable[str],
    stamp: Stamp,
    source_field: str,
    *,
    replay: bool = False,
) -> Merged:
    """Clear whole elements for a reason other than their own field."""
    telling = _Telling(shape_of(resource_type), standing, lineage, stamp, replay=replay)
    for path in paths:
        telling.clear(path, source_field)
    return telling.outcome()


def overwrite(
    standing: Json, lineage: Lineage, resource_type: str, wanted: Json, stamp: Stamp, pointer_of: Callable[[str], str]
) -> Merged:
    """What becomes of `standing` when an actor who has seen it wants it to be `wanted`.

    Only elements that differ are spoken of; each gets the actor's stamp and `pointer_of(path)` (which begins with `/`)
    as its field. The actor speaks after all that stands, so time does not count against the word, only rank: see
    `outranked`. A list is spoken of whole: what another source said of it before counts no more, items that stay keep
    whose they were.
    """
    shape = shape_of(resource_type)
    told, old = shape.told(wanted), shape.told(standing)
    paths = [path for path in {**old, **told} if not same_text(old.get(path), told.get(path))]
    telling = _Telling(shape, standing, lineage, stamp, frozenset(paths), replay=False)
    for path in paths:
        if telling.is_outranked(path, told.get(path)):
            telling.outranked.append(path)
        elif path in shape.union | shape.accumulate:
            telling.replace_list(path, told.get(path) or [], pointer_of(path))
        elif path in told:
            telling.replace_one(path, told[path], pointer_of(path))
        else:
            telling.clear(path, pointer_of(path))
    return telling.outcome()


def _first_word(shape: Shape, mapped: Mapped, stamp: Stamp) -> Merged:
    """The first word about a resource: all of it counts."""
    told = shape.told(mapped.body)
    parts: dict[str, list[Part]] = {}
    for path, value in told.items():
        fields = _fields(mapped.lineage, path)
        if path in shape.union and isinstance(value, list):
            groups = [
                (Part(stamp, name, (), cleared=not items), items)
                for name, items in _items_by_field(value, fields).items()
            ]
            told[path], parts[path] = _laid_out(groups)
        elif path in shape.accumulate:
            parts[path] = [Part(stamp, fields[0][0], tuple(range(len(value))))]
        else:
            parts[path] = [Part(stamp, fields[0][0])]
    for path, source_field in mapped.clears.items():
        cleared = [Part(stamp, name, None, cleared=True) for name in source_field.split()]
        if path in shape.union or path not in parts:
            parts[path] = [*parts.get(path, ()), *cleared]
    return Merged(shape.body(told), Lineage(parts), list(told))


class _Telling:
    """One message speaking about one resource."""

    def __init__(
        self,
        shape: Shape,
        standing: Json,
        lineage: Lineage,
        stamp: Stamp,
        never_late: frozenset[str] = frozenset(),
        *,
        replay: bool,
    ) -> None:
        self.shape = shape
        self._told = shape.told(standing)
        self._parts = dict(lineage.parts)
        self._moves = lineage.moves
        self._stamp = stamp
        self._never_late = frozenset() if replay else never_late
        self._replay = replay
        self._changed: list[str] = []
        self._ties: list[str] = []
        self._refreshed = False
        self._kept: dict[Stamp, Stamp] = {}
        self.outranked: list[str] = []

    def outcome(self) -> Merged:
        body, lineage = self.shape.body(self._told), Lineage(self._parts, self._moves)
        return Merged(body, lineage, self._changed, self._ties, self._refreshed, self.outranked)

    def is_outranked(self, path: str, wanted: Any) -> bool:
        """Whether something that a source of higher rank said would be lost. Items of lists are judged one by one."""
        standing = self._told.get(path)
        for part in self._parts.get(path, ()):
            lost = path not in self.shape.union
            if part.positions is not None and standing is not None:
                lost = any(standing[position] not in (wanted or ()) for position in part.positions)
            if lost and part.stamp.rank > self._stamp.rank:
                return True
        return False

    def replace_list(self, path: str, items: list[Any], source_field: str) -> None:
        """Make a list what an actor who has seen it wants. Sources keep the items that they gave and that stay."""
        standing, before = self._told.get(path) or [], self._parts.get(path, ())
        wanted = list(items)
        parts: list[Part] = []
        given: set[int] = set()
        for part in before:
            held = [standing[position] for position in part.positions or ()]
            stays = tuple(wanted.index(item) for item in held if item in wanted)
            if stays:
                parts.append(part._replace(positions=stays))
                given.update(stays)
        latest = max((part.stamp.recorded or "" for part in before), default="")
        mine = self._stamp if latest <= (self._stamp.recorded or "") else self._stamp._replace(recorded=latest)
        own = tuple(number for number in range(len(wanted)) if number not in given)
        self._parts[path] = [*parts, Part(mine, source_field, own if wanted else None, cleared=not wanted)]
        self._changed.append(path)
        if wanted:
            self._told[path] = wanted
        else:
            self._told.pop(path, None)

    def replace_one(self, path: str, value: Any, source_field: str) -> None:
        """Make an element what an actor who has seen it wants: an equal value may be written otherwise."""
        self._told.pop(path, None)
        self.set_one(path, value, source_field)

    def tell(self, path: str, value: Any, fields: tuple[Contribution, ...]) -> None:
        if path in self.shape.accumulate:
            self._accumulate(path, value, fields[0][0])
        elif path in self.shape.union and isinstance(value, list):
            self._unite(path, _items_by_field(value, fields))
        else:
            self.set_one(path, value, fields[0][0])

    def set_one(self, path: str, value: Any, source_field: str) -> None:
        old = self._parts.get(path)
        if self._told.get(path) == value and old:
            self._parts[path] = [self._fresh(old[0], source_field)]
            return
        verdict = self._judge(path, old[0].stamp) if old else 1
        if verdict == 0:
            self._ties.append(path)
        if verdict > 0:
            self._told[path] = value
            self._parts[path] = [Part(self._word(path, old), source_field)]
            self._changed.append(path)

    def clear(self, path: str, source_field: str) -> None:
        if path in self.shape.union:
            self._unite(path, {source_field: []})
            return
        old = self._parts.get(path)
        verdict = self._judge(path, old[0].stamp) if old else 1
        if verdict == 0 and path in self._told:
            self._ties.append(path)
        if verdict <= 0:
            return
        if self._told.pop(path, None) is not None:
            self._changed.append(path)
        else:
            self._refreshed = True
        self._parts[path] = [Part(self._word(path, old), source_field, None, cleared=True)]

    def _judge(self, path: str, old: Stamp) -> int:
        """Whether this message's word counts against what stands on a path, as `judge` says it."""
        verdict, mine = judge(self._stamp, old), self._stamp
        if self._replay and verdict > 0 and mine.rank == old.rank and (mine.recorded or "") <= (old.recorded or ""):
            return 1 if mine.message == old.message else -1
        return 1 if path in self._never_late and mine.rank >= old.rank else verdict

    def _word(self, path: str, old: list[Part] | None) -> Stamp:
        """The stamp to write on a path; a word that is never late is as late as what it replaces."""
        mine = self._stamp
        if path in self._never_late and old and (old[0].stamp.recorded or "") > (mine.recorded or ""):
            return mine._replace(recorded=old[0].stamp.recorded)
        return mine

    def _fresh(self, part: Part, source_field: str) -> Part:
        """The part that stands after the same value was said again: the word that counts more keeps it."""
        old = part.stamp
        kept = self._kept.get(old)
        if kept is None:
            kept = self._kept[old] = self._said_again(old)
        if kept is old:
            return part
        self._refreshed = True
        return Part(kept, source_field if kept is self._stamp else part.source_field, part.positions, part.cleared)

    def _said_again(self, old: Stamp) -> Stamp:
        """The stamp of a value that this message says again: the old one, it with a later time, or this message's."""
        mine = self._stamp
        again = mine.source == old.source and mine.rank == old.rank and (mine.recorded or "") <= (old.recorded or "")
        if again or judge(mine, old) <= 0:
            return old
        return old._replace(recorded=mine.recorded, rank=mine.rank) if mine.source == old.source else mine

    def _unite(self, path: str, new: Mapping[str, list[Any]]) -> None:
        """Replace what these fields of this source gave to an array; keep what other fields and sources gave."""
        standing: list[Any] = self._told.get(path) or []
        waiting = dict(new)
        verdict = self._verdict_of_actors(path)
        groups: list[Group] = []
        for part in self._parts.get(path, ()):
            group = (part, [standing[position] for position in part.positions or ()])
            if part.stamp.source == self._stamp.source and part.source_field in waiting:
                items = waiting.pop(part.source_field)
                if verdict > 0 or items == group[1]:
                    group = self._replaced(path, group, items)
            groups.append(group)
        if verdict <= 0:
            if verdict == 0 and any(item not in standing for items in waiting.values() for item in items):
                self._ties.append(path)
            waiting = {}
        groups.extend((self._group(name, items), items) for name, items in waiting.items())
        self._refreshed = self._refreshed or bool(waiting)
        groups.sort(key=_by_weight(groups))
        array, self._parts[path] = _laid_out(groups)
        if array == standing:
            return
        self._changed.append(path)
        if array:
            self._told[path] = array
        else:
            self._told.pop(path, None)

    def _verdict_of_actors(self, path: str) -> int:
        """Whether this word counts against the actors who spoke of the list whole (see `overwrite`): 1 without any."""
        whole = [part.stamp for part in self._parts.get(path, ()) if part.source_field.startswith("/")]
        return min((self._judge(path, stamp) for stamp in whole), default=1)

    def _replaced(self, path: str, group: Group, items: list[Any]) -> Group:
        part, held = group
        if items == held and part.cleared == (not items):
            return self._fresh(part, part.source_field), held
        if self._judge(path, part.stamp) <= 0:
            return group
        self._refreshed = True
        return self._group(part.source_field, items)._replace(stamp=self._word(path, [part])), items

    def _group(self, source_field: str, items: list[Any]) -> Part:
        return Part(self._stamp, source_field, (), cleared=not items)

    def _accumulate(self, path: str, value: list[Any], source_field: str) -> None:
        standing: list[Any] = self._told.get(path) or []
        news = [item for item in value if item not in standing]
        if not news:
            return
        array = standing + news
        positions = tuple(range(len(standing), len(array)))
        self._parts[path] = [*self._parts.get(path, ()), Part(self._stamp, source_field, positions)]
        self._told[path] = array
        self._changed.append(path)


def _by_weight(groups: list[Group]) -> Callable[[Group], int]:
    """Sort key: sources by their strongest and latest word, so that item 0 is the one to show; fields stay in order."""
    best: dict[str, tuple[int, str]] = {}
    for part, _ in groups:
        word = (part.stamp.rank, part.stamp.recorded or "")
        best[part.stamp.source] = max(best.get(part.stamp.source, word), word)
    order = sorted(best, key=lambda source: best[source], reverse=True)
    place = {source: number for number, source in enumerate(order)}
    return lambda group: place[group[0].stamp.source]


def _laid_out(groups: list[Group]) -> tuple[list[Any], list[Part]]:
    """One array without doubles, and each group's positions in it; equal items of two sources share a place."""
    array: list[Any] = []
    parts: list[Part] = []
    for part, items in groups:
        array.extend(item for number, item in enumerate(items) if item not in array and item not in items[:number])
        positions = None if part.cleared else tuple(array.index(item) for item in items)
        parts.append(part._replace(positions=positions))
    return array, parts


def _fields(lineage: Mapping[str, tuple[Contribution, ...]], path: str) -> tuple[Contribution, ...]:
    """The source fields of a path: told exactly, by its parent, by a child, or by a member of its choice."""
    found = lineage.get(path) or lineage.get(path.split(".", 1)[0])
    if found:
        return found
    stem = path.removesuffix("[x]")
    for key, contributions in lineage.items():
        if key.startswith(f"{path}.") or (stem != path and key.startswith(stem)):
            return contributions
    return (("", 1),)


def _items_by_field(items: list[Any], fields: tuple[Contribution, ...]) -> dict[str, list[Any]]:
    if sum(count for _, count in fields) != len(items):
        return {fields[0][0]: list(items)}
    by_field: dict[str, list[Any]] = {}
    start = 0
    for name, count in fields:
        by_field.setdefault(name, []).extend(items[start : start + count])
        start += count
    return by_field
