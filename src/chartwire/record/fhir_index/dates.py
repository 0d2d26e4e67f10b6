"""Date parameters (R4 3.1.1.4.7): every value is a range in UTC, from `low` on until before `high`.

A date's range is its precision: `2026` is a year, `2026-03-01` a day, `2026-03-01T12:00:00Z` a second. Without a zone
it counts as UTC. A Period without start or end is open there (`UNBOUNDED_LOW`, `UNBOUNDED_HIGH`: the driver's -infinity
and infinity). A Timing is what lies between the outer limits of its bounds and events.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from chartwire.core.remembering import remembered
from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit

Range = tuple[datetime, datetime]
UNBOUNDED_LOW = datetime.fromisoformat("0001-01-01T00:00:00")
UNBOUNDED_HIGH = datetime.fromisoformat("9999-12-31T23:59:59.999999")
_PRIMITIVES = frozenset({"date", "dateTime", "instant"})
_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


@remembered(16_384)
def moments(text: str) -> Range | None:
    """The range of a date, dateTime or instant; None for what is none, or has no such day or hour."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        low = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            UTC,
        ) - _offset(zone)
    except (ValueError, OverflowError):
        return None
    return low, _end(low, match)


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return offset if zone[0] == "+" else -offset


def _end(low: datetime, match: re.Match[str]) -> datetime:
    year, month, day, hour, _, second, fraction, _ = match.groups()
    try:
        if fraction:
            return low + timedelta(microseconds=10 ** max(6 - len(fraction), 0))
        if hour:
            return low + (timedelta(seconds=1) if second else timedelta(minutes=1))
        if day:
            return low + timedelta(days=1)
        years, months = divmod(int(month), 12) if month else (1, 0)
        return low.replace(year=int(year) + years, month=months + 1)
    except (ValueError, OverflowError):
        return UNBOUNDED_HIGH


def emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that are no time."""
    read = _READERS.get(type_name)
    if read is None:
        return None
    key = key_of(resource_type, code)

    def emit(value: Any, rows: IndexRows) -> None:
        if found := read(value):
            rows.dates.add((key, *found, ""))

    return emit


def _primitive(value: Any) -> Range | None:
    return moments(value) if type(value) is str else None


def _period(value: Any) -> Range | None:
    if type(value) is not dict:
        return None
    start, end = _primitive(value.get("start")), _primitive(value.get("end"))
    if start and end and end[1] is not UNBOUNDED_HIGH and end[1] <= start[0]:
        return None
    if not start and not end:
        return None
    return start[0] if start else UNBOUNDED_LOW, end[1] if end else UNBOUNDED_HIGH


def _timing(value: Any) -> Range | None:
    if type(value) is not dict:
        return None
    events, repeat = value.get("event"), value.get("repeat")
    told = [_primitive(event) for event in events] if type(events) is list else []
    if type(repeat) is dict:
        told.append(_period(repeat.get("boundsPeriod")))
    return _outer([found for found in told if found])


def _outer(ranges: list[Range]) -> Range | None:
    if not ranges:
        return None
    lows, highs = zip(*ranges, strict=True)
    low = UNBOUNDED_LOW if UNBOUNDED_LOW in lows else min(lows)
    return low, UNBOUNDED_HIGH if UNBOUNDED_HIGH in highs else max(highs)


_READERS = dict.fromkeys(_PRIMITIVES, _primitive) | {"Period": _period, "Timing": _timing}
