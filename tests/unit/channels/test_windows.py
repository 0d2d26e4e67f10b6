"""Maintenance windows: once and weekly, on the wall's clock, across its changes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chartwire.channels.windows import Window, ends_of, next_change, occurrence

SOURCE, OTHER = UUID(int=1), UUID(int=2)
BERLIN = ZoneInfo("Europe/Berlin")


def window(starts: datetime, hours: float = 1, zone: str | None = None, source: UUID | None = SOURCE) -> Window:
    return Window(UUID(int=9), source, "hold", starts, starts + timedelta(hours=hours), zone, "update")


def test_a_window_covers_its_span_and_not_its_end() -> None:
    starts = datetime(2026, 11, 22, 2, tzinfo=UTC)
    one = window(starts)
    assert ends_of([one], SOURCE, starts - timedelta(seconds=1)) == {}
    assert ends_of([one], SOURCE, starts) == {one.id: starts + timedelta(hours=1)}
    assert ends_of([one], SOURCE, starts + timedelta(hours=1)) == {}
    assert ends_of([one], OTHER, starts) == {}
    assert ends_of([window(starts, source=None)], OTHER, starts) != {}


def test_a_weekly_window_stays_at_its_local_time_when_the_clocks_change() -> None:
    sunday = datetime(2026, 10, 18, 3, tzinfo=BERLIN)
    weekly = window(sunday.astimezone(UTC), zone="Europe/Berlin")
    starts = []
    at = sunday.astimezone(UTC)
    for _ in range(3):
        span = occurrence(weekly, at)
        assert span is not None
        starts.append(span[0])
        at = span[1]
    assert [start.astimezone(BERLIN).hour for start in starts] == [3, 3, 3]
    assert [start.hour for start in starts] == [1, 2, 2]


def test_a_window_at_a_change_of_the_clocks_covers_all_that_the_wall_shows_within_it() -> None:
    night = datetime(2026, 10, 18, 2, 30, tzinfo=BERLIN)
    weekly = window(night.astimezone(UTC), 0.75, "Europe/Berlin")
    skipped, repeated = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
    assert ends_of([weekly], SOURCE, skipped) == {weekly.id: skipped + timedelta(minutes=15)}
    assert ends_of([weekly], SOURCE, skipped + timedelta(minutes=15)) == {}
    for half_past in (repeated + timedelta(minutes=30), repeated + timedelta(minutes=90)):
        assert ends_of([weekly], SOURCE, half_past) == {weekly.id: repeated + timedelta(hours=2, minutes=15)}


def test_the_next_change_is_the_nearest_begin_or_end() -> None:
    at = datetime(2026, 11, 22, 2, tzinfo=UTC)
    running, coming = window(at - timedelta(minutes=30)), window(at + timedelta(minutes=10), 2)
    assert next_change([running, coming], at) == coming.starts_at
    assert next_change([running], at) == running.ends_at
    assert next_change([running], running.ends_at) is None


@given(
    st.timedeltas(timedelta(0), timedelta(days=366)),
    st.floats(0.1, 167),
    st.timedeltas(timedelta(0), timedelta(days=700)),
)
def test_an_occurrence_covers_the_moment_or_comes_within_a_week(
    begins: timedelta, hours: float, later: timedelta
) -> None:
    weekly = window(datetime(2026, 1, 1, tzinfo=UTC) + begins, hours, "America/New_York")
    at = weekly.starts_at + later
    span = occurrence(weekly, at)
    assert span is not None
    start, end = span
    assert at < end
    assert start <= at or start - at < timedelta(days=7, hours=1)
