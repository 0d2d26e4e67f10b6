"""A feed's silence is judged by what it usually does at that hour; on simulated feeds with fixed seeds."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from chartwire.alerts.rhythm import NOTHING, SLOTS, Usual, counts_by_slot, judge, learned, slot_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
Rate = Callable[[datetime], float]


def hospital(at: datetime) -> float:
    """Messages an hour: a busy day, a thin night, half of it at weekends."""
    day = 60 * max(0.0, math.sin(math.pi * (at.hour + at.minute / 60 - 6) / 16)) if 6 <= at.hour < 22 else 0.0
    return (day + 4) * (0.5 if at.weekday() > 4 else 1.0)


def practice(at: datetime) -> float:
    """Messages an hour: office hours only."""
    return 12.0 if at.weekday() < 5 and 8 <= at.hour < 17 else 0.0


def laboratory(at: datetime) -> float:
    """Messages an hour: all day, never many."""
    return 1.5


def arrivals(rate: Rate, start: datetime, weeks: float, chance: random.Random) -> list[datetime]:
    """A Poisson feed with this rate, by thinning."""
    found, at, most = [], start, 70.0
    while at < start + timedelta(weeks=weeks):
        at += timedelta(hours=chance.expovariate(most))
        if chance.random() * most < rate(at):
            found.append(at)
    return found


def week_of(rate: Rate, weeks: int, chance: random.Random) -> dict[int, Usual]:
    """What was learned from these weeks before MONDAY."""
    usual = dict.fromkeys(range(SLOTS), NOTHING)
    for week in range(weeks):
        counts = counts_by_slot(arrivals(rate, MONDAY - timedelta(weeks=weeks - week), 1, chance), "UTC")
        usual = {slot: learned(before, counts.get(slot, 0)) for slot, before in usual.items()}
    return usual


@pytest.mark.parametrize("rate", [hospital, practice, laboratory])
@pytest.mark.parametrize("seed", range(2))
def test_a_feed_that_goes_on_as_usual_raises_next_to_no_alarm(rate: Rate, seed: int) -> None:
    """One month each: at most one false alarm, however the day is shaped."""
    chance = random.Random(seed)
    week = week_of(rate, 6, chance)
    told = arrivals(rate, MONDAY, 4, chance)
    gaps = [judge(week, one, other, "UTC") for one, other in pairwise(told)]
    assert sum(gap.alarm for gap in gaps if gap) <= 1


@pytest.mark.parametrize(("rate", "within_min"), [(hospital, 25), (practice, 90)])
def test_a_feed_that_stops_in_its_busy_hours_is_missed_soon(rate: Rate, within_min: int) -> None:
    week = week_of(rate, 6, random.Random(7))
    stopped = MONDAY + timedelta(days=1, hours=11)
    alarmed = next(m for m in range(1, 600) if judge(week, stopped, stopped + timedelta(minutes=m), "UTC").alarm)
    assert alarmed <= within_min


def test_a_night_without_messages_is_no_alarm_where_nights_are_silent() -> None:
    week = week_of(practice, 6, random.Random(3))
    evening, morning = MONDAY + timedelta(hours=17), MONDAY + timedelta(days=1, hours=8)
    seen = judge(week, evening, morning, "UTC")
    assert seen is not None
    assert not seen.alarm


def test_a_feed_that_is_silent_since_friday_is_missed_on_monday_morning() -> None:
    week = week_of(practice, 6, random.Random(3))
    friday, monday = MONDAY + timedelta(days=4, hours=16, minutes=55), MONDAY + timedelta(days=7, hours=10)
    seen = judge(week, friday, monday, "UTC")
    assert seen is not None
    assert seen.alarm


def test_a_holiday_among_the_weeks_makes_the_judgement_milder() -> None:
    chance = random.Random(5)
    plain = week_of(practice, 5, chance)
    holiday = {slot: learned(before, 0) for slot, before in plain.items()}
    stopped = MONDAY + timedelta(hours=8)

    def first_alarm(week: dict[int, Usual]) -> int:
        return next(m for m in range(1, 3000) if judge(week, stopped, stopped + timedelta(minutes=m), "UTC").alarm)

    assert first_alarm(holiday) > first_alarm(plain)


def test_before_a_week_was_learned_nothing_is_judged() -> None:
    two_days = dict.fromkeys(range(192), Usual(5.0, 5.0, 1.0))
    assert judge({}, MONDAY, MONDAY + timedelta(days=2), "UTC") is None
    assert judge(two_days, MONDAY, MONDAY + timedelta(days=2), "UTC") is None


@pytest.mark.parametrize("seed", range(3))
def test_one_week_is_enough_to_judge_and_judged_with_care(seed: int) -> None:
    """What one week happened to bring is no measure: at most one false alarm in the month after it."""
    chance = random.Random(seed)
    week = week_of(laboratory, 1, chance)
    gaps = [judge(week, one, other, "UTC") for one, other in pairwise(arrivals(laboratory, MONDAY, 4, chance))]
    assert all(gaps)
    assert sum(gap.alarm for gap in gaps if gap) <= 1


def test_the_usual_gap_is_told_for_this_hour() -> None:
    week = dict.fromkeys(range(SLOTS), Usual(1.0, 1.0, 4.0))
    week[slot_of(MONDAY + timedelta(hours=9), "UTC")] = Usual(5.0, 5.0, 4.0)
    seen = judge(week, MONDAY + timedelta(hours=8, minutes=50), MONDAY + timedelta(hours=9, minutes=4), "UTC")
    assert seen is not None
    assert (seen.silent_s, seen.usual_gap_s) == (840.0, 180.0)


def test_slots_follow_the_local_clock() -> None:
    before, after = datetime(2026, 3, 27, 7, tzinfo=UTC), datetime(2026, 4, 3, 6, tzinfo=UTC)
    assert slot_of(before, "Europe/Berlin") == slot_of(after, "Europe/Berlin") == 4 * 96 + 8 * 4
