"""HL7 v2 dates and times to FHIR, without inventing precision, a zone or a day (data types DT, TM, DTM, TS)."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

from chartwire.core.clock import instant
from chartwire.formats.hl7v2.document import NULL

Precision = Literal["year", "month", "day", "hour", "minute", "second", "fraction"]

_DTM: Final = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)
_TM: Final = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?([+-]\d{4})?", re.ASCII)
_PRECISIONS: Final[tuple[Precision, ...]] = ("year", "month", "day", "hour", "minute", "second", "fraction")
_OFFSET_MINUTES_MAX: Final = 14 * 60


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time as precise as it was written; parts finer than `precision` are 1 (month, day) or 0.

    `fraction` are the digits after the second as written; `offset_minutes` is east of UTC, None where none was
    written. `text` keeps the source.
    """

    text: str
    precision: Precision
    year: int
    month: int = 1
    day: int = 1
    hour: int = 0
    minute: int = 0
    second: int = 0
    fraction: str = ""
    offset_minutes: int | None = None

    @property
    def has_time(self) -> bool:
        """Whether an hour was written."""
        return self.precision in _PRECISIONS[3:]

    @property
    def date_text(self) -> str:
        """The FHIR date, as precise as it was written, to the day at most."""
        parts = (f"{self.year:04d}", f"{self.month:02d}", f"{self.day:02d}")
        return "-".join(parts[: min(_PRECISIONS.index(self.precision), 2) + 1])

    def resolve(self, zone: ZoneInfo | None) -> tuple[datetime | None, str]:
        """The aware datetime (microseconds) and the code of what had to be decided, '' for nothing.

        The written offset counts, else `zone`; None with `no_zone` where there is neither. A repeated hour is the
        first of the two, a skipped one moves forward by the gap.
        """
        written = None if self.offset_minutes is None else timezone(timedelta(minutes=self.offset_minutes))
        where = written or zone
        if where is None:
            return None, "no_zone"
        microsecond = int(self.fraction[:6].ljust(6, "0"))
        wall = datetime(self.year, self.month, self.day, self.hour, self.minute, self.second, microsecond, where)
        try:
            return (wall, "") if written else _settle(wall, where)
        except OverflowError:
            return None, "bad_time"


def _settle(wall: datetime, zone: tzinfo) -> tuple[datetime, str]:
    """A reading of a zone's clock with its offset fixed, in whole minutes as FHIR writes it."""
    moment = wall.astimezone(UTC)
    settled = moment.astimezone(zone)
    offset = settled.utcoffset() or timedelta()
    fixed = moment.astimezone(timezone(timedelta(minutes=round(offset.total_seconds() / 60))))
    if settled.replace(tzinfo=None) != wall.replace(tzinfo=None):
        return fixed, "skipped_hour"
    return fixed, "repeated_hour" if wall.replace(fold=1).utcoffset() != wall.utcoffset() else ""


@dataclass(frozen=True, slots=True)
class Converted:
    """A value for FHIR, None where there is none to give, and the codes of what had to be decided on the way.

    Codes: `bad_time` (not a date or time of HL7), `no_zone` (a time without offset or zone: the date only),
    `repeated_hour` (DST: the first of two was taken), `skipped_hour` (DST: moved forward by the gap),
    `imprecise` (FHIR asks for the minute, or an instant for the hour, and it was not written).
    """

    value: str | None
    findings: tuple[str, ...] = ()


_NOTHING: Final = Converted(None)
_BAD: Final = Converted(None, ("bad_time",))


def read_timestamp(text: str) -> Timestamp | None:
    """A DT, DTM or TS.1 (YYYY[MM[DD[HH[MM[SS[.S+]]]]]][+/-ZZZZ]) that names a real day; None for anything else."""
    found = _DTM.fullmatch(text.strip())
    if found is None:
        return None
    *parts, fraction, offset = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    precision = _PRECISIONS[len(numbers) - 1 + bool(fraction)]
    offset_minutes = _offset_minutes(offset)
    numbers += [1, 1, 1, 0, 0, 0][len(numbers) :]
    if not _is_real(numbers) or (offset is not None and offset_minutes is None):
        return None
    year, month, day, hour, minute, second = numbers
    return Timestamp(text, precision, year, month, day, hour, minute, second, fraction or "", offset_minutes)


def to_fhir_date(text: str | None) -> Converted:
    """The FHIR `date` of a DT, DTM or TS: the day as written, whatever its time or offset (birth dates never shift)."""
    if not text or text == NULL:
        return _NOTHING
    read = read_timestamp(text)
    return Converted(read.date_text) if read else _BAD


def to_fhir_datetime(text: str | None, zone: ZoneInfo | None) -> Converted:
    """The FHIR `dateTime` of a DT, DTM or TS, as precise as written; unwritten minutes and seconds are filled with 0.

    A time takes its written offset, else that of `zone` then and there; without either the date alone is given.
    """
    if not text or text == NULL:
        return _NOTHING
    read = read_timestamp(text)
    if read is None:
        return _BAD
    if not read.has_time:
        return Converted(read.date_text)
    moment, finding = read.resolve(zone)
    if moment is None:
        return Converted(read.date_text, (finding,))
    fraction = f".{read.fraction}" if read.fraction else ""
    findings = tuple(filter(None, (finding, "imprecise" if read.precision == "hour" else "")))
    return Converted(f"{_clock(moment)}{fraction}{_offset_text(moment)}", findings)


def to_instant(text: str | None, zone: ZoneInfo | None) -> Converted:
    """The FHIR `instant` in UTC with milliseconds; None with a finding where hour, offset or zone are missing."""
    if not text or text == NULL:
        return _NOTHING
    read = read_timestamp(text)
    if read is None:
        return _BAD
    if not read.has_time:
        return Converted(None, ("imprecise",))
    moment, finding = read.resolve(zone)
    findings = (finding,) if finding else ()
    if moment is None:
        return Converted(None, findings)
    try:
        return Converted(instant(moment), findings)
    except OverflowError:
        return _BAD


def to_fhir_time(text: str | None) -> Converted:
    """The FHIR `time` of a TM (HH[MM[SS[.S+]]]), seconds filled with 0; an offset is left out: FHIR times have none."""
    if not text or text == NULL:
        return _NOTHING
    found = _TM.fullmatch(text.strip())
    if found is None:
        return _BAD
    hour, minute, second, fraction, _offset = found.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 59:
        return _BAD
    tail = f".{fraction}" if fraction else ""
    return Converted(f"{hour}:{minute or '00'}:{second or '00'}{tail}", () if minute else ("imprecise",))


def _is_real(numbers: list[int]) -> bool:
    year, month, day, hour, minute, second = numbers
    if hour > 23 or minute > 59 or second > 59:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _offset_minutes(offset: str | None) -> int | None:
    if offset is None:
        return None
    hours, minutes = int(offset[1:3]), int(offset[3:])
    total = hours * 60 + minutes
    if minutes > 59 or total > _OFFSET_MINUTES_MAX:
        return None
    return -total if offset[0] == "-" else total


def _clock(moment: datetime) -> str:
    return moment.replace(tzinfo=None, microsecond=0).isoformat()


def _offset_text(moment: datetime) -> str:
    minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
