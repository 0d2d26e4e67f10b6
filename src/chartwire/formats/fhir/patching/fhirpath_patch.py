"""FHIRPath Patch (http://hl7.org/fhir/R4/fhirpatch.html): add, insert, delete, replace and move, as Parameters."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.patching.faults import OPERATIONS_MAX, failed, invalid, measured
from chartwire.formats.fhirpath import Limits, Meter, nodes
from chartwire.formats.fhirpath.nodes import Json
from chartwire.formats.fhirpath.places import Place, places
from chartwire.formats.fhirpath.syntax import FhirPathError


def fhirpath_patch(body: Json, parameters: Json) -> Json:
    """The body after all operations. Raises FaultsError at the first that cannot be done, by its place."""
    listed = parameters.get("parameter", []) if isinstance(parameters, dict) else None
    if listed is None or parameters.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise invalid("", "must be a Parameters resource")
    if len(listed) > OPERATIONS_MAX:
        raise invalid("/parameter", f"has more than {OPERATIONS_MAX} operations")
    patched = deepcopy(body)
    meter = Meter(Limits())
    for at, parameter in enumerate(listed):
        operation = _read(parameter, f"/parameter/{at}", meter)
        _OPERATIONS[operation.kind](patched, operation)
    measured(patched, "/parameter")
    return patched


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation: its parts by name, its place in the Parameters for errors, and what all of them may cost."""

    kind: str
    path: str
    parts: dict[str, Json]
    place: str
    meter: Meter

    def text(self, name: str) -> str:
        """A part that must be a text."""
        return str(self._plain(name, str, "text"))

    def number(self, name: str) -> int:
        """A part that must be a whole number from 0."""
        number = self._plain(name, int, "whole number")
        if isinstance(number, bool) or number < 0:
            raise invalid(self.place, f"needs a whole number from 0 as `{name}`")
        return int(number)

    def value(self) -> tuple[str, Any]:
        """The FHIR type (`` for an object made of parts, `*` for a resource) and the value of the part `value`."""
        if "value" not in self.parts:
            raise invalid(self.place, "needs a `value`")
        return _value_of(self.parts["value"], self.place)

    def _plain(self, name: str, kind: type, words: str) -> Any:
        found = next((value for key, value in self.parts.get(name, {}).items() if key.startswith("value")), None)
        if not isinstance(found, kind):
            raise invalid(self.place, f"needs a {words} as `{name}`")
        return found


def _read(parameter: Any, place: str, meter: Meter) -> _Operation:
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise invalid(place, "must be named `operation`")
    parts = {str(part.get("name")): part for part in _objects(parameter.get("part"))}
    operation = _Operation("", "", parts, place, meter)
    kind, path = operation.text("type"), operation.text("path")
    if kind not in _OPERATIONS:
        raise invalid(place, f"needs a type: {', '.join(_OPERATIONS)}")
    return _Operation(kind, path, parts, place, meter)


def _value_of(part: Json, place: str) -> tuple[str, Any]:
    """Type and value of a part; of an object made of parts the typed values by name, until `_fitted` knows its type."""
    if "resource" in part:
        return "*", deepcopy(part["resource"])
    for name, value in part.items():
        child = definitions.children("Parameters.parameter").get(name)
        if child is not None and child.element == "value":
            return child.type, deepcopy(value)
    made: Json = {}
    for inner in _objects(part.get("part")):
        made.setdefault(str(inner.get("name")), []).append(_value_of(inner, place))
    if not made:
        raise invalid(place, "has a `value` without a value")
    return "", made


def _add(body: Json, operation: _Operation) -> None:
    target = _single(body, operation)
    name, (type_name, value) = operation.text("name"), operation.value()
    holder = _holder(target, operation)
    child = _child(target.node.type, name, type_name, operation)
    fitted = _fitted(child.type, value, operation)
    _drop_other_choices(holder, target.node.type, child)
    if child.many:
        _lengthened(holder, child.name).append(fitted)
    else:
        holder[child.name] = fitted


def _insert(body: Json, operation: _Operation) -> None:
    items, (type_name, value) = _list(body, operation), operation.value()
    at = operation.number("index")
    if at > len(items):
        raise failed(operation.place, "has an `index` beyond the end of the list")
    if not items or items[0].parent is None or items[0].slot is None:
        raise failed(operation.place, "inserts into a list that is not there; use `add`")
    parent, slot = items[0].parent, items[0].slot
    _check_type(slot.type, type_name, operation)
    fitted = _fitted(slot.type, value, operation)
    _lists(parent, slot, lambda values, here: values.insert(at, fitted if here else None))


def _delete(body: Json, operation: _Operation) -> None:
    found = _found(body, operation)
    if len(found) > 1:
        raise failed(operation.place, f"names {len(found)} elements, not one")
    for place in found:
        _remove(body, place, operation)


def _replace(body: Json, operation: _Operation) -> None:
    target, (type_name, value) = _single(body, operation), operation.value()
    if target.owner is None or target.parent is None or target.slot is None:
        raise failed(operation.place, "cannot replace the resource itself")
    child = _child(target.owner.type, target.element, type_name, operation)
    fitted = _fitted(child.type, value, operation)
    if target.index is not None:
        target.parent[target.slot.name][target.index] = fitted
        return
    _drop(target.parent, target.slot)
    target.parent[child.name] = fitted


