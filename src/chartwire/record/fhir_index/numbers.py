"""Number and quantity parameters (R4 3.1.1.4.6, 3.1.1.4.13): a value is a point (`low` = `high`), a Range its two ends.

A quantity has a row for each way to name its unit: `system|code`, `code` (unless the system is one of UNIT_SYSTEMS,
where whoever asks for the code asks for it in each), the unit's text if that is another word; an empty one if it has no
unit. A comparator opens its side: `<5` reaches from -infinity to 5. SampledData has no one value and makes no row.
"""

from math import inf, isfinite
from typing import Any

from chartwire.formats.fhir.numerals import DECIMALS
from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit, token_text

_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_QUANTITIES = frozenset({"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"})
_CURRENCIES = "urn:iso:std:iso:4217"
UNIT_SYSTEMS = ("http://unitsofmeasure.org", _CURRENCIES)
"""Systems that nearly every unit is of: one row is enough for these."""


def emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that are no number."""
    key = key_of(resource_type, code)
    if type_name in _NUMBERS:
        return _number(key)
    if type_name in _QUANTITIES:
        return _quantity(key)
    match type_name:
        case "Range":
            return _range(key)
        case "Money":
            return _money(key)
    return None


def point(value: Any) -> float | None:
    """A JSON number as the index holds it; None for what is no number, or none that a float can come near."""
    if type(value) is not int and type(value) not in DECIMALS:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _number(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if (number := point(value)) is not None:
            rows.numbers.add((key, number, number, "", ""))

    return emit


def _quantity(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict or (number := point(value.get("value"))) is None:
            return
        comparator = value.get("comparator")
        low = -inf if comparator in ("<", "<=") else number
        high = inf if comparator in (">", ">=") else number
        for unit in _units(value):
            rows.numbers.add((key, low, high, unit, ""))

    return emit


def _range(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        ends = [end if type(end) is dict else {} for end in (value.get("low"), value.get("high"))]
        low, high = (point(end.get("value")) for end in ends)
        if low is None and high is None:
            return
        for unit in _units(ends[low is None]):
            rows.numbers.add((key, -inf if low is None else low, inf if high is None else high, unit, ""))

    return emit


def _money(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is dict and (number := point(value.get("value"))) is not None:
            for unit in _units({"system": _CURRENCIES, "code": value.get("currency")}):
                rows.numbers.add((key, number, number, unit, ""))

    return emit


def units_named(code: str) -> tuple[str, ...]:
    """The units of rows whose code, or unit as text, is this one."""
    return (token_text(code), *(token_text(f"{system}|{code}") for system in UNIT_SYSTEMS))


def _units(quantity: dict[str, Any]) -> set[str]:
    units: set[str] = set()
    system, code, unit = quantity.get("system"), quantity.get("code"), quantity.get("unit")
    if type(code) is str:
        if type(system) is str:
            units.add(token_text(f"{system}|{code}"))
        if system not in UNIT_SYSTEMS:
            units.add(token_text(code))
        elif unit == code:
            return units
    if type(unit) is str:
        units.add(token_text(unit))
    return units or {""}
