"""`Location.near` (R4 5.1: `latitude|longitude|distance|units`), from the position that the body tells."""

from decimal import Decimal, InvalidOperation

from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter
from chartwire.record.search.values import split, unescaped
from chartwire.store.fhir_search.conditions import AnyOf, Condition, Near, Rank

_METRES = {"": 1_000.0, "km": 1_000.0, "m": 1.0, "[mi_i]": 1_609.344, "[mi_us]": 1_609.347}
_DISTANCE = "50"
"""Where none is told, in km: R4 leaves it to the server."""
_HALF_ROUND_THE_EARTH_M = 20_038_000.0


def condition(_: Parameter, __: str, values: list[str], ___: Context) -> Condition:
    """The condition that a place is near one of some positions. Raises InvalidValueError."""
    ways = tuple(_near(value) for value in values)
    return ways[0] if len(ways) == 1 else AnyOf(ways, Rank.EVERYTHING)


def _near(value: str) -> Near:
    parts = [unescaped(part) for part in split(value, "|")]
    if not 2 <= len(parts) <= 4:
        raise InvalidValueError("a position is `latitude|longitude|distance|units`")
    latitude, longitude, distance, unit = (*parts, *("", "", "")[: 4 - len(parts)])
    if unit not in _METRES:
        raise InvalidValueError("the units of a distance are km, m, [mi_i] and [mi_us]")
    metres = _number(distance or _DISTANCE, 0, _HALF_ROUND_THE_EARTH_M) * _METRES[unit]
    return Near(_number(latitude, -90, 90), _number(longitude, -180, 180), metres)


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(Decimal(text))
    except (InvalidOperation, OverflowError):
        number = most + 1
    if not least <= number <= most:
        raise InvalidValueError(f"a number from {least} to {most} is needed")
    return number
