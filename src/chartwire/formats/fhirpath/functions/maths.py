"""Mathematics (N1, 5.7), and the precision and bounds of a value."""

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from chartwire.formats.fhirpath import temporal
from chartwire.formats.fhirpath.comparing import quantity_of
from chartwire.formats.fhirpath.functions.registry import Function, exactly, on_items, whole_of
from chartwire.formats.fhirpath.nodes import KINDS, Node, in_bounds, number, only
from chartwire.formats.fhirpath.quantities import Quantity
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import FhirPathError

_DIGITS_MAX = 28


def _numeric(items: list[Node], where: str) -> Node | None:
    item = only(items, where)
    if item is None or item.value is None:
        return None
    if KINDS[item.type] not in ("number", "quantity"):
        raise FhirPathError(f"{where} needs a number", code="fhirpath_types")
    return item if KINDS[item.type] == "quantity" or in_bounds(item.value) else None


def _calculated(name: str, calculate: Callable[[Any], Any], *, whole: bool = False) -> Function:
    """A function of one number; of a quantity too, which keeps its unit, unless the answer is a whole number."""

    def run(items: list[Node]) -> list[Node]:
        item = _numeric(items, f"`{name}()`")
        if item is None:
            return []
        if KINDS[item.type] == "number":
            return _answer(calculate, item.value)
        found = None if whole else quantity_of(item)
        return [] if found is None else [Node(Quantity(calculate(found.value), found.unit), "System.Quantity")]

    return on_items(run)


def _answer(calculate: Callable[..., Any], *values: Any) -> list[Node]:
    """The result as a number; nothing where it does not exist or is out of bounds."""
    try:
        found = calculate(*values)
    except (ArithmeticError, ValueError):
        return []
    return [] if isinstance(found, Decimal) and not found.is_finite() else number(found)


def _power(base: int | Decimal, exponent: int | Decimal) -> int | Decimal:
    found = Decimal(base) ** Decimal(exponent)
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0 and found.adjusted() < _DIGITS_MAX
    return int(found) if whole else found


def _two_numbers(name: str, calculate: Callable[[Any, Any], Any]) -> Function:
    def run(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
        left, right = _numeric(items, f"`{name}()`"), _numeric(other(this, env), f"`{name}()`")
        return [] if left is None or right is None else _answer(calculate, left.value, right.value)

    return exactly(run, 1)


def _round(env: Env, this: Node, items: list[Node], places: Step | None = None) -> list[Node]:
    item = _numeric(items, "`round()`")
    if item is None or KINDS[item.type] != "number":
        return []
    digits = 0 if places is None else whole_of(places, this, env, "`round()`") or 0
    if not 0 <= digits <= _DIGITS_MAX:
        raise FhirPathError(f"`round()` keeps 0 to {_DIGITS_MAX} places", code="fhirpath_types")
    return _answer(lambda value: Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP), item.value)


def _log(value: Any, base: Any) -> Decimal:
    found = Decimal(value).ln() / Decimal(base).ln()
    return found.quantize(Decimal("1e-20")).normalize() + 0


def _precision(items: list[Node]) -> list[Node]:
    item = only(items, "`precision()`")
    if item is None or item.value is None:
        return []
    if KINDS[item.type] == "number":
        return number(len(f"{Decimal(item.value):f}".partition(".")[2]))
    if KINDS[item.type] not in ("date", "time"):
        return []
    return number(sum(sign.isdigit() for sign in _without_zone(item.value)))


def _without_zone(text: str) -> str:
    day, _, clock = text.partition("T")
    return day + clock.partition("Z")[0].partition("+")[0].partition("-")[0]


def _boundary(name: str, direction: int) -> Function:
    """`lowBoundary()` and `highBoundary()`: half a unit of the last place away, of times the first or last."""

    def run(env: Env, this: Node, items: list[Node], places: Step | None = None) -> list[Node]:
        item = only(items, f"`{name}()`")
        digits = None if places is None else whole_of(places, this, env, f"`{name}()`")
        if item is None or item.value is None:
            return []
        value = _bound_of(item, direction, digits)
        return [] if value is None else [Node(value, _BOUND_TYPES.get(item.type, item.type))]

    return Function(run, 0, 1)


def _bound_of(item: Node, direction: int, digits: int | None) -> Any:
    kind = KINDS[item.type]
    if kind == "number":
        return _bound(Decimal(item.value), direction, digits)
    if kind == "quantity":
        quantity = quantity_of(item)
        bound = None if quantity is None else _bound(quantity.value, direction, digits)
        return None if quantity is None or bound is None else Quantity(bound, quantity.unit)
    if kind == "date":
        usual = 8 if item.type in ("date", "System.Date") else 17
        return temporal.boundary(item.value, usual if digits is None else digits, high=direction > 0)
    if kind == "time":
        return temporal.time_boundary(item.value, 9 if digits is None else digits, high=direction > 0)
    return None


_BOUND_TYPES = {
    **dict.fromkeys(("System.Integer", "integer", "positiveInt", "unsignedInt", "decimal"), "System.Decimal"),
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"), "System.Quantity"),
}


def _bound(value: Decimal, direction: int, digits: int | None) -> Decimal | None:
    places = 8 if digits is None else digits
    if not 0 <= places <= _DIGITS_MAX:
        return None
    exponent = value.as_tuple().exponent
    step = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    rounding = ROUND_CEILING if direction > 0 else ROUND_FLOOR
    try:
        return (value + step * direction).quantize(Decimal(1).scaleb(-places), rounding)
    except InvalidOperation:
        return None


MATHS: dict[str, Function] = {
    "abs": _calculated("abs", abs),
    "ceiling": _calculated("ceiling", math.ceil, whole=True),
    "floor": _calculated("floor", math.floor, whole=True),
    "truncate": _calculated("truncate", int, whole=True),
    "exp": _calculated("exp", lambda value: Decimal(value).exp(), whole=True),
    "ln": _calculated("ln", lambda value: Decimal(value).ln(), whole=True),
    "sqrt": _calculated("sqrt", lambda value: Decimal(value).sqrt(), whole=True),
    "log": _two_numbers("log", _log),
    "power": _two_numbers("power", _power),
    "round": Function(_round, 0, 1),
    "precision": on_items(_precision),
    "lowBoundary": _boundary("lowBoundary", -1),
    "highBoundary": _boundary("highBoundary", 1),
}
