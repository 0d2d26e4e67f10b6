"""Conversion (N1, 5.5): `toInteger()` and its kin yield nothing where a value does not convert; `iif()`."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chartwire.formats.fhirpath import temporal
from chartwire.formats.fhirpath.comparing import as_quantity, quantity_of
from chartwire.formats.fhirpath.functions.registry import Function, Run, text_of
from chartwire.formats.fhirpath.nodes import KINDS, Node, boolean, only, truth
from chartwire.formats.fhirpath.quantities import Quantity, added
from chartwire.formats.fhirpath.surroundings import Env, Step

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d{1,40}(?:\.\d{1,40})?)\s*('[^']+'|[A-Za-z]+)?", re.ASCII)

Convert = Callable[[Any, str], Any]
"""A value and its kind -> the converted value, or None."""


def text(item: Node) -> str | None:
    """A value as FHIRPath writes it; None for objects and elements without a value."""
    if item.value is None:
        return None
    kind = KINDS[item.type]
    if kind == "quantity":
        found = quantity_of(item)
        return None if found is None else f"{found.value:f} {found.unit}"
    if kind == "boolean":
        return "true" if item.value else "false"
    if kind == "number":
        return f"{item.value:f}" if isinstance(item.value, Decimal) else str(item.value)
    return None if kind == "object" else str(item.value)


def _to_boolean(value: Any, kind: str) -> bool | None:
    if kind == "boolean":
        return bool(value)
    if kind not in ("string", "number"):
        return None
    word = str(value).lower() if kind == "string" else {0: "0", 1: "1"}.get(value, "")
    return True if word in _TRUE else False if word in _FALSE else None


def _to_integer(value: Any, kind: str) -> int | None:
    if kind == "boolean":
        return int(value)
    if kind == "number":
        return value if isinstance(value, int) else None
    return int(value) if kind == "string" and _INTEGER.fullmatch(value) else None


def _to_decimal(value: Any, kind: str) -> Decimal | None:
    if kind in ("boolean", "number"):
        return Decimal(value)
    return Decimal(value) if kind == "string" and _DECIMAL.fullmatch(value) else None


def _to_date(value: Any, kind: str) -> str | None:
    if kind not in ("string", "date"):
        return None
    day = value.partition("T")[0] if kind == "date" else value
    return day if "T" not in day and temporal.moment(day) else None


def _to_datetime(value: Any, kind: str) -> str | None:
    return value if kind in ("string", "date") and temporal.moment(value) else None


def _to_time(value: Any, kind: str) -> str | None:
    if kind not in ("string", "time") or not temporal.time_of_day(value):
        return None
    return str(value).removeprefix("T")


def _to_quantity(item: Node, unit: str | None) -> Quantity | None:
    found = _read_quantity(item)
    if found is None or unit is None:
        return found
    wanted = Quantity(Decimal(0), unit if temporal.duration_unit(unit) else f"'{unit.strip(chr(39))}'")
    return added(wanted, found)


def _read_quantity(item: Node) -> Quantity | None:
    kind = KINDS[item.type]
    if kind == "boolean":
        return Quantity(Decimal(item.value), "'1'")
    if kind == "string":
        match = _QUANTITY.fullmatch(item.value)
        if match is None or (match[2] and match[2][0] != "'" and not temporal.duration_unit(match[2])):
            return None
        return Quantity(Decimal(match[1]), match[2] or "'1'")
    found = as_quantity(item)
    return None if found is None else found.value


def _iif(env: Env, this: Node, items: list[Node], test: Step, then: Step, other: Step | None = None) -> list[Node]:
    """The branch not taken is not evaluated; `$this` in it is the single item before the dot, if there is one."""
    inner = only(items, "`iif()`") or this
    if truth(test(inner, env), "`iif()`"):
        return then(inner, env)
    return [] if other is None else other(inner, env)


def _to(convert: Convert, type_name: str) -> Run:
    def run(_env: Env, _this: Node, items: list[Node]) -> list[Node]:
        item = only(items, "a conversion")
        if item is None or item.value is None:
            return []
        value = convert(item.value, KINDS[item.type])
        return [] if value is None else [Node(value, type_name)]

    return run


def _to_text(_env: Env, _this: Node, items: list[Node]) -> list[Node]:
    item = only(items, "`toString()`")
    value = None if item is None else text(item)
    return [] if value is None else [Node(value, "System.String")]


def _to_quantity_node(env: Env, this: Node, items: list[Node], unit: Step | None = None) -> list[Node]:
    item = only(items, "`toQuantity()`")
    if item is None or item.value is None:
        return []
    found = _to_quantity(item, None if unit is None else text_of(unit, this, env, "`toQuantity()`"))
    return [] if found is None else [Node(found, "System.Quantity")]


def _whether(run: Run) -> Run:
    def test(env: Env, this: Node, items: list[Node], *arguments: Step) -> list[Node]:
        return boolean(bool(run(env, this, items, *arguments))) if items else []

    return test


_CONVERSIONS: dict[str, Run] = {
    "Boolean": _to(_to_boolean, "System.Boolean"),
    "Integer": _to(_to_integer, "System.Integer"),
    "Decimal": _to(_to_decimal, "System.Decimal"),
    "Date": _to(_to_date, "System.Date"),
    "DateTime": _to(_to_datetime, "System.DateTime"),
    "Time": _to(_to_time, "System.Time"),
    "String": _to_text,
    "Quantity": _to_quantity_node,
}
CONVERSION = {
    "iif": Function(_iif, 2, 3),
    **{f"to{name}": Function(run, 0, int(name == "Quantity")) for name, run in _CONVERSIONS.items()},
    **{f"convertsTo{name}": Function(_whether(run), 0, int(name == "Quantity")) for name, run in _CONVERSIONS.items()},
}
