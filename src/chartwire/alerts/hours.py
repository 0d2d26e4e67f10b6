"""Business hours: when a notice that can wait is sent. Pure; local times in an IANA zone, daylight saving included."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS_AHEAD_MAX = 8


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """Open on `weekdays` (0 = Monday) from `opens` until `closes`, local time of `zone`. A day that closes at or before
    it opens closes on the next one (22:00 to 06:00)."""

    zone: str
    weekdays: frozenset[int] = frozenset(range(5))
    opens: time = time(8)
    closes: time = time(18)

    def next_open(self, at: datetime) -> datetime:
        """`at` (aware) itself while it is open, else the moment of the next opening, in UTC offset of `at`."""
        day = at.astimezone(ZoneInfo(self.zone)).date()
        for ahead in range(-1, _DAYS_AHEAD_MAX):
            opening, closing = self._hours_of(day + timedelta(days=ahead))
            if opening is not None and at < closing:
                return max(at, opening.astimezone(at.tzinfo))
        return at

    def _hours_of(self, day: date) -> tuple[datetime | None, datetime]:
        zone = ZoneInfo(self.zone)
        last = day + timedelta(days=1) if self.closes <= self.opens else day
        opening = datetime.combine(day, self.opens, zone) if day.weekday() in self.weekdays else None
        return opening, datetime.combine(last, self.closes, zone)
