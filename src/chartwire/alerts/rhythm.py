"""What a feed usually does at this hour of the week, and how improbable its silence is. Pure.

The week is cut into SLOTS of 15 minutes in the feed's local time. Each slot learns the mean and the variance of its
count, weighted towards the present. A gap is judged by the chance that the usual feed sends nothing in it: as Poisson,
and where slots scatter more than that (holidays, closed days) as negative binomial with the scatter of all slots of the
gap together, since a holiday empties them all; what few weeks leave uncertain about the mean counts as scatter too. The
bound follows from how many gaps there are: FALSE_ALARMS_A_MONTH for
a feed that goes on as it did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

SLOT = timedelta(minutes=15)
SLOTS = 7 * 24 * 4
SLOTS_LEARNED_MIN = SLOTS * 9 // 10
"""A week is known when so many of its slots were learned once: a weekly maintenance window leaves some out."""

SILENCE_MIN_S = 300.0
FALSE_ALARMS_A_MONTH = 0.2
_WEEKS_REMEMBERED = 6.0
_SCATTER_IGNORED = 3.0
"""A slot whose variance is below this many times its mean counts as Poisson: few weeks tell no more."""
_WEEKS_A_MONTH = 4.345


class Usual(NamedTuple):
    """What one slot learned: messages in it, their variance, and from how many weeks."""

    mean: float
    variance: float
    weeks: float


NOTHING = Usual(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a feed has been silent, what its usual gap is at this hour (None: it is usually silent too), and whether
    that is an alarm."""

    silent_s: float
    usual_gap_s: float | None
    alarm: bool


def slot_of(at: datetime, zone: str) -> int:
    """The slot of the local week in which a moment (aware) lies; 0 is Monday 00:00."""
    local = at.astimezone(ZoneInfo(zone))
    return local.weekday() * 96 + local.hour * 4 + local.minute // 15


def learned(before: Usual, count: int) -> Usual:
    """The slot after one more week in which `count` messages came."""
    weeks = before.weeks + 1
    weight = 1 / min(weeks, _WEEKS_REMEMBERED)
    off = count - before.mean
    mean = before.mean + weight * off
    variance = (1 - weight) * (before.variance + weight * off * off)
    return Usual(mean, variance, weeks)


def judge(week: Mapping[int, Usual], last_at: datetime, at: datetime, zone: str) -> Silence | None:
    """How a silence from `last_at` until `at` (aware) compares with the usual week; None before a week was learned."""
    if sum(usual.weeks >= 1 for usual in week.values()) < SLOTS_LEARNED_MIN:
        return None
    silent_s = (at - last_at).total_seconds()
    expected, scatter = _expected(week, last_at, at, zone)
    here = week.get(slot_of(at, zone), NOTHING).mean
    usual_gap_s = SLOT.total_seconds() / here if here > 0 else None
    gaps_a_month = _WEEKS_A_MONTH * sum(usual.mean for usual in week.values())
    bound = FALSE_ALARMS_A_MONTH / max(gaps_a_month, 1.0)
    improbable = _chance_of_none(expected, scatter) < bound
    return Silence(silent_s, usual_gap_s, improbable and silent_s >= SILENCE_MIN_S)


def _expected(week: Mapping[int, Usual], start: datetime, end: datetime, zone: str) -> tuple[float, float]:
    """Messages that usually come between two moments, and the variance beyond Poisson's: theirs, and the mean's own."""
    expected = deviation = unsure = 0.0
    start = max(start.astimezone(UTC), end.astimezone(UTC) - timedelta(days=7))
    while start < end:
        stop = min(_slot_end(start), end)
        usual = week.get(slot_of(start, zone), NOTHING)
        part = (stop - start) / SLOT
        expected += part * usual.mean
        unsure += part * part * usual.mean / min(max(usual.weeks, 1.0), _WEEKS_REMEMBERED)
        if usual.variance > _SCATTER_IGNORED * usual.mean:
            deviation += part * math.sqrt(usual.variance - usual.mean)
        start = stop
    return expected, deviation * deviation + unsure


def _slot_end(at: datetime) -> datetime:
    """Zones differ from UTC by multiples of 15 minutes, so slots end at the same moments everywhere."""
    minute = at.minute - at.minute % 15
    return at.replace(minute=minute, second=0, microsecond=0) + SLOT


def _chance_of_none(expected: float, scatter: float) -> float:
    if expected <= 0:
        return 1.0
    spread = scatter / (expected * expected)
    if spread < 1e-9:
        return math.exp(-expected)
    return float((1 + spread * expected) ** (-1 / spread))


def slot_start(at: datetime) -> datetime:
    """When the slot began in which a moment (aware) lies, in UTC."""
    return _slot_end(at.astimezone(UTC)) - SLOT


def counts_by_slot(arrivals: Sequence[datetime], zone: str) -> dict[int, int]:
    """How many of these moments lie in each slot."""
    counts: dict[int, int] = {}
    for moment in arrivals:
        slot = slot_of(moment, zone)
        counts[slot] = counts.get(slot, 0) + 1
    return counts
