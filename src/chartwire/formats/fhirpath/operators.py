"""Operators between collections: equality, order, arithmetic, three-valued logic, membership.

http://hl7.org/fhirpath/N1/index.html#operations
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chartwire.formats.fhirpath import quantities, temporal
from chartwire.formats.fhirpath.nodes import KINDS, Node, boolean, in_bounds, number, only, string, truth
from chartwire.formats.fhirpath.quantities import Quantity
from chartwire.formats.fhirpath.syntax import FhirPathError

Collections = Callable[[list[Node], list[Node]], list[Node]]
_BLANKS = re.compile(r"\s+")


def equals(left: list[Node], right: list[Node]) -> bool | None:
    """`left = right`: same items in the same order; unknown where one is empty or precision does not tell."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answer: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal(one, other)
        if same is False:
            return False
        answer = answer if same else None
    return answer


def equal(left: Node, right: Node) -> bool | None:
    """Whether two items are equal; None where precision, zone or unit do not tell."""
    kind = KINDS[left.type]
    if kind != KINDS[right.type]:
        return _mixed_equal(left, right)
    if kind in ("string", "number", "boolean"):
        return bool(left.value == right.value)
    if kind == "object":
        return left.value == right.value and left.more == right.more
    order = _order(kind, left, right)
    return None if order is None else order == 0


def equivalent(left: list[Node], right: list[Node]) -> bool:
    """`left ~ right`: the same items in any order, text without case and blanks; always true or false."""
    return len(left) == len(right) and _matched(left, right, _alike)


def compared(left: list[Node], right: list[Node], sign: str) -> int | None:
    """-1, 0, 1 of two single items, None where one is missing or it cannot be told. Raises FhirPathError."""
    one, other = only(left, f"`{sign}`"), only(right, f"`{sign}`")
    if one is None or other is None or one.value is None or other.value is None:
        return None
    kind = KINDS[one.type]
    if kind != KINDS[other.type]:
        one, other = as_quantity(one), as_quantity(other)
        kind = "quantity"
    if one is None or other is None or kind in ("object", "boolean"):
        raise FhirPathError(f"`{sign}` cannot order values of these types", code="fhirpath_types")
    return _order(kind, one, other)


def contains(items: list[Node], item: Node) -> bool:
    """Whether a collection has an item that equals this one."""
    return any(equal(one, item) for one in items)


def distinct(items: list[Node]) -> list[Node]:
    """The items without those that equal an earlier one, in order."""
    found: list[Node] = []
    seen: dict[tuple[str, Any], list[Node]] = {}
    for item in items:
        alike = seen.setdefault(_bucket(item), [])
        if not contains(alike, item):
            alike.append(item)
            found.append(item)
    return found


def _bucket(item: Node) -> tuple[str, Any]:
    """What equal items have in common, so that few need to be compared."""
    kind = KINDS[item.type]
    if kind in ("string", "number", "boolean"):
        return kind, item.value
    return ("object", _fingerprint(item.value)) if kind == "object" else ("", "")


def _fingerprint(value: Any) -> int:
    """A hash that is the same for equal JSON values; numbers by value, objects without order."""
    if isinstance(value, dict):
        return hash(frozenset((name, _fingerprint(held)) for name, held in value.items()))
    return hash(tuple(map(_fingerprint, value))) if isinstance(value, list) else hash(value)


def as_quantity(item: Node) -> Node | None:
    """A quantity or a number as System.Quantity; None for anything else."""
    kind = KINDS[item.type]
    if kind == "number":
        return Node(Quantity(Decimal(item.value), "'1'"), "System.Quantity")
    if kind != "quantity":
        return None
    found = quantity_of(item)
    return None if found is None else Node(found, "System.Quantity")


def quantity_of(item: Node) -> Quantity | None:
    """The value and unit of a FHIR or System quantity; None where it has no plain number."""
    return quantities.of_fhir(item.value) if type(item.value) is dict else item.value


def _mixed_equal(left: Node, right: Node) -> bool | None:
    if {KINDS[left.type], KINDS[right.type]} != {"quantity", "number"}:
        return False
    one, other = as_quantity(left), as_quantity(right)
    return None if one is None or other is None else equal(one, other)


def _order(kind: str, left: Node, right: Node) -> int | None:
    if left.value is None or right.value is None:
        return None
    if kind in ("string", "number"):
        return int(left.value > right.value) - int(left.value < right.value)
    if kind == "quantity":
        one, other = quantity_of(left), quantity_of(right)
        return None if one is None or other is None else quantities.compare(one, other)
    read = temporal.moment if kind == "date" else temporal.time_of_day
    earlier, later = read(left.value), read(right.value)
    return None if earlier is None or later is None else temporal.compare(earlier, later)


def _matched(left: list[Any], right: list[Any], alike: Callable[[Any, Any], bool]) -> bool:
    rest = list(right)
    for one in left:
        at = next((at for at, other in enumerate(rest) if alike(one, other)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _alike(left: Node, right: Node) -> bool:
    kind = KINDS[left.type]
    if kind != KINDS[right.type]:
        return bool(_mixed_equal(left, right))
    if kind == "quantity":
        return _alike_quantities(quantity_of(left), quantity_of(right)) or left.value == right.value
    if kind in ("date", "time"):
        return _order(kind, left, right) == 0
    return _alike_json(left.value, right.value)


def _alike_quantities(left: Quantity | None, right: Quantity | None) -> bool:
    if left is None or right is None:
        return False
    if not quantities.comparable(left.unit, right.unit):
        return False
    ours, theirs = quantities.scale(left.unit), quantities.scale(right.unit)
    if ours is None or theirs is None:
        return _alike_json(left.value, right.value)
    return _alike_json(left.value * ours.factor, right.value * theirs.factor)


def _alike_json(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        ours, theirs = left.keys() - {"id"}, right.keys() - {"id"}
        return ours == theirs and all(_alike_json(left[name], right[name]) for name in ours)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and _matched(left, right, _alike_json)
    if isinstance(left, str) and isinstance(right, str):
        return _BLANKS.sub(" ", left.casefold()).strip() == _BLANKS.sub(" ", right.casefold()).strip()
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        places = min(_places(left), _places(right))
        try:
            return round(Decimal(left), places) == round(Decimal(right), places)
        except ArithmeticError:
            return left == right
    return bool(left == right)


def _places(value: int | Decimal) -> int:
    exponent = Decimal(value).normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


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
