"""Where and when an appointment is for the people in it: the zone that its body names, and the local day. Pure.

The zone stands in the standard extension below, on an Appointment or a Location, as an IANA name. Without one, the
offset that `start` was written with tells the local time, though not the zone; `Z` tells neither (domain-rules.md
section 8: never UTC or the server's zone by guess).
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TIMEZONE_EXTENSION = "http://hl7.org/fhir/StructureDefinition/timezone"


class LocalTime(NamedTuple):
    """An instant as the clock on the wall shows it. `zone` is an IANA name, None where only the offset is known."""

    zone: str | None
    at: datetime


def zone_name(body: dict[str, Any]) -> str | None:
    """The IANA name of the zone that a resource names; None without one, or with one that does not exist."""
    for extension in body.get("extension", ()):
        if extension.get("url") == TIMEZONE_EXTENSION:
            name = extension.get("valueCode") or extension.get("valueString")
            return name if isinstance(name, str) and _zone(name) else None
    return None


def zone_extensions(name: str | None) -> list[dict[str, Any]]:
    """What a body needs so that `zone_name` reads back the zone that a source keeps its times in."""
    return [{"url": TIMEZONE_EXTENSION, "valueCode": name}] if name else []


def local_time(body: dict[str, Any], moment: str | None, zone: str | None = None) -> LocalTime | None:
    """A moment of a resource (an instant as written in its body) in its zone, or in `zone` where it names none.

    None where neither a zone nor an offset other than Z is known, or the moment is a date only.
    """
    if not moment or "T" not in moment:
        return None
    name = zone_name(body) or zone
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    found = _zone(name) if name else None
    if found is not None:
        return LocalTime(name, at.astimezone(found))
    if moment.endswith("Z") or at.tzinfo is None:
        return None
    return LocalTime(None, at)


def local_day(body: dict[str, Any]) -> str | None:
    """The local day of an appointment's start; the day in UTC where no zone is known; None without a start."""
    start = body.get("start")
    if not isinstance(start, str) or len(start) < 10:
        return None
    local = local_time(body, start)
    return local.at.date().isoformat() if local else start[:10]


@lru_cache(1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
