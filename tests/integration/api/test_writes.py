"""Writing through the practice API: what one door writes, every other door reads at once."""

import asyncpg

ANNA = {
    "name": {"family": "Weber", "given": ["Anna"]},
    "birth_date": "1980-01-02",
    "gender": "female",
    "identifiers": [{"type": "MR", "system": "urn:chartwire:authority:HOSP", "value": "1001"}],
    "phones": [{"number": "+1 416 555 0100", "use": "home"}],
    "emails": [{"address": "anna@example.org"}],
    "address": {"lines": ["1 Main St"], "city": "Springfield", "postal_code": "62701"},
    "language": "de",
}


async def test_a_patient_that_is_made_reads_as_it_was_written(client):
    made = await client.post("/api/v1/patients", ANNA)
    assert made.status == 201, made.json
    told = made.json
    assert made.headers["etag"] == '"v1"'
    assert made.headers["location"] == told["links"]["self"]
    assert (told["mrn"], told["name"]["text"], told["language"]) == ("1001", "Anna Weber", "de")
    assert (await client.get(told["links"]["self"])).json == told
    assert (await client.get(told["links"]["fhir"])).json["birthDate"] == "1980-01-02"
    assert [one["id"] for one in (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]] == [told["id"]]


async def _booked(client, **more):
    patient = (await client.post("/api/v1/patients", {"name": {"family": "Weber"}})).json
    provider = (await client.post("/api/v1/providers", {"name": {"family": "Lee", "prefix": ["Dr"]}})).json
    place = (await client.post("/api/v1/locations", {"name": "Room 1", "timezone": "Europe/Berlin"})).json
    order = {
        "patient_id": patient["id"],
        "provider_ids": [provider["id"]],
        "location_id": place["id"],
        "starts_at": "2026-12-01T09:00:00",
        "duration_minutes": 30,
    }
    return await client.post("/api/v1/appointments", order | more)


async def test_an_appointment_takes_its_zone_from_its_place_and_its_end_from_its_length(client):
    made = await _booked(client, reason="Check-up")
    assert made.status == 201, made.json
    told = made.json
    assert (told["starts_at"], told["ends_at"]) == ("2026-12-01T08:00:00.000Z", "2026-12-01T08:30:00.000Z")
    assert (told["timezone"], told["local_start"]) == ("Europe/Berlin", "2026-12-01T09:00:00+01:00")
    assert (told["status"], told["providers"][0]["name"], told["location"]["name"]) == ("booked", "Dr Lee", "Room 1")


async def test_an_appointment_moves_as_the_table_says_and_nowhere_else(client):
    path = (await _booked(client)).json["links"]["self"]
    confirmed = await client.post(f"{path}/confirm", {})
    assert (confirmed.status, confirmed.json["status"]) == (200, "confirmed")
    assert (await client.get(confirmed.json["links"]["fhir"])).json["status"] == "booked"
    refused = await client.post(f"{path}/complete", {})
    assert (refused.status, refused.json["code"]) == (409, "illegal_move")
    assert "cancelled" in refused.json["errors"][0]["detail"]
    cancelled = await client.post(f"{path}/cancel", {"cancelled_by": "patient", "cancel_reason": "Ill"})
    assert [cancelled.json[name] for name in ("status", "cancelled_by", "cancel_reason")] == [
        "cancelled",
        "patient",
        "Ill",
    ]
    late = await client.post(f"{path}/reschedule", {"starts_at": "2026-12-02T09:00:00"})
    assert (late.status, late.json["code"]) == (409, "illegal_move")
    again = await client.patch(path, {"status": "booked", "starts_at": "2026-12-02T09:00:00"})
    assert (again.json["cancelled_by"], again.json["cancel_reason"], again.json["ends_at"]) == (
        None,
        None,
        "2026-12-02T08:30:00.000Z",
    )


async def test_a_batch_keeps_what_went_well_and_a_retry_repeats_only_the_rest(client):
    items = [
        {"ref": "a", "op": "create", "data": {"name": {"family": "One"}, "external_id": "P-1"}},
        {"ref": "b", "op": "create", "data": {"name": {"family": "Two"}, "birth_date": "tomorrow"}},
        {"ref": "c", "op": "update", "id": "#a", "data": {"gender": "female"}},
        {"ref": "d", "op": "update", "id": "#b", "data": {"gender": "female"}},
    ]
    first = await client.post("/api/v1/patients/batch", {"items": items}, **{"idempotency-key": "k1"})
    assert first.status == 200, first.json
    assert first.json["summary"] == {"total": 4, "ok": 2, "failed": 2, "skipped": 0}
    told = first.json["results"]
    assert [one.get("http_status") for one in told] == [201, 422, 200, 409]
    assert told[1]["error"]["errors"][0]["pointer"] == "/birth_date"
    assert (told[2]["id"], told[2]["version"]) == (told[0]["id"], 2)
    again = await client.post("/api/v1/patients/batch", {"items": items}, **{"idempotency-key": "k1"})
    assert [one["status"] for one in again.json["results"]] == ["ok", "error", "ok", "error"]
    assert again.json["results"][0] == told[0]
    assert len((await client.get("/api/v1/patients")).json["data"]) == 1


