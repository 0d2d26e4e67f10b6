"""Webhooks by the API: endpoints are managed, tried out, filtered and recovered; the log tells what was sent."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.integration.api.hub import new_client
from tests.integration.delivery.clinic import until, working

from chartwire.channels.route import announce
from chartwire.core.clock import instant, now
from chartwire.core.ids import from_prefixed, to_prefixed, uuid7
from chartwire.delivery.watch import EndpointWatch
from chartwire.delivery.worker import DeliveryWorker
from chartwire.events.outbox import Event, emit
from simulators.webhook_sink import Behaviour, WebhookSink

ENDPOINTS = "/api/v1/webhooks/endpoints"


@pytest.fixture
async def sink(pool, org_id):
    async with pool.transaction(org_id) as tx:
        await tx.execute("update organisation set kind = 'sandbox' where org_id = $1", org_id)
    receiver = await WebhookSink().serve()
    yield receiver
    await receiver.close()


@pytest.fixture
def worker(services, engine_pool):
    return DeliveryWorker(services.pool, engine_pool, services.outbound, services.sealer, timeout_s=2, lease_s=20)


@pytest.fixture
def watch(services, engine_pool):
    return EndpointWatch(services.pool, engine_pool, services.outbound, services.sealer, announce)


async def happen(pool, org, *types, mode="live", changed=("name",), resource_type="Patient", at=None):
    """Events, routed as the path of a message routes them."""
    events = [Event(one, resource_type, uuid7(), 1, None, changed, None, mode) for one in types]
    async with pool.transaction(org) as tx:
        await (announce if mode == "live" else emit)(tx, org, at or now(), events)
    return events


async def made(client, sink, path="/hook", **order):
    reply = await client.post(ENDPOINTS, {"url": sink.url + path, **order})
    assert reply.status == 201, reply.body
    return reply


async def patch(client, place, value, **headers):
    body = json.dumps(value).encode()
    return await client.call("PATCH", place, body=body, headers={"content-type": "application/json", **headers})


async def delivered(client):
    """Every delivery, once all are done."""
    found = []

    async def all_done():
        found[:] = (await client.get("/api/v1/webhooks/deliveries")).json["data"]
        return all(one["state"] == "delivered" for one in found)

    await until(all_done)
    return found


async def settled(watch, client, place):
    """Turn the watch until a replay has queued all."""

    async def done():
        await watch.turn()
        return (await client.get(place)).json["state"] == "done"

    await until(done)


async def test_a_change_is_a_merge_patch_on_the_version_that_was_read(client, sink):
    reply = await made(client, sink, name="crm", headers={"X-Tenant": "t-secret"}, schedule=[1, 2.5])
    place = reply.headers["location"]
    assert reply.headers["etag"] == '"v1"' and reply.json["schedule"] == [1, 2.5] and "t-secret" not in str(reply.json)
    changed = await patch(client, place, {"name": "crm 2", "rate_limit": {"per_second": 5}}, if_match='"v1"')
    assert (changed.status, changed.json["name"], changed.headers["etag"]) == (200, "crm 2", '"v2"')
    assert changed.json["rate_limit"] == {"per_second": 5, "burst": 1} and changed.json["schedule"] == [1, 2.5]
    assert (await patch(client, place, {"name": "x"}, if_match='"v1"')).json["code"] == "precondition_failed"
    assert (await patch(client, place, {"rate_limit": None})).json["rate_limit"] is None
    refused = await patch(client, place, {"schedule": [0]})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/schedule/0")
    for wrong in (
        {"url": "http://10.0.0.1/"}, {"headers": {"Webhook-Id": "x"}}, {"headers": {"X": "a\nb"}}, {"timeout_s": 31},
        {"event_types": ["patient.exploded"]}, {"filters": {"locations": ["src_1"]}}, {"unknown": 1},
    ):  # fmt: skip
        assert (await patch(client, place, wrong)).status == 422, wrong
    assert (await client.get(place)).json["version"] == 3


async def test_the_same_registration_under_one_idempotency_key_makes_one_endpoint(client, sink):
    order = {"url": sink.url + "/hook"}
    first, second = [await client.post(ENDPOINTS, order, idempotency_key="k1") for _ in range(2)]
    assert first.json == second.json and second.headers["idempotent-replayed"] == "true"
    assert len((await client.get(ENDPOINTS)).json["data"]) == 1


async def test_a_full_payload_needs_a_grant_and_carries_the_resource(
    client, services, app, org_id, sink, worker, record, pool
):
    narrow = await new_client(services, app, org_id, "webhooks.write", "webhooks.read")
    refused = await narrow.post(ENDPOINTS, {"url": sink.url, "payload": "full"})
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    await made(client, sink, payload="full")
    patient = await record.save("Patient", {"name": [{"family": "Okonkwo"}]})
    big = await record.save("Patient", {"text": {"div": "x" * 70_000}})
    events = [Event("patient.updated", "Patient", one, 1, one, ("name",), None, "live") for one in (patient, big)]
    async with pool.transaction(org_id) as tx:
        await announce(tx, org_id, now(), events)
    async with working(worker):
        await until(lambda: len(sink.received) == 2)
    bodies = {json.loads(one.body)["data"]["id"]: json.loads(one.body)["data"] for one in sink.received}
    assert bodies[to_prefixed("pat", patient)]["resource"]["name"] == [{"family": "Okonkwo"}]
    assert bodies[to_prefixed("pat", big)]["resource"] is None


async def test_filters_decide_by_source_place_person_field_and_type_and_tell_why_not(
    client, sink, pool, org_id, record
):
    ward, doctor = await record.save("Location", {}), await record.save("Practitioner", {})
    message = await record.message()
    body = {
        "participant": [
            {"actor": {"reference": f"Location/{ward}"}},
            {"actor": {"reference": f"Practitioner/{doctor}"}},
        ]
    }
    booking = await record.save("Appointment", body)
    event = Event("appointment.rescheduled", "Appointment", booking, 1, None, ("start",), message, "live")
    filters = {
        "resource_types": ["appointment"], "changed": ["starts_at"], "sources": [to_prefixed("src", UUID(int=7))],
        "locations": [to_prefixed("loc", ward)], "providers": [to_prefixed("prv", doctor)],
    }  # fmt: skip
    wants = await made(client, sink, "/wants", filters=filters, event_types=["appointment.*"])
    for name, words in (
        ("resource_types", ["patient"]), ("changed", ["status"]), ("sources", [to_prefixed("src", uuid7())]),
        ("locations", [to_prefixed("loc", uuid7())]), ("providers", [to_prefixed("prv", uuid7())]),
    ):  # fmt: skip
        await made(client, sink, f"/{name}", filters=filters | {name: words})
    async with pool.transaction(org_id) as tx:
        await announce(tx, org_id, now(), [event])
    log = (await client.get("/api/v1/webhooks/deliveries")).json["data"]
    assert [one["endpoint_id"] for one in log] == [wants.json["id"]]
    for endpoint in (await client.get(ENDPOINTS)).json["data"]:
        told = await client.post(
            f"{ENDPOINTS}/{endpoint['id']}/filter-test", {"event_id": to_prefixed("evt", event.id)}
        )
        failing = [one["filter"] for one in told.json["conditions"] if not one["holds"]]
        assert failing == ([] if endpoint["id"] == wants.json["id"] else [endpoint["url"].rpartition("/")[2]])
        assert told.json["matches"] is (not failing)
    sample = {"event_type": "appointment.booked", "changed": ["start"]}
    told = (await client.post(wants.headers["location"] + "/filter-test", sample)).json
    assert {one["filter"] for one in told["conditions"] if not one["holds"]} == {"sources", "locations", "providers"}


@pytest.mark.parametrize(
    ("behaviour", "status", "code", "mend"),
    [
        (Behaviour(), 200, None, None),
        (Behaviour(redirect="https://example.org/"), 302, "http_302", "redirect names"),
        (Behaviour(status=401), 401, "http_401", "headers"),
        (Behaviour(status=500), 500, "http_500", "log"),
        (Behaviour(reset=True), None, "closed", "proxies"),
        (Behaviour(hang=True), None, "timeout", "2xx at once"),
    ],
)
async def test_a_test_event_is_sent_now_and_its_fault_comes_with_how_to_mend_it(
    client, sink, behaviour, status, code, mend
):
    sink.behaviours["/hook"] = behaviour
    reply = await made(client, sink, timeout_s=1, headers={"X-Api-Key": "receiver-secret"})
    sink.add_secret(reply.json["secret"])
    told = (await client.post(reply.headers["location"] + "/test", {"event_type": "appointment.booked"})).json
    assert (told["delivered"], told["status"]) == (code is None, status)
    assert code is None or (told["problem"]["code"], mend in told["problem"]["mend"]) == (code, True)
    assert sink.received[0].verified and sink.received[0].type == "appointment.booked"
    assert (
        told["request_headers"]["X-Api-Key"] == "***" and told["request_headers"]["webhook-id"] == sink.received[0].id
    )
    assert (await client.get("/api/v1/webhooks/deliveries")).json["data"] == []
    assert (await client.get(reply.headers["location"])).json["state"] == "enabled"


async def test_a_test_event_to_a_port_where_nothing_listens_says_so(client, sink):
    place = (await client.post(ENDPOINTS, {"url": "http://127.0.0.1:9/"})).headers["location"]
    told = (await client.call("POST", place + "/test")).json
    assert (told["delivered"], told["problem"]["code"]) == (False, "connection_refused")


async def test_the_catalogue_lists_every_event_type_with_a_body_as_it_would_come(client):
    kinds = {one["type"]: one for one in (await client.get("/api/v1/webhooks/event-types")).json["data"]}
    assert {"patient.created", "patient.merged", "appointment.no_show", "result.corrected"} <= set(kinds)
    assert kinds["webhook_endpoint.failing"]["example"]["data"]["percent"] == 50
    assert all(one["example"]["type"] == name for name, one in kinds.items())


async def test_the_answer_of_a_receiver_is_shown_with_its_own_scope_only(
    client, services, app, org_id, sink, worker, pool
):
    await made(client, sink)
    [event] = await happen(pool, org_id, "patient.updated")
    async with working(worker):
        await delivered(client)
    listed = (await client.get("/api/v1/webhooks/deliveries", {"status": "200", "event_type": "patient.*"})).json[
        "data"
    ]
    assert [one["attempt_log"][0]["response"] for one in listed] == ["ok"]
    place = f"/api/v1/webhooks/deliveries/{listed[0]['id']}"
    narrow = await new_client(services, app, org_id, "webhooks.read")
    assert (await narrow.get(place)).json["attempt_log"][0]["response"] is None
    assert (await client.get(place)).json["body"]["id"] == to_prefixed("evt", event.id)
    for nothing in ({"status": "500"}, {"event_type": "appointment.*"}, {"until": instant(now() - timedelta(hours=1))}):
        assert (await client.get("/api/v1/webhooks/deliveries", nothing)).json["data"] == []
    stats = (await client.get(f"{ENDPOINTS}/{listed[0]['endpoint_id']}/stats")).json
    assert stats["last_hour"]["attempts"] == 1 and stats["last_hour"]["success_rate"] == 1.0 and stats["waiting"] == 0
    assert stats["last_hour"]["p95_ms"] in (5, 10, 25, 50, 100, 250)


async def test_one_delivery_is_sent_again_under_its_id_and_body_and_names_the_replay(
    client, sink, worker, pool, org_id
):
    await made(client, sink)
    await happen(pool, org_id, "patient.updated")
    async with working(worker):
        [one] = await delivered(client)
        again = await client.call("POST", f"/api/v1/webhooks/deliveries/{one['id']}/replay")
        assert again.status == 202
        await until(lambda: len(sink.received) == 2)
    first, second = sink.received
    assert (first.id, first.body) == (second.id, second.body)
    assert second.headers["chartwire-replay"] == again.json["replay_id"] and "chartwire-replay" not in first.headers
    [one] = (await client.get("/api/v1/webhooks/deliveries")).json["data"]
    assert [each["number"] for each in one["attempt_log"]] == [1, 2]
    assert (await client.get(again.headers["location"])).json["state"] == "done"


async def test_a_replay_is_counted_first_and_sends_what_was_missed_but_no_history(
    client, sink, worker, watch, pool, org_id
):
    began = instant(now() - timedelta(minutes=1))
    await happen(pool, org_id, "patient.created", "appointment.booked")
    await happen(pool, org_id, "patient.updated", mode="record-only")
    place = (await made(client, sink, event_types=["patient.*"])).headers["location"]
    counted = await client.post(place + "/replay", {"since": began, "dry_run": True})
    assert (counted.status, counted.json["deliveries"]) == (200, 1)
    with_history = {"since": began, "include_record_only": True}
    assert (await client.post(place + "/replay", with_history | {"dry_run": True})).json["deliveries"] == 2
    job = await client.post(place + "/replay", {"since": began})
    assert (job.status, job.json["expected"]) == (202, 1)
    async with working(worker):
        await settled(watch, client, job.headers["location"])
        await until(lambda: len(sink.received) == 1)
        job = await client.post(place + "/replay", with_history)
        await settled(watch, client, job.headers["location"])
        await until(lambda: len(sink.received) == 2)
    assert {one.type for one in sink.received} == {"patient.created", "patient.updated"}
    again = (await client.post(place + "/replay", {"since": began, "dry_run": True})).json
    assert again["deliveries"] == 0


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"since": "2020-01-01"}, "replay_range"), ({"since": "2999-01-01"}, "replay_range"),
        ({"since": "{soon}", "states": ["gone"]}, "invalid_body"), ({"since": "yesterday"}, "invalid_parameter"),
        ({"since": "{soon}", "event_types": ["patient.exploded"]}, "event_type_unknown"),
    ],
)  # fmt: skip
async def test_a_replay_that_cannot_be_is_refused_with_the_rule(client, sink, order, code):
    place = (await made(client, sink)).headers["location"]
    order |= {"since": order["since"].replace("{soon}", instant(now() - timedelta(minutes=1)))}
    assert (await client.post(place + "/replay", order)).json["code"] == code


async def test_a_replay_can_be_cancelled_once_and_queues_nothing_afterwards(client, sink, watch, pool, org_id):
    await happen(pool, org_id, "patient.created")
    place = (await made(client, sink)).headers["location"]
    job = await client.post(place + "/replay", {"since": instant(now() - timedelta(minutes=1))})
    cancelled = await client.call("POST", job.headers["location"] + "/cancel")
    assert cancelled.json["state"] == "cancelled"
    assert (await client.call("POST", job.headers["location"] + "/cancel")).json["code"] == "replay_ended"
    await watch.turn()
    assert (await client.get("/api/v1/webhooks/deliveries")).json["data"] == []
    async with pool.transaction(org_id) as tx:
        assert await tx.fetch("select 1 from schedule where kind = 'webhook_replay'") == []
    assert len((await client.get("/api/v1/webhooks/replays")).json["data"]) == 1


async def test_an_endpoint_that_fails_climbs_the_ladder_and_recover_sends_what_it_missed(
    client, sink, worker, watch, pool, org_id
):
    """50, 70, 90 %: an event each; then off with a reason; the slow probe says when it is back; recover sends all."""
    sink.behaviours["/bad"] = Behaviour(status=500)
    bad = await made(client, sink, "/bad", event_types=["patient.*"], disable_after_s=3600, schedule=[])
    await made(client, sink, "/notices", event_types=["webhook_endpoint.*"])
    place = bad.headers["location"]

    async def notices():
        return [
            (one.type, json.loads(one.body)["data"].get("percent")) for one in sink.received if one.path == "/notices"
        ]

    async def failing():
        return (await client.get(place)).json["failing"] is not None

    async def failing_for(minutes):
        async with pool.transaction(org_id) as tx:
            since = datetime.now(UTC) - timedelta(minutes=minutes)
            await tx.execute("update destination set failing_since = $2 where id = $1", endpoint_id, since)
            await tx.execute("update schedule set due_at = now() where id = $1", endpoint_id)
        await watch.turn()

    endpoint_id = from_prefixed("whe", bad.json["id"])
    async with working(worker):
        await happen(pool, org_id, "patient.created")
        await until(failing)
        for minutes in (10, 31, 35, 43, 55, 61):
            await failing_for(minutes)
        told = (await client.get(place)).json
        assert (told["state"], told["state_reason"], told["failing"]["told_percent"]) == ("disabled", "failing", 100)
        expected = [("failing", 50), ("failing", 70), ("failing", 90), ("disabled", 100)]

        async def all_told():
            return await notices() == [(f"webhook_endpoint.{word}", step) for word, step in expected]

        await until(all_told)
        await happen(pool, org_id, "patient.updated")
        sink.behaviours.clear()
        await failing_for(120)
        assert (await client.get(place)).json["probe"]["answer"] == "delivered"
        recovered = await client.call("POST", place + "/recover")
        assert recovered.status == 202
        await settled(watch, client, f"/api/v1/webhooks/replays/{recovered.json['replay_id']}")

        async def got_both():
            types = {
                one.type for one in sink.received if (one.path == "/bad" and one.attempt > 1) or "updated" in one.type
            }
            return {"patient.created", "patient.updated"} <= types

        async def told_reachable():
            return (await notices())[-1][0] == "webhook_endpoint.reachable"

        await until(got_both)
        await until(told_reachable)
    assert (await client.get(place)).json["failing"] is None


async def test_a_success_ends_the_row_of_failures_and_recovery_is_told_when_failure_was(
    client, sink, worker, watch, pool, org_id
):
    sink.behaviours["/bad"] = Behaviour(status=500)
    bad = await made(client, sink, "/bad", event_types=["patient.*"], disable_after_s=3600, schedule=[1])
    endpoint_id = from_prefixed("whe", bad.json["id"])
    async with working(worker):
        await happen(pool, org_id, "patient.created")

        async def failing():
            return (await client.get(bad.headers["location"])).json["failing"] is not None

        await until(failing)
        async with pool.transaction(org_id) as tx:
            await tx.execute("update destination set failing_since = now() - interval '31 minutes'")
            await tx.execute("update schedule set due_at = now() where id = $1", endpoint_id)
        await watch.turn()
        sink.behaviours.clear()

        async def told():
            await watch.turn()
            feed = (await client.get("/api/v1/events", {"types": "webhook_endpoint.*"})).json["data"]
            return [one["type"].partition(".")[2] for one in feed] == ["failing", "recovered"]

        await until(told)
    assert (await client.get(bad.headers["location"])).json["failing"] is None


async def test_a_deleted_endpoint_is_gone_with_its_secrets_and_its_log_stays(client, sink, pool, org_id):
    reply = await made(client, sink, name="crm", headers={"X-Key": "k"})
    await happen(pool, org_id, "patient.created")
    assert (await client.call("DELETE", reply.headers["location"], headers={"if-match": '"v9"'})).status == 412
    assert (await client.call("DELETE", reply.headers["location"])).status == 204
    assert (await client.get(reply.headers["location"])).status == 404
    [one] = (await client.get("/api/v1/webhooks/deliveries")).json["data"]
    assert (one["endpoint_name"], one["state"]) == ("crm", "dead")
    async with pool.transaction(org_id) as tx:
        assert tuple(await tx.fetchrow("select secrets, headers from destination")) == (b"", None)


async def test_secrets_are_listed_by_age_and_never_shown_and_the_old_ones_can_be_ended(client, sink):
    reply = await made(client, sink)
    place = reply.headers["location"]
    rotated = await client.post(place + "/rotate-secret", {"overlap_s": 3600})
    assert (await client.post(place + "/rotate-secret", {"overlap_s": 604_801})).status == 422
    listed = (await client.get(place + "/secrets")).json["data"]
    assert [one["expires_at"] is None for one in listed] == [True, False]
    assert reply.json["secret"] not in str(listed) and rotated.json["secret"] not in str(listed)
    assert len((await client.call("POST", place + "/secrets/expire-old")).json["data"]) == 1


async def test_an_endpoint_is_switched_off_with_a_reason_and_on_again(client, sink):
    place = (await made(client, sink)).headers["location"]
    off = await client.post(place + "/disable", {"reason": "moving_house"})
    assert (off.json["state"], off.json["state_reason"]) == ("disabled", "moving_house")
    refused = await client.post(place + "/replay", {"since": instant(now() - timedelta(minutes=1))})
    assert (refused.status, refused.json["code"]) == (409, "endpoint_disabled")
    assert (await client.call("POST", place + "/enable")).json["state"] == "enabled"
