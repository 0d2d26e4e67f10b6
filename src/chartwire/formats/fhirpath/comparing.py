"""How values compare: equality, equivalence, order, membership; quantities as all of these see them.

http://hl7.org/fhirpath/N1/index.html#equality, #comparison
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chartwire.formats.fhirpath import quantities, temporal
from chartwire.formats.fhirpath.nodes import KINDS, Node, only
from chartwire.formats.fhirpath.quantities import Quantity
from chartwire.formats.fhirpath.syntax import FhirPathError

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
