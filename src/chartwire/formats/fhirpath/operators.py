"""Operators between collections: arithmetic, order and equality by comparing.py, three-valued logic.

http://hl7.org/fhirpath/N1/index.html#operations
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chartwire.formats.fhirpath import quantities, temporal
from chartwire.formats.fhirpath.comparing import as_quantity, compared, contains, equals, equivalent, quantity_of
from chartwire.formats.fhirpath.nodes import KINDS, Node, boolean, in_bounds, number, only, string, truth
from chartwire.formats.fhirpath.quantities import Quantity
from chartwire.formats.fhirpath.syntax import FhirPathError

Collections = Callable[[list[Node], list[Node]], list[Node]]


def _calculated(sign: str, on_numbers: Callable[[Any, Any], Any]) -> Collections:
    def run(left: list[Node], right: list[Node]) -> list[Node]:
        one, other = only(left, f"`{sign}`"), only(right, f"`{sign}`")
        if one is None or other is None or one.value is None or other.value is None:
            return []
        kinds = (KINDS[one.type], KINDS[other.type])
        if kinds == ("number", "number"):
            return _bounded(on_numbers, one.value, other.value)
        special = _SPECIAL.get((sign, *kinds))
        if special is None:
            raise FhirPathError(f"`{sign}` does not work on values of these types", code="fhirpath_types")
        return special(one, other)

    return run


def _bounded(on_numbers: Callable[[Any, Any], Any], left: Any, right: Any) -> list[Node]:
    try:
        result = on_numbers(left, right)
    except ArithmeticError:
        return []
    return [] if result is None else number(result)


def _moved(sign: int) -> Callable[[Node, Node], list[Node]]:
    def run(start: Node, duration: Node) -> list[Node]:
        found = quantity_of(duration)
        if found is None:
            return []
        if temporal.duration_unit(found.unit) is None:
            raise FhirPathError("dates and times move by calendar durations only", code="fhirpath_types")
        move = temporal.later if KINDS[start.type] == "date" else temporal.later_time
        moved = move(start.value, found.value * sign, found.unit)
        return [] if moved is None else [Node(moved, start.type)]

    return run


def _on_quantities(operate: Callable[[Quantity, Quantity], Quantity | None]) -> Callable[[Node, Node], list[Node]]:
    def run(left: Node, right: Node) -> list[Node]:
        one, other = as_quantity(left), as_quantity(right)
        if one is None or other is None:
            return []
        try:
            found = operate(one.value, other.value)
        except ArithmeticError:
            return []
        return [] if found is None else [Node(found, "System.Quantity")]

    return run


def _minus(left: Quantity, right: Quantity) -> Quantity | None:
    return quantities.added(left, Quantity(-right.value, right.unit))


def _divided(left: Any, right: Any) -> Decimal:
    return Decimal(left) / Decimal(right)


def _whole(left: Any, right: Any) -> int | None:
    quotient = Decimal(left) / Decimal(right)
    return int(quotient) if in_bounds(quotient) else None


def _rest(left: Any, right: Any) -> int | Decimal:
    rest = Decimal(left) % Decimal(right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


_SPECIAL: dict[tuple[str, str, str], Callable[[Node, Node], list[Node]]] = {
    ("+", "string", "string"): lambda one, other: string(one.value + other.value),
    ("+", "date", "quantity"): _moved(1),
    ("-", "date", "quantity"): _moved(-1),
    ("+", "time", "quantity"): _moved(1),
    ("-", "time", "quantity"): _moved(-1),
    ("+", "quantity", "quantity"): _on_quantities(quantities.added),
    ("-", "quantity", "quantity"): _on_quantities(_minus),
    **{
        (sign, *kinds): _on_quantities(operate)
        for sign, operate in (("*", quantities.multiplied), ("/", quantities.divided))
        for kinds in (("quantity", "quantity"), ("quantity", "number"), ("number", "quantity"))
    },
}


def _ordered(sign: str, holds: Callable[[int], bool]) -> Collections:
    def run(left: list[Node], right: list[Node]) -> list[Node]:
        order = compared(left, right, sign)
        return [] if order is None else boolean(holds(order))

    return run


def _joined(left: list[Node], right: list[Node]) -> list[Node]:
    texts = [item.value for item in (only(left, "`&`"), only(right, "`&`")) if item is not None]
    if not all(text is None or type(text) is str for text in texts):
        raise FhirPathError("`&` joins texts only", code="fhirpath_types")
    return string("".join(text for text in texts if text is not None))


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _member(items: list[Node], wanted: list[Node], sign: str) -> list[Node]:
    item = only(wanted, f"`{sign}`")
    return [] if item is None else boolean(contains(items, item))


def conjunction(left: bool | None, right: bool | None) -> bool | None:
    """`and`: false where either is false, unknown where the rest is not known."""
    if left is False or right is False:
        return False
    return True if left and right else None


def disjunction(left: bool | None, right: bool | None) -> bool | None:
    """`or`: true where either is true, unknown where the rest is not known."""
    if left or right:
        return True
    return False if left is False and right is False else None


def _exclusive(left: bool | None, right: bool | None) -> bool | None:
    return None if left is None or right is None else left != right


OPERATORS: dict[str, Collections] = {
    "=": lambda left, right: boolean(equals(left, right)),
    "!=": lambda left, right: boolean(_not(equals(left, right))),
    "~": lambda left, right: boolean(equivalent(left, right)),
    "!~": lambda left, right: boolean(not equivalent(left, right)),
    "<": _ordered("<", lambda order: order < 0),
    ">": _ordered(">", lambda order: order > 0),
    "<=": _ordered("<=", lambda order: order <= 0),
    ">=": _ordered(">=", lambda order: order >= 0),
    "+": _calculated("+", lambda left, right: left + right),
    "-": _calculated("-", lambda left, right: left - right),
    "*": _calculated("*", lambda left, right: left * right),
    "/": _calculated("/", _divided),
    "div": _calculated("div", _whole),
    "mod": _calculated("mod", _rest),
    "&": _joined,
    "in": lambda left, right: _member(right, left, "in"),
    "contains": lambda left, right: _member(left, right, "contains"),
    "xor": lambda left, right: boolean(_exclusive(truth(left, "`xor`"), truth(right, "`xor`"))),
}
"""Those whose operands are both evaluated; the compiler has `and`, `or`, `implies` and `|`."""
