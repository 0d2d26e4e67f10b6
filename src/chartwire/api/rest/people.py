"""Lenses of people and places: names, ways to reach them, numbers, language. Pure; see lenses.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chartwire.api.rest.lenses import Json, concept_text, put
from chartwire.api.rest.models import Address, Email, Identifier, PersonName, Phone
from chartwire.record.writing import EXTERNAL_ID

NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
_IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_LANGUAGES = "urn:ietf:bcp:47"
_TELEPHONES = frozenset({"phone", "fax", "sms", "pager"})


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a person: the official one, else the first; `preferred` is the nickname beside it."""

    members: tuple[str, ...] = ("name",)

    def read(self, body: Json) -> PersonName | None:
        official, nickname = _names(body)
        if official is None:
            return None
        family, given = official.get("family"), official.get("given", [])
        prefix, suffix = official.get("prefix", []), official.get("suffix", [])
        text = official.get("text") or spoken(prefix, given, family, suffix)
        preferred = None
        if nickname is not None:
            preferred = nickname.get("text") or " ".join(nickname.get("given", [])) or nickname.get("family")
        return PersonName(text, family, given, prefix, suffix, preferred)

    def write(self, body: Json, value: PersonName | None) -> None:
        before = self.read(body)
        if value == before:
            return
        if value is None:
            body.pop("name")
            return
        names = list(body.get("name", ()))
        official, nickname = _names(body)
        changed = {"use": "official"} if official is None else dict(official)
        if changed.get("use") == "nickname":
            changed["use"] = "official"
        for part in ("family", "given", "prefix", "suffix"):
            put(changed, part, getattr(value, part))
        changed.pop("text", None)
        built = spoken(value.prefix, value.given, value.family, value.suffix)
        stale = before is not None and value.text == before.text and _parts(value) != _parts(before)
        if value.text and value.text != built and not (stale and built):
            changed["text"] = value.text
        names = [changed if one is official else one for one in names if one is official or not _is_nickname(one)]
        if official is None:
            names.insert(0, changed)
        if nickname is not None and before is not None and value.preferred == before.preferred:
            names.append(nickname)
        elif value.preferred:
            names.append({"use": "nickname", "given": [value.preferred]})
        body["name"] = names


def spoken(prefix: Sequence[str], given: Sequence[str], family: str | None, suffix: Sequence[str]) -> str:
    """A name as it is spoken."""
    return " ".join([*prefix, *given, *([family] if family else []), *suffix])


def _parts(name: PersonName) -> tuple[Any, ...]:
    return (name.family, name.given, name.prefix, name.suffix)


def _is_nickname(name: Json) -> bool:
    return name.get("use") == "nickname"


def _names(body: Json) -> tuple[Json | None, Json | None]:
    """The name that is shown, and the nickname beside it."""
    names = body.get("name", ())
    nicknames = [one for one in names if _is_nickname(one)]
    others = [one for one in names if not _is_nickname(one)]
    official = [one for one in others if one.get("use") == "official"]
    if not others:
        return (nicknames[0] if nicknames else None), None
    return (official or others)[0], (nicknames[0] if nicknames else None)


@dataclass(frozen=True, slots=True)
class Active:
    """`active` in words."""

    members: tuple[str, ...] = ("active",)

    def read(self, body: Json) -> str:
        return "active" if body.get("active", True) else "inactive"

    def write(self, body: Json, value: str | None) -> None:
        if value != self.read(body):
            body["active"] = value != "inactive"


@dataclass(frozen=True, slots=True)
class Deceased:
    """Whether a patient has died; a known time of death says so too, and is kept."""

    members: tuple[str, ...] = ("deceasedBoolean", "deceasedDateTime")

    def read(self, body: Json) -> bool | None:
        if "deceasedDateTime" in body:
            return True
        told: bool | None = body.get("deceasedBoolean")
        return told

    def write(self, body: Json, value: bool | None) -> None:
        if value != self.read(body):
            body.pop("deceasedDateTime", None)
            put(body, "deceasedBoolean", value)


@dataclass(frozen=True, slots=True)
class Language:
    """The language to speak with a patient."""

    members: tuple[str, ...] = ("communication",)

    def read(self, body: Json) -> str | None:
        languages = sorted(body.get("communication", ()), key=lambda one: not one.get("preferred", False))
        for one in languages:
            codings = one.get("language", {}).get("coding", ())
            return codings[0].get("code") if codings else concept_text(one.get("language"))
        return None

    def write(self, body: Json, value: str | None) -> None:
        if value == self.read(body):
            return
        preferred = {"language": {"coding": [{"system": _LANGUAGES, "code": value}]}, "preferred": True}
        others = [
            {key: held for key, held in one.items() if key != "preferred"} for one in body.get("communication", ())
        ]
        put(body, "communication", None if value is None else [preferred, *others])


def show_phone(one: Json) -> Phone:
    """A ContactPoint as a phone."""
    return Phone(one["value"], one["system"], one.get("use"))


def make_phone(one: Phone) -> Json:
    """A phone as a ContactPoint."""
    made = {"system": one.kind, "value": one.number}
    put(made, "use", one.use)
    return made


def show_email(one: Json) -> Email:
    """A ContactPoint as an e-mail address."""
    return Email(one["value"], one.get("use"))


def make_email(one: Email) -> Json:
    """An e-mail address as a ContactPoint."""
    made = {"system": "email", "value": one.address}
    put(made, "use", one.use)
    return made


def show_address(one: Json) -> Address:
    """An Address."""
    return Address(
        one.get("line", []),
        one.get("city"),
        one.get("district"),
        one.get("state"),
        one.get("postalCode"),
        one.get("country"),
        one.get("use"),
    )


def make_address(one: Address) -> Json:
    """An address as FHIR has it."""
    made: Json = {}
    for member, value in (
        ("line", one.lines),
        ("city", one.city),
        ("district", one.district),
        ("state", one.state),
        ("postalCode", one.postal_code),
        ("country", one.country),
        ("use", one.use),
    ):
        put(made, member, value)
    return made


def show_identifier(one: Json) -> Identifier:
    """An identifier, with the code of its type."""
    codes = [coding.get("code") for coding in one.get("type", {}).get("coding", ())]
    return Identifier(one["value"], one.get("system"), codes[0] if codes else None)


def make_identifier(one: Identifier) -> Json:
    """An identifier as FHIR has it."""
    made: Json = {}
    if one.type:
        made["type"] = {"coding": [{"system": _IDENTIFIER_TYPES, "code": one.type}]}
    put(made, "system", one.system)
    return made | {"value": one.value}


def is_phone(one: Json) -> bool:
    """Whether a ContactPoint can be called."""
    return bool(one.get("value")) and one.get("system") in _TELEPHONES


def is_email(one: Json) -> bool:
    """Whether a ContactPoint is an e-mail address."""
    return bool(one.get("value")) and one.get("system") == "email"


def is_number(one: Json) -> bool:
    """Whether an identifier is one that people know; the external id has a member of its own."""
    return bool(one.get("value")) and one.get("system") != EXTERNAL_ID


def is_external(one: Json) -> bool:
    """Whether an identifier is the external id."""
    return bool(one.get("value")) and one.get("system") == EXTERNAL_ID
