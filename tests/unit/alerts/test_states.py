"""A bout of an alert: one notice when it starts, one when it is over, whatever happens in between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chartwire.alerts.observations import Observation
from chartwire.alerts.states import OPEN, Bout, Pace, Step, look

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATE = Observation("source:adt", 14.0, "silent for 14 minutes")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def see(bout: Bout | None, minutes: float, bad: bool, pace: Pace, seen: Observation | None = LATE) -> Step:
    return look(bout, seen, bad=bad, severity="warning", pace=pace, at=at(minutes))


def fired(pace: Pace) -> Bout:
    bout = see(None, 0, True, pace).bout
    assert bout is not None
    return bout


def test_what_is_bad_for_a_moment_only_tells_nobody() -> None:
    pace = Pace(for_s=300)
    pending = see(None, 0, True, pace)
    assert (pending.bout.state, pending.tells) == ("pending", None)
    over = see(pending.bout, 4, False, pace)
    assert (over.bout.state, over.tells) == ("withdrawn", None)


def test_what_stays_bad_is_told_once() -> None:
    pace = Pace(for_s=300)
    bout = see(None, 0, True, pace).bout
    told = []
    for minute in range(1, 60):
        bout, tells, _ = see(bout, minute, True, pace)
        told += [(minute, tells)] if tells else []
    assert told == [(5, "start")]


def test_recovery_is_told_once_what_is_well_has_stayed_so() -> None:
    pace = Pace(clear_s=600)
    bout = see(fired(pace), 1, False, pace)
    assert (bout.bout.state, bout.tells) == ("firing", None)
    flap = see(bout.bout, 6, True, pace)
    assert flap.tells is None
    well = see(see(flap.bout, 7, False, pace).bout, 17, False, pace)
    assert (well.bout.state, well.tells) == ("recovered", "recovery")


def test_what_is_there_no_more_is_over_at_once() -> None:
    pace = Pace(clear_s=600)
    gone = see(fired(pace), 1, False, pace, seen=None)
    assert (gone.bout.state, gone.tells) == ("recovered", "recovery")


def test_each_step_of_escalation_is_told_once_until_somebody_knows() -> None:
    pace = Pace(escalate_after_s=(600, 1800))
    bout, told = fired(pace), []
    for minute in range(1, 60):
        bout, tells, level = see(bout, minute, True, pace)
        told += [(minute, tells, level)] if tells else []
    assert told == [(10, "escalation", 1), (30, "escalation", 2)]


def test_an_acknowledged_alert_reminds_nobody_and_tells_its_end() -> None:

    pace = Pace(escalate_after_s=(600,), remind_every_s=60)
    known = replace(fired(pace), state="acknowledged")
    assert see(known, 50, True, pace).tells is None
    assert see(known, 50, False, pace).tells == "recovery"


def test_a_snoozed_alert_counts_its_silence_from_the_end_of_the_snooze() -> None:

    pace = Pace(escalate_after_s=(600,))
    snoozed = replace(fired(pace), snoozed_until=at(60))
    assert see(snoozed, 59, True, pace).tells is None
    assert see(snoozed, 69, True, pace).tells is None
    assert see(snoozed, 70, True, pace).tells == "escalation"


def test_reminders_keep_their_distance() -> None:
    pace = Pace(remind_every_s=1200)
    bout, told = fired(pace), []
    for minute in range(1, 61):
        bout, tells, _ = see(bout, minute, True, pace)
        told += [minute] if tells else []
    assert told == [20, 40, 60]


@given(
    looks=st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=60),
    for_min=st.integers(0, 15),
    clear_min=st.integers(0, 15),
)
def test_every_bout_that_is_told_starts_once_and_ends_once(
    looks: list[tuple[bool, int]], for_min: int, clear_min: int
) -> None:
    """Against a slow reading of the rule: told when bad without a well look for `for_s`, over when well for `clear_s`."""
    pace = Pace(for_s=60.0 * for_min, clear_s=60.0 * clear_min)
    bout: Bout | None = None
    burning, minute, bad_since, well_since = False, 0, None, None
    for bad, step in looks:
        minute += step
        bout, tells, _ = see(bout, minute, bad, pace)
        if bad:
            bad_since, well_since = minute if bad_since is None else bad_since, None
        else:
            well_since = minute if well_since is None else well_since
            bad_since = bad_since if burning else None
        expected = None
        if not burning and bad and minute - bad_since >= for_min:
            expected, burning = "start", True
        elif burning and not bad and minute - well_since >= clear_min:
            expected, burning, bad_since = "recovery", False, None
        assert tells == expected
        if bout is not None and bout.state not in OPEN:
            bout = None
        assert burning == (bout is not None and bout.state == "firing")
