"""What a member of a written object may be, as data: each check cleans a JSON value or names its faults. Pure.

All faults of an object are found at once. A fault names a place and a rule, never what was sent; a member that is not
known is a place too where its name is a plain word, as programs write them.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import GenericAlias
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from chartwire.api.problem import Fault
from chartwire.core.clock import now
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import PREFIXES, from_prefixed

_PLAIN_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PARTIAL_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./\-]*(?:\s*(?:x|ext\.?|#)\s*[0-9]{1,10})?|\([0-9 ()./\-]+", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,189}\.[^\s@<>\".]{2,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_YEARS = (1900, 2200)
_NPI_LUHN_START = 24
"""What the prefix 80840, which an NPI's check digit covers, adds to the sum."""


class Faults(list[Fault]):
    """What is wrong with one object."""

    def add(self, pointer: str, code: str, detail: str) -> None:
        """One thing more."""
        self.append(Fault(pointer, code, detail))


class Check(Protocol):
    """`python_type` is what the documentation shows; `check` answers the cleaned value, meaningless after a fault."""

    @property
    def python_type(self) -> Any: ...

    def check(self, value: Any, pointer: str, faults: Faults) -> Any: ...


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is not blank, of at most `max` characters; `rule` tells what `valid` wants."""

    max: int = 200
    code: str = "invalid_value"
    rule: str = ""
    valid: Callable[[str], object] | None = None
    python_type: Any = str

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, str):
            faults.add(pointer, "invalid_type", "is a text")
        elif not value.strip():
            faults.add(pointer, "blank", "is not empty; null clears")
        elif len(value) > self.max:
            faults.add(pointer, "too_long", f"has at most {self.max} characters")
        elif _CONTROL.search(value):
            faults.add(pointer, "invalid_character", "has no control characters")
        elif self.valid is not None and not self.valid(value):
            faults.add(pointer, self.code, self.rule)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    python_type: Any = str

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if value not in self.words:
            faults.add(pointer, "unknown_value", f"is one of {', '.join(self.words)}")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    python_type: Any = bool

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, bool):
            faults.add(pointer, "invalid_type", "is true or false")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int
    python_type: Any = int

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            faults.add(pointer, "out_of_range", f"is a whole number from {self.least} to {self.most}")
        return value


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, with offset or without: cleaned to a datetime, aware or naive."""

    python_type: Any = datetime

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        rule = "is a time, 2026-11-20T09:30:00-05:00; without an offset `timezone` is needed"
        if not isinstance(value, str) or len(value) > 40 or "T" not in value:
            faults.add(pointer, "invalid_time", rule)
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            faults.add(pointer, "invalid_time", rule)
            return None
        if not _YEARS[0] <= moment.year <= _YEARS[1]:
            faults.add(pointer, "out_of_range", f"is in the years {_YEARS[0]} to {_YEARS[1]}")
        return moment


