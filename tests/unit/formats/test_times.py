"""HL7 times to FHIR: no invented precision, zone or day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.formats.hl7v2 import NULL, to_fhir_date, to_fhir_datetime, to_fhir_time, to_instant
from chartwire.formats.hl7v2.times import read_timestamp

NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.mark.parametrize(
    ("text", "date", "moment"),
    [
        ("2024", "2024", "2024"),
        ("202402", "2024-02", "2024-02"),
        ("20240229", "2024-02-29", "2024-02-29"),
        ("20240229-0500", "2024-02-29", "2024-02-29"),
        ("202402290304", "2024-02-29", "2024-02-29T03:04:00-05:00"),
        ("20240229030405", "2024-02-29", "2024-02-29T03:04:05-05:00"),
        ("20240229030405.1", "2024-02-29", "2024-02-29T03:04:05.1-05:00"),
        ("20240229030405.1200", "2024-02-29", "2024-02-29T03:04:05.1200-05:00"),
        ("202402290304+0000", "2024-02-29", "2024-02-29T03:04:00+00:00"),
        ("20240229030405.1234+0530", "2024-02-29", "2024-02-29T03:04:05.1234+05:30"),
        ("20240729030405", "2024-07-29", "2024-07-29T03:04:05-04:00"),
        (" 20240229 ", "2024-02-29", "2024-02-29"),
    ],
)
def test_precision_is_kept_and_a_time_takes_its_offset_or_that_of_the_zone(text, date, moment):
    assert (to_fhir_date(text).value, to_fhir_date(text).findings) == (date, ())
    assert (to_fhir_datetime(text, NEW_YORK).value, to_fhir_datetime(text, NEW_YORK).findings) == (moment, ())


def test_without_offset_and_zone_only_the_date_remains_with_a_finding():
    converted = to_fhir_datetime("20240229030405", None)
    assert (converted.value, converted.findings) == ("2024-02-29", ("no_zone",))
    assert to_fhir_datetime("20240229030405-0800", None).value == "2024-02-29T03:04:05-08:00"
    assert (to_instant("20240229030405", None).value, to_instant("20240229030405", None).findings) == (
        None,
        ("no_zone",),
    )


def test_a_repeated_hour_is_the_first_of_the_two_with_a_finding():
    converted = to_fhir_datetime("20241103013000", NEW_YORK)
    assert (converted.value, converted.findings) == ("2024-11-03T01:30:00-04:00", ("repeated_hour",))
    assert to_fhir_datetime("20241103013000-0500", NEW_YORK).findings == ()


def test_a_skipped_hour_moves_forward_by_the_gap_with_a_finding():
    converted = to_fhir_datetime("20240310023000", NEW_YORK)
    assert (converted.value, converted.findings) == ("2024-03-10T03:30:00-04:00", ("skipped_hour",))
    assert to_instant("20240310023000", NEW_YORK).value == "2024-03-10T07:30:00.000Z"


def test_an_hour_without_minutes_is_filled_with_a_finding():
    converted = to_fhir_datetime("2024022903", KOLKATA)
    assert (converted.value, converted.findings) == ("2024-02-29T03:00:00+05:30", ("imprecise",))


@pytest.mark.parametrize(
    "bad",
    ["notadate", "20241301", "20240230", "20230229", "00000000", "0000", "20240101250000", "20240101126000", "2024010",
     "202401011", "2024-01-01", "20240101T1200", "20240101120000+2500", "20240101120000+0160", "20240101120060",
     "２０２４", "20240101120000.", "x20240101", "20240101120000.1234567890", "-2024"],
)  # fmt: skip
def test_what_is_no_hl7_time_is_none_with_a_finding_never_a_guess(bad):
    assert read_timestamp(bad) is None
    for converted in (to_fhir_date(bad), to_fhir_datetime(bad, NEW_YORK), to_instant(bad, NEW_YORK)):
        assert (converted.value, converted.findings) == (None, ("bad_time",))


@pytest.mark.parametrize("nothing", [None, "", NULL])
def test_an_empty_or_cleared_time_is_nothing_without_a_finding(nothing):
    for converted in (
        to_fhir_date(nothing),
        to_fhir_datetime(nothing, None),
        to_instant(nothing, None),
        to_fhir_time(nothing),
    ):
        assert (converted.value, converted.findings) == (None, ())


def test_a_birth_date_never_shifts_whatever_its_time_offset_and_zone():
    for text in ("19800101000000+1400", "19800101235959-1200", "198001010000", "19800101"):
        assert to_fhir_date(text).value == "1980-01-01"


def test_an_instant_is_utc_with_milliseconds_and_needs_an_hour():
    assert to_instant("20240102030405.9876-0500", None).value == "2024-01-02T08:04:05.987Z"
    assert to_instant("202401020304", KOLKATA).value == "2024-01-01T21:34:00.000Z"
    assert (to_instant("20240102", KOLKATA).value, to_instant("20240102", KOLKATA).findings) == (None, ("imprecise",))


def test_the_ends_of_the_calendar_raise_nothing():
    assert to_instant("99991231235959-1200", None).findings == ("bad_time",)
    assert to_instant("00010101000000+1200", None).findings == ("bad_time",)
    assert to_fhir_datetime("00010101000000", ZoneInfo("Asia/Tokyo")).value == "0001-01-01"


@pytest.mark.parametrize(
    ("text", "value", "findings"),
    [
        ("0830", "08:30:00", ()),
        ("083015.25-0500", "08:30:15.25", ()),
        ("08", "08:00:00", ("imprecise",)),
        ("2430", None, ("bad_time",)),
        ("8:30", None, ("bad_time",)),
    ],
)
def test_a_tm_becomes_a_fhir_time(text, value, findings):
    assert (to_fhir_time(text).value, to_fhir_time(text).findings) == (value, findings)


@given(
    st.integers(86_400, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)),
    st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_every_reading_of_a_clock_is_an_instant_that_shows_the_same_clock_unless_it_was_skipped(wall, name):
    zone = ZoneInfo(name)
    converted = to_instant(wall.strftime("%Y%m%d%H%M%S"), zone)
    assert converted.value is not None
    back = datetime.fromisoformat(converted.value).astimezone(zone).replace(tzinfo=None)
    assert (back == wall.replace(microsecond=0)) is ("skipped_hour" not in converted.findings)


@given(st.text(max_size=30) | st.from_regex(r"\d{4,14}(\.\d{0,5})?([+-]\d{4})?", fullmatch=True))
def test_any_text_converts_to_a_value_or_a_finding_without_raising(text):
    for converted in (
        to_fhir_date(text),
        to_fhir_datetime(text, NEW_YORK),
        to_instant(text, UTC_ZONE),
        to_fhir_time(text),
    ):
        assert converted.value is not None or converted.findings or not text or text == NULL


UTC_ZONE = ZoneInfo("UTC")
