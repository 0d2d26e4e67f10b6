"""The steps that a failing endpoint climbs, and a rate that holds, as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.core.errors import ValidationError
from chartwire.delivery.keyring import LIVE_SECRETS_MAX, Secret, live, rotated
from chartwire.delivery.ladder import PROBE_EVERY, Verdict, judge
from chartwire.delivery.rate import Bucket
from chartwire.delivery.schedule import Attempt
from chartwire.delivery.settings import RateLimit, check_headers
from chartwire.delivery.trial import advice_on

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def endpoint(failing_hours: float | None = None, notice: int = 0, state: str = "enabled", reason: str = "") -> Any:
    """An endpoint that is switched off after ten hours of failures."""
    since = None if failing_hours is None else NOW - failing_hours * HOUR
    return {
        "state": state,
        "state_reason": reason or None,
        "failing_since": since,
        "notice": notice,
        "settings": '{"disable_after_s": 36000}',
    }


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (endpoint(), Verdict(None, None)),
        (endpoint(notice=70), Verdict(0, None)),
        (endpoint(1), Verdict(None, NOW + 4 * HOUR)),
        (endpoint(5), Verdict(50, NOW + 2 * HOUR)),
        (endpoint(6, 50), Verdict(None, NOW + HOUR)),
        (endpoint(7, 50), Verdict(70, NOW + 2 * HOUR)),
        (endpoint(9.5, 50), Verdict(90, NOW + 0.5 * HOUR)),
        (endpoint(10, 90), Verdict(100, NOW + PROBE_EVERY)),
        (endpoint(11, 100, "disabled", "failing"), Verdict(None, NOW + PROBE_EVERY)),
        (endpoint(0.1, 0, "disabled", "gone"), Verdict(100, None)),
        (endpoint(0.1, 100, "disabled", "gone"), Verdict(None, None)),
        (endpoint(0.1, 50, "disabled", "by_owner"), Verdict(None, None)),
    ],
)
def test_each_step_is_told_once_and_the_next_look_is_when_the_next_step_is_due(row: Any, verdict: Verdict) -> None:
    assert judge(row, NOW) == verdict


@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 0.5), min_size=1, max_size=100))
def test_a_rate_is_never_exceeded_by_more_than_its_burst(per_second: float, burst: int, gaps: list[float]) -> None:
    bucket, at, taken = Bucket(RateLimit(per_second=per_second, burst=burst), 0.0), 0.0, 0
    for gap in gaps:
        at += gap
        wait_s = bucket.take(at)
        taken += wait_s == 0
        assert taken <= burst + per_second * at + 1e-6
        assert wait_s <= 1 / per_second + 1e-9


def test_a_bucket_that_waited_as_it_was_told_gives_a_turn() -> None:
    bucket = Bucket(RateLimit(per_second=3), 0.0)
    assert bucket.take(0.0) == 0.0
    wait_s = bucket.take(0.1)
    assert bucket.take(0.1 + wait_s) == 0.0


def test_a_rotation_never_prolongs_a_secret_and_keeps_a_bounded_number() -> None:
    held = [Secret("a", None, 1.0), Secret("b", 150.0, 0.5), Secret("c", 99.0, 0.1)]
    assert rotated(held, "n", 100.0, 1000.0) == [
        Secret("n", None, 100.0),
        Secret("a", 1100.0, 1.0),
        Secret("b", 150.0, 0.5),
    ]
    many = [Secret("n0", None, 0.0)]
    for number in range(1, 30):
        many = rotated(many, f"n{number}", 100.0, 1000.0)
    assert len(many) == LIVE_SECRETS_MAX and many[0].text == "n29"
    assert live(many, 1100.0) == many[:1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"}, {"Webhook-Signature": "v1,x"}, {"chartwire-replay": "x"}, {"X Y": "x"}, {"X": ""}, {"X": "a\r\nY: b"},
        {"X": "ü"}, {"x": "1", "X": "2"}, {f"X-{number}": "1" for number in range(11)}, {"User-Agent": "x"},
    ],
)  # fmt: skip
def test_a_header_that_is_ours_malformed_or_one_too_many_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        check_headers(headers)


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        ("dns", None, "spelling"), ("address_private", None, "outbound_allowed"), ("http_302", 302, "redirect names"),
        ("http_418", 418, "log"), ("http_429", 429, "rate_limit"), ("http_503", 503, "schedule"), ("closed", 200, "proxies"),
        ("something_new", None, "reached"),
    ],
)  # fmt: skip
def test_every_failure_comes_with_what_to_do_about_it(error: str, status: int | None, word: str) -> None:
    advice = advice_on(Attempt("answered", NOW, status=status, error=error))
    assert advice is not None and word in advice.mend


def test_a_success_needs_no_advice() -> None:
    assert advice_on(Attempt("answered", NOW, status=204)) is None
