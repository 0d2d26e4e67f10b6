"""Writes that wait for a record: in order, once, and not for ever."""

import asyncio
from datetime import timedelta

from tests.integration.api.hub import new_client

from chartwire.channels.route import announce
from chartwire.core import clock
from chartwire.core.ids import from_prefixed
from chartwire.record.parking import give_up

PARK = {"prefer": "handling=park"}


def booking(hour, **more):
    return {"patient_external_id": "P-1", "starts_at": f"2026-12-01T{hour:02}:00:00Z", **more}


async def _told(client):
    return [one["type"] for one in (await client.get("/api/v1/events")).json["data"]]


async def test_parked_writes_are_made_in_order_in_the_name_of_who_asked(client):
    for hour in (9, 10, 11):
        assert (await client.post("/api/v1/appointments", booking(hour, external_id=f"A-{hour}"), **PARK)).status == 202
    await client.post("/api/v1/appointments", booking(12, external_id="A-9"), **PARK)
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    made = (await client.get("/api/v1/appointments")).json["data"]
    assert [(one["external_id"], one["starts_at"][11:13]) for one in made] == [
        ("A-10", "10"),
        ("A-11", "11"),
        ("A-9", "12"),
    ]
    assert await _told(client) == ["patient.created", *["appointment.booked"] * 3, "appointment.rescheduled"]


async def test_a_write_that_names_two_records_waits_for_both(client):
    parked = await client.post("/api/v1/appointments", booking(9, provider_external_id="D-1"), **PARK)
    first, second = ("patients", "P-1"), ("providers", "D-1")
    for collection, external_id in (first, second):
        assert (await client.get("/api/v1/appointments")).json["data"] == []
        await client.post(f"/api/v1/{collection}", {"external_id": external_id, "name": {"family": "Weber"}})
    [made] = (await client.get("/api/v1/appointments")).json["data"]
    assert made["providers"][0]["name"] == "Weber"
    assert (await client.get(f"/api/v1/parked-writes/{parked.json['id']}")).status == 404


async def test_what_can_no_longer_be_made_is_told_and_stops_nobody(client):
    one = await client.post("/api/v1/appointments", booking(9, location_external_id="L-1"), **PARK)
    assert one.status == 202
    await client.post(
        "/api/v1/custom-fields",
        {"noun": "appointment", "name": "kind", "type": "string", "label": "Kind", "required": True},
    )
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    assert (await client.post("/api/v1/locations", {"external_id": "L-1", "name": "Room 1"})).status == 201
    assert (await client.get("/api/v1/appointments")).json["data"] == []
    assert "parked_write.failed" in await _told(client)
    assert (await client.get("/api/v1/parked-writes")).json["data"] == []


async def test_a_parked_write_is_in_the_audit_trail_when_it_is_made_with_who_asked_and_whose_data_it_is(
    client, services, app, org_id, record
):
    asker = await new_client(services, app, org_id, "appointments.write")
    await asker.post("/api/v1/appointments", booking(9), x_request_id="asked", **PARK)
    patient = (await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})).json["id"]
    parked, made = [row for row in await record.audit_rows() if row["request_id"] == "asked"]
    assert (parked["status"], list(parked["patient_ids"])) == (202, [])
    assert made["query_shape"].startswith("parked write prk_")
    assert (made["status"], made["action"], made["resource_type"]) == (201, "create", "Appointment")
    assert (made["actor"], list(made["patient_ids"])) == (parked["actor"], [from_prefixed("pat", patient)])


async def test_nothing_is_made_in_the_name_of_a_key_that_was_revoked_meanwhile(client, services, app, org_id):
    leaver = await new_client(services, app, org_id, "appointments.write")
    await leaver.post("/api/v1/appointments", booking(9), **PARK)
    await client.post("/api/v1/appointments", booking(10), **PARK)
    [key] = [one for one in (await client.get("/api/v1/keys")).json["data"] if one["scopes"] == ["appointments.write"]]
    await client.call("DELETE", f"/api/v1/keys/{key['id']}")
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    assert [one["starts_at"][11:13] for one in (await client.get("/api/v1/appointments")).json["data"]] == ["10"]
    failed = [one for one in (await client.get("/api/v1/events")).json["data"] if one["type"] == "parked_write.failed"]
    assert [one["data"]["codes"] for one in failed] == [["credential_invalid"]]
    assert (await client.get("/api/v1/parked-writes")).json["data"] == []


async def test_a_write_that_waited_too_long_is_given_up_with_an_event(client, pool, org_id):
    await client.post("/api/v1/appointments", booking(9), **PARK)
    late = clock.now() + timedelta(days=8)
    async with pool.transaction(org_id) as tx:
        await announce(tx, org_id, late, await give_up(tx, org_id, late))
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    assert await _told(client) == ["parked_write.expired", "patient.created"]


async def test_a_parked_write_can_be_taken_back_and_is_nobody_else_s(client, other_client):
    parked = (await client.post("/api/v1/appointments", booking(9), **PARK)).json
    path = f"/api/v1/parked-writes/{parked['id']}"
    assert (await other_client.call("DELETE", path)).status == 404
    assert (await client.call("DELETE", path)).status == 204
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    assert (await client.get("/api/v1/appointments")).json["data"] == []


async def test_a_write_parked_while_its_record_is_made_is_made_too(client):
    for number in range(6):
        patient = {"external_id": f"P-{number}", "name": {"family": "Weber"}}
        order = {"patient_external_id": f"P-{number}", "starts_at": "2026-12-01T09:00:00Z"}
        await asyncio.gather(
            client.post("/api/v1/patients", patient), client.post("/api/v1/appointments", order, **PARK)
        )
    assert len((await client.get("/api/v1/appointments")).json["data"]) == 6
    assert (await client.get("/api/v1/parked-writes")).json["data"] == []


async def test_items_of_a_batch_can_wait_too(client):
    items = [
        {"op": "create", "ref": "a", "data": booking(9)},
        {"op": "update", "id": "#a", "data": {"reason": "Check-up"}},
    ]
    headers = {**PARK, "idempotency-key": "k"}
    reply = await client.post("/api/v1/appointments/batch", {"items": items}, **headers)
    assert [one["http_status"] for one in reply.json["results"]] == [202, 409]
    again = await client.post("/api/v1/appointments/batch", {"items": items}, **headers)
    assert again.json["results"][0] == reply.json["results"][0]
    await client.post("/api/v1/patients", {"external_id": "P-1", "name": {"family": "Weber"}})
    assert len((await client.get("/api/v1/appointments")).json["data"]) == 1
