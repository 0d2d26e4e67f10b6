"""Business hours in local time."""

from datetime import UTC, datetime, time

import pytest

from chartwire.alerts.hours import BusinessHours

OFFICE = BusinessHours("Europe/Berlin")
NIGHT = BusinessHours("Europe/Berlin", frozenset({4}), time(22), time(6))


@pytest.mark.parametrize(
    ("hours", "now", "opening"),
    [
        (OFFICE, "2026-03-04T10:00", "2026-03-04T10:00"),  # Wednesday at eleven
        (OFFICE, "2026-03-04T06:59", "2026-03-04T07:00"),  # a minute before eight
        (OFFICE, "2026-03-04T17:00", "2026-03-05T07:00"),  # closing time
        (OFFICE, "2026-03-06T20:00", "2026-03-09T07:00"),  # Friday night: Monday
        (OFFICE, "2026-03-27T20:00", "2026-03-30T06:00"),  # the clocks go forward on Sunday
        (NIGHT, "2026-03-07T04:00", "2026-03-07T04:00"),  # Saturday at five belongs to Friday's night
        (NIGHT, "2026-03-07T05:00", "2026-03-13T21:00"),  # at six it is over
    ],
)
def test_a_notice_that_can_wait_goes_out_at_the_next_opening(hours: BusinessHours, now: str, opening: str) -> None:
    assert hours.next_open(_utc(now)) == _utc(opening)


def test_who_is_never_open_is_told_at_once() -> None:
    assert BusinessHours("UTC", frozenset()).next_open(_utc("2026-03-04T10:00")) == _utc("2026-03-04T10:00")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
