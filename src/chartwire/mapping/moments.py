"""HL7 times to FHIR in the zone of the conversion; findings instead of guesses (domain-rules.md section 8)."""

from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chartwire.formats.hl7v2.times import (
    Converted,
    to_fhir_date,
    to_fhir_datetime,
    to_fhir_time,
    to_instant,
)
from chartwire.mapping.context import Context

_WORDS: Final = {
    "bad_time": "not a date or time of HL7; left out",
    "no_zone": "a time without offset, and no zone is configured; the date only",
    "repeated_hour": "an hour that the clock passes twice; the first is taken",
    "skipped_hour": "an hour that the clock skips; moved forward by the gap",
    "imprecise": "less precise than FHIR asks for",
}

_dates = lru_cache(4096)(to_fhir_date)
_date_times = lru_cache(4096)(to_fhir_datetime)
_instants = lru_cache(4096)(to_instant)


@lru_cache(256)
def zone_named(name: str) -> ZoneInfo | None:
    """The IANA zone of that name; None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _told(context: Context, converted: Converted, label: str) -> str | None:
    for code in converted.findings:
        context.find(code, label, _WORDS.get(code, "a time that needed a decision"))
    return converted.value


def date(context: Context, text: str, label: str) -> str | None:
    """FHIR `date`: the day as written, never shifted."""
    return _told(context, _dates(text), label)


def date_time(context: Context, text: str, label: str) -> str | None:
    """FHIR `dateTime`: with the offset written or that of the zone, else the date only."""
    return _told(context, _date_times(text, context.zone), label)


def instant(context: Context, text: str, label: str) -> str | None:
    """FHIR `instant` in UTC; None where it cannot be placed."""
    return _told(context, _instants(text, context.zone), label)


def time(context: Context, text: str, label: str) -> str | None:
    """FHIR `time`."""
    return _told(context, to_fhir_time(text), label)


def aware(context: Context, text: str, label: str) -> datetime | None:
    """An aware datetime; None where it cannot be placed, or names a day only."""
    value = _told(context, _instants(text, context.zone), label)
    return datetime.fromisoformat(value) if value else None
