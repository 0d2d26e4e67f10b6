"""Values of custom fields: their rules, their place in a FHIR body, their place in the index. Pure.

A value lives in the resource as a FHIR extension whose URL names the field and never changes; its type is the
extension's `value[x]`. Every value is indexed as `name=value` under the parameter `custom`, so a field can become
searchable at any time, and whether values exist is known exactly.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from chartwire.core.clock import instant
from chartwire.core.errors import FaultsError
from chartwire.core.ids import uuid7
from chartwire.core.limits import CUSTOM_CODES_MAX, CUSTOM_TEXT_CHARACTERS_MAX
from chartwire.mapping.conversion import Json
from chartwire.record.identity import folded

Noun = Literal["patient", "appointment", "provider", "location"]
FieldType = Literal["string", "integer", "decimal", "boolean", "date", "datetime", "code"]
Fault = tuple[str, str, str]

FHIR_TYPES: Mapping[Noun, str] = {
    "patient": "Patient",
    "appointment": "Appointment",
    "provider": "Practitioner",
    "location": "Location",
}
EXTENSION = "https://chartwire.org/fhir/StructureDefinition/custom-field/"
"""What the URL of a custom value's extension begins with; the field's name follows."""

INDEX_PARAMETER = "custom"
_VALUE_MEMBERS: Mapping[FieldType, str] = {
    "string": "valueString",
    "integer": "valueInteger",
    "decimal": "valueDecimal",
    "boolean": "valueBoolean",
    "date": "valueDate",
    "datetime": "valueDateTime",
    "code": "valueCode",
}
_TYPES: Mapping[str, FieldType] = {member: kind for kind, member in _VALUE_MEMBERS.items()}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CODE = re.compile(r"\S+( \S+)*")
_INTEGER_MAX = 2**31 - 1
_DECIMAL_DIGITS_MAX = 18
_LABEL_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class CustomField:
    """One definition. `allowed` lists the codes of a `code`, `max_length` bounds a `string` (characters)."""

    noun: Noun
    name: str
    type: FieldType
    label: str
    required: bool = False
    searchable: bool = False
    max_length: int | None = None
    allowed: tuple[str, ...] = ()
    retired: bool = False
    id: UUID = field(default_factory=uuid7)
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def url(self) -> str:
        """The URL of its FHIR extension, the same for ever."""
        return EXTENSION + self.name


def check(
    definitions: Iterable[CustomField], custom: Mapping[str, Any], standing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values of a whole `custom` map, each in the form of its type; null ones are left out. Pure.

    `standing` are the values before the write: what is as it was passes, though its field was retired since or its
    codes narrowed. Raises FaultsError (`invalid_body`) with a pointer `/custom/<name>` for each value that its
    definition refuses, each required one that is missing, and `/custom` for names that are not defined.
    """
    known = {one.name: one for one in definitions}
    before = standing or {}
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in custom.items():
        if value is None:
            continue
        if name in before and before[name] == value:
            values[name] = value
        elif (definition := known.get(name)) is None:
            faults.append(("/custom", "unknown_field", "names a custom field that is not defined"))
        elif (rule := _broken_rule(definition, value)) is not None:
            faults.append((f"/custom/{name}", "invalid_value", rule))
        else:
            values[name] = _STORED.get(definition.type, _as_it_is)(value)
    missing = [one for one in known.values() if one.required and not one.retired and custom.get(one.name) is None]
    faults += [(f"/custom/{one.name}", "required", "is required") for one in missing]
    if faults:
        places = ", ".join(dict.fromkeys(place for place, _, _ in faults))
        raise FaultsError(f"custom fields break a rule at {places}", code="invalid_body", faults=faults)
    return values


def extensions(definitions: Iterable[CustomField], values: Mapping[str, Any]) -> list[Json]:
    """The FHIR extensions of checked values, in order of their names."""
    kinds = {one.name: one.type for one in definitions}
    return [{"url": EXTENSION + name, _VALUE_MEMBERS[kinds[name]]: values[name]} for name in sorted(values)]


def held(extension: Json) -> tuple[str, Any] | None:
    """The name and value of a custom field's extension; None for any other extension."""
    url = extension.get("url", "")
    if not url.startswith(EXTENSION):
        return None
    for member in _TYPES:
        if member in extension:
            return url[len(EXTENSION) :], extension[member]
    return None


