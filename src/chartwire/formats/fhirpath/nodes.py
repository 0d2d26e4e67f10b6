"""The values that an expression walks over: JSON values with the type that the definitions give them."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.numerals import DECIMALS
from chartwire.formats.fhirpath.syntax import FhirPathError

Json = dict[str, Any]
PythonTypes = frozenset[type]


class Node(msgspec.Struct, frozen=True, gc=False):
    """One value. `type` is a FHIR type as the definitions name it (`HumanName`, `code`, `Observation.component`) or a
    System type (`System.Date`); a System.Quantity is `(Decimal, unit as FHIRPath writes it)`, dates and times are text.
    `more` is the other half of a FHIR primitive: its `id` and `extension`; then `value` may be None.
    """

    value: Any
    type: str
    more: Json | None = None


class Slot(NamedTuple):
    """Where an element stands in JSON: property name, type; of primitives the name of their other half, and the Python
    types that their values have: a JSON value of another kind counts as absent."""

    name: str
    type: str
    other_half: str = ""
    accepts: PythonTypes = frozenset()


_NUMBER_END = 10**40
TYPE_INFO = "System.TypeInfo"
"""What `type()` answers: `namespace` and `name`."""
_SYSTEM_KINDS = {
    TYPE_INFO: "object",
    "System.Boolean": "boolean",
    "System.String": "string",
    "System.Integer": "number",
    "System.Decimal": "number",
    "System.Date": "date",
    "System.DateTime": "date",
    "System.Time": "time",
    "System.Quantity": "quantity",
}
_FHIR_KINDS = {
    "boolean": "boolean",
    "integer": "number",
    "positiveInt": "number",
    "unsignedInt": "number",
    "decimal": "number",
    "date": "date",
    "dateTime": "date",
    "instant": "date",
    "time": "time",
}


_TEXT: PythonTypes = frozenset({str})
_JSON_KINDS: dict[str, PythonTypes] = {
    "boolean": frozenset({bool}),
    "number": frozenset({int, float, *DECIMALS}),
}


class _Kinds(dict[str, str]):
    """Type -> how its values compare and calculate: boolean, string, number, date, time, quantity, object."""

    def __missing__(self, name: str) -> str:
        kind = "string" if definitions.is_primitive(name) else "quantity" if is_kind_of(name, "Quantity") else "object"
        self[name] = kind
        return kind


def root(resource: Json) -> Node:
    """A resource as the node that an expression starts from; one of an unknown type has the elements of any."""
    return Node(resource, _dynamic(resource, "Resource"))


@cache
def slots(type_name: str) -> dict[str, tuple[Slot, ...]]:
    """The elements of a type by name; a choice has a slot for each of its types."""
    if type_name == TYPE_INFO:
        return {name: (_slot(name, "System.String"),) for name in ("namespace", "name")}
    found: dict[str, list[Slot]] = {}
    for child in definitions.children(type_name).values():
        found.setdefault(child.element, []).append(_slot(child.name, child.type))
    return {name: tuple(several) for name, several in found.items()}


def _slot(name: str, type_name: str) -> Slot:
    if type_name not in _SYSTEM_KINDS and not definitions.is_primitive(type_name):
        return Slot(name, type_name)
    return Slot(name, type_name, f"_{name}", _JSON_KINDS.get(KINDS[type_name], _TEXT))


def members(node: Node, name: str) -> list[Node]:
    """The values of one element; none where the type has no such element or the JSON is of another kind."""
    source = node.value if type(node.value) is dict else node.more
    if source is None:
        return []
    found: list[Node] = []
    for slot in slots(node.type).get(name, ()):
        _gather(found, source, slot)
    return found


def children(node: Node) -> list[Node]:
    """All values one step down, in the order of the definitions."""
    source = node.value if type(node.value) is dict else node.more
    if source is None:
        return []
    found: list[Node] = []
    for several in slots(node.type).values():
        for slot in several:
            _gather(found, source, slot)
    return found


def descendants(items: Iterable[Node]) -> Iterator[Node]:
    """All values below, in document order. JSON that was read (depth bounded) ends."""
    for item in items:
        below = children(item)
        for child in below:
            yield child
            yield from descendants((child,))


@lru_cache(maxsize=8192)
def is_kind_of(actual: str, wanted: str) -> bool:
    """Whether a type is another one or derives from it; System.Quantity counts as Quantity."""
    if wanted == "Quantity" and actual == "System.Quantity":
        return True
    found: str | None = actual
    while found is not None:
        if found == wanted:
            return True
        found = None if found.startswith("System.") else definitions.base_of(found)
    return False


@lru_cache(maxsize=1024)
def named_type(name: str) -> str:
    """The type that `is`, `as` and `ofType` mean: FHIR types before System types. Raises FhirPathError."""
    if name.startswith("System."):
        return name if name in _SYSTEM_KINDS else "System.Nothing"
    plain = name.removeprefix("FHIR.")
    if is_known(plain):
        return plain
    if f"System.{plain}" in _SYSTEM_KINDS and plain == name:
        return f"System.{plain}"
    raise FhirPathError(f"`{name}` is no type of FHIR R4 nor of FHIRPath")


def is_known(name: str) -> bool:
    """Whether the definitions have a type of this name."""
    try:
        return (
            definitions.is_primitive(name) or definitions.base_of(name) is not None or name in ("Element", "Resource")
        )
    except KeyError:
        return False


def gathered(source: Json, slot: Slot) -> list[Node]:
    """The values of one JSON property of an object."""
    found: list[Node] = []
    _gather(found, source, slot)
    return found


def _gather(found: list[Node], source: Json, slot: Slot) -> None:
    value = source.get(slot.name)
    if slot.other_half:
        _gather_primitives(found, value, source.get(slot.other_half), slot)
    elif type(value) is dict:
        found.append(Node(value, _dynamic(value, slot.type)))
    elif type(value) is list:
        found.extend([Node(item, _dynamic(item, slot.type)) for item in value if type(item) is dict])


def _gather_primitives(found: list[Node], value: Any, more: Any, slot: Slot) -> None:
    if more is None and type(value) is not list:
        if type(value) in slot.accepts:
            found.append(Node(value, slot.type))
        return
    if type(value) is not list and type(more) is not list:
        value, more = [value], [more]
    values, others = value if type(value) is list else [], more if type(more) is list else []
    for at in range(max(len(values), len(others))):
        one = values[at] if at < len(values) and type(values[at]) in slot.accepts else None
        other = others[at] if at < len(others) and type(others[at]) is dict else None
        if one is not None or other is not None:
            found.append(Node(one, slot.type, other))


def _dynamic(value: Json, type_name: str) -> str:
    if type_name != "Resource":
        return type_name
    own = value.get("resourceType")
    return own if type(own) is str and definitions.is_resource(own) else type_name


def boolean(value: bool | None) -> list[Node]:
    """A truth value as a collection; None is the empty one."""
    if value is None:
        return []
    return TRUE if value else FALSE


def string(value: str) -> list[Node]:
    """A text as a collection."""
    return [Node(value, "System.String")]


def number(value: int | Decimal) -> list[Node]:
    """A number as a collection; nothing where it is greater than any that FHIRPath must know (N1, 5.7: overflow)."""
    if not in_bounds(value):
        return []
    return [Node(value, "System.Integer" if type(value) is int else "System.Decimal")]


def in_bounds(value: int | Decimal) -> bool:
    """Whether a number is one that FHIRPath must know; greater ones are not calculated with."""
    return -_NUMBER_END < value < _NUMBER_END


def only(items: list[Node], where: str) -> Node | None:
    """The single item, or None of an empty collection. Raises FhirPathError where there are several."""
    if len(items) > 1:
        raise FhirPathError(f"{where} needs a single value, not {len(items)}", code="fhirpath_several")
    return items[0] if items else None


def truth(items: list[Node], where: str) -> bool | None:
    """A collection as a truth value: a single item that is no boolean counts as true (N1, 4.5)."""
    item = only(items, where)
    if item is None:
        return None
    if KINDS[item.type] == "boolean":
        return item.value if item.value is None else bool(item.value)
    return True


KINDS = _Kinds(_SYSTEM_KINDS | _FHIR_KINDS)
TRUE = [Node(True, "System.Boolean")]
FALSE = [Node(False, "System.Boolean")]