@dataclass(frozen=True, slots=True)
class Reference:
    """The id of a record of this FHIR type, cleaned to its UUID; or `#ref` of an item of the same batch, as it is."""

    type: str
    python_type: Any = str

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if isinstance(value, UUID) or (isinstance(value, str) and value.startswith("#")):
            return value
        try:
            return from_prefixed(PREFIXES[self.type], value if isinstance(value, str) else "")
        except NotFoundError:
            faults.add(pointer, "invalid_id", f"is an id that begins with {PREFIXES[self.type]}_")
            return None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of at most `max` items."""

    item: Check
    max: int = 50

    @property
    def python_type(self) -> Any:
        return GenericAlias(list, (self.item.python_type,))

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, list):
            faults.add(pointer, "invalid_type", "is a list")
            return []
        if len(value) > self.max:
            faults.add(pointer, "too_many", f"has at most {self.max} items")
            return []
        return [self.item.check(one, f"{pointer}/{number}", faults) for number, one in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Object:
    """An object of these members, cleaned to a struct of `python_type`. `needs`: at least one of these is there."""

    python_type: Any
    members: Mapping[str, Check]
    needs: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.add(pointer, "invalid_type", "is an object")
            return None
        unknown(value, self.members, pointer, faults)
        if self.needs and not any(value.get(name) for name in self.needs):
            faults.add(f"{pointer}/{self.needs[0]}", "required", f"one of {', '.join(self.needs)} is needed")
        cleaned = {
            name: check.check(value[name], f"{pointer}/{name}", faults)
            for name, check in self.members.items()
            if value.get(name) is not None
        }
        return self.python_type(**{**self.defaults, **cleaned})


@dataclass(frozen=True, slots=True)
class Anything:
    """A map that somebody else checks."""

    python_type: Any = dict[str, Any]

    def check(self, value: Any, pointer: str, faults: Faults) -> Any:
        if not isinstance(value, dict):
            faults.add(pointer, "invalid_type", "is an object")
        return value


def unknown(value: Mapping[str, Any], known: Iterable[str], pointer: str, faults: Faults) -> None:
    """A fault for each unknown member, at the object where its name is no plain word: that may be anything."""
    names = tuple(known)
    for name in value:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            place = f"{pointer}/{name}" if _PLAIN_WORD.fullmatch(name) else pointer
            faults.add(place, "unknown_field", "is not known here" + (f"; the nearest is `{near[0]}`" if near else ""))


def merge_patch(standing: Any, patch: Any) -> Any:
    """RFC 7396 over plain values: objects are merged, all else replaced, null takes away."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(standing) if isinstance(standing, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def plain(value: Any) -> Any:
    """A shown value as JSON has it."""
    return msgspec.to_builtins(value)


def is_born(text: str) -> bool:
    """A day, month or year that has begun by now somewhere on earth."""
    if not _PARTIAL_DATE.fullmatch(text):
        return False
    try:
        return date.fromisoformat(f"{text}-01-01"[:10]) <= (now() + timedelta(hours=14)).date()
    except ValueError:
        return False


def is_phone(text: str) -> bool:
    """Between 3 and 20 digits, with the marks that people put between them, and an extension."""
    return bool(_PHONE.fullmatch(text.strip())) and 3 <= sum(letter.isdigit() for letter in text) <= 20


def is_zone(text: str) -> bool:
    """An IANA name that this machine knows."""
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return False
    return True


def is_npi(text: str) -> bool:
    """Ten digits, the last of which checks the others (Luhn over 80840 and them)."""
    if len(text) != 10 or not (text.isascii() and text.isdigit()):
        return False
    doubled = [int(digit) * 2 for digit in text[-2::-2]]
    plain_digits = [int(digit) for digit in text[-1::-2]]
    return (_NPI_LUHN_START + sum(one // 10 + one % 10 for one in doubled) + sum(plain_digits)) % 10 == 0


def is_bare(text: str) -> bool:
    """Without space around it: two numbers that look alike are one."""
    return text == text.strip()


NUMBER = Text(100, "surrounding_space", "has no space before or behind it", is_bare)
EXTERNAL_ID = Text(200, "surrounding_space", "has no space before or behind it", is_bare)
PHONE = Text(60, "invalid_phone", "is a telephone number of 3 to 20 digits", is_phone)
EMAIL = Text(254, "invalid_email", "is an e-mail address", _EMAIL.fullmatch)
BIRTH_DATE = Text(10, "invalid_date", "is a day that has been, 1984-02-29, or a year or month", is_born)
LANGUAGE = Text(35, "invalid_language", "is a language tag (BCP 47), `de` or `en-US`", _LANGUAGE.fullmatch)
ZONE = Text(64, "unknown_timezone", "is an IANA name, `America/Toronto`", is_zone)
NPI = Text(10, "invalid_npi", "is an NPI: ten digits, the last of which checks the others", is_npi)
