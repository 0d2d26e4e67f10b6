"""Simple data types: what a value without further parts may look like (HL7 v2.9.2 chapter 2A).

Each type stands here twice: as a pattern that passes nearly all good values at once, joined with others to the pattern
of a whole field, and as a judgement of one value that knows every case and names the rule that is broken. What the
pattern passes the judgement passes too; a property test holds them to it.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from chartwire.formats.hl7v2.document import NULL
from chartwire.formats.hl7v2.times import read_timestamp

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|1\d|2[0-8])"
_CLOCK: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,4})?)?)?"
_OFFSET: Final = r"(?:[+-](?:0\d|1[0-3])[0-5]\d)?"
_YEAR: Final = r"(?:19|20)\d\d"

PATTERNS: Final = {
    "DT": rf"{_YEAR}(?:{_MONTH}(?:{_DAY})?)?",
    "DTM": rf"{_YEAR}(?:{_MONTH}(?:{_DAY}(?:{_CLOCK})?)?)?{_OFFSET}",
    "TM": rf"{_CLOCK}{_OFFSET}",
    "NM": r"[+-]?(?:\d+\.?\d*|\.\d+)",
    "SI": r"\d{1,4}",
}
"""Types whose form is checked; of all others only length, table and escapes are."""

_DATE_FORM: Final = re.compile(r"\d{4}(?:\d\d){0,2}", re.ASCII)
_STAMP_FORM: Final = re.compile(r"\d{4}(?:\d\d){0,5}(?:\.\d{1,9})?(?:[+-]\d{4})?", re.ASCII)
_TIME_FORM: Final = re.compile(r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,9})?)?)?(?:[+-]\d{4})?", re.ASCII)
_NUMBER: Final = re.compile(PATTERNS["NM"], re.ASCII)
_SEQUENCE: Final = re.compile(PATTERNS["SI"], re.ASCII)
_SOME_DAY: Final = "20000101"


def _number(text: str) -> str:
    return "" if _NUMBER.fullmatch(text) else "datatype_NM"


def _sequence(text: str) -> str:
    return "" if _SEQUENCE.fullmatch(text) else "datatype_SI"


def _date(text: str) -> str:
    if not _DATE_FORM.fullmatch(text):
        return "datatype_DT"
    return "" if read_timestamp(text) else "date_impossible"


def _stamp(text: str) -> str:
    if not _STAMP_FORM.fullmatch(text):
        return "datatype_DTM"
    return "" if read_timestamp(text) else "date_impossible"


def _time(text: str) -> str:
    if not _TIME_FORM.fullmatch(text):
        return "datatype_TM"
    return "" if read_timestamp(_SOME_DAY + text) else "date_impossible"


_JUDGES: Final[dict[str, Callable[[str], str]]] = {
    "DT": _date, "DTM": _stamp, "TM": _time, "NM": _number, "SI": _sequence,
}  # fmt: skip


def judge_leaf(kind: str, text: str) -> str:
    """The rule that an unescaped value breaks, '' for none. A value that the sender cleared (`""`) breaks none."""
    judge = _JUDGES.get(kind)
    return "" if judge is None or text == NULL else judge(text)


def holds_stray_escape(text: str, escape: str) -> bool:
    """Whether an escape character stands in an undecoded leaf outside an escape sequence."""
    return escape in _sequences(escape).sub("", text)


@lru_cache(maxsize=64)
def _sequences(escape: str) -> re.Pattern[str]:
    """The sequences of section 2.7, and local ones (Z)."""
    mark = re.escape(escape)
    inside = rf"[FSTREPHN]|X(?:[0-9A-Fa-f]{{2}})+|[CM][0-9A-Fa-f]+|\.[A-Za-z]{{2}}[+-]?\d{{0,3}}|Z[^{mark}]*"
    return re.compile(rf"{mark}(?:{inside}){mark}")
