"""What an attempt leads to, as a table."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from chartwire.delivery.schedule import SCHEDULE_S, Attempt, decide, retry_after_s

ATTEMPTS_MAX = len(SCHEDULE_S) + 1
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def answered(status: int, retry_after: str | None = None) -> Attempt:
    return Attempt("answered", NOW, status=status, retry_after=retry_after)


@pytest.mark.parametrize(
    ("attempt", "outcome", "state"),
    [
        (answered(200), "delivered", "delivered"),
        (answered(204), "delivered", "delivered"),
        (answered(301), "retrying", "retrying"),
        (answered(400), "retrying", "retrying"),
        (answered(404), "retrying", "retrying"),
        (answered(410), "disabled", "dead"),
        (answered(429), "retrying", "retrying"),
        (answered(500), "retrying", "retrying"),
        (Attempt("not_connected", NOW), "retrying", "retrying"),
        (Attempt("unknown", NOW), "unknown", "unknown"),
        (Attempt("unknown", NOW, status=200), "unknown", "unknown"),
        (Attempt("refused", NOW), "dead", "dead"),
        (Attempt("historical", NOW), "dead", "dead"),
    ],
)
def test_an_ending_leads_to_its_outcome(attempt: Attempt, outcome: str, state: str) -> None:
    decision = decide(attempt, 1, NOW, middle)
    assert (decision.outcome, decision.state) == (outcome, state)
    assert (decision.next_attempt_at is None) == (state in ("delivered", "dead"))


def test_waits_follow_the_schedule_then_the_delivery_is_dead() -> None:
    waits = []
    for number in range(1, ATTEMPTS_MAX):
        decision = decide(answered(500), number, NOW, middle)
        assert decision.next_attempt_at is not None
        waits.append((decision.next_attempt_at - NOW).total_seconds())
    assert waits == list(SCHEDULE_S) and sum(waits) / 86_400 == pytest.approx(3.1, abs=0.2)
    assert all(early < late for early, late in pairwise(waits))
    assert decide(answered(500), ATTEMPTS_MAX, NOW, middle).outcome == "dead"
    assert decide(Attempt("unknown", NOW), ATTEMPTS_MAX, NOW, middle).outcome == "dead"


def test_waits_are_spread_by_a_fifth_either_way_so_that_retries_do_not_march_together() -> None:
    draw = Random(7).uniform
    waits = [
        (decision.next_attempt_at - NOW).total_seconds()
        for decision in (decide(answered(500), 2, NOW, draw) for _ in range(500))
        if decision.next_attempt_at
    ]
    assert 48 <= min(waits) < 50 and 70 < max(waits) <= 72


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_up_to_an_hour_and_holds_the_whole_endpoint(status: int) -> None:
    decision = decide(answered(status, "120"), 1, NOW, middle)
    assert decision.next_attempt_at == decision.pause_until == NOW + timedelta(seconds=120)
    far = decide(answered(status, "86400"), 1, NOW, middle)
    assert far.pause_until == NOW + timedelta(hours=1)
    soon = decide(answered(status, "1"), 2, NOW, middle)
    assert soon.next_attempt_at == NOW + timedelta(seconds=60)


def test_retry_after_of_other_statuses_is_not_asked_for_and_not_obeyed() -> None:
    decision = decide(answered(500, "3000"), 1, NOW, middle)
    assert decision.pause_until is None and decision.next_attempt_at == NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0), ("", 0), ("soon", 0), ("-5", 0), ("1.5", 0), ("٣", 0), ("30", 30), (" 30 ", 30), ("9" * 400, 3600),
        ("Fri, 20 Nov 2026 08:00:45 GMT", 45), ("Fri, 20 Nov 2026 07:00:00 GMT", 0), ("Fri, 20 Nov 2026 08:00:45", 45),
        ("Fri, 99 Nov 2026 08:00:45 GMT", 0), ("Fri, 20 Nov 9999 08:00:45 GMT", 3600),
    ],
)  # fmt: skip
def test_retry_after_reads_seconds_and_dates_and_takes_nonsense_for_nothing(header: str | None, seconds: int) -> None:
    assert retry_after_s(header, NOW) == seconds
