"""Types of R4 as checks, compiled at first use from the definitions: what may stand in an object, and what must."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache, partial
from typing import Any, Final

from chartwire.formats.fhir.definitions import Child, children, is_primitive, is_resource, resource_types
from chartwire.formats.fhir.validate.bindings import binding_check, bindings_of
from chartwire.formats.fhir.validate.elements import constraint_keys, element_of, elements_of, is_needed
from chartwire.formats.fhir.validate.invariants import check_extension, check_narrative, invariants_of
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.members import (
    companion,
    many_objects,
    many_values,
    one_object,
    one_value,
    with_extra,
)
from chartwire.formats.fhir.validate.profiles import check_known_extension, check_profile, profile_of
from chartwire.formats.fhir.validate.references import check_contained, targets_check
from chartwire.formats.fhir.validate.run import Check, Json, Run

_ANY: Final = "Resource"
_ELEMENT: Final = "Element"
_REFERENCE: Final = "Reference"
_TYPE_MEMBER: Final = "resourceType"
_NAME_CHARACTERS_MAX: Final = 64


class Shape:
    """One type. `check` tells of everything that is wrong with an object of it."""

    __slots__ = ("_choices", "_grouped", "_invariants", "_members", "_needed", "_needed_choices", "type")

    def __init__(self, type_name: str) -> None:
        self.type = type_name
        self._members: dict[str, Check] = {}

    def check(self, held: Json, place: Place, run: Run) -> None:
        """Check an object of this type at its place."""
        members = self._members or self._compile()
        if not held or (len(held) == 1 and "id" in held):
            run.findings.add("ele-1", place)
        for name, value in held.items():
            member = members.get(name)
            if member is None:
                self._unknown(name, place, run)
            else:
                member(value, held, place, run)
        if not self._needed <= held.keys():
            self._missing(held, place, run)
        for element, names in self._needed_choices:
            if names.isdisjoint(held):
                run.findings.add("required", (place, f"{element}[x]", -1), minimum=1, where="")
        if self._grouped and len(self._grouped.intersection(held)) > 1:
            self._several(held, place, run)
        for invariant in self._invariants:
            invariant(held, held, place, run)

    def _compile(self) -> dict[str, Check]:
        elements = elements_of(self.type)
        properties = children(self.type)
        own = elements.get("", {})
        self._needed = frozenset(
            name for name, child in properties.items() if name == child.element and is_needed(elements.get(name, {}))
        )
        groups: dict[str, frozenset[str]] = {}
        for name, child in properties.items():
            if name != child.element:
                groups[child.element] = groups.get(child.element, frozenset()) | {name, f"_{name}"}
        self._choices = groups
        self._grouped = frozenset(name for names in groups.values() for name in names)
        self._needed_choices = [
            (one, names) for one, names in groups.items() if is_needed(elements.get(f"{one}[x]", {}))
        ]
        self._invariants = [*_by_walk(self.type), *invariants_of(own.get("constraint", ()), self.type)]
        members: dict[str, Check] = {_TYPE_MEMBER: _nothing} if is_resource(self.type) else {}
        for name, child in properties.items():
            members[name] = _member(child, element_of(self.type, child.element))
            if is_primitive(child.type):
                members[f"_{name}"] = companion(name, shape_of(_ELEMENT).check, many=child.many)
        self._members = members
        return members

    def _unknown(self, name: str, place: Place, run: Run) -> None:
        if run.findings.full:
            return
        shown = name if len(name) <= _NAME_CHARACTERS_MAX and name.replace("_", "").isalnum() else "?"
        near = get_close_matches(shown, self._members, n=1)
        hint = f" (the nearest is `{near[0]}`)" if near else ""
        run.findings.add("unknown-element", (place, shown, -1), type=self.type, near=hint)

    def _missing(self, held: Json, place: Place, run: Run) -> None:
        for name in sorted(self._needed - held.keys()):
            if f"_{name}" not in held:
                run.findings.add("required", (place, name, -1), minimum=1, where="")

    def _several(self, held: Json, place: Place, run: Run) -> None:
        for element, names in self._choices.items():
            there = sorted({name.removeprefix("_") for name in names.intersection(held)})
            if len(there) > 1:
                run.findings.add("two-values", (place, f"{element}[x]", -1), names=" and ".join(there))


@cache
def shape_of(type_name: str) -> Shape:
    """The one Shape of a type, or of a backbone element by its path."""
    return Shape(type_name)


def check_resource(held: Json, place: Place, run: Run) -> None:
    """Check a resource of whatever type, with what it contains."""
    kind = held.get(_TYPE_MEMBER)
    if type(kind) is not str or kind not in resource_types():
        run.findings.add("unknown-resource-type", (place, _TYPE_MEMBER, -1))
        return
    shape_of(kind).check(held, place, run)
    if "contained" in held:
        check_contained(held, place, run)
    for canonical in profiles_named(held):
        check_profile(canonical, held, place, run)


def profiles_named(resource: Json) -> list[str]:
    """What a resource names in meta.profile, each once."""
    meta = resource.get("meta")
    named = meta.get("profile") if type(meta) is dict else None
    return list(dict.fromkeys(one for one in named if type(one) is str)) if type(named) is list else []


def _check_inner(held: Json, place: Place, run: Run, *, apart: bool) -> None:
    """A resource within another: an entry is one of its own, a contained one belongs to its container."""
    if apart:
        check_resource(held, place, run.within(held))
        return
    around = run.resource
    run.enter(held)
    check_resource(held, place, run)
    run.enter(around)


def _member(child: Child, told: Mapping[str, Any]) -> Check:
    extra = _extra(child, told)
    if is_primitive(child.type):
        return (many_values if child.many else one_value)(child.name, child.type, extra)
    if child.type == _ANY:
        check = with_extra(partial(_check_inner, apart=child.name != "contained"), extra)
    else:
        check = with_extra(shape_of(child.type).check, extra)
    return (many_objects if child.many else one_object)(child.name, child.type, check)


def _extra(child: Child, told: Mapping[str, Any]) -> list[Check]:
    """What the place of use adds to the type: bindings, targets, invariants."""
    of_type = elements_of(child.type).get("", {})
    bound = told.get("binding") or of_type.get("binding")
    checks = [binding_check(binding, child.type) for binding in bindings_of(bound)]
    found = [check for check in checks if check is not None]
    if child.type == _REFERENCE:
        found.append(targets_check(child.targets))
    own = constraint_keys(of_type)
    return found + invariants_of(told.get("constraint", ()), child.type, own) + _profiled(child, told)


def _profiled(child: Child, told: Mapping[str, Any]) -> list[Check]:
    """SimpleQuantity and its like: the profile of the type that R4 itself asks for."""
    named = [url for one in told.get("type", ()) if one["code"] == child.type for url in one.get("profile", ())]
    profile = profile_of(named[0]) if len(named) == 1 else None
    return [profile.check_value] if profile else []


def _by_walk(type_name: str) -> list[Check]:
    if type_name == "Narrative":
        return [lambda held, _, place, run: check_narrative(held, place, run)]
    if type_name == "Extension":
        return [
            lambda held, _, place, run: check_extension(held, place, run),
            lambda held, _, place, run: check_known_extension(held, place, run),
        ]
    return []


def _nothing(_: Any, __: Json, ___: Place, ____: Run) -> None:
    """`resourceType` was looked at to get here."""
