"""record/localtime.py: the clock on the wall, never by guess."""

import pytest

from chartwire.record.localtime import TIMEZONE_EXTENSION, local_day, local_time


def appointment(start, zone=None):
    extension = [{"url": TIMEZONE_EXTENSION, "valueCode": zone}] if zone else []
    return {"start": start, "extension": extension}


@pytest.mark.parametrize(
    ("start", "zone", "day"),
    [
        ("2026-11-21T02:00:00Z", "America/Toronto", "2026-11-20"),
        ("2026-07-01T03:59:00Z", "America/Toronto", "2026-06-30"),  # summer time: UTC-4
        ("2026-11-20T23:30:00-05:00", None, "2026-11-20"),  # the offset as written tells the day
        ("2026-11-20T23:30:00-05:00", "Asia/Tokyo", "2026-11-21"),  # a named zone wins over the offset
        ("2026-11-20T23:30:00Z", None, "2026-11-20"),
        ("2026-11-20", "America/Toronto", "2026-11-20"),
        ("2026-11-20T23:30:00Z", "Mars/Olympus", "2026-11-20"),
        (None, "America/Toronto", None),
        ("soon", None, None),
    ],
)
def test_the_local_day_follows_the_zone_that_the_resource_names(start, zone, day):
    assert local_day(appointment(start, zone)) == day


def test_utc_alone_tells_no_local_time():
    assert local_time(appointment("2026-11-20T23:30:00Z"), "2026-11-20T23:30:00Z") is None
