"""Feeds by API: what can be set, who sees it, and what a change does to messages."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.api.hub import new_client

from chartwire.api.asgi import make_app
from chartwire.channels.sources import SourceDirectory, create_source, list_sources
from chartwire.core.ids import from_prefixed, to_prefixed, uuid7, uuid7_floor
from chartwire.core.source import Source

BASE = "/api/v1/sources"
MESSAGE = "MSH|^~\\&|LAB|NORTH|HUB|CLINIC|20261120||ADT^A01|1|P|2.5\rPID|1||4711^^^NORTH^MR\r"


async def made(client, **values):
    reply = await client.post(BASE, {"name": "lab", "authority": "NORTH", **values})
    assert reply.status == 201, reply.body
    return reply.json


async def test_a_source_is_made_read_changed_and_retired(client):
    reply = await client.post(BASE, {"name": "lab", "authority": "NORTH", "timezone": "Europe/Zurich"})
    source = reply.json
    assert (reply.status, reply.headers["location"]) == (201, f"{BASE}/{source['id']}")
    assert (source["state"], source["listener"], source["order_key"]) == ("active", "plain", "patient")
    assert source["identifiers"] == [{"type": "MR", "authority": ""}, {"type": "PI", "authority": ""}]
    changed = await client.send("PATCH", source["links"]["self"], {"timezone": None, "order_key": "visit"})
    assert (changed.status, changed.json["timezone"], changed.json["order_key"]) == (200, None, "visit")
    assert changed.headers["etag"] == changed.json["etag"] != source["etag"]
    whole = await client.send("PUT", source["links"]["self"], {"name": "lab 2", "authority": "SOUTH"})
    assert (whole.json["name"], whole.json["order_key"]) == ("lab 2", "patient")
    assert (await client.call("DELETE", source["links"]["self"])).status == 204
    assert (await client.get(source["links"]["self"])).json["state"] == "retired"
    assert (await client.get(BASE)).json["data"] == []
    assert [one["id"] for one in (await client.get(BASE, {"state": "retired"})).json["data"]] == [source["id"]]


async def test_listeners_take_up_what_the_api_wrote_and_forget_what_it_retired(client, pool, engine_pool, org_id):
    source = await made(client, sending=[{"field": "MSH-4", "pattern": "NORTH"}], listener="tls")
    directory = SourceDirectory(pool, engine_pool)
    await directory.refresh()
    (bound,) = directory.of("tls")
    assert (bound.id, bound.sending) == (from_prefixed("src", source["id"]), (("MSH-4", "NORTH"),))
    await client.call("DELETE", source["links"]["self"])
    await directory.refresh()
    assert directory.of("tls") == ()
    assert [one.id for one in directory.all] == [bound.id], "what is still in its lanes goes its way"


async def test_a_retired_source_gives_its_name_free_and_comes_back_by_put(client):
    first = await made(client)
    await client.call("DELETE", first["links"]["self"])
    second = await made(client)
    assert second["id"] != first["id"]
    back = {"name": "lab, the old one", "authority": "NORTH", "listener": "tls"}
    reply = await client.send("PUT", first["links"]["self"], back)
    assert (reply.status, reply.json["state"], reply.json["listener"]) == (200, "active", "tls")


async def test_a_change_of_another_version_than_the_one_read_is_refused(client):
    source = await made(client)
    place = source["links"]["self"]
    assert (await client.send("PATCH", place, {"rank": 1}, if_match=source["etag"])).status == 200
    for method, body in (("PATCH", {"rank": 2}), ("PUT", {"name": "lab", "authority": "N"}), ("DELETE", None)):
        reply = await client.send(method, place, body or {}, if_match=source["etag"])
        assert (reply.status, reply.json["code"]) == (412, "precondition_failed")
    assert (await client.get(place)).json["rank"] == 1


async def test_what_is_wrong_is_told_by_pointer_and_by_what_to_write_instead(client):
    wrong = {
        "name": "lab",
        "authority": "N",
        "timezone": "Europe/Zürich",
        "sending": [{"field": "MSH-9", "pattern": "*"}],
    }
    reply = await client.post(BASE, wrong)
    assert reply.status == 422
    told = {fault["pointer"]: fault["detail"] for fault in reply.json["errors"]}
    assert "Europe/Zurich" in told["/timezone"]
    assert "MSH-3" in told["/sending/0/field"]
    assert (await client.get(BASE)).json["data"] == []


async def test_a_listener_that_does_not_exist_is_refused_where_they_are_known(services, org_id):
    known = await new_client(services, make_app(replace(services, listeners=("plain", "tls"))), org_id)
    reply = await known.post(BASE, {"name": "lab", "authority": "N", "listener": "tsl"})
    assert (reply.status, reply.json["errors"][0]["detail"]) == (422, "is one of plain, tls")


async def test_two_sources_that_no_message_could_tell_apart_are_refused_with_the_other_one_s_name(client):
    await made(client, name="north", sending=[{"field": "MSH-4", "pattern": "NO*"}])
    reply = await client.post(
        BASE, {"name": "any", "authority": "X", "sending": [{"field": "MSH-4", "pattern": "*TH"}]}
    )
    assert (reply.status, reply.json["code"]) == (409, "source_overlaps")
    assert "north" in reply.json["detail"]
    await made(client, name="exact", sending=[{"field": "MSH-4", "pattern": "NORTH"}])
    await made(client, name="rest")


async def test_no_setting_of_one_organisation_takes_messages_from_another(client, other_client):
    """The refusal tells that somebody is there, not who."""
    await made(client, name="north feed", sending=[{"field": "MSH-4", "pattern": "NORTH"}])
    for sending in ([], [{"field": "MSH-4", "pattern": "N*"}], [{"field": "MSH-3", "pattern": "LAB"}]):
        reply = await other_client.post(BASE, {"name": "mine", "authority": "X", "sending": sending})
        assert (reply.status, reply.json["code"]) == (409, "source_overlaps"), sending
        assert b"north" not in reply.body
    await made(other_client, name="mine", sending=[{"field": "MSH-4", "pattern": "SOUTH"}])


async def test_another_organisation_s_source_is_not_there(client, other_client):
    place = (await made(client))["links"]["self"]
    for method, body in (("GET", None), ("PUT", {"name": "x", "authority": "y"}), ("PATCH", {}), ("DELETE", None)):
        assert (await other_client.send(method, place, body or {})).status == 404
    assert (await other_client.get(BASE)).json["data"] == []


async def test_reading_and_writing_want_their_scopes(services, app, org_id):
    reader = await new_client(services, app, org_id, "sources.read")
    assert (await reader.get(BASE)).status == 200
    assert (await reader.post(BASE, {"name": "lab", "authority": "N"})).json["code"] == "scope_missing"


async def test_a_source_tells_what_came_of_it(client, record, pool, org_id):
    source = await made(client, timezone="Pacific/Auckland")
    ident = from_prefixed("src", source["id"])
    old = datetime.now(UTC) - timedelta(days=3)
    await record.message(id=uuid7_floor(int(old.timestamp() * 1000)), source_id=ident, received_at=old)
    for state in ("processed", "held", "dead", "dead"):
        await record.message(source_id=ident, state=state)
    discarded = await record.message(source_id=ident, state="dead")
    async with pool.transaction(org_id) as tx:
        await tx.execute("update message set decision = '{}' where id = $1", discarded)
    await record.message(source_id=uuid7(), state="dead")
    told = (await client.get(source["links"]["self"])).json
    assert (told["held_messages"], told["dead_messages"]) == (1, 2)
    assert told["messages_today"] == 5
    assert told["last_message_at"] > source["created_at"]
    assert (0 <= told["silent_for_s"] < 60, source["silent_for_s"]) == (True, None)
    async with pool.transaction(org_id) as tx:
        week = [[figure] * 672 for figure in (5.0, 5.0, 3.0)]
        await tx.execute("insert into feed_rhythm values ($1, $2, $3, $4, $5, now())", org_id, ident, *week)
    assert (told["usual_gap_s"], (await client.get(source["links"]["self"])).json["usual_gap_s"]) == (None, 180.0)
    assert len((await client.get(told["links"]["dead_messages"])).json["data"]) == 3


@pytest.mark.parametrize(("column", "state"), [("paused", "paused"), ("on_hold", "on_hold")])
async def test_a_source_that_stands_still_says_so(client, pool, org_id, column, state):
    place = (await made(client))["links"]["self"]
    async with pool.transaction(org_id) as tx:
        await tx.execute(f"update source set {column} = true")
    assert (await client.get(place)).json["state"] == state
    await client.send("PATCH", place, {"rank": 2})
    assert (await client.get(place)).json["state"] == state, "settings change no standing"


async def test_the_same_order_under_one_key_makes_one_source(client):
    order = {"name": "lab", "authority": "NORTH"}
    first, second = [await client.post(BASE, order, idempotency_key="k1") for _ in range(2)]
    assert first.json["id"] == second.json["id"]


async def test_what_a_form_leaves_out_is_what_the_feed_had(client, pool, org_id):
    source = await made(client, strictness=[{"rule": "error", "action": "hold"}], may_set={"Patient": 3})
    (stored,) = await list_sources(pool, org_id)
    assert (stored.strictness, stored.may_set) == ((("error", "hold"),), (("Patient", 3),))
    reply = await client.send("PATCH", source["links"]["self"], {})
    assert {**reply.json, "etag": "", "updated_at": ""} == {**source, "etag": "", "updated_at": ""}


async def test_a_message_s_route_is_explained(client, pool, org_id):
    source = await made(client, sending=[{"field": "MSH-4", "pattern": "NO*"}])
    told = (await client.post("/api/v1/hl7/route", {"message": MESSAGE})).json
    assert (told["outcome"], told["source"]) == ("source", {"id": source["id"], "name": "lab"})
    assert told["lane"]
    rules = {(step["source"], step["rule"]): (step["holds"], step["why"]) for step in told["steps"]}
    assert rules["lab", "MSH-4"] == (True, "wants NO*, is NORTH")
    assert rules["lab", "order by patient"][1].endswith("by PID-3(1), rule NORTH:MR")
    assert "4711" not in str(told)


async def test_a_route_that_ends_in_a_refusal_or_is_another_organisation_s_tells_no_more_than_that(
    client, other_client
):
    await made(client, sending=[{"field": "MSH-4", "pattern": "NORTH"}], peers=["192.0.2.0/24"])
    order = {"message": MESSAGE, "peer": "192.0.2.1"}
    told = (await other_client.post("/api/v1/hl7/route", order)).json
    assert (told["outcome"], told["source"], told["lane"]) == ("another_organisation", None, None)
    assert "lab" not in str([step for step in told["steps"] if step["source"]])
    refused = (await client.post("/api/v1/hl7/route", {"message": MESSAGE, "peer": "203.0.113.1"})).json
    assert refused["refusal"]["code"] == "unknown_peer"
    assert (await client.post("/api/v1/hl7/route", {"message": MESSAGE * 2})).status == 422


async def test_what_an_organisation_names_for_itself_bars_no_other_organisation_s_messages(client, other_client):
    await made(client, peers=["192.0.2.0/24"])
    claim = {"name": "claim", "authority": "X", "listener": "tls", "sending": [{"field": "MSH-4", "pattern": "NORTH"}]}
    assert (await other_client.post(BASE, claim)).status == 201
    told = (await client.post("/api/v1/hl7/route", {"message": MESSAGE, "peer": "192.0.2.1"})).json
    assert told["outcome"] == "source"


async def test_what_the_operator_decided_stands_until_its_owner_changes_what_tells_it_apart(
    client, other_client, pool, org_id, other_org_id
):
    north = (("MSH-4", "NORTH"),)
    operators = [Source(org, uuid7(), "feed", "NORTH", sending=north) for org in (org_id, other_org_id)]
    for source in operators:
        await create_source(pool, source, "plain")
    link = f"{BASE}/{to_prefixed('src', operators[1].id)}"
    assert (await other_client.send("PATCH", link, {"timezone": "Europe/Zurich"})).status == 200
    assert (await list_sources(pool, other_org_id))[0].vouched
    wider = {"sending": [{"field": "MSH-4", "pattern": "NORTH"}, {"field": "MSH-4", "pattern": "SOUTH"}]}
    assert (await other_client.send("PATCH", link, wider)).json["code"] == "source_overlaps"
    assert (await other_client.send("PATCH", link, wider | {"listener": "tls"})).status == 200
    assert not (await list_sources(pool, other_org_id))[0].vouched


async def test_of_two_writers_at_once_that_claim_the_same_senders_one_is_refused(client, other_client):
    order = {"name": "mine", "authority": "X", "sending": [{"field": "MSH-4", "pattern": "NORTH"}]}
    for attempt in range(4):
        sending = [{"field": "MSH-4", "pattern": f"NORTH{attempt}"}]
        claims = [one.post(BASE, order | {"name": f"n{attempt}", "sending": sending}) for one in (client, other_client)]
        replies = await asyncio.gather(*claims)
        assert sorted(reply.status for reply in replies) == [201, 409]
