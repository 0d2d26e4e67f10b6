"""Months as ranges of uuidv7: no id falls between two of them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from chartwire.core.ids import uuid7_floor
from chartwire.store.partitions import month_bounds

MOMENTS = st.integers(946_684_800, 7_258_118_399).map(lambda second: datetime.fromtimestamp(second, UTC))  # 2000-2199


@given(MOMENTS)
def test_an_id_lies_in_the_month_in_which_it_was_made(moment):
    low, high = (UUID(bound) for bound in month_bounds(moment.year, moment.month))
    made = uuid7_floor((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    assert low <= made < high


@given(st.integers(2000, 2200), st.integers(1, 20))
def test_each_month_begins_where_the_one_before_ends(year, month):
    assert month_bounds(year, month)[1] == month_bounds(year, month + 1)[0]


def test_months_count_on_over_the_end_of_the_year():
    assert month_bounds(2026, 13) == month_bounds(2027, 1)
