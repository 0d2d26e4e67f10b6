"""Slicing: which slice of a profile a value belongs to (R4 5.1.0.12), and whether each slice has what it needs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from chartwire.formats.fhir.definitions import structure
from chartwire.formats.fhir.validate.bindings import bindings_of
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.patterns import Requirement, requirement_of
from chartwire.formats.fhir.validate.run import Json, Run
from chartwire.formats.fhir.validate.snapshots import Node

_THIS: Final = "$this"
_URL: Final = "url"


class Item(NamedTuple):
    """One value of an element (None: it has only extensions), its type, and where it stands."""

    value: Any
    type: str
    place: Place


Matcher = Callable[[Item], bool]
_Test = Callable[[Any], bool]


class Slice(NamedTuple):
    """One slice. `belongs` is None where its discriminator cannot be decided from the value alone."""

    name: str
    minimum: int
    maximum: int | None
    belongs: Matcher | None
    content: Callable[[Item, Json, Run], None]


class Slicing:
    """The slices of one element."""

    __slots__ = ("closed", "decided", "profile", "slices")

    def __init__(self, slices: Sequence[Slice], *, closed: bool, profile: str) -> None:
        self.slices = slices
        self.decided = all(one.belongs is not None for one in slices)
        self.closed = closed and self.decided
        self.profile = profile

    def check(self, items: Sequence[Item], owner: Json, place: Place, run: Run) -> None:
        """Put each value into its slice, check it by that, and count. `place` is the element's."""
        if items and not self.decided:
            run.findings.add("slice-not-checked", place, profile=self.profile)
        counts = [0] * len(self.slices)
        for item in items:
            number = self._slice_of(item)
            if number is not None:
                counts[number] += 1
                self.slices[number].content(item, owner, run)
            elif self.closed:
                run.findings.add("slice-closed", item.place, profile=self.profile)
        for one, count in zip(self.slices, counts, strict=True):
            if one.belongs is None:
                continue
            if count < one.minimum:
                where = f" ({self.profile})"
                run.findings.add("slice-required", place, name=one.name, minimum=one.minimum, where=where)
            if one.maximum is not None and count > one.maximum:
                run.findings.add("slice-too-many", place, name=one.name, maximum=one.maximum)

    def _slice_of(self, item: Item) -> int | None:
        for number, one in enumerate(self.slices):
            if one.belongs is not None and one.belongs(item):
                return number
        return None


def matcher(node: Node, discriminators: Iterable[Mapping[str, str]]) -> Matcher | None:
    """Whether a value belongs to a slice, by all the discriminators; None where one of them cannot be decided."""
    tests = [_test(node, told["type"], told["path"]) for told in discriminators]
    if not tests or None in tests:
        return None
    known = [test for test in tests if test is not None]
    return lambda item: all(test(item) for test in known)


def _test(node: Node, kind: str, path: str) -> Matcher | None:
    steps = [] if path == _THIS else path.split(".")
    if kind in {"value", "pattern"}:
        return _by_value(node, steps)
    if kind == "exists":
        return _by_existence(node, steps)
    return _by_type(node) if kind == "type" and not steps else None


def _by_value(node: Node, steps: Sequence[str]) -> Matcher | None:
    """The value at a path, by what the slice fixes there, around it or below it."""
    here = node
    for taken in range(len(steps) + 1):
        requirement = requirement_of(here.element)
        if requirement is not None:
            return _at(steps[:taken], requirement.met_by)
        if taken < len(steps):
            found = here.at(steps[taken])
            if found is None:
                return _by_url(here, steps) if steps[taken:] == [_URL] else None
            here = found
    test = _below(here)
    return _at(steps, test) if test is not None else None


def _below(node: Node) -> _Test | None:
    """What the elements within a node fix, all of them; else the codes that it is bound to."""
    tests: list[tuple[str, _Test]] = []
    for child in node.children.values():
        requirement = requirement_of(child.element)
        test = requirement.met_by if requirement is not None else _below(child)
        if test is not None:
            tests.append((child.name, test))
    if tests:
        return lambda held: all(any(map(test, _values(held, [name]))) for name, test in tests)
    required = [one for one in bindings_of(node.element.get("binding")) if one.strength == "required"]
    if not required:
        return None
    codes = required[0].members
    return lambda held: any(coding in codes for coding in _codings(held))


def _codings(held: Any) -> list[tuple[str, str]]:
    """(system, code) of the codings of a concept, or of a coding."""
    found = held.get("coding", [held]) if isinstance(held, dict) else []
    told = (
        [(one.get("system"), one.get("code")) for one in found if isinstance(one, dict)] if type(found) is list else []
    )
    return [(system, code) for system, code in told if isinstance(system, str) and isinstance(code, str)]


def _by_url(node: Node, steps: Sequence[str]) -> Matcher | None:
    """Extensions, by the URL that the profile of the slice's type has."""
    profiles = [url for told in node.element.get("type", ()) for url in told.get("profile", ())]
    told = structure(profiles[0]) if profiles else None
    url = told["url"] if told else (profiles[0].partition("|")[0] if profiles else None)
    return _at(steps, Requirement("fixed-value", url).met_by) if url else None


def _by_type(node: Node) -> Matcher:
    types = frozenset(told["code"] for told in node.element.get("type", ()))
    return lambda item: item.type in types


def _by_existence(node: Node, steps: Sequence[str]) -> Matcher | None:
    here: Node | None = node
    for step in steps:
        here = here.at(step) if here is not None else None
    if here is None:
        return None
    wanted = here.maximum != "0"
    return lambda item: bool(_values(item.value, steps)) == wanted


def _at(steps: Sequence[str], test: _Test) -> Matcher:
    if not steps:
        return lambda item: test(item.value)
    return lambda item: any(map(test, _values(item.value, steps)))


def _values(held: Any, steps: Sequence[str]) -> list[Any]:
    """All values at a path of element names, arrays unfolded, a choice by its plain name."""
    found = [held]
    for step in steps:
        stem = step.removesuffix("[x]")
        beyond: list[Any] = []
        for one in found:
            if isinstance(one, dict):
                value = one.get(stem) if stem in one else _choice(one, stem)
                beyond += value if isinstance(value, list) else [] if value is None else [value]
        found = beyond
    return found


def _choice(held: Json, stem: str) -> Any:
    return next(
        (held[name] for name in held if name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper()), None
    )
