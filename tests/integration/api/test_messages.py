"""HL7 messages, lineage, replay, the change feed, deliveries and reviews."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.integration.api.hub import a_patient

from chartwire.core.ids import to_prefixed, uuid7, uuid7_floor
from chartwire.store.queries import q


def shown(message_id):
    return to_prefixed("msg", message_id)


async def listed(client, query):
    reply = await client.get("/api/v1/hl7/messages", query)
    assert reply.status == 200, reply.body
    return [one["id"] for one in reply.json["data"]]


async def an_event(tx, org, patient, *, kind="patient.updated", message=None, version=1):
    event = uuid7()
    await tx.execute(
        "insert into event (org_id, id, created_at, type, resource_type, resource_id, version, patient_id, message_id,"
        " changed, mode) values ($1, $2, now(), $3, 'Patient', $4, $5, $4, $6, '{telecom}', 'live')",
        org, event, kind, patient, version, message,
    )  # fmt: skip
    return event


async def test_messages_are_found_by_what_an_interface_engineer_has_at_hand(client, record, pool, org_id):
    source = uuid7()
    async with pool.transaction(org_id) as tx:
        await tx.execute("insert into source (org_id, id, name, settings) values ($1, $2, 'lab', '{}')", org_id, source)
    old = datetime.now(UTC) - timedelta(days=3)
    first = await record.message(
        id=uuid7_floor(int(old.timestamp() * 1000)), received_at=old, event="SIU^S12", control_id="OLD"
    )
    mine = await record.message(state="dead", event="ADT^A08", control_id="C-9", mrn="M9", source_id=source)
    last = await record.message(state="processed")
    day = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert await listed(client, {}) == [shown(one) for one in (last, mine, first)]
    for query in (
        {"state": "dead,held"},
        {"event": "ADT^A08"},
        {"control_id": "C-9"},
        {"mrn": "M9"},
        {"source": to_prefixed("src", source)},
        {"type": "ADT", "state": "dead", "received_at_gte": day},
    ):
        assert await listed(client, query) == [shown(mine)], query
    assert await listed(client, {"received_at_lt": day}) == [shown(first)]
    assert await listed(client, {"event": "SIU"}) == [shown(first)]
    page = (await client.get("/api/v1/hl7/messages", {"limit": "2"})).json
    assert await listed(client, {"page_token": page["next_page_token"]}) == [shown(first)]


async def test_a_message_tells_its_whole_story(client, record, pool, org_id):
    message, now = uuid7(), datetime.now(UTC)
    stamp = {"w": [[str(UUID(int=7)), str(message), None, 10]], "e": {"birthDate": [[0, "PID-7"]]}}
    patient = await record.save("Patient", a_patient(), message=message, lineage=json.dumps(stamp))
    outcome = {
        "map": "1",
        "resources": [["Patient", str(patient), 1, True]],
        "findings": [["no_zone", "PV1-44"]],
        "unread": ["PID-28"],
    }
    await record.message(
        id=message, patient_id=patient, mrn="MRN-0001", outcome=json.dumps(outcome), processed_at=now, ack_code="AA"
    )
    endpoint = uuid7()
    async with pool.transaction(org_id) as tx:
        event = await an_event(tx, org_id, patient, message=message)
        await tx.execute(
            "insert into delivery (org_id, event_id, destination_id, state, attempts, next_attempt_at, created_at,"
            " message_id, body) values ($1, $2, $3, 'retrying', 1, $4, $4, $5, '')",
            org_id, event, endpoint, now, message,
        )  # fmt: skip
    told = (await client.get(f"/api/v1/hl7/messages/{shown(message)}")).json
    assert (told["state"], told["ack_code"], told["fault"]) == ("processed", "AA", None)
    assert told["patient_id"] == to_prefixed("pat", patient)
    (resource,) = told["resources"]
    assert (resource["type"], resource["version"], resource["changed"]) == ("Patient", 1, True)
    assert resource["lineage"]["birthDate"][0]["field"] == "PID-7"
    assert (await client.get(resource["fhir"])).json["id"] == str(patient)
    assert (told["findings"], told["unread_fields"]) == ([{"code": "no_zone", "location": "PV1-44"}], ["PID-28"])
    (delivery,) = told["deliveries"]
    assert (delivery["event_id"], delivery["state"]) == (to_prefixed("evt", event), "retrying")
    assert told["raw"]["encoding"] == "utf-8"
    assert told["raw"]["data"].startswith("MSH|")


async def test_a_message_whose_bytes_retention_removed_says_since_when(client, record, pool, org_id):
    message = await record.message()
    async with pool.transaction(org_id) as tx:
        await tx.execute("delete from message_body where id = $1", message)
    path = f"/api/v1/hl7/messages/{shown(message)}"
    assert (await client.get(path)).json["raw_expired_at"] is None
    async with pool.transaction(org_id) as tx:
        sql = "insert into retention_run values ($1, $1, 'raw', 'rows', '2027-02-01Z', '2027-01-01Z', 1, 1)"
        await tx.execute(sql, org_id)
    told = (await client.get(path)).json
    assert (told["raw"], told["raw_expired_at"]) == (None, "2027-02-01T00:00:00.000Z")


async def test_a_dead_letter_names_place_and_rule(client, record):
    dead = await record.message(
        state="dead", error_code="unmapped_code", error_location="OBX[2]-3", error_text="no map names this code"
    )
    told = (await client.get(f"/api/v1/hl7/messages/{shown(dead)}")).json
    assert told["fault"] == {"code": "unmapped_code", "location": "OBX[2]-3", "detail": "no map names this code"}


async def test_bytes_that_are_no_utf8_come_as_base64_with_their_charset(client, record):
    raw = "MSH|Müller".encode("latin-1")
    message = await record.message(raw=raw, charset="iso-8859-1")
    told = (await client.get(f"/api/v1/hl7/messages/{shown(message)}")).json["raw"]
    assert (told["encoding"], told["charset"], base64.b64decode(told["data"])) == ("base64", "iso-8859-1", raw)


@pytest.mark.parametrize(("body", "mode"), [(None, "record-only"), ({"mode": "live"}, "live")])
async def test_a_replay_makes_a_child_that_points_back(client, record, body, mode):
    message = await record.message(lane_id=uuid7())
    path = f"/api/v1/hl7/messages/{shown(message)}/replay"
    reply = await (client.call("POST", path) if body is None else client.post(path, body))
    assert reply.status == 202
    child = (await client.get(reply.headers["location"])).json
    assert (child["id"], child["parent_id"], child["state"], child["mode"]) == (
        reply.json["id"],
        shown(message),
        "received",
        mode,
    )
    (again,) = (await client.get(f"/api/v1/hl7/messages/{shown(message)}")).json["replays"]
    assert again["id"] == child["id"]


async def test_a_replay_in_an_unknown_mode_or_with_an_unknown_member_is_refused(client, record):
    path = f"/api/v1/hl7/messages/{shown(await record.message())}/replay"
    for body, pointer in (({"mode": "loud"}, "/mode"), ({"modus": "live"}, "")):
        reply = await client.post(path, body)
        assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, pointer)


async def test_lineage_lists_the_versions_of_a_resource_newest_first(client, record):
    stamp = {"w": [[str(UUID(int=7)), str(uuid7()), "2026-11-20T08:00:00Z", 10]], "e": {"name": [[0, "PID-5", [0]]]}}
    patient = await record.save("Patient", a_patient(), lineage=json.dumps(stamp))
    await record.save("Patient", {"id": str(patient), **a_patient("New")}, version=2, lineage=json.dumps(stamp))
    for text in (to_prefixed("pat", patient), str(patient)):
        told = (await client.get(f"/api/v1/lineage/Patient/{text}")).json
        assert [one["version"] for one in told["versions"]] == [2, 1]
        (part,) = told["versions"][0]["elements"]["name"]
        assert (part["field"], part["items"], part["source_id"]) == ("PID-5", [0], to_prefixed("src", UUID(int=7)))


async def test_the_change_feed_shows_nothing_before_what_may_still_come_late(client, record, pool, org_id):
    patient = await record.save("Patient", a_patient())
    async with pool.transaction(org_id) as slow:
        early = await an_event(slow, org_id, patient)
        async with pool.transaction(org_id) as quick:
            late = await an_event(quick, org_id, patient, version=2)
        open_still = (await client.get("/api/v1/events")).json
    closed = (await client.get("/api/v1/events", {"after": open_still["next_cursor"]})).json
    assert open_still["data"] == []
    assert {one["id"] for one in closed["data"]} == {to_prefixed("evt", early), to_prefixed("evt", late)}


async def test_the_change_feed_goes_on_where_it_stood_and_passes_over_other_types(client, record, pool, org_id):
    patient = await record.save("Patient", a_patient())
    async with pool.transaction(org_id) as tx:
        events = [
            await an_event(tx, org_id, patient, kind=kind)
            for kind in ("patient.created", "patient.merged", "patient.updated")
        ]
    page = (await client.get("/api/v1/events", {"limit": "2", "types": "patient.merged,appointment.*"})).json
    assert [one["id"] for one in page["data"]] == [to_prefixed("evt", events[1])]
    assert page["has_more"]
    rest = (await client.get("/api/v1/events", {"after": page["next_cursor"]})).json
    assert [one["type"] for one in rest["data"]] == ["patient.updated"]
    assert rest["data"][0]["data"]["id"] == to_prefixed("pat", patient)
    assert "Okonkwo" not in json.dumps(rest)
    end = (await client.get("/api/v1/events", {"after": rest["next_cursor"]})).json
    assert (end["data"], end["has_more"], end["next_cursor"]) == ([], False, rest["next_cursor"])


async def test_deliveries_come_with_every_attempt(client, record, pool, org_id):
    patient = await record.save("Patient", a_patient())
    now = datetime.now(UTC)
    endpoint = uuid7()
    async with pool.transaction(org_id) as tx:
        row = (org_id, endpoint, "webhook", "crm", "https://example.org/hook", ["*"], b"sealed", "2026-11-20")
        await tx.execute(q.insert_destination, *row)
        for state, tries in (("delivered", 2), ("dead", 1)):
            event = await an_event(tx, org_id, patient)
            await tx.execute(
                "insert into delivery (org_id, event_id, destination_id, state, attempts, next_attempt_at, created_at,"
                " finished_at, body) values ($1, $2, $3, $4, $5, $6, $6, $6, '')",
                org_id, event, endpoint, state, tries, now,
            )  # fmt: skip
            for number in range(1, tries + 1):
                await tx.execute(
                    "insert into delivery_attempt values ($1, $2, $3, $4, $5, 'rejected', 500, 12, 'status', null)",
                    org_id, event, endpoint, number, now,
                )  # fmt: skip
    page = (await client.get("/api/v1/webhooks/deliveries", {"limit": "1"})).json
    assert [(one["state"], len(one["attempt_log"])) for one in page["data"]] == [("dead", 1)]
    rest = (await client.get("/api/v1/webhooks/deliveries", {"page_token": page["next_page_token"]})).json
    (one,) = rest["data"]
    assert (one["state"], one["endpoint_name"], [a["number"] for a in one["attempt_log"]]) == (
        "delivered",
        "crm",
        [1, 2],
    )
    by_state = (await client.get("/api/v1/webhooks/deliveries", {"state": "dead"})).json["data"]
    assert len(by_state) == 1


async def test_reviews_are_listed_by_state(client, pool, org_id):
    open_one, done = uuid7(), uuid7()
    async with pool.transaction(org_id) as tx:
        insert = (
            "insert into review (org_id, id, kind, state, detail) values ($1, $2, 'identity', $3, '{\"points\": 4}')"
        )
        await tx.execute(insert, org_id, open_one, "open")
        await tx.execute(insert, org_id, done, "resolved")
    (one,) = (await client.get("/api/v1/reviews", {"state": "open"})).json["data"]
    assert (one["id"], one["detail"]) == (to_prefixed("rev", open_one), {"points": 4})
    assert len((await client.get("/api/v1/reviews")).json["data"]) == 2


async def test_an_endpoint_is_registered_read_rotated_and_switched_off(client):
    order = {"url": "https://203.0.113.7/hook", "name": "crm", "event_types": ["patient.*"]}
    refused = await client.post("/api/v1/webhooks/endpoints", order)
    assert refused.status == 422  # documentation addresses are not for the outside
    made = await client.post("/api/v1/webhooks/endpoints", {**order, "url": "https://9.9.9.9/hook"})
    assert made.status == 201, made.body
    assert made.json["secret"].startswith("whsec_")
    path = made.headers["location"]
    assert "secret" not in (await client.get(path)).json
    rotated = await client.call("POST", f"{path}/rotate-secret")
    assert rotated.json["secret"] != made.json["secret"]
    assert (await client.call("DELETE", path)).status == 204
    assert (await client.get(path)).status == 404


async def test_keys_are_made_used_listed_and_revoked(client, app):
    made = await client.post("/api/v1/keys", {"name": "crm", "scopes": ["patients.read"]})
    assert made.status == 201
    crm = type(client)(app, made.json["key"])
    assert (await crm.get("/api/v1/patients")).status == 200
    assert (await crm.post("/api/v1/keys", {"name": "x", "scopes": ["patients.read"]})).status == 403
    listed_keys = (await client.get("/api/v1/keys")).json["data"]
    assert {one["name"] for one in listed_keys} == {"test", "crm"}
    assert made.json["key"] not in json.dumps(listed_keys)
    assert (await client.call("DELETE", f"/api/v1/keys/{made.json['id']}")).status == 204
    assert (await crm.get("/api/v1/patients")).status == 401


async def test_readiness_names_the_check_that_fails(app, services, pool, database):
    from tests.integration.api.hub import Client

    from chartwire.store.pool import Pool

    fine = await Client(app).get("/health/ready")
    assert (fine.status, set(fine.json["checks"])) == (200, {"database", "partitions", "lag", "outbound"})
    async with pool.connection() as connection:
        await connection.execute(
            "insert into lane (lane_id, org_id, kind, ready_at) values ($1, $1, 'intake', now() - interval '1 hour')",
            uuid7(),
        )
    late = await Client(app).get("/health/ready")
    assert (late.status, late.json["checks"]["lag"]["ok"]) == (503, False)
    parts = {name: getattr(services, name) for name in type(services).__slots__}
    unreachable = Pool(database.app_dsn.replace(database.name, "absent"), size=1)
    from chartwire.api.asgi import make_app

    down = await Client(make_app(type(services)(**{**parts, "pool": unreachable}))).get("/health/ready")
    assert (down.status, down.json["checks"]["database"]["ok"]) == (503, False)
    await asyncio.sleep(0)


async def a_number(pool, org, kind, value, message, authority=""):
    async with pool.transaction(org) as tx:
        await tx.execute(q.insert_message_keys, org, [kind], [value], [authority], [message])


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [("visit", "visit"), ("placer_order", "placer_order"), ("filler_order", "filler_order"),
     ("accession", "accession"), ("appointment_id", "appointment"), ("mrn", "patient")],
)  # fmt: skip
async def test_messages_are_found_by_the_numbers_that_they_carry(client, record, pool, org_id, parameter, kind):
    first, second = await record.message(), await record.message(state="dead")
    await a_number(pool, org_id, kind, "12", first, "NORTH")
    await a_number(pool, org_id, kind, "12", second, "SOUTH")
    await a_number(pool, org_id, kind, "12", second, "EAST")
    await a_number(pool, org_id, kind, "13", await record.message())
    assert await listed(client, {parameter: "12"}) == [shown(second), shown(first)]
    assert await listed(client, {parameter: "NORTH|12"}) == [shown(first)]
    assert await listed(client, {parameter: "12", "state": "dead"}) == [shown(second)]
    page = (await client.get("/api/v1/hl7/messages", {parameter: "12", "limit": "1"})).json
    assert await listed(client, {"page_token": page["next_page_token"]}) == [shown(first)]


async def test_an_mrn_finds_messages_that_no_worker_has_read_and_those_that_carry_it_besides(
    client, record, pool, org_id
):
    waiting = await record.message(state="received", mrn="77")
    both = await record.message(mrn="77")
    merged = await record.message(mrn="78")
    for message in (both, merged):
        await a_number(pool, org_id, "patient", "77", message)
    assert await listed(client, {"mrn": "77"}) == [shown(merged), shown(both), shown(waiting)]


async def test_several_numbers_have_to_be_in_one_message(client, record, pool, org_id):
    one, other = await record.message(), await record.message()
    await a_number(pool, org_id, "visit", "V", one)
    await a_number(pool, org_id, "visit", "V", other)
    await a_number(pool, org_id, "filler_order", "F", other)
    assert await listed(client, {"visit": "V", "filler_order": "F"}) == [shown(other)]
    assert await listed(client, {"mrn": "1", "visit": "V"}) == []


async def test_messages_are_found_by_patient_and_by_reason(client, record):
    patient = await record.save("Patient", a_patient())
    mine = await record.message(patient_id=patient, state="held", error_code="overlay")
    await record.message(state="dead", error_code="unmapped_code")
    assert await listed(client, {"patient_id": to_prefixed("pat", patient)}) == [shown(mine)]
    assert await listed(client, {"error_code": "overlay"}) == [shown(mine)]
    assert await listed(client, {"error_code": "overlay", "state": "dead"}) == []


async def test_a_message_links_to_its_source_patient_parent_and_cases(client, record, pool, org_id):
    patient, parent, source = await record.save("Patient", a_patient()), await record.message(), uuid7()
    message = await record.message(patient_id=patient, parent_id=parent, source_id=source)
    async with pool.transaction(org_id) as tx:
        await tx.execute(
            "insert into review (org_id, id, kind, message_id) values ($1, $2, 'identity', $3)",
            org_id,
            uuid7(),
            message,
        )
    told = (await client.get(f"/api/v1/hl7/messages/{shown(message)}")).json
    assert told["links"] == {
        "self": f"/api/v1/hl7/messages/{shown(message)}",
        "source": f"/api/v1/sources/{to_prefixed('src', source)}",
        "patient": f"/api/v1/patients/{to_prefixed('pat', patient)}",
        "parent": f"/api/v1/hl7/messages/{shown(parent)}",
    }
    (case,) = told["reviews"]
    assert (case["kind"], case["state"]) == ("identity", "open")
    assert (await client.get(case["link"])).json["id"] == case["id"]


async def test_another_organisation_finds_nothing_by_these_numbers(client, other_client, record, pool, org_id):
    await a_number(pool, org_id, "visit", "V", await record.message())
    assert await listed(other_client, {"visit": "V"}) == []


async def test_a_dead_letter_leads_to_its_cause_and_tells_what_was_decided(client, record):
    dead = await record.message(state="dead", error_code="unmapped_code", error_location="OBX[2]-3")
    told = (await client.get(f"/api/v1/hl7/messages/{shown(dead)}")).json
    cause = (await client.get(told["dead_letter"]["link"])).json
    assert (cause["id"], cause["error_code"]) == (told["dead_letter"]["cause_id"], "unmapped_code")
    assert told["decision"] is None
    await client.post(f"/api/v1/hl7/messages/{shown(dead)}/discard", {"reason": "sent by mistake"})
    decided = (await client.get(f"/api/v1/hl7/messages/{shown(dead)}")).json["decision"]
    assert decided["reason"] == "sent by mistake"
    living = (await client.get(f"/api/v1/hl7/messages/{shown(await record.message())}")).json
    assert (living["dead_letter"], living["decision"]) == (None, None)
