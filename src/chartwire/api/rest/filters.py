"""Query parameters of the practice lists as data, and their values as the index holds them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from chartwire.api.problem import bad_parameter
from chartwire.api.routes import Parameter, ParameterKind
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import PREFIXES, from_prefixed
from chartwire.record.identity import folded
from chartwire.store.search_sql import PATIENT_STATUSES, Operator, Term

APPOINTMENT_STATUSES = (
    "booked",
    "confirmed",
    "arrived",
    "checked_in",
    "fulfilled",
    "cancelled",
    "no_show",
    "entered_in_error",
)
Form = Literal["day", "text", "words", "identifier", "digits", "date", "instant", "npi", "reference", "list", "exact"]

_NOT_DIGIT = re.compile(r"\D")
_PARTIAL_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_LOST_PLUS = re.compile(r"(T[0-9:.]+) (\d{2}:\d{2})$")
_NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"


@dataclass(frozen=True, slots=True)
class Filter:
    """One query parameter: which index parameter it looks at, how, and what form its value takes.

    `argument` is the resource type of a reference, `values` the words of a list.
    """

    name: str
    param: str
    form: Form
    description: str
    operator: Operator = "eq"
    argument: str = ""
    values: tuple[str, ...] = ()

    @property
    def parameter(self) -> Parameter:
        """What the documentation says about it."""
        return Parameter(self.name, self.description, _KINDS.get(self.form, "string"), self.values)

    def terms(self, text: str) -> list[Term]:
        """The conditions that a value asks for. Raises ApiError for a value that cannot be."""
        if self.form == "words":
            return [Term(self.param, "prefix", word) for word in folded(text).split()[:8]]
        if self.form == "day":
            return _day(self, text)
        if self.form == "list":
            return [Term(self.param, "in", chosen(self.name, text, self.values))]
        return [Term(self.param, self.operator, _READERS[self.form](self, text))]


def chosen(name: str, text: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a comma string, each one of `values`. Raises ApiError."""
    words = tuple(word.strip() for word in text.split(","))
    if not words or not set(words) <= set(values):
        raise bad_parameter(name, f"is one or more of {', '.join(values)}, joined by commas")
    return words


def flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false; false when absent."""
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise bad_parameter(name, "is true or false")
    return text == "true"


def read_instant(name: str, text: str) -> datetime:
    """An RFC 3339 time with offset, or a date, which stands for its first moment in UTC. Raises ApiError."""
    told = _LOST_PLUS.sub(r"\1+\2", text)  # a plus sign that came unescaped reads as a blank
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise bad_parameter(name, _INSTANT_RULE) from None
    if "T" not in told:
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise bad_parameter(name, _INSTANT_RULE)
    return moment.astimezone(UTC)


_INSTANT_RULE = "is a time with offset, 2026-11-20T08:00:00Z, or a date (its first moment in UTC)"
_KINDS: dict[Form, ParameterKind] = {"date": "date", "day": "date", "instant": "instant"}


def _text(_: Filter, text: str) -> str:
    return folded(text)


def _exact(_: Filter, text: str) -> str:
    return text


def _identifier(_: Filter, text: str) -> str:
    system, bar, value = text.rpartition("|")
    return f"{system}{bar}{folded(value)}"


def _npi(_: Filter, text: str) -> str:
    return f"{_NPI_SYSTEM}|{folded(text)}"


def _digits(wanted: Filter, text: str) -> str:
    digits = _NOT_DIGIT.sub("", text)
    if not digits:
        raise bad_parameter(wanted.name, "has digits")
    return digits


def _date(wanted: Filter, text: str) -> str:
    try:
        if not _PARTIAL_DATE.fullmatch(text):
            raise ValueError
        date.fromisoformat(f"{text}-01-01"[:10] if len(text) < 10 else text)
    except ValueError:
        raise bad_parameter(wanted.name, "is a date, 2026-11-20") from None
    return text


def _day(wanted: Filter, text: str) -> list[Term]:
    """A local day, and the bounds in UTC that hold it anywhere on earth, which the index of starts knows."""
    day = _date(wanted, text)
    if len(day) < 10:
        raise bad_parameter(wanted.name, "is a date, 2026-11-20")
    try:
        first = datetime.fromisoformat(day).replace(tzinfo=UTC)
        low, high = first - timedelta(hours=14), first + timedelta(hours=36)
    except OverflowError:
        raise bad_parameter(wanted.name, "is a date, 2026-11-20") from None
    return [
        Term(wanted.param, "eq", day),
        Term("start", "gte", min(instant(low), day)),
        Term("start", "lt", instant(high)),
    ]


def _instant(wanted: Filter, text: str) -> str:
    try:
        return instant(read_instant(wanted.name, text))
    except OverflowError:
        raise bad_parameter(wanted.name, _INSTANT_RULE) from None


def _reference(wanted: Filter, text: str) -> str:
    """An id that cannot be one finds nothing, as an unknown one does."""
    try:
        return f"{wanted.argument}/{from_prefixed(PREFIXES[wanted.argument], text)}"
    except NotFoundError:
        return f"{wanted.argument}/none"


_READERS: dict[str, Callable[[Filter, str], str]] = {
    "text": _text,
    "exact": _exact,
    "identifier": _identifier,
    "npi": _npi,
    "digits": _digits,
    "date": _date,
    "instant": _instant,
    "reference": _reference,
}

_UPDATED = (
    Filter("updated_at_gte", "updated", "instant", "Changed at or after this time", "gte"),
    Filter("updated_at_lt", "updated", "instant", "Changed before this time", "lt"),
)
_PERSON = (
    Filter("name", "name", "words", "Words that names begin with, in any order, without regard to case and accents"),
    Filter("q", "name", "words", "The same as `name`, for search boxes"),
    Filter("family", "family", "text", "The whole family name, without regard to case and accents"),
    Filter("family_prefix", "family", "text", "How the family name begins", "prefix"),
    Filter("given", "given", "text", "One whole given name, without regard to case and accents"),
)
_EXTERNAL_ID = Filter("external_id", "external_id", "exact", "The id that your own software gave it")
_IDENTIFIER = Filter("identifier", "identifier", "identifier", "An identifier: `value` or `system|value`")

PATIENTS = (
    Filter("mrn", "mrn", "text", "A medical record number (an identifier of type MR)"),
    _IDENTIFIER,
    _EXTERNAL_ID,
    *_PERSON,
    Filter("birth_date", "birthdate", "date", "Born on this day"),
    Filter("birth_date_gte", "birthdate", "date", "Born on or after this day", "gte"),
    Filter("birth_date_lte", "birthdate", "date", "Born on or before this day", "lte"),
    Filter("phone", "phone", "digits", "A phone number; only its digits count"),
    Filter("email", "email", "text", "An e-mail address, without regard to case"),
    *_UPDATED,
)
PATIENT_STATUS = Parameter(
    "status",
    f"One or more of {', '.join(PATIENT_STATUSES)}; by default all but merged; with mrn, identifier or external_id all",
    "string",
    PATIENT_STATUSES,
)
APPOINTMENTS = (
    Filter("status", "status", "list", "One or more statuses, joined by commas", "in", "", APPOINTMENT_STATUSES),
    Filter("patient_id", "patient", "reference", "Appointments of this patient", "eq", "Patient"),
    Filter("provider_id", "provider", "reference", "Appointments with this provider", "eq", "Practitioner"),
    Filter("location_id", "location", "reference", "Appointments at this location", "eq", "Location"),
    Filter("date", "day", "day", "Appointments that start on this local day of their location"),
    Filter("starts_at_gte", "start", "instant", "Starting at or after this time", "gte"),
    Filter("starts_at_lt", "start", "instant", "Starting before this time", "lt"),
    _IDENTIFIER,
    _EXTERNAL_ID,
    *_UPDATED,
)
PROVIDERS = (
    *_PERSON,
    Filter("npi", "identifier", "npi", "A National Provider Identifier"),
    _IDENTIFIER,
    _EXTERNAL_ID,
    *_UPDATED,
)
LOCATIONS = (
    Filter("name", "name", "text", "How the name begins, without regard to case and accents", "prefix"),
    Filter("q", "name", "text", "The same as `name`, for search boxes", "prefix"),
    _IDENTIFIER,
    _EXTERNAL_ID,
    *_UPDATED,
)
