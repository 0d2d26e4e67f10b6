"""FHIR bodies as the objects of the practice API, by the tables of fields.py. Pure."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from chartwire.api.rest.fields import APPOINTMENT, LOCATION, LOCATIONS_OF, PATIENT, PROVIDER, PROVIDERS_OF
from chartwire.api.rest.lenses import Json, concept_text
from chartwire.api.rest.models import Appointment, Insurance, Links, Location, Origin, Patient, Provider
from chartwire.core.clock import instant
from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import PREFIXES, to_prefixed, uuid7_time_ms
from chartwire.record.localtime import local_time
from chartwire.record.read import Stored
from chartwire.record.status import source_status

_COLLECTIONS = {
    "Patient": "patients",
    "Appointment": "appointments",
    "Practitioner": "providers",
    "Location": "locations",
}


class Sight(NamedTuple):
    """One version of a resource, its body read."""

    id: UUID
    version: int
    updated_at: datetime
    message_id: UUID | None
    actor: str
    body: Json


def seen(stored: Stored) -> Sight:
    """A stored version with its body read."""
    return Sight(
        stored.id, stored.version, stored.updated_at, stored.message_id, stored.actor, orjson.loads(stored.body)
    )


def patient(stored: Stored, merged_into: UUID | None = None, coverages: Sequence[str] | None = None) -> Patient:
    """A Patient body as a patient. `coverages` are Coverage bodies; None leaves `insurance` null."""
    return show_patient(seen(stored), merged_into, coverages)


def show_patient(sight: Sight, merged_into: UUID | None = None, coverages: Sequence[str] | None = None) -> Patient:
    """See `patient`."""
    members = PATIENT.read(sight.body)
    if merged_into:
        members["status"] = "merged"
    return Patient(
        **_common("Patient", sight),
        **members,
        merged_into=to_prefixed("pat", merged_into) if merged_into else None,
        insurance=None if coverages is None else [_insurance(orjson.loads(one)) for one in coverages],
    )


def appointment(stored: Stored) -> Appointment:
    """An Appointment body as an appointment."""
    return show_appointment(seen(stored))


def show_appointment(sight: Sight) -> Appointment:
    """See `appointment`."""
    body = sight.body
    members, start = APPOINTMENT.read(body), body.get("start")
    local = local_time(body, start)
    locations = LOCATIONS_OF.parties(body)
    return Appointment(
        **_common("Appointment", sight),
        **members,
        source_status=source_status(body),
        local_start=local.at.isoformat(timespec="seconds") if local else _day_only(start),
        providers=PROVIDERS_OF.parties(body),
        location=locations[0] if locations else None,
    )


def provider(stored: Stored) -> Provider:
    """A Practitioner body as a provider."""
    return show_provider(seen(stored))


def show_provider(sight: Sight) -> Provider:
    """See `provider`."""
    return Provider(**_common("Practitioner", sight), **PROVIDER.read(sight.body))


def location(stored: Stored) -> Location:
    """A Location body as a location."""
    return show_location(seen(stored))


def show_location(sight: Sight) -> Location:
    """See `location`."""
    return Location(**_common("Location", sight), **LOCATION.read(sight.body))


SHOWN: dict[str, Callable[[Sight], Any]] = {
    "Patient": show_patient,
    "Appointment": show_appointment,
    "Practitioner": show_provider,
    "Location": show_location,
}
"""How a version of each type is shown when nothing else is known about it."""


def _common(kind: str, sight: Sight) -> dict[str, Any]:
    """The members that every object has."""
    shown = to_prefixed(PREFIXES[kind], sight.id)
    return {
        "id": shown,
        "created_at": _created_at(sight.id),
        "updated_at": instant(sight.updated_at),
        "version": sight.version,
        "source": Origin(sight.actor, to_prefixed("msg", sight.message_id) if sight.message_id else None),
        "links": Links(f"/api/v1/{_COLLECTIONS[kind]}/{shown}", f"/fhir/R4/{kind}/{sight.id}"),
    }


def _insurance(body: Json) -> Insurance:
    groups = {concept_text(one.get("type")): one for one in body.get("class", ())}
    payors = body.get("payor", [{}])
    period = body.get("period", {})
    return Insurance(
        id=to_prefixed("cov", store_id(body["id"])),
        status=body.get("status"),
        payor=payors[0].get("display"),
        plan=groups.get("plan", {}).get("name") or groups.get("plan", {}).get("value"),
        group_number=groups.get("group", {}).get("value"),
        policy_number=body.get("subscriberId"),
        starts_on=period.get("start"),
        ends_on=period.get("end"),
    )


def _day_only(moment: str | None) -> str | None:
    return moment if moment and "T" not in moment else None


def _created_at(resource_id: UUID) -> str | None:
    """The time in a uuidv7; ids of other kinds tell none."""
    if resource_id.version != 7:
        return None
    return instant(datetime.fromtimestamp(uuid7_time_ms(resource_id) / 1000, UTC))
