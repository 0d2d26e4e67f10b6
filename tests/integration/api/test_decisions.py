"""Deciding through the API: sources that stand still, windows, cases, dead letters. Each decision is audited."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.channels import halts
from chartwire.core import clock
from chartwire.core.ids import PREFIXES, from_prefixed, to_prefixed

WHY = {"reason": "the laboratory changes its system"}


@pytest.fixture
async def feed(pool, engine_pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


def shown(noun: str, value: UUID) -> str:
    return to_prefixed(PREFIXES[noun], value)


async def actions(feed: Feed) -> list[tuple[str, str]]:
    rows = await feed.rows("select action, query_shape from audit order by id")
    return [(row["action"], row["query_shape"]) for row in rows]


async def test_a_source_is_held_shown_in_its_queue_and_released(client, feed: Feed) -> None:
    source = f"/api/v1/sources/{shown('source', feed.source.id)}"
    held = (await client.post(f"{source}/hold", WHY)).json
    assert (held["on_hold"], held["paused"], held["halts"][0]["reason"]) == (True, False, WHY["reason"])
    [message] = await feed.send(hl7("ADT^A04", pid()))
    queue = (await client.get(f"{source}/queue")).json
    assert (queue["messages"], queue["lanes"]) == (1, 1)
    assert (queue["heads"][0]["message_id"], queue["heads"][0]["reason"]) == (
        shown("message", message),
        "source_on_hold",
    )
    assert (await client.get(source)).json["state"] == "on_hold"
    released = (await client.call("POST", f"{source}/release")).json
    assert (released["on_hold"], released["halts"]) == (False, [])
    await halts.keep_due_holds(feed.pool, feed.engine_pool)
    await feed.work()
    assert (await client.get(f"{source}/queue")).json["heads"] == []
    assert ("update", "POST /api/v1/sources/{id}/hold") in await actions(feed)


async def test_a_pause_wants_a_reason_and_says_who_began_it(client, feed: Feed) -> None:
    source = f"/api/v1/sources/{shown('source', feed.source.id)}"
    refused = await client.post(f"{source}/pause", {"reason": ""})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/reason")
    paused = (await client.post(f"{source}/pause", WHY)).json
    assert paused["paused"] is True
    assert paused["halts"][0]["actor"].startswith("key:")
    assert (await client.call("POST", f"{source}/resume")).json["paused"] is False


async def test_a_window_can_be_made_read_moved_and_removed(client, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    begins = datetime(2026, 11, 22, 2, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: begins - timedelta(hours=1))
    order: dict[str, Any] = {
        "mode": "hold",
        "starts_at": begins.isoformat(),
        "ends_at": "2026-11-22T05:00:00+01:00",
        "source_id": shown("source", feed.source.id),
        **WHY,
    }
    made = await client.post("/api/v1/maintenance-windows", order)
    assert (made.status, made.json["ends_at"], made.json["active"]) == (201, "2026-11-22T04:00:00.000Z", False)
    place = made.headers["location"]
    assert (await client.get(place)).json == made.json
    listed = (await client.get("/api/v1/maintenance-windows", {"source_id": order["source_id"]})).json["data"]
    assert listed == [made.json]
    weekly = {**order, "weekly_timezone": "Europe/Berlin"}
    moved = await client.call("PUT", place, body=orjson.dumps(weekly), headers={"content-type": "application/json"})
    assert moved.json["weekly_timezone"] == "Europe/Berlin"
    monkeypatch.setattr(clock, "now", lambda: begins + timedelta(weeks=1, hours=1))
    await halts.keep_due_holds(feed.pool, feed.engine_pool)
    source = f"/api/v1/sources/{order['source_id']}"
    assert (await client.get(source)).json["state"] == "on_hold"
    assert (await client.call("DELETE", place)).status == 204
    await halts.keep_due_holds(feed.pool, feed.engine_pool)
    assert (await client.get(source)).json["state"] == "active"
    assert (await client.get(place)).status == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"ends_at": "2026-11-22T01:00:00Z"}, "/ends_at"),
        ({"starts_at": "2026-11-22T01:00:00"}, "/starts_at"),
        ({"weekly_timezone": "Berlin"}, "/weekly_timezone"),
        ({"weekly_timezone": "UTC", "ends_at": "2026-12-22T01:00:00Z"}, "/ends_at"),
        ({"mode": "stop"}, "/mode"),
        ({"source_id": "src_nonsense"}, "/source_id"),
    ],
)
async def test_a_window_that_cannot_be_is_refused_at_its_place(client, change: dict[str, str], pointer: str) -> None:
    order = {"mode": "hold", "starts_at": "2026-11-22T02:00:00Z", "ends_at": "2026-11-22T03:00:00Z", **WHY, **change}
    refused = await client.post("/api/v1/maintenance-windows", order)
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, pointer)


async def test_a_case_shows_both_words_and_its_choices_and_is_decided_once(client, feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid(sex="F")))
    await feed.send(hl7("ADT^A08", pid(sex="M")), source=await feed.other_source())
    [listed] = (await client.get("/api/v1/reviews", {"state": "open", "kind": "tie"})).json["data"]
    assert [one["choice"] for one in listed["choices"]] == ["keep", "take"]
    case = f"/api/v1/reviews/{listed['id']}"
    assert (await client.get(case)).json["elements"] == {"gender": {"standing": '"female"', "told": '"male"'}}
    decision = {"choice": "take", "reason": "asked the patient"}
    decided = (await client.post(f"{case}/resolve", decision)).json
    assert (decided["state"], decided["resolution"], decided["choices"]) == ("resolved", "take", [])
    assert (await client.post(f"{case}/resolve", decision)).json == decided
    again = await client.post(f"{case}/resolve", {**decision, "choice": "keep"})
    assert (again.status, again.json["code"]) == (409, "already_resolved")
    [row] = await feed.rows("select patient_ids, query_shape from audit where action = 'resolve' order by id limit 1")
    assert row["patient_ids"] == [from_prefixed("pat", listed["patient_id"])]
    assert (await feed.body("Patient"))["gender"] == "male"


async def test_cases_are_found_by_kind_source_patient_and_age(client, feed: Feed) -> None:
    other = await feed.other_source()
    await feed.send(hl7("ADT^A04", pid(sex="F")), hl7("ADT^A04", pid("2002", sex="F")))
    await feed.send(hl7("ADT^A08", pid(sex="M")), hl7("ADT^A08", pid("2002", sex="M")), source=other)
    both = (await client.get("/api/v1/reviews", {"sort": "created_at", "source_id": shown("source", other.id)})).json
    first, second = both["data"]
    newest = (await client.get("/api/v1/reviews", {"limit": "1"})).json
    assert newest["data"] == [second]
    rest = await client.get("/api/v1/reviews", {"page_token": newest["next_page_token"]})
    assert rest.json["data"] == [first]
    oldest = (await client.get("/api/v1/reviews", {"sort": "created_at", "limit": "1"})).json
    assert oldest["data"] == [first]
    following = (await client.get("/api/v1/reviews", {"page_token": oldest["next_page_token"]})).json
    assert following["data"] == [second]
    of_one = (await client.get("/api/v1/reviews", {"patient_id": first["patient_id"]})).json["data"]
    assert of_one == [first]
    counted = (await client.get("/api/v1/reviews/counts")).json["data"]
    assert [(one["kind"], one["open"]) for one in counted] == [("tie", 2)]


async def test_a_choice_that_a_case_does_not_have_is_refused_with_those_that_it_has(client, feed: Feed) -> None:
    await feed.send(hl7("ADT^A04", pid()))
    await feed.send(hl7("ADT^A08", pid(name="Okafor^Chidi", born="19911130"), at="20260302"))
    [case] = (await client.get("/api/v1/reviews")).json["data"]
    refused = await client.post(f"/api/v1/reviews/{case['id']}/resolve", {"choice": "take", "reason": "why not"})
    assert (refused.status, refused.json["code"]) == (422, "unknown_choice")
    assert "same_person" in refused.json["detail"]


async def test_dead_letters_are_told_by_cause_with_how_to_mend_them_and_decided_together(client, feed: Feed) -> None:
    nobody = [hl7("ADT^A04", "PID|||||Weber^Anna", control_id=f"N{number}") for number in range(3)]
    ids = [shown("message", one) for one in await feed.send(*nobody)]
    [cause] = (await client.get("/api/v1/dead-letters")).json["data"]
    assert (cause["count"], cause["error_code"], cause["location"]) == (3, "patient_identifier_missing", "PID-3")
    assert cause["mend"]
    place = f"/api/v1/dead-letters/{cause['id']}"
    page = (await client.get(place, {"limit": "2"})).json
    assert ([one["id"] for one in page["messages"]], page["has_more"]) == ([ids[2], ids[1]], True)
    after = (await client.get(place, {"page_token": page["next_page_token"]})).json
    assert [one["id"] for one in after["messages"]] == [ids[0]]
    edited = {"raw": hl7("ADT^A04", pid(), control_id="N0").decode().replace("\r", "\n")}
    reply = await client.post(f"/api/v1/hl7/messages/{ids[0]}/edit-and-retry", edited)
    assert (reply.status, reply.json["decision"]) == (202, "edit")
    await feed.work()
    assert (await client.get(reply.headers["location"])).json["state"] == "processed"
    assert (await client.post(f"/api/v1/hl7/messages/{ids[1]}/discard", WHY)).json["decision"] == "discard"
    retried = await client.call("POST", f"{place}/retry")
    assert (retried.status, retried.json["taken"], retried.json["last_id"], retried.json["left"]) == (202, 1, ids[2], 0)
    await feed.work()
    assert (await client.post(f"{place}/discard", WHY)).json["taken"] == 1
    assert (await client.get("/api/v1/dead-letters")).json["data"] == []
    assert {"replay", "resolve"} <= {action for action, _ in await actions(feed)}


async def test_a_retry_with_an_idempotency_key_happens_once(client, feed: Feed) -> None:
    [dead] = await feed.send(hl7("ADT^A04", "PID|||||Weber^Anna"))
    path = f"/api/v1/hl7/messages/{shown('message', dead)}/retry"
    first = await client.call("POST", path, headers={"idempotency_key": "once"})
    again = await client.call("POST", path, headers={"idempotency_key": "once"})
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    assert len(await feed.rows("select 1 from job")) == 1
    assert (await client.call("POST", path)).json["code"] == "not_dead"


async def test_the_message_that_blocks_its_lane_is_skipped_with_a_reason(client, feed: Feed) -> None:
    await client.post(f"/api/v1/sources/{shown('source', feed.source.id)}/hold", WHY)
    [head] = await feed.send(hl7("ADT^A04", pid()))
    place = f"/api/v1/hl7/messages/{shown('message', head)}"
    assert (await client.post(f"{place}/skip", WHY)).json["state"] == "filtered"
    told = (await client.get(place)).json
    assert (told["state"], told["fault"]["code"], told["fault"]["detail"]) == ("filtered", "skipped", WHY["reason"])
    again = await client.post(f"{place}/skip", WHY)
    assert (again.status, again.json["code"]) == (409, "not_at_the_head")