def _move(body: Json, operation: _Operation) -> None:
    items = _list(body, operation)
    source, target = operation.number("source"), operation.number("destination")
    if max(source, target) >= len(items) or items[0].parent is None or items[0].slot is None:
        raise failed(operation.place, "moves beyond the end of the list")
    _lists(items[0].parent, items[0].slot, lambda values, _: values.insert(target, values.pop(source)))


_OPERATIONS: dict[str, Callable[[Json, _Operation], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _found(body: Json, operation: _Operation) -> list[Place]:
    try:
        return places(operation.path, body, operation.meter)
    except FhirPathError as error:
        raise invalid(f"{operation.place}/path", f"is no path to an element: {error.message}") from None


def _single(body: Json, operation: _Operation) -> Place:
    found = _found(body, operation)
    if len(found) != 1:
        raise failed(operation.place, f"must name one element, its path finds {len(found)}")
    return found[0]


def _list(body: Json, operation: _Operation) -> list[Place]:
    """All items of one list, which the path must name as a whole."""
    found = _found(body, operation)
    if any(place.index is None or place.parent is not found[0].parent for place in found):
        raise failed(operation.place, "must name the items of one list")
    return found


def _holder(target: Place, operation: _Operation) -> Json:
    if isinstance(target.node.value, dict):
        return target.node.value
    if target.parent is None or target.slot is None or target.index is not None:
        raise failed(operation.place, "cannot add to a value in a list")
    held: Json = target.parent.setdefault(target.slot.other_half, {})
    return held


def _child(type_name: str, name: str, given: str, operation: _Operation) -> definitions.Child:
    """The property that a value of the given type fills."""
    options = definitions.choices(type_name, name)
    if not options:
        raise failed(operation.place, f"names no element of {type_name}")
    if len(options) == 1:
        _check_type(options[0].type, given, operation)
        return options[0]
    chosen = next((option for option in options if option.type == given), None)
    if chosen is None:
        raise failed(operation.place, f"has a value of a type that `{type_name}.{name}` does not take")
    return chosen


def _check_type(wanted: str, given: str, operation: _Operation) -> None:
    """Primitives of one kind stand for each other (`valueString` for a code); others must be the type itself."""
    if given in ("", "*"):
        if definitions.is_primitive(wanted) or (given == "*") != definitions.is_resource(wanted):
            raise failed(operation.place, f"has a value that is no {wanted}")
    elif given != wanted and not _alike(given, wanted):
        raise failed(operation.place, f"has a value of type {given} where {wanted} belongs")


def _alike(given: str, wanted: str) -> bool:
    if not definitions.is_primitive(given) or not definitions.is_primitive(wanted):
        return nodes.is_kind_of(given, wanted) or nodes.is_kind_of(wanted, given)
    return nodes.KINDS[given] == nodes.KINDS[wanted] or nodes.KINDS[given] == "string"


def _fitted(type_name: str, value: Any, operation: _Operation) -> Any:
    """A value as the type has it; an object that came as parts gets its properties' names and lists."""
    if not isinstance(value, dict) or not value or not all(_is_parts(held) for held in value.values()):
        return value
    made: Json = {}
    for name, given in value.items():
        for type_given, inner in given:
            child = _child(type_name, name, type_given, operation)
            fitted = _fitted(child.type, inner, operation)
            if child.many:
                made.setdefault(child.name, []).append(fitted)
            else:
                made[child.name] = fitted
    return made


def _is_parts(held: Any) -> bool:
    return isinstance(held, list) and all(isinstance(item, tuple) for item in held)


def _drop_other_choices(holder: Json, type_name: str, child: definitions.Child) -> None:
    for option in definitions.choices(type_name, child.element):
        if option.name != child.name:
            holder.pop(option.name, None)
            holder.pop(f"_{option.name}", None)


def _lengthened(holder: Json, name: str) -> list[Any]:
    """The list of a property, made if need be; its other half gets as long as it becomes."""
    values: list[Any] = holder.setdefault(name, [])
    other = holder.get(f"_{name}")
    if isinstance(other, list):
        other.append(None)
    return values


def _lists(parent: Json, slot: nodes.Slot, change: Callable[[list[Any], bool], Any]) -> None:
    """Change a list and the other half of its primitives alike; `change` is told whether it is the list itself."""
    for name in (slot.name, slot.other_half):
        values = parent.get(name) if name else None
        if isinstance(values, list):
            change(values, name == slot.name)


def _remove(body: Json, place: Place, operation: _Operation) -> None:
    if place.parent is None or place.slot is None:
        raise failed(operation.place, "cannot delete the resource itself")
    if place.index is None:
        _drop(place.parent, place.slot)
    else:
        at = place.index
        _lists(place.parent, place.slot, lambda values, _: values.pop(at))
    _prune(body, place.path)


def _drop(parent: Json, slot: nodes.Slot) -> None:
    parent.pop(slot.name, None)
    parent.pop(slot.other_half, None)


def _prune(body: Json, path: tuple[str | int, ...]) -> None:
    """Objects and lists that a deletion left empty go too: FHIR has none (ele-1)."""
    holders: list[tuple[Any, str | int]] = []
    held: Any = body
    for step in path[:-1]:
        holders.append((held, step))
        held = held[step]
    for holder, step in reversed([*holders, (held, path[-1])]):
        present = step in holder if isinstance(holder, dict) else step < len(holder)
        if present and holder[step] in ({}, []):
            holder.pop(step)


def _objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
