"""Maintenance windows: when a source, or every source of an organisation, is to stand still. Pure.

A window is a span of time (UTC). With a zone it comes again each week at the same local time there, so that a change
of the clocks moves it in UTC and not on the wall. Where a begin or end falls into an hour that the clocks skip or
repeat, the window is the longer one: it covers all that the wall shows as within it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

HaltMode = Literal["hold", "pause"]
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Window:
    """One window. `source_id` None is every source; times are aware; `weekly_zone` is an IANA name or None for once."""

    id: UUID
    source_id: UUID | None
    mode: HaltMode
    starts_at: datetime
    ends_at: datetime
    weekly_zone: str | None
    reason: str


def occurrence(window: Window, at: datetime) -> tuple[datetime, datetime] | None:
    """The occurrence (start, end; UTC) that covers `at`, else the next one, None when there is none any more."""
    if window.weekly_zone is None:
        return (window.starts_at, window.ends_at) if at < window.ends_at else None
    zone = ZoneInfo(window.weekly_zone)
    first, last = (moment.astimezone(zone).replace(tzinfo=None) for moment in (window.starts_at, window.ends_at))
    weeks = max(0, (at.astimezone(zone).replace(tzinfo=None) - first) // _WEEK - 1)
    while True:
        start = min(_moments(first + weeks * _WEEK, zone))
        end = max(_moments(last + weeks * _WEEK, zone))
        if at < end:
            return start, end
        weeks += 1


def ends_of(windows: Iterable[Window], source_id: UUID, at: datetime) -> dict[UUID, datetime]:
    """The windows that cover a source at `at`, each with the end of this occurrence."""
    of_source = (window for window in windows if window.source_id in (None, source_id))
    return {window.id: end for window, end in spans_of(of_source, at)}


def spans_of(windows: Iterable[Window], at: datetime) -> list[tuple[Window, datetime]]:
    """The windows that last at `at`, each with the end of this occurrence."""
    spans = ((window, occurrence(window, at)) for window in windows)
    return [(window, span[1]) for window, span in spans if span and span[0] <= at]


def next_change(windows: Iterable[Window], at: datetime) -> datetime | None:
    """The next moment after `at` at which a window begins or ends; None when all are over."""
    spans = [span for span in (occurrence(window, at) for window in windows) if span]
    return min((start if at < start else end for start, end in spans), default=None)


def _moments(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """What a time on the wall may be in UTC: two moments where the clocks change, else one twice."""
    return [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
