"""Named leaf transforms `(context, text, source field) -> value`.

They change one value's form; what goes where is in the maps. None = the message gives no such value.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from chartwire.mapping import moments
from chartwire.mapping.context import Context
from chartwire.mapping.tables import OID, Table

Leaf = Callable[[Context, str, str], Any]

ALTERNATE_CODES: Final = "http://hl7.org/fhir/StructureDefinition/alternate-codes"
_NUMBER: Final = re.compile(r"(<=|>=|<|>|=)?\s*([+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}))")
_RANGE: Final = re.compile(r"(-?\d{1,15}(?:\.\d{1,15})?)\s*(?:-|–|to)\s*(-?\d{1,15}(?:\.\d{1,15})?)")
_DURATION: Final = re.compile(r"([SMHD])(\d{1,5})", re.IGNORECASE)
_SPACES: Final = re.compile(r"\s+")
_MINUTES: Final = {
    "M": 1,
    "MIN": 1,
    "MINS": 1,
    "MINUTE": 1,
    "MINUTES": 1,
    "H": 60,
    "HR": 60,
    "HRS": 60,
    "HOUR": 60,
    "HOURS": 60,
    "S": 1 / 60,
    "SEC": 1 / 60,
    "SECONDS": 1 / 60,
    "D": 1440,
    "DAY": 1440,
    "DAYS": 1440,
}


@dataclass(frozen=True, slots=True)
class Alternate:
    """A code that its table does not know: the element takes `code` (None = stays empty) and keeps the original."""

    code: str | None
    original: dict[str, Any]

    def put(self, out: dict[str, Any], name: str) -> None:
        """Set the element and, beside it, the original as the extension `alternate-codes`."""
        if self.code is not None:
            out[name] = self.code
        out[f"_{name}"] = {"extension": [{"url": ALTERNATE_CODES, "valueCodeableConcept": {"coding": [self.original]}}]}


def authority_urn(namespace: str) -> str:
    """The system of identifiers whose authority is known by a local name only."""
    return "urn:chartwire:authority:" + quote(namespace, safe="-._~()+:@!*")


def look_up(context: Context, table: Table, code: str, label: str, otherwise: str | None) -> Any:
    """The FHIR code of a table value, else an Alternate that keeps the original, with a finding."""
    found = table.find(code)
    if found is not None:
        return found.code
    context.find("code_unmapped", label, f"a value that table {table.name} does not map; the original is kept")
    return Alternate(otherwise, {"system": table.v2_system, "code": " ".join(code.split())})


def _date(context: Context, text: str, label: str) -> Any:
    return moments.date(context, text, label)


def _date_time(context: Context, text: str, label: str) -> Any:
    return moments.date_time(context, text, label)


def _instant(context: Context, text: str, label: str) -> Any:
    return moments.instant(context, text, label)


def _time(context: Context, text: str, label: str) -> Any:
    return moments.time(context, text, label)


def _moment(context: Context, text: str, label: str) -> Any:
    return moments.aware(context, text, label)


def _code_text(text: str) -> Any:
    return " ".join(text.split())


def _decimal(text: str) -> Any:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match[2]
    if "." not in digits:
        return int(digits)
    return Decimal(digits)  # the digits as the sender wrote them: 5.60 is not 5.6


def _comparator(text: str) -> Any:
    match = _NUMBER.fullmatch(text)
    sign = match[1] if match else text
    return sign if sign in {"<", "<=", ">", ">="} else None


def _integer(context: Context, text: str, label: str) -> Any:
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    context.find("not_a_number", label, "a whole number is expected; the value is left out")
    return None


def _positive(context: Context, text: str, label: str) -> Any:
    number = _integer(context, text, label)
    return number if number is not None and number > 0 else None


def _boolean(context: Context, text: str, label: str) -> Any:
    """Table 0136; anything but Y and N is no boolean."""
    found = {"Y": True, "N": False}.get(text.upper())
    if found is None:
        context.find("code_unmapped", label, "neither Y nor N (table 0136); the value is left out")
    return found


def _digest(text: str) -> Any:
    """16 hexadecimal digits that stand for a text in a key, case and spacing aside, so that keys hold no names."""
    folded = _SPACES.sub(" ", text).strip().casefold()
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _ssn(text: str) -> Any:
    digits = text.replace("-", "").replace(" ", "")
    return digits if digits.isdigit() and len(digits) == 9 else text


def _oid(text: str) -> Any:
    return text.removeprefix("urn:oid:") if OID.fullmatch(text) else None


def _oid_urn(text: str) -> Any:
    return f"urn:oid:{text.removeprefix('urn:oid:')}" if OID.fullmatch(text) else None


def _coding_system(context: Context, text: str, _label: str) -> Any:
    return context.tables.system(text)


def _minutes_of(text: str) -> Any:
    """The number of minutes in one unit of time as senders write it (MIN, M, HR ...)."""
    return _MINUTES.get(text.strip(".").upper())


def _tq_minutes(text: str) -> Any:
    """Minutes of a TQ.3 duration: M30, H1, S90, D1; a plain number has no unit and says nothing."""
    match = _DURATION.fullmatch(text)
    return round(int(match[2]) * _MINUTES[match[1].upper()]) if match else None


def _whole_minutes(text: str) -> Any:
    number = round(float(text))
    return number if 0 < number < 10_000_000 else None


def _range_low(text: str) -> Any:
    match = _RANGE.fullmatch(text)
    return _decimal(match[1]) if match else None


def _range_high(text: str) -> Any:
    match = _RANGE.fullmatch(text)
    return _decimal(match[2]) if match else None


PURE: Final[dict[str, Callable[[str], Any]]] = {
    "code_text": _code_text, "decimal": _decimal, "comparator": _comparator, "upper": str.upper, "lower": str.lower,
    "digest": _digest, "ssn": _ssn, "oid": _oid, "oid_urn": _oid_urn, "authority_urn": authority_urn,
    "minutes_of": _minutes_of, "tq_minutes": _tq_minutes, "whole_minutes": _whole_minutes, "range_low": _range_low,
    "range_high": _range_high,
}  # fmt: skip


def _indifferent(change: Callable[[str], Any]) -> Leaf:
    return lambda _context, text, _label: change(text)


LEAF: Final[dict[str, Leaf]] = {
    "date": _date, "dateTime": _date_time, "instant": _instant, "time": _time, "moment": _moment,
    "integer": _integer, "positiveInt": _positive, "boolean": _boolean, "coding_system": _coding_system,
} | {name: _indifferent(change) for name, change in PURE.items()}  # fmt: skip
