"""Profiles as checks: only what a profile asks for beyond the type that it constrains, compiled at first use."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from chartwire.formats.fhir.definitions import Child, structure, structure_canonicals
from chartwire.formats.fhir.validate.bindings import binding_check, bindings_of
from chartwire.formats.fhir.validate.elements import constraint_keys, element_of, elements_of, properties_of
from chartwire.formats.fhir.validate.invariants import invariants_of
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.patterns import Requirement, requirement_of
from chartwire.formats.fhir.validate.references import targets_check
from chartwire.formats.fhir.validate.run import Check, Json, Run
from chartwire.formats.fhir.validate.slicing import Item, Slice, Slicing, matcher
from chartwire.formats.fhir.validate.snapshots import Node, tree_of

_EXTENSION: Final = "Extension"


class Profile:
    """One profile. `check` tells of what an object of its type lacks or has too much by it. `home` is the element that
    the extension belongs into, where it defines one."""

    __slots__ = ("_checks", "canonical", "home", "name", "type")

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.canonical = f"{told['url']}|{told['version']}"
        self.name = f"{told['name']} {told['version']}"
        self.type: str = told["type"]
        self.home = "modifierExtension" if told["snapshot"]["element"][0].get("isModifier") else "extension"
        self._checks: _Level | None = None

    def check(self, held: Json, place: Place, run: Run) -> None:
        """Check an object (a resource, or a value of a data type) at its place."""
        if self._checks is None:
            told = structure(self.canonical)
            assert told is not None, self.canonical
            self._checks = _Level(tree_of(told), self.type, self.name)
        around, run.findings.of_profile = run.findings.of_profile, self.canonical
        self._checks.check(held, held, place, run)
        run.findings.of_profile = around

    def check_value(self, held: Any, _: Json, place: Place, run: Run) -> None:
        """`check`, as a check of one member among others."""
        if type(held) is dict:
            self.check(held, place, run)


def profile_of(canonical: str) -> Profile | None:
    """The profile of a canonical or `canonical|version`; None where it is not known."""
    url, bar, version = canonical.partition("|")
    versions = _versions().get(url)
    return _profile(canonical) if versions and (not bar or version in versions) else None


@cache
def _versions() -> Mapping[str, Sequence[str]]:
    """The versions of each canonical that is known. What clients name is looked up here, so that it is not kept."""
    found: dict[str, list[str]] = {}
    for canonical in structure_canonicals():
        url, _, version = canonical.partition("|")
        found.setdefault(url, []).append(version)
    return found


@cache
def _profile(canonical: str) -> Profile:
    told = structure(canonical)
    assert told is not None, canonical
    return Profile(told)


def check_profile(canonical: str, held: Json, place: Place, run: Run) -> None:
    """Check a resource against one profile, or tell that it is not known here. `place` is the resource's."""
    profile = profile_of(canonical)
    where: Place = ((place, "meta", -1), "profile", -1)
    if profile is None:
        known = _versions().get(canonical.partition("|")[0], ())
        run.findings.add("profile-version" if known else "profile-unknown", where, known=", ".join(known))
    elif profile.type not in (held.get("resourceType"), "Resource", "DomainResource"):
        run.findings.add("profile-type", where, profile=profile.name, wanted=profile.type)
    else:
        profile.check(held, place, run)


def check_known_extension(held: Json, place: Place, run: Run) -> None:
    """Check an extension by its definition, where it is one of R4 or US Core."""
    url = held.get("url")
    profile = profile_of(url) if type(url) is str else None
    if profile is None or profile.type != _EXTENSION:
        return
    if place[1] not in {profile.home, _EXTENSION}:
        run.findings.add("extension-place", place, right=profile.home)
    profile.check(held, place, run)


class _Level:
    """What a profile asks of one object: of itself (`own`), and of each of its elements that it speaks of."""

    __slots__ = ("elements", "own")

    def __init__(self, node: Node, type_name: str, profile: str, *, inner: bool = False) -> None:
        base = elements_of(type_name).get("", {})
        constraints = () if inner else node.element.get("constraint", ())
        self.own = invariants_of(constraints, type_name, constraint_keys(base))
        found = (_element(child, type_name, profile) for child in node.children.values())
        self.elements = [one for one in found if one is not None]

    def __bool__(self) -> bool:
        return bool(self.own or self.elements)

    def check(self, held: Any, _: Json, place: Place, run: Run) -> None:
        if type(held) is not dict:
            return
        for element in self.elements:
            element.check(held, place, run)
        for invariant in self.own:
            invariant(held, held, place, run)


class _Content(NamedTuple):
    """What a profile asks of each value of an element, and of values of one type in particular."""

    always: list[Check]
    by_type: Mapping[str, list[Check]]

    def check(self, item: Item, owner: Json, run: Run) -> None:
        for check in self.always:
            check(item.value, owner, item.place, run)
        for check in self.by_type.get(item.type, ()):
            check(item.value, owner, item.place, run)

    def __bool__(self) -> bool:
        return bool(self.always or self.by_type)


