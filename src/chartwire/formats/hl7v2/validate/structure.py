"""Message structures: does the order of the segments keep to a grammar such as `MSH EVN PID PD1? NK1* PV1`?

The tree of a structure is compiled to places, one for each segment in it. A step goes from the places where the last
segment may stand to those where the next one may, and is remembered, so that a message takes one look-up a segment
whatever the structure: no backtracking. Where no step is free of gaps, the one that leaves out the fewest required
segments is taken and these are reported; a segment that cannot follow at all is reported and left out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

ANY: Final = "ANY"
_TOKEN: Final = re.compile(r"([^\s()\[\]?*+]+)([(\[]?)|([)\]])|([?*+])")
_STEPS_KEPT_MAX: Final = 20_000
_PLACES_AT_ONCE_MAX: Final = 16


class Step(NamedTuple):
    """Where the next segment may stand, and which required ones were left out; no places where it cannot follow."""

    places: tuple["Place", ...]
    missing: tuple[str, ...] = ()


class Misplaced(NamedTuple):
    """What is wrong with the order. `kind`: missing, missing_at_end, unexpected, order, repeats. `place` is the number
    of the segment that it shows at, from 0 (for what is missing at the end the last one that fits), `names` are those
    that it is about, `times` how often it was so."""

    kind: str
    place: int
    names: tuple[str, ...]
    times: int = 1


class Node:
    """A segment or group of a structure, in its place."""

    __slots__ = ("children", "choice", "index", "name", "parent", "repeats", "required")

    def __init__(self, name: str, parent: "Node | None", index: int, choice: bool) -> None:
        self.name = name
        self.parent = parent
        self.index = index
        self.choice = choice
        self.required = True
        self.repeats = False
        self.children: list[Node] = []

    def chain(self) -> "list[Node]":
        """This node and all around it, innermost first."""
        found, node = [self], self.parent
        while node is not None:
            found.append(node)
            node = node.parent
        return found

    def needs(self) -> tuple[str, ...]:
        """The segments that must stand where this node must: of a choice its alternatives, joined by `or`."""
        if not self.required:
            return ()
        if not self.children:
            return (self.name,)
        inside = [child.needs() for child in self.children]
        if self.choice:
            return (" or ".join(dict.fromkeys(names[0] for names in inside)),) if all(inside) else ()
        return tuple(name for names in inside for name in names)


Place = Node
"""A node without children: a segment."""


class Structure:
    """One message structure. Safe to share between threads: what it remembers is only ever added."""

    def __init__(self, name: str, grammar: str) -> None:
        self.name = name
        self._root = read_grammar(grammar)
        self._places: dict[str, list[Place]] = {}
        for place in _leaves(self._root):
            self._places.setdefault(place.name, []).append(place)
        self._start = (Node("", self._root, -1, False),)
        self._steps: dict[tuple[tuple[Place, ...], str], Step] = {}

    def __contains__(self, segment: str) -> bool:
        return segment in self._places or ANY in self._places

    @cached_property
    def segments(self) -> frozenset[str]:
        """Every segment that may stand in it."""
        return frozenset(self._places)

    def check(self, names: list[str]) -> list[Misplaced]:
        """What is wrong with segments in this order; Z segments do not count. One report a segment name and kind."""
        found: list[Misplaced] = []
        places: tuple[Place, ...] = self._start
        last = 0
        for index, name in enumerate(names):
            if name[0] == "Z":
                continue
            step = self._steps.get((places, name)) or self._step(places, name)
            if step.places:
                if step.missing:
                    found.append(Misplaced("missing", index, step.missing))
                places, last = step.places, index
            else:
                found.append(Misplaced(self._blame(places, name), index, (name,)))
        left = self._left_at_end(places)
        if left:
            found.append(Misplaced("missing_at_end", last, left))
        return _joined(found) if found else found

    def _step(self, places: tuple[Place, ...], name: str) -> Step:
        found = self._find(places, name)
        if len(self._steps) >= _STEPS_KEPT_MAX:
            self._steps.clear()
        self._steps[places, name] = found
        return found

    def _find(self, places: tuple[Place, ...], name: str) -> Step:
        ways: dict[Place, tuple[str, ...]] = {}
        for target in [*self._places.get(name, ()), *self._places.get(ANY, ())]:
            gaps = [gap for place in places if (gap := _gap(place, target)) is not None]
            if gaps and not (target.name == ANY and all(gaps)):  # any segment may stand there, but none is awaited
                ways[target] = min(gaps, key=len)
        if not ways:
            return Step(())
        fewest = min(map(len, ways.values()))
        best = [place for place, gap in ways.items() if len(gap) == fewest]
        missing = ways[best[0]]
        # With a gap the first of several places is taken, so that one fault is told once.
        return Step(tuple(best[: 1 if missing else _PLACES_AT_ONCE_MAX]), missing)

    def _blame(self, places: tuple[Place, ...], name: str) -> str:
        if name not in self._places:
            return "unexpected"
        return "repeats" if any(place.name == name for place in places) else "order"

    def _left_at_end(self, places: tuple[Place, ...]) -> tuple[str, ...]:
        return min((_after(place, self._root) for place in places), key=len)


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children:
        yield node
    for child in node.children:
        yield from _leaves(child)


def _gap(place: Place, target: Place) -> tuple[str, ...] | None:
    """The required segments left out between two places; None where the target cannot follow, loops included."""
    around = {id(node): node for node in place.chain()}
    chain = target.chain()
    common = next(node for node in chain if id(node) in around)
    if common is place:
        return () if place.repeats else _loop(place, target, place.parent)
    ours = next(node for node in place.chain() if node.parent is common)
    theirs = next(node for node in chain if node.parent is common)
    if ours.index < theirs.index and not (common.choice and ours.index >= 0):
        between = [name for node in common.children[ours.index + 1 : theirs.index] for name in node.needs()]
        between = [] if common.choice else between
        return (*_after(place, ours), *between, *_before(target, theirs))
    return _loop(place, target, common)


def _loop(place: Place, target: Place, inside: Node | None) -> tuple[()] | None:
    """No gap where the innermost repeating group around both begins anew, complete.

    Where it would not be complete, the segment stands at the wrong place rather than that others are missing: an AIG
    behind the AIP, not an AIG whose RGS was forgotten.
    """
    while inside is not None and not inside.repeats:
        inside = inside.parent
    complete = inside is not None and not _after(place, inside) and not _before(target, inside)
    return () if complete else None


def _after(place: Place, until: Node) -> tuple[str, ...]:
    """What must still follow a place within `until`."""
    missing: list[str] = []
    node = place
    while node is not until and node.parent is not None:
        if not node.parent.choice:
            missing += [name for sibling in node.parent.children[node.index + 1 :] for name in sibling.needs()]
        node = node.parent
    return tuple(missing)


def _before(target: Place, until: Node) -> tuple[str, ...]:
    """What must stand before a place within `until`."""
    missing: list[str] = []
    node = target
    while node is not until and node.parent is not None:
        if not node.parent.choice:
            missing = [name for one in node.parent.children[: node.index] for name in one.needs()] + missing
        node = node.parent
    return tuple(missing)


def _joined(found: list[Misplaced]) -> list[Misplaced]:
    """One report a kind and name, at its first place; what only came at another place is not missing as well."""
    stray = {one.names[0] for one in found if one.kind == "order"}
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    first: dict[tuple[str, tuple[str, ...]], Misplaced] = {}
    for one in found:
        names = tuple(name for name in one.names if name not in stray) if one.kind.startswith("missing") else one.names
        if names:
            first.setdefault((one.kind, names), one._replace(names=names))
            counts[one.kind, names] += 1
    return [one._replace(times=counts[key]) for key, one in first.items()]


def read_grammar(text: str) -> Node:
    """The tree of `MSH SFT* PV1? PROCEDURE(PR1 ROL*)* CHOICE[OBR RQD]`: ? optional, * any number, + one and more."""
    root = around = last = Node("", None, 0, False)
    for token in _TOKEN.finditer(text):
        name, opens, closes, mark = token.groups()
        if name:
            last = Node(name, around, len(around.children), opens == "[")
            around.children.append(last)
            around = last if opens else around
        elif closes:
            last, around = around, around.parent or root
        else:
            last.required, last.repeats = mark == "+", mark in "*+"
    return root
