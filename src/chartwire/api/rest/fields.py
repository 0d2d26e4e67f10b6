"""The objects of the practice API as tables: for each member how it is read and written (its lens), and what it may be.

A member without a check is told, not set. A view (`mrn`, `npi`) shows a part of another member: leaving it out of a PUT
clears nothing. Reading, writing, validation and the documentation's input types all come from here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from chartwire.api.rest import bookings, checks, models, people
from chartwire.api.rest.bookings import CancelledBy, Custom, Instant, Parties, Pointing, Status, Zone
from chartwire.api.rest.checks import Anything, Check, Choice, Flag, ListOf, Moment, Object, Reference, Text, Whole
from chartwire.api.rest.lenses import Concept, Items, Json, Lens, Member, One, Only
from chartwire.api.rest.models import Address, Email, Identifier, PersonName, Phone
from chartwire.api.rest.people import Active, Deceased, Language, Name
from chartwire.core.ids import PREFIXES
from chartwire.record import status
from chartwire.record.custom_values import Noun as CustomNoun
from chartwire.record.writing import EXTERNAL_ID

_MINUTES_MAX = 24 * 60


@dataclass(frozen=True, slots=True)
class Field:
    """One member. `view_of` names the member that it shows a part of."""

    name: str
    lens: Lens
    check: Check
    view_of: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """Another way to name the record that `field` refers to: by its external id (`external`), or one for a list."""

    name: str
    field: str
    external: bool


@dataclass(frozen=True)
class Noun:
    """One kind of object, of the FHIR type `kind`.

    `needed`: members that a new one must have; `refers`: members that name other records, with the type of each.
    """

    name: CustomNoun
    kind: str
    fields: tuple[Field, ...]
    shown: type
    needed: tuple[str, ...]
    refers: tuple[tuple[str, str], ...] = ()
    aliases: tuple[Alias, ...] = ()

    @property
    def prefix(self) -> str:
        """What its ids begin with."""
        return PREFIXES[self.kind]

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The members that can be set."""
        return {one.name: one for one in self.fields}

    @cached_property
    def told(self) -> frozenset[str]:
        """The members that are told and cannot be set."""
        return frozenset(one.encode_name for one in msgspec.structs.fields(self.shown)) - self.by_name.keys()

    @cached_property
    def target(self) -> dict[str, str]:
        """The FHIR type that each referring member names."""
        return dict(self.refers)

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Every name that a body may hold."""
        return (*self.by_name, *(one.name for one in self.aliases), *sorted(self.told))

    @cached_property
    def sent(self) -> type:
        """What may be sent, for the documentation: every member may be left out."""
        members = [(one.name, one.check.python_type | None, None) for one in self.fields]
        members += [(one.name, str | None, None) for one in self.aliases]
        return msgspec.defstruct(f"{self.shown.__name__}Input", members, forbid_unknown_fields=True)

    def read(self, body: Json) -> dict[str, Any]:
        """Every member that can be set, as it is shown."""
        return {one.name: one.lens.read(body) for one in self.fields}


def _of_types(*types: str) -> Any:
    def ranked(shown: Iterable[Identifier]) -> Sequence[Identifier]:
        return sorted((one for one in shown if one.type in types), key=lambda one: types.index(one.type or ""))

    return ranked


def _npis(shown: Iterable[Identifier]) -> Sequence[Identifier]:
    found = list(shown)
    return [one for one in found if one.system == people.NPI_SYSTEM] or [one for one in found if one.type == "NPI"]


def _mrn(standing: Identifier | None, value: str) -> Identifier:
    return Identifier(value, standing.system, standing.type) if standing else Identifier(value, None, "MR")


def _npi(_: Identifier | None, value: str) -> Identifier:
    return Identifier(value, people.NPI_SYSTEM, "NPI")


def _value(one: Identifier) -> str:
    return one.value


def _made_external(value: str) -> Json:
    return {"system": EXTERNAL_ID, "value": value}


def _shown_external(one: Json) -> str:
    return str(one["value"])


_NUMBERS = Items("identifier", people.is_number, people.show_identifier, people.make_identifier)
_EXTERNAL = Items("identifier", people.is_external, _shown_external, _made_external)
_USES = ("home", "work", "temp", "old", "mobile")
_PHONES = Field(
    "phones",
    Items("telecom", people.is_phone, people.show_phone, people.make_phone),
    ListOf(
        Object(
            Phone,
            {"number": checks.PHONE, "kind": Choice(("phone", "fax", "sms", "pager")), "use": Choice(_USES)},
            ("number",),
            {"number": "", "kind": "phone", "use": None},
        )
    ),
)
_EMAILS = Field(
    "emails",
    Items("telecom", people.is_email, people.show_email, people.make_email),
    ListOf(
        Object(Email, {"address": checks.EMAIL, "use": Choice(_USES[:4])}, ("address",), {"address": "", "use": None})
    ),
)
_ADDRESS = Object(
    Address,
    {
        "lines": ListOf(Text(), 5),
        "city": Text(100),
        "district": Text(100),
        "state": Text(100),
        "postal_code": Text(20),
        "country": Text(100),
        "use": Choice(("home", "work", "temp", "old", "billing")),
    },
    ("lines", "city", "district", "state", "postal_code", "country"),
    dict.fromkeys(("city", "district", "state", "postal_code", "country", "use")) | {"lines": []},
)
_NAME = Field(
    "name",
    Name(),
    Object(
        PersonName,
        {
            "text": Text(),
            "family": Text(100),
            "given": ListOf(Text(100), 10),
            "prefix": ListOf(Text(50), 5),
            "suffix": ListOf(Text(50), 5),
            "preferred": Text(100),
        },
        ("family", "given", "text"),
        {"text": "", "family": None, "given": [], "prefix": [], "suffix": []},
    ),
)
_IDENTIFIERS = Field(
    "identifiers",
    _NUMBERS,
    ListOf(
        Object(
            Identifier,
            {"value": checks.NUMBER, "system": Text(200), "type": Text(20)},
            ("value",),
            {"value": "", "system": None, "type": None},
        )
    ),
)
_EXTERNAL_ID = Field("external_id", Only(_EXTERNAL, list, str, lambda _, value: value), checks.EXTERNAL_ID)
_CUSTOM = Field("custom", Custom(), Anything())
_ZONE = Field("timezone", Zone(), checks.ZONE)

PATIENT = Noun(
    "patient",
    "Patient",
    (
        Field("status", Active(), Choice(("active", "inactive"))),
        _IDENTIFIERS,
        Field("mrn", Only(_NUMBERS, _of_types("MR", "PI"), _value, _mrn), checks.NUMBER, "identifiers"),
        _EXTERNAL_ID,
        _NAME,
        Field("birth_date", Member("birthDate"), checks.BIRTH_DATE),
        Field("gender", Member("gender"), Choice(("female", "male", "other", "unknown"))),
        Field("deceased", Deceased(), Flag()),
        _PHONES,
        _EMAILS,
        Field("address", One("address", people.show_address, people.make_address, many=True), _ADDRESS),
        Field("language", Language(), checks.LANGUAGE),
        _CUSTOM,
    ),
    models.Patient,
    ("name",),
)
APPOINTMENT = Noun(
    "appointment",
    "Appointment",
    (
        Field("status", Status(), Choice(tuple(status.moves()))),
        Field("cancelled_by", CancelledBy(), Choice(status.cancellers())),
        Field("cancel_reason", Concept("cancelationReason", many=False), Text(500)),
        Field("starts_at", Instant("start"), Moment()),
        Field("ends_at", Instant("end"), Moment()),
        Field("duration_minutes", Member("minutesDuration"), Whole(1, _MINUTES_MAX)),
        _ZONE,
        Field("patient_id", Parties("Patient", single=True), Reference("Patient")),
        Field("provider_ids", Parties("Practitioner"), ListOf(Reference("Practitioner"), 20)),
        Field("location_id", Parties("Location", single=True), Reference("Location")),
        Field("service_type", Concept("serviceType", also="appointmentType"), Text(200)),
        Field("reason", Concept("reasonCode", also="description"), Text(500)),
        Field("comment", Member("comment"), Text(2000)),
        _EXTERNAL_ID,
        _IDENTIFIERS,
        _CUSTOM,
    ),
    models.Appointment,
    ("starts_at", "patient_id"),
    (("patient_id", "Patient"), ("provider_ids", "Practitioner"), ("location_id", "Location")),
    (
        Alias("patient_external_id", "patient_id", external=True),
        Alias("provider_id", "provider_ids", external=False),
        Alias("provider_external_id", "provider_ids", external=True),
        Alias("location_external_id", "location_id", external=True),
    ),
)
PROVIDER = Noun(
    "provider",
    "Practitioner",
    (
        _NAME,
        _IDENTIFIERS,
        Field("npi", Only(_NUMBERS, _npis, _value, _npi), checks.NPI, "identifiers"),
        Field("specialty", Concept("qualification", wrap="code"), Text(200)),
        Field("active", Member("active", default=True), Flag()),
        _EXTERNAL_ID,
        _PHONES,
        _EMAILS,
        _CUSTOM,
    ),
    models.Provider,
    ("name",),
)
LOCATION = Noun(
    "location",
    "Location",
    (
        Field("name", Member("name"), Text()),
        Field("kind", Concept("physicalType", many=False), Text(100)),
        Field("status", Member("status"), Choice(("active", "suspended", "inactive"))),
        _ZONE,
        Field("address", One("address", people.show_address, people.make_address), _ADDRESS),
        _PHONES,
        _EMAILS,
        Field("part_of_id", Pointing("partOf", "Location"), Reference("Location")),
        _EXTERNAL_ID,
        _IDENTIFIERS,
        _CUSTOM,
    ),
    models.Location,
    ("name",),
    (("part_of_id", "Location"),),
    (Alias("part_of_external_id", "part_of_id", external=True),),
)
NOUNS = {one.kind: one for one in (PATIENT, APPOINTMENT, PROVIDER, LOCATION)}
PROVIDERS_OF = bookings.Parties("Practitioner")
LOCATIONS_OF = bookings.Parties("Location")
