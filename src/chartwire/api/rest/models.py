"""The objects of the practice API. What is not known is null or empty, never left out."""

from typing import Any, Literal

import msgspec


class Links(msgspec.Struct, frozen=True):
    """Where else this stands."""

    itself: str = msgspec.field(name="self")
    fhir: str


class Origin(msgspec.Struct, frozen=True):
    """Where the present version came from: who wrote it, and the message that made it."""

    system: str
    message_id: str | None


class Identifier(msgspec.Struct, frozen=True):
    """One identifier. `type` is a code of HL7 table 0203 (`MR`, `NPI`, ...)."""

    value: str
    system: str | None
    type: str | None


class PersonName(msgspec.Struct, frozen=True):
    """A name; `text` as it is spoken, `preferred` what the person is called."""

    text: str
    family: str | None
    given: list[str]
    prefix: list[str]
    suffix: list[str]
    preferred: str | None = None


class Phone(msgspec.Struct, frozen=True):
    """`kind` is phone, fax, sms or pager; `use` home, work, mobile, temp or old."""

    number: str
    kind: str
    use: str | None


class Email(msgspec.Struct, frozen=True):
    """An e-mail address."""

    address: str
    use: str | None


class Address(msgspec.Struct, frozen=True):
    """A postal address."""

    lines: list[str]
    city: str | None
    district: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    use: str | None


class Insurance(msgspec.Struct, frozen=True):
    """One coverage, with `expand=insurance`."""

    id: str
    status: str | None
    payor: str | None
    plan: str | None
    group_number: str | None
    policy_number: str | None
    starts_on: str | None
    ends_on: str | None


class Patient(msgspec.Struct, frozen=True):
    """A person in care. `merged` points to the record that took this one's place, at the end of a chain of merges."""

    id: str
    created_at: str | None
    updated_at: str
    version: int
    status: Literal["active", "inactive", "merged"]
    merged_into: str | None
    mrn: str | None
    external_id: str | None
    identifiers: list[Identifier]
    name: PersonName | None
    birth_date: str | None
    gender: str | None
    deceased: bool | None
    phones: list[Phone]
    emails: list[Email]
    address: Address | None
    language: str | None
    insurance: list[Insurance] | None
    custom: dict[str, Any]
    source: Origin
    links: Links
    object: Literal["patient"] = "patient"


class Party(msgspec.Struct, frozen=True):
    """Someone or something that takes part; `id` is null where the source named it without an identifier."""

    id: str | None
    name: str | None


class Appointment(msgspec.Struct, frozen=True):
    """One appointment; `cancelled_by` is patient, provider or practice.

    `starts_at` and `ends_at` are UTC; `local_start` is the clock on the wall in `timezone`.

    Where no zone is known, `timezone` is null; `local_start` then stands in the offset that the source wrote, or is
    null. A start that is known by its day only stands in `local_start` as a date.
    """

    id: str
    created_at: str | None
    updated_at: str
    version: int
    status: str
    source_status: str | None
    starts_at: str | None
    ends_at: str | None
    duration_minutes: int | None
    timezone: str | None
    local_start: str | None
    patient_id: str | None
    provider_ids: list[str]
    location_id: str | None
    providers: list[Party]
    location: Party | None
    service_type: str | None
    reason: str | None
    comment: str | None
    cancelled_by: str | None
    cancel_reason: str | None
    external_id: str | None
    identifiers: list[Identifier]
    custom: dict[str, Any]
    source: Origin
    links: Links
    object: Literal["appointment"] = "appointment"


class Provider(msgspec.Struct, frozen=True):
    """A person who gives care."""

    id: str
    created_at: str | None
    updated_at: str
    version: int
    name: PersonName | None
    npi: str | None
    specialty: str | None
    active: bool
    external_id: str | None
    identifiers: list[Identifier]
    phones: list[Phone]
    emails: list[Email]
    custom: dict[str, Any]
    source: Origin
    links: Links
    object: Literal["provider"] = "provider"


class Location(msgspec.Struct, frozen=True):
    """A place of care: a site, ward, room or bed."""

    id: str
    created_at: str | None
    updated_at: str
    version: int
    name: str | None
    kind: str | None
    status: str | None
    timezone: str | None
    address: Address | None
    phones: list[Phone]
    emails: list[Email]
    part_of_id: str | None
    external_id: str | None
    identifiers: list[Identifier]
    custom: dict[str, Any]
    source: Origin
    links: Links
    object: Literal["location"] = "location"


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of a list. `total` and `total_is_estimate` only with `include_total=true`."""

    data: list[Any]
    has_more: bool
    next_page_token: str | None
    object: str
    total: int | msgspec.UnsetType = msgspec.UNSET
    total_is_estimate: bool | msgspec.UnsetType = msgspec.UNSET


class PatientPage(Page, frozen=True, omit_defaults=True):
    """A page of patients."""

    data: list[Patient]


class AppointmentPage(Page, frozen=True, omit_defaults=True):
    """A page of appointments."""

    data: list[Appointment]


class ProviderPage(Page, frozen=True, omit_defaults=True):
    """A page of providers."""

    data: list[Provider]


class LocationPage(Page, frozen=True, omit_defaults=True):
    """A page of locations."""

    data: list[Location]
