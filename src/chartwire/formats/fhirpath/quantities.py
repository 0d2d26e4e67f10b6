"""Quantities: values with a unit, compared across units that measure the same thing.

Units are UCUM codes in quotes or calendar words (N1, 2.7.1.7). Known are the prefixes and the atoms of the tables
below, with products, quotients and exponents; two units that cannot be related are comparable only when they are equal.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from chartwire.formats.fhirpath.temporal import SECONDS, duration_unit

_POWERS = {"da": 1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9}
_PREFIXES = {"": Decimal(1)} | {name: Decimal(10) ** power for name, power in _POWERS.items()}
_METRIC = {
    "m": ("1", {"m": 1}),
    "g": ("1", {"g": 1}),
    "s": ("1", {"s": 1}),
    "K": ("1", {"K": 1}),
    "L": ("0.001", {"m": 3}),
    "l": ("0.001", {"m": 3}),
    "mol": ("1", {"mol": 1}),
    "eq": ("1", {"mol": 1}),
    "osm": ("1", {"mol": 1}),
    "kat": ("1", {"mol": 1, "s": -1}),
    "Pa": ("1000", {"g": 1, "m": -1, "s": -2}),
    "bar": ("100000000", {"g": 1, "m": -1, "s": -2}),
    "J": ("1000", {"g": 1, "m": 2, "s": -2}),
    "W": ("1000", {"g": 1, "m": 2, "s": -3}),
    "N": ("1000", {"g": 1, "m": 1, "s": -2}),
    "cal": ("4184", {"g": 1, "m": 2, "s": -2}),
    "U": ("1", {"U": 1}),
    "[iU]": ("1", {"[iU]": 1}),
    "[IU]": ("1", {"[iU]": 1}),
    "m[Hg]": ("133322000", {"g": 1, "m": -1, "s": -2}),
}
_OTHER = {
    "1": ("1", {}),
    "%": ("0.01", {}),
    "[ppm]": ("0.000001", {}),
    "min": ("60", {"s": 1}),
    "h": ("3600", {"s": 1}),
    "d": ("86400", {"s": 1}),
    "wk": ("604800", {"s": 1}),
    "mo": ("1", {"month": 1}),
    "a": ("12", {"month": 1}),
    "[in_i]": ("0.0254", {"m": 1}),
    "[ft_i]": ("0.3048", {"m": 1}),
    "[yd_i]": ("0.9144", {"m": 1}),
    "[mi_i]": ("1609.344", {"m": 1}),
    "[lb_av]": ("453.59237", {"g": 1}),
    "[oz_av]": ("28.349523125", {"g": 1}),
    "[st_av]": ("6350.29318", {"g": 1}),
    "Cel": ("1", {"Cel": 1}),
    "[degF]": ("1", {"[degF]": 1}),
}
_FACTOR = re.compile(r"([^0-9./+-]+|10\*|10\^|%|1)([+-]?\d+)?", re.ASCII)


class Quantity(NamedTuple):
    """A value and its unit as FHIRPath writes it: `'mg'` (UCUM, in quotes) or `days`."""

    value: Decimal
    unit: str


class Scale(NamedTuple):
    """How a unit relates to base units: multiply by `factor`; `dimensions` are (base unit, exponent), sorted."""

    factor: Decimal
    dimensions: tuple[tuple[str, int], ...]


def of_fhir(value: dict[str, Any]) -> Quantity | None:
    """A FHIR Quantity as a System.Quantity; None without a number, or where a comparator makes it a range."""
    number = value.get("value")
    if isinstance(number, bool) or not isinstance(number, int | Decimal) or "comparator" in value:
        return None
    unit = value.get("code") or value.get("unit") or "1"
    return Quantity(Decimal(number), f"'{unit}'")


def compare(left: Quantity, right: Quantity) -> int | None:
    """-1, 0, 1, or None where the units do not measure the same thing."""
    if left.unit == right.unit:
        return (left.value > right.value) - (left.value < right.value)
    ours, theirs = scale(left.unit), scale(right.unit)
    if ours is None or theirs is None or ours.dimensions != theirs.dimensions or _mixed(left.unit, right.unit):
        return None
    try:
        one, other = left.value * ours.factor, right.value * theirs.factor
    except ArithmeticError:
        return None
    return (one > other) - (one < other)


def comparable(left: str, right: str) -> bool:
    """Whether two units measure the same thing."""
    ours, theirs = scale(left), scale(right)
    return left == right or (ours is not None and theirs is not None and ours.dimensions == theirs.dimensions)


def added(left: Quantity, right: Quantity) -> Quantity | None:
    """The sum in the unit of the left one; None where the units do not measure the same thing."""
    if left.unit == right.unit:
        return Quantity(left.value + right.value, left.unit)
    ours, theirs = scale(left.unit), scale(right.unit)
    if ours is None or theirs is None or ours.dimensions != theirs.dimensions:
        return None
    return Quantity(left.value + right.value * theirs.factor / ours.factor, left.unit)


def multiplied(left: Quantity, right: Quantity) -> Quantity:
    """The product; its unit is the product of the units, `'1'` left out."""
    return Quantity(left.value * right.value, _joined(left.unit, right.unit, "."))


def divided(left: Quantity, right: Quantity) -> Quantity | None:
    """The quotient; the same unit on both sides cancels. None by zero."""
    if right.value == 0:
        return None
    unit = "'1'" if left.unit == right.unit else _joined(left.unit, right.unit, "/")
    return Quantity(left.value / right.value, unit)


@lru_cache(maxsize=1024)
def scale(unit: str) -> Scale | None:
    """The scale of a unit; None for one that the tables do not explain."""
    if not unit.startswith("'"):
        return _of_calendar(unit)
    factor, dimensions = Decimal(1), dict[str, int]()
    for sign, term in _terms(unit.strip("'")):
        found = _term(term)
        if found is None:
            return None
        factor = factor * found.factor if sign > 0 else factor / found.factor
        for base, power in found.dimensions:
            dimensions[base] = dimensions.get(base, 0) + sign * power
    return Scale(factor, tuple(sorted((base, power) for base, power in dimensions.items() if power)))


def _of_calendar(word: str) -> Scale | None:
    name = duration_unit(word)
    if name is None:
        return None
    if name in ("year", "month"):
        return Scale(Decimal(12 if name == "year" else 1), (("month", 1),))
    return Scale(SECONDS[name], (("s", 1),))


def _mixed(left: str, right: str) -> bool:
    """A calendar year or month beside a UCUM one: these are equivalent, not comparable (N1, 2.7.1.7)."""
    measures = {duration_unit(left), duration_unit(right)}
    return left.startswith("'") != right.startswith("'") and not measures.isdisjoint({"year", "month"})


def _terms(text: str) -> list[tuple[int, str]]:
    found, sign = [], 1
    for part in re.split(r"([./])", re.sub(r"\{[^}]*\}", "", text)):
        if part in (".", "/"):
            sign = 1 if part == "." else -1
        elif part:
            found.append((sign, part))
    return found


def _term(text: str) -> Scale | None:
    match = _FACTOR.fullmatch(text)
    if match is None:
        return None
    power = int(match[2] or 1)
    if match[1] in ("10*", "10^"):
        return Scale(Decimal(10) ** power, ())
    atom = _atom(match[1])
    if atom is None or abs(power) > 9:
        return None
    return Scale(atom.factor**power, tuple((base, times * power) for base, times in atom.dimensions))


def _atom(name: str) -> Scale | None:
    if name in _OTHER:
        factor, dimensions = _OTHER[name]
        return Scale(Decimal(factor), tuple(dimensions.items()))
    for prefix in ("", name[:1], name[:2]):
        known = _METRIC.get(name[len(prefix) :])
        if known is not None and prefix in _PREFIXES:
            return Scale(_PREFIXES[prefix] * Decimal(known[0]), tuple(known[1].items()))
    return None


def _joined(left: str, right: str, sign: str) -> str:
    ours, theirs = left.strip("'"), right.strip("'")
    if theirs == "1":
        return f"'{ours}'"
    return f"'{theirs}'" if ours == "1" and sign == "." else f"'{ours}{sign}{theirs}'"
