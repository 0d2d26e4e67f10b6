"""Dates and times with their precision: comparing where both know enough, and adding durations.

A value is compared part by part until a part is missing on one side, then the answer is unknown (N1, 6.2). Seconds and
their fraction are one part. A value without zone beside one with a zone is comparable only when more than a day apart.
"""

import re
from calendar import monthrange
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?(Z|[+-]\d\d:\d\d)?)?)?|T)?|T)?",
    re.ASCII,
)
_TIME = re.compile(r"T?(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?", re.ASCII)
_UNITS = ("year", "month", "day", "hour", "minute", "second")
"""What each part of a moment counts."""
SECONDS = {
    "year": Decimal(365 * 86400),
    "month": Decimal(30 * 86400),
    "week": Decimal(7 * 86400),
    "day": Decimal(86400),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
_MONTHS = {"year": 12, "month": 1}
_FIRST = (0, 1, 1, 0, 0, 0)
_DATE_DIGITS = {4: 1, 6: 2, 8: 3, 12: 5, 14: 6, 17: 6}
_TIME_DIGITS = {2: 1, 4: 2, 6: 3, 9: 3}
_UCUM = {"'wk'": "week", "'d'": "day", "'h'": "hour", "'min'": "minute", "'s'": "second", "'ms'": "millisecond"}
_AMOUNT_MAX = 10**15
"""Of any unit: in milliseconds more than there are from year 1 to year 9999."""
_LAST_DAY = date.max.toordinal()

Parts = tuple[int | Decimal, ...]


class Moment(NamedTuple):
    """Year, month, day, hour, minute, second as far as known, and minutes east of UTC where a zone is written."""

    parts: Parts
    zone: int | None


@lru_cache(maxsize=4096)
def moment(text: str) -> Moment | None:
    """A FHIR date, dateTime or instant (or a FHIRPath one without `@`); None where it names no day that exists."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    parts = _known(match.groups()[:6])
    return Moment(parts, _minutes(match[7])) if _exists(parts) else None


@lru_cache(maxsize=1024)
def time_of_day(text: str) -> Moment | None:
    """A time `10:30` or `T10:30:00.5`, as far as known; None where it is no time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    parts = _known(match.groups())
    return Moment(parts, None) if _is_time(parts) else None


def compare(left: Moment, right: Moment) -> int | None:
    """-1, 0, 1, or None where the precision or a missing zone does not let it be told. Also of two times of day."""
    ours, theirs = _in_utc(left), _in_utc(right)
    if (left.zone is None) != (right.zone is None) and len(ours) > 3 < len(theirs):
        apart = _ordinal(ours) - _ordinal(theirs)
        return None if abs(apart) <= 1 else (1 if apart > 0 else -1)
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return 1 if one > other else -1
    return 0 if len(ours) == len(theirs) else None


def later(text: str, amount: Decimal, unit: str) -> str | None:
    """A date or dateTime moved by a duration, with the precision it had; None where the unit is no duration.

    What is finer than the precision of the value is cut off; months keep the day where it exists (N1, 6.6.7).
    """
    start, name = moment(text), duration_unit(unit)
    if start is None or name is None or abs(amount) > _AMOUNT_MAX:
        return None
    finest = _UNITS[len(start.parts) - 1]
    steps, name = _in_precision(amount, name, finest)
    moved = _months_later(start.parts, steps) if name == "month" else _seconds_later(start.parts, steps)
    return None if moved is None else _written(moved, text)


def later_time(text: str, amount: Decimal, unit: str) -> str | None:
    """A time of day moved round the clock by hours or less; None for other units."""
    start, name = time_of_day(text), duration_unit(unit)
    if start is None or name is None or SECONDS[name] > 3600 or abs(amount) > _AMOUNT_MAX:
        return None
    seconds = sum((part * scale for part, scale in zip(start.parts, (3600, 60, 1), strict=False)), Decimal(0))
    seconds = (seconds + amount * SECONDS[name]) % 86400
    return ":".join(_clock(seconds)[: len(start.parts)])


def boundary(text: str, digits: int, *, high: bool) -> str | None:
    """The first (or last) moment that a date or dateTime may mean, written with so many digits: 4, 6, 8, 12, 14 or 17.

    Without a zone it may be any: the earliest is +14:00, the latest -12:00. None for other numbers of digits.
    """
    found, count = moment(text), _DATE_DIGITS.get(digits)
    if found is None or count is None:
        return None
    parts = list(found.parts[:count])
    while len(parts) < count:
        parts.append(_last(parts) if high else _FIRST[len(parts)])
    day = "-".join(f"{int(part):0{4 if at == 0 else 2}d}" for at, part in enumerate(parts[:3]))
    if count <= 3:
        return day
    return f"{day}T{_clock_of(parts[3:], digits == 17, high)}{_zone_of(text) or ('-12:00' if high else '+14:00')}"


def time_boundary(text: str, digits: int, *, high: bool) -> str | None:
    """The same of a time of day, with 2, 4, 6 or 9 digits."""
    found, count = time_of_day(text), _TIME_DIGITS.get(digits)
    if found is None or count is None:
        return None
    parts = list(found.parts[:count])
    while len(parts) < count:
        parts.append((23, 59, 59)[len(parts)] if high else 0)
    return _clock_of(parts, digits == 9, high)


def duration_unit(unit: str) -> str | None:
    """The calendar word of `years`, `day`, `'d'`...; None for what moves no date, as `'mo'` (N1, 4.1.8)."""
    word = unit if unit.startswith("'") else unit.removesuffix("s")
    return _UCUM.get(word) or (word if word in SECONDS else None)


def _known(groups: tuple[str | None, ...]) -> Parts:
    return tuple(Decimal(text) if "." in text else int(text) for text in groups if text is not None)


def _exists(parts: Parts) -> bool:
    year, month, day = (int(part) for part in (*parts[:3], 1, 1)[:3])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return False
    return _is_time(parts[3:])


def _is_time(parts: Parts) -> bool:
    return all(part < bound for part, bound in zip(parts, (24, 60, 61), strict=False))


def _minutes(zone: str | None) -> int | None:
    if zone is None or zone == "Z":
        return None if zone is None else 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def _ordinal(parts: Parts) -> int:
    return date(int(parts[0]), int(parts[1]), int(parts[2])).toordinal()


def _in_utc(value: Moment) -> Parts:
    parts = value.parts
    if not value.zone or len(parts) <= 3:
        return parts
    minutes = int(parts[3]) * 60 + (int(parts[4]) if len(parts) > 4 else 0) - value.zone
    day = date.fromordinal(min(max(_ordinal(parts) + minutes // 1440, 1), _LAST_DAY))
    shifted = (day.year, day.month, day.day, minutes % 1440 // 60, minutes % 60)
    return (*shifted[: len(parts)], *parts[5:])


def _in_precision(amount: Decimal, unit: str, finest: str) -> tuple[Decimal, str]:
    """The duration as months or as seconds, cut to whole steps of the finest part that the value knows."""
    if unit in _MONTHS:
        months = Decimal(int(amount) * _MONTHS[unit])
        return (Decimal(int(months / 12) * 12) if finest == "year" else months), "month"
    seconds = (amount if unit in ("second", "millisecond") else int(amount)) * SECONDS[unit]
    if finest in _MONTHS:
        return Decimal(int(seconds / SECONDS[finest]) * _MONTHS[finest]), "month"
    return (seconds if finest == "second" else int(seconds / SECONDS[finest]) * SECONDS[finest]), "second"


def _months_later(parts: Parts, months: Decimal) -> Parts | None:
    total = int(parts[0]) * 12 + (int(parts[1]) - 1 if len(parts) > 1 else 0) + int(months)
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= date.max.year:
        return None
    day = min(int(parts[2]), monthrange(year, month)[1]) if len(parts) > 2 else 1
    return (*(year, month, day)[: len(parts)], *parts[3:])


def _seconds_later(parts: Parts, amount: Decimal) -> Parts | None:
    clock = sum((part * scale for part, scale in zip(parts[3:], (3600, 60, 1), strict=False)), Decimal(0))
    total = clock + amount
    ordinal = _ordinal(parts) + int(total // 86400)
    if not 1 <= ordinal <= _LAST_DAY:
        return None
    day, seconds = date.fromordinal(ordinal), total % 86400
    moved: Parts = (day.year, day.month, day.day, int(seconds // 3600), int(seconds % 3600 // 60), seconds % 60)
    return moved[: len(parts)]


def _written(parts: Parts, like: str) -> str:
    day = "-".join(f"{int(part):0{4 if at == 0 else 2}d}" for at, part in enumerate(parts[:3]))
    if "T" not in like:
        return day
    return f"{day}T{':'.join(_two(part) for part in parts[3:])}{_zone_of(like)}"


def _clock(seconds: Decimal) -> list[str]:
    return [_two(int(seconds // 3600)), _two(int(seconds % 3600 // 60)), _two(seconds % 60)]


def _two(part: int | Decimal) -> str:
    text = f"{part:f}" if isinstance(part, Decimal) else str(part)
    return text if len(text.partition(".")[0]) > 1 else f"0{text}"


def _last(parts: list[int | Decimal]) -> int:
    if len(parts) == 2:
        return monthrange(int(parts[0]), int(parts[1]))[1]
    return (0, 12, 0, 23, 59, 59)[len(parts)]


def _clock_of(parts: list[int | Decimal], fraction: bool, high: bool) -> str:
    whole = [_two(int(part)) for part in parts]
    if not fraction:
        return ":".join(whole)
    seconds = Decimal(parts[-1])
    told = f"{seconds % 1:.3f}"[1:] if isinstance(parts[-1], Decimal) else ".999" if high else ".000"
    return ":".join(whole) + told


def _zone_of(text: str) -> str:
    clock = text.partition("T")[2]
    return next((clock[at:] for at, sign in enumerate(clock) if sign in "Z+-"), "")
