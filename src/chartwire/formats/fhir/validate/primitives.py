"""The primitive types of R4 (datatypes.html): which JSON values are of a type. Fast for good values, exact for all.

Stricter than the published regexes where the text of the specification is: dates exist, base64 decodes, integers fit
32 bits.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NamedTuple

from chartwire.formats.fhir.numerals import DECIMALS

TEXT_CHARACTERS_MAX: Final = 1_048_576
_INT32_MAX: Final = 2**31 - 1
_DECIMAL_DIGITS_MAX: Final = 64
_DATE = r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,15})?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_date = re.compile(_DATE, re.ASCII).fullmatch
_date_time = re.compile(
    rf"\d{{4}}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T{_TIME}{_ZONE})?)?)?", re.ASCII
).fullmatch
_instant = re.compile(rf"\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}", re.ASCII).fullmatch
_time = re.compile(_TIME, re.ASCII).fullmatch
_code = re.compile(r"\S+(?:\s\S+)*").fullmatch
_id = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII).fullmatch
_uri = re.compile(r"\S+").fullmatch
_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII).fullmatch
_uuid = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
_last_days: Final = frozenset({"29", "30", "31"})


class Primitive(NamedTuple):
    """One primitive type: the JSON kind, whether a value of that kind is good, and what good ones look like."""

    json: str
    kinds: tuple[type, ...]
    good: Callable[[Any], object]
    form: str


def _text(value: str) -> bool:
    return 0 < len(value) <= TEXT_CHARACTERS_MAX


def _exists(value: str) -> bool:
    """Whether the day of a date that has the right form is in the calendar."""
    day = value[8:10]
    if value.startswith("0000"):
        return False
    return day not in _last_days or int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]


def _good_date(value: str) -> bool:
    return _date(value) is not None and _exists(value)


def _good_date_time(value: str) -> bool:
    return _date_time(value) is not None and _exists(value)


def _good_instant(value: str) -> bool:
    return _instant(value) is not None and _exists(value)


def _good_base64(value: str) -> bool:
    """Line breaks and blanks may be in it."""
    try:
        a2b_base64("".join(value.split()).encode("ascii"), strict_mode=True)
    except (Base64Error, UnicodeEncodeError):
        return False
    return True


def _good_decimal(value: Decimal | float) -> bool:
    return not isinstance(value, int) or abs(value) < 10**_DECIMAL_DIGITS_MAX


def _within(low: int) -> Callable[[int], bool]:
    return lambda value: low <= value <= _INT32_MAX


_TEXT_FORM: Final = f"text of 1 to {TEXT_CHARACTERS_MAX} characters"
_STR: Final = (str,)
_URI_FORM: Final = "a URI without blanks"

PRIMITIVES: Final[dict[str, Primitive]] = {
    "base64Binary": Primitive("string", _STR, _good_base64, "base64 with its padding (RFC 4648)"),
    "boolean": Primitive("boolean", (bool,), lambda _: True, "true or false"),
    "canonical": Primitive("string", _STR, _uri, "the canonical URL of a definition, with `|version` where wanted"),
    "code": Primitive("string", _STR, _code, "no blanks around it, and single ones within"),
    "date": Primitive("string", _STR, _good_date, "YYYY, YYYY-MM or YYYY-MM-DD, a day of the calendar"),
    "dateTime": Primitive(
        "string", _STR, _good_date_time, "a date, or YYYY-MM-DDThh:mm:ss with zone (Z or +01:00), a day of the calendar"
    ),
    "decimal": Primitive("number", (int, float, *DECIMALS), _good_decimal, f"at most {_DECIMAL_DIGITS_MAX} digits"),
    "id": Primitive("string", _STR, _id, "1 to 64 of A-Z a-z 0-9 - ."),
    "instant": Primitive("string", _STR, _good_instant, "YYYY-MM-DDThh:mm:ss with zone (Z or +01:00)"),
    "integer": Primitive("number", (int,), _within(-_INT32_MAX - 1), "a whole number of 32 bits"),
    "markdown": Primitive("string", _STR, _text, _TEXT_FORM),
    "oid": Primitive("string", _STR, _oid, "urn:oid:1.2.3"),
    "positiveInt": Primitive("number", (int,), _within(1), "a whole number from 1"),
    "string": Primitive("string", _STR, _text, _TEXT_FORM),
    "time": Primitive("string", _STR, _time, "hh:mm:ss"),
    "unsignedInt": Primitive("number", (int,), _within(0), "a whole number from 0"),
    "uri": Primitive("string", _STR, _uri, _URI_FORM),
    "url": Primitive("string", _STR, _uri, _URI_FORM),
    "uuid": Primitive("string", _STR, _uuid, "urn:uuid: and 36 lower-case characters"),
    "xhtml": Primitive("string", _STR, _text, "an XHTML div"),
}
"""Every primitive type by name."""
