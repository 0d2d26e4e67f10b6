"""Elements of types, as the checks look them up."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from chartwire.formats.fhir.definitions import Child, children, choices, structure

Element = Mapping[str, Any]
CHOICE = "[x]"


@cache
def elements_of(type_name: str) -> Mapping[str, Element]:
    """The element definitions of a type by name; "" is the one of the type itself."""
    told = structure(type_name.partition(".")[0])
    listed = told["snapshot"]["element"] if told else ()
    return {
        one["path"][len(type_name) + 1 :]: one
        for one in listed
        if one["path"] == type_name or one["path"].rpartition(".")[0] == type_name
    }


def element_of(type_name: str, element: str) -> Element:
    """One of them, a choice with or without its `[x]`; {} where R4 does not speak of it."""
    known = elements_of(type_name)
    return known.get(element) or known.get(f"{element}{CHOICE}") or {}


def properties_of(type_name: str, element: str) -> tuple[Child, ...]:
    """The JSON properties of an element (`value[x]`, `value`, `valueQuantity`, `code`), () if there are none."""
    found = choices(type_name, element.removesuffix(CHOICE))
    if found:
        return found
    one = children(type_name).get(element)
    return (one,) if one else ()


def constraint_keys(element: Element) -> frozenset[str]:
    """The keys of an element's invariants."""
    return frozenset(one["key"] for one in element.get("constraint", ()))


def is_needed(element: Element) -> bool:
    """Whether an element has to be there."""
    return bool(element) and element["min"] > 0