class _ElementCheck:
    """What a profile asks of one element of an object."""

    __slots__ = ("allowed", "content", "maximum", "minimum", "name", "profile", "properties", "slicing")

    def __init__(self, node: Node, type_name: str, profile: str) -> None:
        base = element_of(type_name, node.name)
        self.name = node.name
        self.profile = profile
        children = properties_of(type_name, node.name)
        self.properties = {name: child for child in children for name in (child.name, f"_{child.name}")}
        self.minimum: int = node.element["min"] if node.element["min"] != base.get("min") else 0
        self.maximum = None if node.maximum == base.get("max") else node.bound
        wanted = {told["code"] for told in node.element.get("type", ())}
        there = {told["code"] for told in base.get("type", ())}
        self.allowed = wanted if wanted and wanted < there and not node.slices else None
        self.content = _content(node, base, children, profile)
        self.slicing = _slicing(node, base, children, profile)

    def __bool__(self) -> bool:
        return bool(
            self.minimum or self.maximum is not None or self.allowed or self.content or self.slicing is not None
        )

    def check(self, owner: Json, around: Place, run: Run) -> None:
        items = self._items(owner, around)
        if len(items) < self.minimum:
            run.findings.add("required", (around, self.name, -1), minimum=self.minimum, where=f" ({self.profile})")
        if self.maximum is not None and len(items) > self.maximum:
            self._too_many(around, run)
        for item in items:
            if self.allowed and item.type not in self.allowed:
                allowed = " or ".join(sorted(self.allowed))
                run.findings.add("type-not-allowed", item.place, type=item.type, profile=self.profile, allowed=allowed)
            self.content.check(item, owner, run)
        if self.slicing is not None:
            self.slicing.check(items, owner, (around, self.name, -1), run)

    def _items(self, owner: Json, around: Place) -> list[Item]:
        """Every value of the element; one that has only extensions is None."""
        items: list[Item] = []
        for name in owner if len(self.properties) > len(owner) else self.properties:
            if name in owner and name in self.properties:
                items += _values(owner, name, self.properties[name], around)
        return items

    def _too_many(self, around: Place, run: Run) -> None:
        if self.maximum == 0:
            run.findings.add("not-allowed", (around, self.name, -1))
        else:
            run.findings.add("too-many", (around, self.name, -1), maximum=self.maximum)


def _values(owner: Json, name: str, child: Child, around: Place) -> list[Item]:
    """The values of one property; of a companion (`_value`) only where the value itself is not there."""
    held = owner[name]
    if name != child.name:
        if child.name in owner:
            return []
        held = [None] * len(held) if type(held) is list else None
    if type(held) is list:
        return [Item(one, child.type, (around, child.name, index)) for index, one in enumerate(held)]
    return [Item(held, child.type, (around, child.name, -1))]


def _element(node: Node, type_name: str, profile: str) -> _ElementCheck | None:
    check = _ElementCheck(node, type_name, profile)
    return check if check and check.properties else None


def _content(node: Node, base: Mapping[str, Any], children: Sequence[Child], profile: str) -> _Content:
    always: list[Check] = []
    requirement = requirement_of(node.element)
    if requirement is not None:
        always.append(_required_value(requirement, profile))
    by_type = {child.type: checks for child in children if (checks := _typed(node, base, child, profile))}
    return _Content(always, by_type)


def _required_value(requirement: Requirement, profile: str) -> Check:
    def check(held: Any, _: Json, place: Place, run: Run) -> None:
        if not requirement.met_by(held):
            run.findings.add(requirement.rule, place, profile=profile, wanted=requirement.wanted)

    return check


def _typed(node: Node, base: Mapping[str, Any], child: Child, profile: str) -> list[Check]:
    """What is asked of values of one type: bindings, targets, profiles, invariants, elements of their own."""
    checks: list[Check] = []
    told = node.element
    if told.get("binding") != base.get("binding"):
        found = (binding_check(binding, child.type) for binding in bindings_of(told.get("binding")))
        checks += [check for check in found if check is not None]
    checks += _by_types(told, child)
    known = constraint_keys(base) | constraint_keys(elements_of(child.type).get("", {}))
    checks += invariants_of(told.get("constraint", ()), child.type, known)
    if node.children and (level := _Level(node, child.type, profile, inner=True)):
        checks.append(level.check)
    return checks


def _by_types(told: Mapping[str, Any], child: Child) -> list[Check]:
    checks: list[Check] = []
    for one in told.get("type", ()):
        if one["code"] == "Reference" == child.type and one.get("targetProfile"):
            targets = tuple(dict.fromkeys(_type_of(target) for target in one["targetProfile"]))
            if set(targets) != set(child.targets):
                checks.append(targets_check(targets))
        profiles = [found for url in one.get("profile", ()) if (found := profile_of(url)) is not None]
        if one["code"] == child.type != _EXTENSION and len(profiles) == 1:  # extensions are checked by their URL
            checks.append(profiles[0].check_value)
    return checks


def _type_of(canonical: str) -> str:
    told = structure(canonical)
    return str(told["type"]) if told else canonical.rpartition("/")[2]


def _slicing(node: Node, base: Mapping[str, Any], children: Sequence[Child], profile: str) -> Slicing | None:
    slicing = node.element.get("slicing")
    if not slicing or not node.slices:
        return None
    slices = [
        Slice(
            name,
            one.element["min"],
            one.bound,
            matcher(one, slicing.get("discriminator", ())),
            _content(one, base, children, profile).check,
        )
        for name, one in node.slices.items()
    ]
    return Slicing(slices, closed=slicing.get("rules") == "closed", profile=profile)