async def test_an_item_without_a_name_is_no_other_item_s_target(client):
    items = [
        {"op": "create", "data": {"name": {"family": "One"}}},
        {"op": "update", "id": "#", "data": {"gender": "female"}},
    ]
    reply = await client.post("/api/v1/patients/batch", {"items": items}, **{"idempotency-key": "k"})
    assert [one.get("http_status") for one in reply.json["results"]] == [201, 422]
    alone = await client.post("/api/v1/appointments", {"starts_at": "2026-12-01T09:00:00Z", "patient_id": "#"})
    assert (alone.status, alone.json["errors"][0]["pointer"]) == (422, "/patient_id")


async def test_a_place_is_no_part_of_itself(client):
    made = (await client.post("/api/v1/locations", {"name": "Ward 3", "external_id": "L-3"})).json
    for body in ({"part_of_id": made["id"]}, {"part_of_external_id": "L-3"}):
        refused = await client.patch(made["links"]["self"], body)
        assert (refused.status, refused.json["errors"][0]["code"]) == (422, "circular")


async def test_an_atomic_batch_keeps_all_or_nothing(client):
    items = [{"op": "create", "data": {"name": {"family": "One"}}}, {"op": "create", "data": {}}]
    reply = await client.post("/api/v1/patients/batch", {"mode": "atomic", "items": items}, **{"idempotency-key": "k"})
    assert [one["status"] for one in reply.json["results"]] == ["skipped", "error"]
    assert (await client.get("/api/v1/patients")).json["data"] == []


async def test_a_write_that_names_a_record_not_there_yet_is_refused_for_now_or_waits_for_it(client, record):
    order = {"patient_external_id": "P-7", "starts_at": "2026-12-01T09:00:00Z"}
    refused = await client.post("/api/v1/appointments", order)
    assert (refused.status, refused.json["code"], refused.json["retryable"]) == (409, "reference_not_there_yet", True)
    assert int(refused.headers["retry-after"]) > 0
    parked = await client.post("/api/v1/appointments", order, prefer="handling=park")
    assert (parked.status, parked.json["waits_for"], parked.json["pointer"]) == (202, "patient", "/patient_external_id")
    assert (await client.get("/api/v1/parked-writes")).json["data"] == [parked.json]
    patient = await client.post("/api/v1/patients", {"external_id": "P-7", "name": {"family": "Weber"}})
    [made] = (await client.get("/api/v1/appointments", {"patient_id": patient.json["id"]})).json["data"]
    assert made["starts_at"] == "2026-12-01T09:00:00.000Z"
    assert (await client.get("/api/v1/parked-writes")).json["data"] == []
    told = (await client.get("/api/v1/events")).json["data"]
    assert [one["type"] for one in told] == ["patient.created", "appointment.booked"]


async def test_an_item_that_the_database_refuses_fails_alone(client, database):
    connection = await asyncpg.connect(database.admin_dsn)
    await connection.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;"
        "create trigger refuse before insert on resource for each row when (new.body like '%POISON%')"
        " execute function refuse()"
    )
    await connection.close()
    names = ["One", "POISON", "Three"]
    items = [{"ref": name, "op": "create", "data": {"name": {"family": name}}} for name in names]
    items.append({"op": "update", "id": "#Three", "data": {"gender": "male"}})
    reply = await client.post("/api/v1/patients/batch", {"items": items}, **{"idempotency-key": "k"})
    assert [one["status"] for one in reply.json["results"]] == ["ok", "error", "ok", "ok"]
    assert reply.json["results"][1]["error"]["code"] == "internal"
    assert len((await client.get("/api/v1/patients")).json["data"]) == 2


async def test_a_batch_needs_a_key_and_has_bounds(client):
    one = {"op": "create", "data": {"name": {"family": "Weber"}}}
    assert (await client.post("/api/v1/patients/batch", {"items": [one]})).json["code"] == "idempotency_key_needed"
    many = await client.post("/api/v1/patients/batch", {"items": [one] * 101}, **{"idempotency-key": "k"})
    assert (many.status, many.json["errors"][0]["pointer"]) == (422, "/items")


async def test_a_batch_of_an_external_id_twice_writes_to_one_object_twice(client):
    items = [
        {"op": "upsert", "data": {"external_id": "E-1", "name": {"family": "Weber"}}},
        {"op": "upsert", "data": {"external_id": "E-1", "language": "fr"}},
    ]
    reply = await client.post("/api/v1/patients/batch", {"items": items}, **{"idempotency-key": "k"})
    assert [(one["http_status"], one["version"]) for one in reply.json["results"]] == [(201, 1), (200, 2)]
    [made] = (await client.get("/api/v1/patients", {"external_id": "E-1"})).json["data"]
    assert (made["name"]["family"], made["language"], made["version"]) == ("Weber", "fr", 2)
