"""Which statements can give anything, told from the fields that are filled: most of a message is empty fields.

An expression's needs are fields (`PID-5`) or components (`.4`) without any of which it gives nothing. Selections are
cached by the pattern of filled fields, which one sender repeats from message to message.
"""

from collections.abc import Callable, Hashable
from itertools import compress
from typing import Final, Generic, TypeVar

from chartwire.formats.hl7v2 import Segment
from chartwire.mapping.language import Condition, Path, Rule

Needs = frozenset[str] | None
"""None = it may give something whatever is filled."""

T = TypeVar("T")
_PATTERNS_MAX: Final = 2_000
_FIELDS_MAX: Final = 999
_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
_shapes: dict[Hashable, frozenset[str]] = {}
_unions: dict[Hashable, frozenset[str]] = {}


class Selection(Generic[T]):
    """Items with their needs, and the selections made so far."""

    def __init__(self, items: list[tuple[Needs, T]]) -> None:
        self._items = items
        self._chosen: dict[Hashable, tuple[T, ...]] = {}

    def by(self, pattern: Hashable, filled: Callable[[], frozenset[str]]) -> tuple[T, ...]:
        """The items that may give something; `filled` is asked only for a pattern not seen before."""
        found = self._chosen.get(pattern)
        if found is None:
            if len(self._chosen) >= _PATTERNS_MAX:
                self._chosen.clear()
            names = filled()
            found = tuple(item for needs, item in self._items if needs is None or not needs.isdisjoint(names))
            self._chosen[pattern] = found
        return found


def filled_fields(segment: Segment, separator: str) -> frozenset[str]:
    """The labels of the fields of a segment that hold anything: PID-3, PID-5 ..."""
    parts = segment.line.split(separator)
    name = segment.name
    if name in _HEADERS:
        parts.insert(1, separator)
    del parts[_FIELDS_MAX + 1 :]
    shape = (name, *map(bool, parts))
    found = _shapes.get(shape)
    if found is None:
        labels = ["", *(f"{name}-{number}" for number in range(1, len(parts)))]
        found = frozenset(compress(labels, parts))
        found -= {""}
        _remember(_shapes, shape, found)
    return found


def joined(sets: tuple[frozenset[str], ...]) -> frozenset[str]:
    """The union, as one object for the same sets, so that patterns compare by identity."""
    found = _unions.get(sets)
    if found is None:
        found = frozenset().union(*sets)
        _remember(_unions, sets, found)
    return found


def _remember(known: dict[Hashable, frozenset[str]], key: Hashable, value: frozenset[str]) -> None:
    if len(known) >= _PATTERNS_MAX:
        known.clear()
    known[key] = value


def needs_of(rule: Rule) -> Needs:
    """The needs of an expression."""
    if rule.finding or rule.within or (rule.head == "each" and rule.name):
        return None
    needs = _BY_HEAD.get(rule.head, _unknown)(rule)
    if rule.default is not None:
        needs = _union([needs, needs_of(rule.default)])
    return needs if needs is not None or rule.when is None else _condition_needs(rule.when)


def _unknown(_rule: Rule) -> Needs:
    return None


def _of_path(rule: Rule) -> Needs:
    return None if rule.path is None or rule.inner is not None else _path_needs(rule.path)


def _path_needs(path: Path) -> Needs:
    if path.segment:
        return frozenset({path.label})
    return frozenset({f".{path.component}"}) if path.component else None


def _of_parts(rule: Rule) -> Needs:
    return _union([needs_of(part) for part in rule.parts])


def _of_object(rule: Rule) -> Needs:
    for target, rules in rule.body:
        if target.path in rule.require:
            needs = _union([needs_of(part) for part in rules])
            if needs is not None:
                return needs
    return _union([needs_of(part) for _, rules in rule.body for part in rules])


def _union(parts: list[Needs]) -> Needs:
    found: frozenset[str] = frozenset()
    for part in parts:
        if part is None:
            return None
        found |= part
    return found or None


def _condition_needs(condition: Condition) -> Needs:
    """Fields without any of which the condition cannot hold."""
    if condition.kind in {"valued", "in", "is", "known", "repeats"} and condition.path is not None:
        return _path_needs(condition.path)
    if condition.kind == "all":
        return next((needs for part in condition.parts if (needs := _condition_needs(part)) is not None), None)
    if condition.kind == "any":
        return _union([_condition_needs(part) for part in condition.parts])
    return None


_BY_HEAD: Final[dict[str, Callable[[Rule], Needs]]] = {
    "from": _of_path, "each": _of_path, "lines": _of_path, "first": _of_parts, "cases": _of_parts, "join": _of_parts,
    "product": _of_parts, "object": _of_object,
}  # fmt: skip
