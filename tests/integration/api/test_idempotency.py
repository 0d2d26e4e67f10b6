"""A retry under the same Idempotency-Key finds the effect and its answer, or neither."""

import asyncio
import json
import signal
from dataclasses import replace
from urllib.request import Request, urlopen

import pytest
from tests.integration.api.hub import Client, new_client
from tests.integration.api.server_process import server

from chartwire.api.asgi import Api, make_app
from chartwire.api.http import json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.routes import Route, Router
from chartwire.store.pool import Pool
from chartwire.trust.idempotency import Turns, forget

ORDER = {"name": "reporting", "scopes": ["patients.read"]}
KEYS = "/api/v1/keys"


async def names(pool, org):
    async with pool.transaction(org) as tx:
        return [row["name"] for row in await tx.fetch("select name from credential_label where name <> 'test'")]


async def test_the_same_request_gets_the_first_answer_again_with_its_secret(client, pool, org_id):
    first = await client.post(KEYS, ORDER, idempotency_key="k1")
    second = await client.post(KEYS, ORDER, idempotency_key='"k1"')
    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await names(pool, org_id) == ["reporting"]


async def test_what_is_kept_of_an_answer_shows_no_secret(client, pool, org_id):
    token = (await client.post(KEYS, ORDER, idempotency_key="k1")).json["key"]
    async with pool.transaction(org_id) as tx:
        (row,) = await tx.fetch("select answer from idempotency_key")
    assert token.encode() not in row["answer"]


async def test_the_order_of_members_and_spaces_do_not_make_another_request(client):
    first = await client.post(KEYS, ORDER, idempotency_key="k1")
    headers = {"content-type": "application/json", "idempotency-key": "k1"}
    text = b'{ "scopes":["patients.read"],   "name":"report\\u0069ng" }'
    assert (await client.call("POST", KEYS, body=text, headers=headers)).body == first.body


@pytest.mark.parametrize("other", [ORDER | {"name": "another"}, ORDER | {"scopes": ["*"]}])
async def test_another_body_under_a_used_key_is_refused(client, pool, org_id, other):
    await client.post(KEYS, ORDER, idempotency_key="k1")
    refused = await client.post(KEYS, other, idempotency_key="k1")
    assert (refused.status, refused.json["code"]) == (422, "idempotency_key_reused")
    assert await names(pool, org_id) == ["reporting"]


async def test_one_key_on_another_route_credential_or_organisation_is_another_key(
    client, other_client, services, app, org_id
):
    colleague = await new_client(services, app, org_id)
    told = [await one.post(KEYS, ORDER, idempotency_key="k1") for one in (client, colleague, other_client)]
    gone = await client.call("DELETE", f"{KEYS}/{told[0].json['id']}", headers={"idempotency-key": "k1"})
    assert [one.status for one in told] == [201, 201, 201]
    assert len({one.json["id"] for one in told}) == 3
    assert gone.status == 204


async def test_a_refused_request_may_be_mended_and_sent_under_its_key(client):
    refused = await client.post(KEYS, ORDER | {"scopes": ["unheard.of"]}, idempotency_key="k1")
    assert refused.status == 422
    assert (await client.post(KEYS, ORDER, idempotency_key="k1")).status == 201


@pytest.mark.parametrize(
    ("collection", "made", "change"),
    [
        ("patients", {"name": {"family": "Weber"}}, {"gender": "male"}),
        ("webhooks/endpoints", {"url": "https://9.9.9.9/hook", "event_types": ["patient.*"]}, {"name": "EHR"}),
        ("sources", {"name": "adt", "authority": "HOSP"}, {"timezone": "Europe/Berlin"}),
    ],
)
async def test_a_retry_of_a_conditional_change_gets_its_answer_though_the_version_moved_on(
    client, collection, made, change
):
    first = await client.post(f"/api/v1/{collection}", made)
    path, headers = f"/api/v1/{collection}/{first.json['id']}", {"idempotency_key": "k1", "if_match": '"v1"'}
    done, again = [await client.patch(path, change, **headers) for _ in range(2)]
    assert (done.status, done.headers["etag"], again.status, again.body) == (200, '"v2"', 200, done.body)
    stale = await client.patch(path, change, if_match='"v1"')
    assert (stale.status, stale.json["code"], stale.headers["etag"]) == (412, "precondition_failed", '"v2"')


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_key_that_cannot_be_one_is_refused(client, key):
    refused = await client.post(KEYS, ORDER, idempotency_key=key)
    assert (refused.status, refused.json["code"]) == (400, "invalid_parameter")


async def test_after_its_time_a_key_is_new_and_its_answer_is_removed(client, services, pool, org_id):
    hasty = Client(make_app(replace(services, idempotency_kept_s=0.0)), client.token)
    first, second = [await hasty.post(KEYS, ORDER, idempotency_key="k1") for _ in range(2)]
    assert first.json["id"] != second.json["id"]
    assert await forget(pool, org_id) == 1
    assert await forget(pool, org_id) == 0


async def test_a_hundred_identical_posts_through_two_servers_have_one_effect_and_one_answer(
    client, services, database, pool, org_id
):
    elsewhere = Pool(database.app_dsn, size=4)
    twin = Client(make_app(replace(services, pool=elsewhere, turns=Turns())), client.token)
    told = await asyncio.gather(*((client, twin)[n % 2].post(KEYS, ORDER, idempotency_key="k1") for n in range(100)))
    await elsewhere.close()
    assert {one.status for one in told} == {201}
    assert len({one.body for one in told}) == 1
    assert sum("idempotent-replayed" not in one.headers for one in told) == 1
    assert await names(pool, org_id) == ["reporting"]


async def test_a_request_whose_twin_takes_long_elsewhere_is_told_to_come_back(client, services, database):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @idempotent
    async def slow(_request, _services, _tx):
        begun.set()
        await go_on.wait()
        return json_answer({"slow": True})

    def server(pool):
        route = Route("POST", "/slow", slow, "", "keys.write", "Key", "create")
        return Client(Api(replace(services, pool=pool, turns=Turns()), Router([route])), client.token)

    elsewhere = Pool(database.app_dsn, size=2)
    first = asyncio.create_task(server(services.pool).post("/slow", {}, idempotency_key="k1"))
    await begun.wait()
    refused = await server(elsewhere).post("/slow", {}, idempotency_key="k1")
    go_on.set()
    assert (await first).status == 200
    again = await server(elsewhere).post("/slow", {}, idempotency_key="k1")
    await elsewhere.close()
    assert (refused.status, refused.json["code"], refused.json["retryable"]) == (409, "in_progress", True)
    assert refused.headers["retry-after"]
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(("killed", "effects"), [("api.before_commit", 0), ("api.after_commit", 1)])
async def test_a_server_killed_before_it_answers_leaves_effect_and_answer_or_neither(
    client, database, pool, org_id, killed, effects
):
    def post(base_url):
        headers = {"authorization": f"Bearer {client.token}", "content-type": "application/json"}
        request = Request(f"{base_url}{KEYS}", json.dumps(ORDER).encode(), headers)
        request.add_header("idempotency-key", "k1")
        with urlopen(request, timeout=10) as reply:
            return reply.headers.get("idempotent-replayed")

    with server(database.app_dsn, killed) as (doomed, base_url):
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(post, base_url)
        assert doomed.wait(10) == -signal.SIGKILL
    assert len(await names(pool, org_id)) == effects
    again = await client.post(KEYS, ORDER, idempotency_key="k1")
    assert (again.status, again.headers.get("idempotent-replayed")) == (201, "true" if effects else None)
    assert await names(pool, org_id) == ["reporting"]
