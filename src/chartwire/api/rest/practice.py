"""FHIR bodies as the objects of the practice API. Pure: the same body always gives the same object."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from chartwire.api.rest.models import (
    Address,
    Appointment,
    Email,
    Identifier,
    Insurance,
    Links,
    Location,
    Origin,
    Party,
    Patient,
    PersonName,
    Phone,
    Provider,
)
from chartwire.core.clock import instant
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7_time_ms
from chartwire.record.localtime import local_time, zone_name
from chartwire.record.read import Stored
from chartwire.record.status import practice_status, source_status

Json = dict[str, Any]

_NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
_TELEPHONES = frozenset({"phone", "fax", "sms", "pager"})
_COLLECTIONS = {
    "Patient": "patients",
    "Appointment": "appointments",
    "Practitioner": "providers",
    "Location": "locations",
}


def patient(stored: Stored, merged_into: UUID | None = None, coverages: Sequence[str] | None = None) -> Patient:
    """A Patient body as a patient. `coverages` are Coverage bodies; None leaves `insurance` null."""
    body: Json = orjson.loads(stored.body)
    identifiers = _identifiers(body)
    phones, emails = _contacts(body)
    addresses = [_address(one) for one in body.get("address", ())]
    return Patient(
        id=to_prefixed("pat", stored.id),
        created_at=_created_at(stored.id),
        updated_at=instant(stored.updated_at),
        version=stored.version,
        status=_patient_status(body, merged_into),
        merged_into=to_prefixed("pat", merged_into) if merged_into else None,
        mrn=_first_of_types(identifiers, ("MR", "PI")),
        identifiers=identifiers,
        name=_name(body),
        birth_date=body.get("birthDate"),
        gender=body.get("gender"),
        deceased=_deceased(body),
        phones=phones,
        emails=emails,
        address=addresses[0] if addresses else None,
        language=_language(body),
        insurance=None if coverages is None else [_insurance(orjson.loads(one)) for one in coverages],
        custom={},
        source=_origin(stored),
        links=_links("Patient", stored.id),
    )


def appointment(stored: Stored) -> Appointment:
    """An Appointment body as an appointment."""
    body: Json = orjson.loads(stored.body)
    start, end = body.get("start"), body.get("end")
    actors = [part.get("actor", {}) for part in body.get("participant", ())]
    providers = list(dict.fromkeys(_party(actor, "Practitioner") for actor in actors if _is_of(actor, "Practitioner")))
    locations = [_party(actor, "Location") for actor in actors if _is_of(actor, "Location")]
    patients = [_party(actor, "Patient").id for actor in actors if _is_of(actor, "Patient")]
    local = local_time(body, start)
    return Appointment(
        id=to_prefixed("apt", stored.id),
        created_at=_created_at(stored.id),
        updated_at=instant(stored.updated_at),
        version=stored.version,
        status=practice_status(body),
        source_status=source_status(body),
        starts_at=_utc(start),
        ends_at=_utc(end),
        duration_minutes=body.get("minutesDuration"),
        timezone=local.zone if local else zone_name(body),
        local_start=local.at.isoformat(timespec="seconds") if local else _day_only(start),
        patient_id=patients[0] if patients else None,
        provider_ids=[one.id for one in providers if one.id],
        location_id=locations[0].id if locations else None,
        providers=providers,
        location=locations[0] if locations else None,
        service_type=_first_text([*body.get("serviceType", ()), body.get("appointmentType")]),
        reason=_first_text(body.get("reasonCode", ())) or body.get("description"),
        comment=body.get("comment"),
        identifiers=_identifiers(body),
        custom={},
        source=_origin(stored),
        links=_links("Appointment", stored.id),
    )


def provider(stored: Stored) -> Provider:
    """A Practitioner body as a provider."""
    body: Json = orjson.loads(stored.body)
    identifiers = _identifiers(body)
    phones, emails = _contacts(body)
    by_system = [one.value for one in identifiers if one.system == _NPI_SYSTEM]
    return Provider(
        id=to_prefixed("prv", stored.id),
        created_at=_created_at(stored.id),
        updated_at=instant(stored.updated_at),
        version=stored.version,
        name=_name(body),
        npi=by_system[0] if by_system else _first_of_types(identifiers, ("NPI",)),
        specialty=_first_text([one.get("code") for one in body.get("qualification", ())]),
        active=body.get("active", True),
        identifiers=identifiers,
        phones=phones,
        emails=emails,
        custom={},
        source=_origin(stored),
        links=_links("Practitioner", stored.id),
    )


def location(stored: Stored) -> Location:
    """A Location body as a location."""
    body: Json = orjson.loads(stored.body)
    phones, emails = _contacts(body)
    address, above = body.get("address"), body.get("partOf")
    return Location(
        id=to_prefixed("loc", stored.id),
        created_at=_created_at(stored.id),
        updated_at=instant(stored.updated_at),
        version=stored.version,
        name=body.get("name"),
        kind=_text(body.get("physicalType")),
        status=body.get("status"),
        timezone=zone_name(body),
        address=_address(address) if address else None,
        phones=phones,
        emails=emails,
        part_of_id=_party(above, "Location").id if above else None,
        identifiers=_identifiers(body),
        custom={},
        source=_origin(stored),
        links=_links("Location", stored.id),
    )


def _patient_status(body: Json, merged_into: UUID | None) -> Any:
    if merged_into:
        return "merged"
    return "active" if body.get("active", True) else "inactive"


def _identifiers(body: Json) -> list[Identifier]:
    found = []
    for one in body.get("identifier", ()):
        if one.get("value"):
            codes = [coding.get("code") for coding in one.get("type", {}).get("coding", ())]
            found.append(Identifier(one["value"], one.get("system"), codes[0] if codes else None))
    return found


def _first_of_types(identifiers: Sequence[Identifier], types: Sequence[str]) -> str | None:
    for wanted in types:
        for one in identifiers:
            if one.type == wanted:
                return one.value
    return None


def _name(body: Json) -> PersonName | None:
    names = body.get("name", ())
    if not names:
        return None
    official = [one for one in names if one.get("use") == "official"]
    one = (official or names)[0]
    family, given = one.get("family"), one.get("given", [])
    prefix, suffix = one.get("prefix", []), one.get("suffix", [])
    text = one.get("text") or " ".join([*prefix, *given, *([family] if family else []), *suffix])
    return PersonName(text, family, given, prefix, suffix)


def _contacts(body: Json) -> tuple[list[Phone], list[Email]]:
    phones, emails = [], []
    for one in body.get("telecom", ()):
        value, system = one.get("value"), one.get("system")
        if value and system == "email":
            emails.append(Email(value, one.get("use")))
        elif value and system in _TELEPHONES:
            phones.append(Phone(value, system, one.get("use")))
    return phones, emails


def _address(one: Json) -> Address:
    return Address(
        one.get("line", []),
        one.get("city"),
        one.get("district"),
        one.get("state"),
        one.get("postalCode"),
        one.get("country"),
        one.get("use"),
    )


def _insurance(body: Json) -> Insurance:
    groups = {_text(one.get("type")): one for one in body.get("class", ())}
    payors = body.get("payor", [{}])
    period = body.get("period", {})
    return Insurance(
        id=to_prefixed("cov", UUID(body["id"])),
        status=body.get("status"),
        payor=payors[0].get("display"),
        plan=groups.get("plan", {}).get("name") or groups.get("plan", {}).get("value"),
        group_number=groups.get("group", {}).get("value"),
        policy_number=body.get("subscriberId"),
        starts_on=period.get("start"),
        ends_on=period.get("end"),
    )


def _deceased(body: Json) -> bool | None:
    if "deceasedDateTime" in body:
        return True
    told: bool | None = body.get("deceasedBoolean")
    return told


def _language(body: Json) -> str | None:
    spoken = sorted(body.get("communication", ()), key=lambda one: not one.get("preferred", False))
    for one in spoken:
        codings = one.get("language", {}).get("coding", ())
        return codings[0].get("code") if codings else _text(one.get("language"))
    return None


def _is_of(actor: Json, kind: str) -> bool:
    return actor.get("type") == kind or str(actor.get("reference", "")).startswith(f"{kind}/")


def _party(actor: Json, kind: str) -> Party:
    head, _, tail = str(actor.get("reference", "")).partition("/")
    known = to_prefixed(PREFIXES[kind], UUID(tail)) if head == kind and tail else None
    return Party(known, actor.get("display"))


def _text(concept: Json | None) -> str | None:
    """A CodeableConcept for people: its text, else the first display, else the first code."""
    if not concept:
        return None
    codings = concept.get("coding", ())
    shown = [coding[key] for key in ("display", "code") for coding in codings if coding.get(key)]
    told: str | None = concept.get("text") or (shown[0] if shown else None)
    return told


def _first_text(concepts: Iterable[Json | None]) -> str | None:
    return next((text for text in map(_text, concepts) if text), None)


def _utc(moment: str | None) -> str | None:
    if not moment or "T" not in moment:
        return None
    try:
        return instant(datetime.fromisoformat(moment).astimezone(UTC))
    except ValueError:
        return None


def _day_only(moment: str | None) -> str | None:
    return moment if moment and "T" not in moment else None


def _created_at(resource_id: UUID) -> str | None:
    """The time in a uuidv7; ids of other kinds tell none."""
    if resource_id.version != 7:
        return None
    return instant(datetime.fromtimestamp(uuid7_time_ms(resource_id) / 1000, UTC))


def _origin(stored: Stored) -> Origin:
    return Origin(stored.actor, to_prefixed("msg", stored.message_id) if stored.message_id else None)


def _links(kind: str, resource_id: UUID) -> Links:
    shown = to_prefixed(PREFIXES[kind], resource_id)
    return Links(f"/api/v1/{_COLLECTIONS[kind]}/{shown}", f"/fhir/R4/{kind}/{resource_id}")
