"""Appointments, providers, locations, and FHIR reads."""

import json
from uuid import UUID

import pytest
from tests.integration.api.hub import a_patient

from chartwire.core.ids import to_prefixed, uuid7
from chartwire.record.localtime import TIMEZONE_EXTENSION

TORONTO = [{"url": TIMEZONE_EXTENSION, "valueCode": "America/Toronto"}]


def an_appointment(start, *, status="booked", patient=None, provider=None, location=None, **more):
    named = (("Patient", patient), ("Practitioner", provider), ("Location", location))
    actors = [f"{kind}/{one}" for kind, one in named if one]
    participants = [{"actor": {"reference": one}, "status": "accepted"} for one in actors]
    return {"status": status, "start": start, "participant": participants, "extension": TORONTO, **more}


async def ids(client, query):
    reply = await client.get("/api/v1/appointments", query)
    assert reply.status == 200, reply.body
    return [one["id"] for one in reply.json["data"]]


async def test_an_appointment_tells_utc_and_the_clock_on_the_wall(client, record):
    patient, provider, place = uuid7(), uuid7(), uuid7()
    body = an_appointment("2026-11-20T14:30:00.000Z", patient=patient, provider=provider, location=place)
    saved = await record.save("Appointment", body, patient=patient)
    told = (await client.get(f"/api/v1/appointments/{to_prefixed('apt', saved)}")).json
    assert told["starts_at"] == "2026-11-20T14:30:00.000Z"
    assert (told["timezone"], told["local_start"]) == ("America/Toronto", "2026-11-20T09:30:00-05:00")
    assert told["patient_id"] == to_prefixed("pat", patient)
    assert told["provider_ids"] == [to_prefixed("prv", provider)]
    assert told["location_id"] == to_prefixed("loc", place)


async def test_appointments_come_in_order_of_their_start_and_none_without_start_is_lost(client, record):
    late = await record.save("Appointment", an_appointment("2026-11-20T15:00:00Z"))
    unknown = await record.save("Appointment", {"status": "booked", "participant": []})
    early = await record.save("Appointment", an_appointment("2026-11-19T15:00:00Z"))
    wanted = [to_prefixed("apt", one) for one in (early, late, unknown)]
    assert await ids(client, {}) == wanted
    first = (await client.get("/api/v1/appointments", {"limit": "2"})).json
    rest = await ids(client, {"limit": "2", "page_token": first["next_page_token"]})
    assert [one["id"] for one in first["data"]] + rest == wanted


async def test_the_date_of_an_appointment_is_its_local_day(client, record):
    evening = await record.save("Appointment", an_appointment("2026-11-21T02:00:00Z"))  # 21:00 on the 20th in Toronto
    assert await ids(client, {"date": "2026-11-20"}) == [to_prefixed("apt", evening)]
    assert await ids(client, {"date": "2026-11-21"}) == []


async def test_appointments_are_found_by_status_people_place_and_time(client, record):
    patient, provider, place = uuid7(), uuid7(), uuid7()
    mine = await record.save(
        "Appointment",
        an_appointment("2026-11-20T15:00:00Z", status="arrived", patient=patient, provider=provider, location=place),
        patient=patient,
    )
    await record.save("Appointment", an_appointment("2026-11-22T15:00:00Z", patient=uuid7(), status="cancelled"))
    for query in (
        {"status": "arrived,no_show"},
        {"patient_id": to_prefixed("pat", patient)},
        {"provider_id": to_prefixed("prv", provider)},
        {"location_id": to_prefixed("loc", place)},
        {"starts_at_gte": "2026-11-20T10:00:00-05:00", "starts_at_lt": "2026-11-21"},
        {"starts_at_lt": "2026-11-21", "sort": "-updated_at"},
        {"patient_id": to_prefixed("pat", patient), "status": "arrived", "sort": "-starts_at"},
    ):
        assert await ids(client, query) == [to_prefixed("apt", mine)], query
    assert await ids(client, {"patient_id": "pat_nobody"}) == []


async def test_providers_and_locations_read_and_list(client, record):
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}
    provider = await record.save(
        "Practitioner", {"name": [{"family": "Sørensen", "given": ["Ida"]}], "identifier": [npi]}
    )
    place = await record.save("Location", {"name": "North Wing", "extension": TORONTO, "status": "active"})
    found = (await client.get("/api/v1/providers", {"npi": "1234567893", "q": "ida"})).json["data"]
    assert [(one["id"], one["npi"]) for one in found] == [(to_prefixed("prv", provider), "1234567893")]
    found = (await client.get("/api/v1/locations", {"name": "north", "sort": "name"})).json["data"]
    assert [(one["id"], one["timezone"]) for one in found] == [(to_prefixed("loc", place), "America/Toronto")]
    assert (await client.get(f"/api/v1/locations/{to_prefixed('loc', place)}")).json["name"] == "North Wing"


async def test_a_fhir_read_passes_the_stored_text_through(client, record, pool, org_id):
    saved = await record.save("Patient", a_patient())
    async with pool.transaction(org_id) as tx:
        text = await tx.fetchval("select body from resource where id = $1", saved)
    reply = await client.get(f"/fhir/R4/Patient/{saved}")
    assert reply.body == text.encode()
    assert reply.headers["content-type"] == "application/fhir+json"
    assert reply.headers["etag"] == 'W/"1"'
    assert reply.headers["last-modified"].endswith("GMT")


async def test_every_version_stays_readable_and_a_deletion_is_gone(client, record):
    saved = await record.save("Patient", a_patient("Before"))
    await record.save("Patient", {"id": str(saved), **a_patient("After")}, version=2)
    await record.save("Patient", {"id": str(saved)}, version=3, deleted=True)
    first = await client.get(f"/fhir/R4/Patient/{saved}/_history/1")
    assert first.json["name"][0]["family"] == "Before"
    assert (await client.get(f"/fhir/R4/Patient/{saved}/_history/2")).headers["etag"] == 'W/"2"'
    gone = await client.get(f"/fhir/R4/Patient/{saved}")
    assert (gone.status, gone.json["issue"][0]["code"]) == (410, "deleted")
    assert (await client.get(f"/fhir/R4/Patient/{saved}/_history/4")).status == 404


@pytest.mark.parametrize(
    "wrong", ["Patient/1", "Patient/{upper}", "Nothing/{id}", "Patient/{id}/_history/x", "Patient/{id}"]
)
async def test_fhir_errors_are_operation_outcomes(client, wrong):
    one = uuid7()
    reply = await client.get(f"/fhir/R4/{wrong.format(id=one, upper=str(one).upper())}")
    assert reply.status == 404
    assert reply.json["resourceType"] == "OperationOutcome"
    assert reply.headers["content-type"] == "application/fhir+json"


async def test_the_capability_statement_promises_only_what_works(client, record):
    statement = (await client.get("/fhir/R4/metadata")).json
    promised = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    del promised["Binary"]  # whose bytes stand apart: tests/integration/api/fhir/test_binary.py
    for resource in promised.values():
        saved = await record.save(resource["type"], {})
        for path in (f"{resource['type']}/{saved}", f"{resource['type']}/{saved}/_history/1"):
            assert json.loads((await client.get(f"/fhir/R4/{path}")).body)["id"] == str(UUID(str(saved)))
