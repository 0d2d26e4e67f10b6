"""Values with a prefix (R4 3.1.1.4.5): dates, numbers and quantities, each as comparisons of an index row's ends.

A row reaches from `low` to `high`. A value that is asked for is a range too: that of its precision.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from chartwire.record.fhir_index.dates import UNBOUNDED_HIGH, moments
from chartwire.record.fhir_index.numbers import units_named
from chartwire.record.fhir_index.values import token_text
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import PREFIXES, Parameter
from chartwire.record.search.values import split, unescaped
from chartwire.store.fhir_search.conditions import Alternative, Comparison, Condition, Operator, Rank, Rows, Updated

_PREFIX = re.compile(r"([a-z]{2})?(.*)", re.DOTALL)
_LOST_PLUS = re.compile(r"(.*T.*) (\d\d:\d\d)")
_DAY = timedelta(days=1)
_APPROXIMATELY = 10
"""`ap` reaches a tenth further: of a number, or of the time between now and a date."""

Pair = tuple[Operator, datetime]


def prefixed(value: str) -> tuple[str, str]:
    """Prefix (`eq` where none is given) and rest of a value. Raises InvalidValueError for an unknown prefix."""
    match = _PREFIX.fullmatch(value)
    assert match is not None
    prefix, rest = match[1] or "eq", match[2]
    if prefix not in PREFIXES:
        raise InvalidValueError(f"a value begins with a digit, or with one of the prefixes {', '.join(PREFIXES)}")
    return prefix, rest


def dates(parameter: Parameter, _: str, values: list[str], context: Context) -> Condition:
    """The condition of a date. Raises InvalidValueError."""
    read = [_moments(unescaped(value), context) for value in values]
    any_of = tuple(way for prefix, low, high in read for way in _DATES[prefix](low, high))
    days = all(prefix == "eq" and high != UNBOUNDED_HIGH and high - low <= _DAY for prefix, low, high in read)
    return Rows(
        "date", parameter.under(), tuple((*way, _UNCODED) for way in any_of), rank=Rank.DAY if days else Rank.RANGE
    )


def date_ways(value: str, context: Context) -> tuple[Alternative, ...]:
    """The alternatives of one date. Raises InvalidValueError."""
    prefix, low, high = _moments(unescaped(value), context)
    return _DATES[prefix](low, high)


def updated(values: list[str], context: Context) -> Updated:
    """The condition of `_lastUpdated`: a moment, so that its ends are one. Raises InvalidValueError."""
    read = [_moments(unescaped(value), context) for value in values]
    return Updated(tuple(way for prefix, low, high in read for way in _MOMENTS[prefix](low, high)))


def numbers(parameter: Parameter, _: str, values: list[str], __: Context) -> Condition:
    """The condition of a number. Raises InvalidValueError."""
    ways = tuple((*way, _UNCODED) for value in values for way in number_ways(value))
    return Rows("number", parameter.under(), ways, rank=Rank.RANGE)


def quantities(parameter: Parameter, _: str, values: list[str], __: Context) -> Condition:
    """The condition of a quantity. Raises InvalidValueError."""
    ways = tuple((*way, _UNCODED) for value in values for way in quantity_ways(value))
    return Rows("number", parameter.under(), ways, rank=Rank.RANGE)


def number_ways(value: str) -> tuple[Alternative, ...]:
    """The alternatives of one number, of any unit. Raises InvalidValueError."""
    prefix, text = prefixed(unescaped(value))
    return _NUMBERS[prefix](*_number(text))


def quantity_ways(value: str) -> tuple[Alternative, ...]:
    """The alternatives of one quantity: `5.4`, `5.4|system|code`, `5.4||code`. Raises InvalidValueError."""
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) not in (1, 3):
        raise InvalidValueError("a quantity is `number`, `number|system|code` or `number||code`")
    prefix, text = prefixed(parts[0])
    system, code = parts[1:] or ("", "")
    if system and not code:
        raise InvalidValueError("a unit's system needs its code")
    ways = _NUMBERS[prefix](*_number(text))
    if not code:
        return ways
    unit = Comparison("unit", "=", token_text(f"{system}|{code}") if system else units_named(code))
    return tuple((*way, unit) for way in ways)


_UNCODED = Comparison("code", "=", "")


def _moments(value: str, context: Context) -> tuple[str, datetime, datetime]:
    prefix, text = prefixed(value)
    if lost := _LOST_PLUS.fullmatch(text):
        text = f"{lost[1]}+{lost[2]}"
    found = moments(text)
    if found is None:
        raise InvalidValueError("a date is YYYY, YYYY-MM, YYYY-MM-DD, or with THH:MM[:SS[.sss]] and a zone")
    low, high = found
    if prefix == "ap":
        margin = abs(context.moment - low) / _APPROXIMATELY
        low, high = _shifted(low, -margin), _shifted(high, margin)
    return prefix, low, high


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return moment


def _number(text: str) -> tuple[float, float, float]:
    """The number, and the ends of what rounds to it at its precision: half of what its last digit counts.

    With an exponent the digit behind counts: R4 has 1e2 reach from 95 to 105.
    """
    try:
        number = Decimal(text)
        if not number.is_finite() or abs(number.adjusted()) > 300:
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidValueError("a number is needed, such as 5.4 or 1e3") from None
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal((0, (5,), exponent - 2 if exponent > 0 else exponent - 1))
    return float(number), float(number - half), float(number + half)


def _low(operator: Operator, value: datetime | float) -> Comparison:
    return Comparison("low", operator, value)


def _high(operator: Operator, value: datetime | float) -> Comparison:
    return Comparison("high", operator, value)


def _within(low: datetime, high: datetime) -> Alternative:
    return (_low(">=", low), _low("<", high), _high("<=", high))


def _around(number: float, margin: float) -> Alternative:
    return (_low("<=", number + margin), _high(">=", number - margin))


_DATES: dict[str, Callable[[datetime, datetime], tuple[Alternative, ...]]] = {
    "eq": lambda low, high: (_within(low, high),),
    "ne": lambda low, high: ((_low("<", low),), (_high(">", high),)),
    "gt": lambda _, high: ((_high(">", high),),),
    "lt": lambda low, _: ((_low("<", low),),),
    "ge": lambda low, high: ((_high(">", high),), _within(low, high)),
    "le": lambda low, high: ((_low("<", low),), _within(low, high)),
    "sa": lambda _, high: ((_low(">=", high),),),
    "eb": lambda low, _: ((_high("<=", low),),),
    "ap": lambda low, high: ((_low("<", high), _high(">", low)),),
}
_MOMENTS: dict[str, Callable[[datetime, datetime], tuple[tuple[Pair, ...], ...]]] = {
    "eq": lambda low, high: (((">=", low), ("<", high)),),
    "ne": lambda low, high: ((("<", low),), ((">=", high),)),
    "gt": lambda _, high: (((">=", high),),),
    "lt": lambda low, _: ((("<", low),),),
    "ge": lambda low, _: (((">=", low),),),
    "le": lambda _, high: ((("<", high),),),
    "sa": lambda _, high: (((">=", high),),),
    "eb": lambda low, _: ((("<", low),),),
    "ap": lambda low, high: (((">=", low), ("<", high)),),
}
_NUMBERS: dict[str, Callable[[float, float, float], tuple[Alternative, ...]]] = {
    "eq": lambda _, low, high: ((_low(">=", low), _high("<", high)),),
    "ne": lambda _, low, high: ((_low("<", low),), (_high(">=", high),)),
    "gt": lambda number, *_: ((_high(">", number),),),
    "lt": lambda number, *_: ((_low("<", number),),),
    "ge": lambda number, *_: ((_high(">=", number),),),
    "le": lambda number, *_: ((_low("<=", number),),),
    "sa": lambda number, *_: ((_low(">", number),),),
    "eb": lambda number, *_: ((_high("<", number),),),
    "ap": lambda number, *_: (_around(number, abs(number) / _APPROXIMATELY),),
}
