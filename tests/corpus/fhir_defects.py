"""Defects that can be put into any FHIR resource: each a class with the places where it can stand, and what it does there.

The places are found with the types of the definitions; a class changes the first place that fits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chartwire.formats.fhir.definitions import Child, children, is_primitive, structure

Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """One property of an object in a resource: where it stands, its definition, and the element definition."""

    holder: Json
    child: Child
    element: Json

    @property
    def value(self) -> Any:
        return self.holder[self.child.name]


def places(held: Json, type_name: str) -> Iterator[Place]:
    """Every property that is there, outermost first, without those of extensions and contained resources."""
    inner = []
    for name, value in held.items():
        child = children(type_name).get(name)
        if child is None:
            continue
        yield Place(held, child, element(type_name, child.element))
        if not is_primitive(child.type) and child.type not in {"Resource", "Extension"}:
            inner += [(one, child.type) for one in (value if child.many else [value])]
    for one, kind in inner:
        yield from places(one, kind)


def element(type_name: str, name: str) -> Json:
    """The definition of an element of a type."""
    wanted = {f"{type_name}.{name}", f"{type_name}.{name}[x]"}
    listed = structure(type_name.partition(".")[0])["snapshot"]["element"]
    return next(one for one in listed if one["path"] in wanted)


def put(value: Any) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        place.holder[place.child.name] = value

    return change


def one_or_many(value: Any) -> Callable[[Place], None]:
    return lambda place: put([value] if place.child.many else value)(place)


def remove(place: Place) -> None:
    del place.holder[place.child.name]


def wrap(place: Place) -> None:
    put([place.value])(place)


def unwrap(place: Place) -> None:
    put(place.value[0])(place)


def as_text(place: Place) -> None:
    put(str(place.value))(place)


def with_member(name: str, value: Any) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        inner = place.value[0] if place.child.many else place.value
        inner[name] = value

    return change


def beside(name: str, value: Any) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        place.holder[name] = value

    return change


def second_choice(place: Place) -> None:
    others = [
        one for one in children_beside(place) if one.type in {"string", "dateTime", "CodeableConcept", "Reference"}
    ]
    value = {"string": "x", "dateTime": "2026", "CodeableConcept": {"text": "x"}, "Reference": {"display": "x"}}
    place.holder[others[0].name] = value[others[0].type]


def children_beside(place: Place) -> list[Child]:
    path = place.element["path"].rpartition(".")[0]
    known = children(path)
    return [one for one in known.values() if one.element == place.child.element and one.name not in place.holder]


def is_choice(place: Place) -> bool:
    kinds = {"string", "dateTime", "CodeableConcept", "Reference"}
    return place.child.name != place.child.element and any(one.type in kinds for one in children_beside(place))


def of_type(*names: str, many: bool | None = None) -> Callable[[Place], bool]:
    return lambda place: place.child.type in names and many in {None, place.child.many}


def complex_one(place: Place) -> bool:
    return not is_primitive(place.child.type) and place.child.type != "Resource" and not place.child.many


def complex_many(place: Place) -> bool:
    return not is_primitive(place.child.type) and place.child.type != "Resource" and place.child.many


def plain(place: Place) -> bool:
    return is_primitive(place.child.type) and not place.child.many and f"_{place.child.name}" not in place.holder


def needed(place: Place) -> bool:
    alone = place.child.name == place.child.element and f"_{place.child.name}" not in place.holder
    return place.element["min"] > 0 and alone and place.child.name != "div"


def bound(place: Place) -> bool:
    return place.child.type == "code" and place.element.get("binding", {}).get("strength") == "required"


def aimed(place: Place) -> bool:
    return place.child.type == "Reference" and "Resource" not in place.child.targets and bool(place.child.targets)


UNFIT = {"reference": "StructureMap/1"}
DEFECTS: dict[str, tuple[Callable[[Place], bool], Callable[[Place], None]]] = {
    "an element that is none, in the resource": (lambda _: True, beside("unknwon", "x")),
    "an element that is none, within": (complex_one, with_member("unknwon", "x")),
    "text for an object": (complex_one, put("x")),
    "an array for one object": (complex_one, wrap),
    "an object for an array": (complex_many, unwrap),
    "an empty array": (complex_many, put([])),
    "an empty object": (complex_one, put({})),
    "an object with nothing but an id": (complex_one, put({"id": "x"})),
    "null for a value": (plain, put(None)),
    "an empty text": (of_type("string", "markdown", many=False), put("")),
    "a number for text": (of_type("string", "code", "uri", "dateTime", many=False), put(7)),
    "text for a number": (of_type("decimal", "integer", "positiveInt", "unsignedInt", many=False), as_text),
    "text for a boolean": (of_type("boolean", many=False), as_text),
    "an array for one value": (plain, wrap),
    "an object for a value": (plain, put({"value": "x"})),
    "something needed that is not there": (needed, remove),
    "a code that is not in a required set": (bound, one_or_many("no-such-code")),
    "a code with a blank before it": (bound, one_or_many(" final")),
    "a day that does not exist": (of_type("date", "dateTime", many=False), put("2026-02-30")),
    "a month that does not exist": (of_type("date", "dateTime", many=False), put("2026-13")),
    "a time without zone": (of_type("dateTime", "instant", many=False), put("2026-11-20T08:15:00")),
    "an id with a blank": (of_type("id", many=False), put("a b")),
    "a URI with a blank": (of_type("uri", "url", "canonical", many=False), put("http://a b")),
    "a positive number that is none": (of_type("positiveInt", many=False), put(0)),
    "a whole number that is none": (of_type("integer", "unsignedInt", "positiveInt", many=False), put(1.5)),
    "base64 that is none": (of_type("base64Binary", many=False), put("aGVsbG8")),
    "two types of a choice": (is_choice, second_choice),
    "a reference to another type": (aimed, one_or_many(UNFIT)),
    "a reference that is none": (of_type("Reference"), one_or_many({"reference": "somewhere"})),
    "a reference to nothing contained": (of_type("Reference"), one_or_many({"reference": "#nothing"})),
    "an extension with nothing": (complex_one, with_member("extension", [{"url": "http://a.b"}])),
    "an extension without url": (complex_one, with_member("extension", [{"valueCode": "x"}])),
    "an extension with value and extensions": (
        complex_one,
        with_member(
            "extension", [{"url": "http://a.b", "valueCode": "x", "extension": [{"url": "c", "valueCode": "x"}]}]
        ),
    ),
    "a companion that is text": (plain, lambda place: beside(f"_{place.child.name}", "x")(place)),
    "a period that ends before it begins (per-1)": (
        of_type("Period", many=False),
        put({"start": "2026", "end": "2025"}),
    ),
    "a number of no known kind (cpt-2)": (of_type("ContactPoint", many=True), put([{"value": "1"}])),
    "a unit without system (qty-3)": (of_type("Quantity", many=False), put({"value": 1, "code": "kg"})),
    "a narrative that runs (txt-1)": (
        of_type("Narrative"),
        put({"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'}),
    ),
    "something contained that nothing refers to (dom-3)": (
        lambda place: (
            "." not in place.element["path"].partition(".")[2] and place.child.name in {"status", "text", "name"}
        ),
        beside("contained", [{"resourceType": "Organization", "id": "zz", "name": "x"}]),
    ),
}
"""What the defect is -> where it fits, and the change."""