def values_of(body: Json) -> dict[str, Any]:
    """The custom values of a resource, by name."""
    return dict(found for one in body.get("extension", ()) if (found := held(one)) is not None)


def index_value(name: str, value: Any) -> str:
    """How the index holds a value, and how a search asks for it."""
    if isinstance(value, bool):
        return f"{name}={str(value).lower()}"
    if isinstance(value, int | float | Decimal):
        return f"{name}={Decimal(str(value)).normalize():f}"
    return f"{name}={folded(str(value))}"


def searched(definition: CustomField, text: str) -> str:
    """The index value that a search parameter's text asks for; text that cannot be a value finds nothing."""
    if definition.type in {"integer", "decimal"}:
        return index_value(definition.name, Decimal(text)) if _NUMBER.fullmatch(text) else f"{definition.name}="
    if definition.type == "datetime" and _is_datetime(text):
        return index_value(definition.name, _stored_datetime(text))
    return index_value(definition.name, text)


def check_definition(draft: CustomField) -> None:
    """Raises FaultsError (`invalid_body`) for a definition that breaks a rule."""
    faults: list[Fault] = []
    if not _NAME.fullmatch(draft.name):
        faults.append(("/name", "invalid_value", "is snake_case: a letter, then at most 39 letters, digits and _"))
    if not draft.label.strip() or len(draft.label) > _LABEL_CHARACTERS_MAX or "\x00" in draft.label:
        faults.append(("/label", "invalid_value", f"has 1 to {_LABEL_CHARACTERS_MAX} characters"))
    if draft.max_length is not None and (draft.type != "string" or not 1 <= draft.max_length <= _TEXT_MAX):
        faults.append(("/max_length", "invalid_value", f"bounds a string, 1 to {_TEXT_MAX}"))
    if (draft.type == "code") != bool(draft.allowed) or not _are_codes(draft.allowed):
        rule = f"lists the 1 to {CUSTOM_CODES_MAX} different values of a code, and of no other type"
        faults.append(("/values", "invalid_value", rule))
    if faults:
        places = ", ".join(place for place, _, _ in faults)
        raise FaultsError(f"the definition breaks a rule at {places}", code="invalid_body", faults=faults)


_TEXT_MAX = CUSTOM_TEXT_CHARACTERS_MAX
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")


def _are_codes(allowed: Sequence[str]) -> bool:
    fit = all(len(one) <= 100 and _CODE.fullmatch(one) and "\x00" not in one for one in allowed)
    return fit and len(set(allowed)) == len(allowed) <= CUSTOM_CODES_MAX


def _broken_rule(definition: CustomField, value: Any) -> str | None:
    """The rule that a value breaks, in words; None for a value that fits."""
    if definition.retired:
        return "is retired: no value can be written"
    if definition.type == "code":
        return None if value in definition.allowed else f"is one of {', '.join(definition.allowed)}"
    if definition.type == "string":
        most = definition.max_length or _TEXT_MAX
        return None if _is_text(value, most) else f"is text of 1 to {most} characters"
    accepts, rule = _RULES[definition.type]
    return None if accepts(value) else rule


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and bool(value.strip()) and "\x00" not in value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INTEGER_MAX


def _is_decimal(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    number = Decimal(str(value))
    return number.is_finite() and len(number.as_tuple().digits) <= _DECIMAL_DIGITS_MAX and abs(number) < Decimal("1e15")


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != 10:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_datetime(value: Any) -> bool:
    if not isinstance(value, str) or "T" not in value:
        return False
    try:
        moment = datetime.fromisoformat(value)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return moment.tzinfo is not None


def _stored_datetime(value: str) -> str:
    return instant(datetime.fromisoformat(value))


def _as_it_is(value: Any) -> Any:
    return value


_RULES: Mapping[FieldType, tuple[Callable[[Any], bool], str]] = {
    "integer": (_is_integer, "is a whole number of at most 32 bits"),
    "decimal": (_is_decimal, "is a number of at most 18 digits below 1e15"),
    "boolean": (_is_boolean, "is true or false"),
    "date": (_is_date, "is a date, 2026-11-20"),
    "datetime": (_is_datetime, "is a time with offset, 2026-11-20T08:00:00Z"),
}
_STORED: Mapping[FieldType, Callable[[Any], Any]] = {"datetime": _stored_datetime}
assert {*_RULES, "string", "code"} == {*get_args(FieldType)}
