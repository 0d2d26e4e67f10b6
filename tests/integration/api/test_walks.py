"""Walks over lists while others write: in order of id each object once, in order of change nothing is missed."""

import asyncio
from itertools import count

import pytest

from chartwire.api.rest.applying import Desk
from chartwire.api.rest.fields import NOUNS
from chartwire.api.rest.ordering import Order
from chartwire.core.access import Access

PLACES = [
    ("patients", {"name": {"family": "Weber"}}, {"language": "de"}, {"language": "fr"}),
    ("providers", {"name": {"family": "Welby"}}, {"specialty": "Surgery"}, {"specialty": "Cardiology"}),
    ("locations", {"name": "Room 1"}, {"kind": "room"}, {"kind": "bed"}),
    ("appointments", {"starts_at": "2026-12-01T09:00:00Z"}, {"reason": "Check-up"}, {"reason": "Results"}),
]
by_collection = pytest.mark.parametrize(
    ("collection", "data", "one_way", "other_way"), PLACES, ids=[place[0] for place in PLACES]
)


async def walk(client, collection, query, each_page=lambda: asyncio.sleep(0)):
    """Every object of a list, page by page."""
    found, query = [], {"limit": "3", **query}
    while True:
        page = (await client.get(f"/api/v1/{collection}", query)).json
        found += page["data"]
        if not page["has_more"]:
            return found
        query = {"limit": "3", "page_token": page["next_page_token"]}
        await each_page()


async def filled(client, collection, data):
    if collection == "appointments":
        patient = (await client.post("/api/v1/patients", {"name": {"family": "Weber"}})).json["id"]
        data = {**data, "patient_id": patient}
    made = [(await client.post(f"/api/v1/{collection}", data)).json["links"]["self"] for _ in range(8)]
    return data, made


@by_collection
async def test_a_walk_by_id_sees_each_object_once_while_others_are_made_and_changed(
    client, collection, data, one_way, other_way
):
    data, made = await filled(client, collection, data)
    turns = count()

    async def write():
        turn = next(turns)
        calls = [client.patch(path, (one_way, other_way)[turn % 2]) for path in made[turn % 4 :: 4]]
        await asyncio.gather(client.post(f"/api/v1/{collection}", data), *calls)

    found = [one["links"]["self"] for one in await walk(client, collection, {"sort": "id"}, write)]
    assert len(found) == len(set(found))
    assert set(made) <= set(found)


@by_collection
async def test_a_walk_by_change_sees_the_last_version_of_everything_and_no_version_twice(
    client, collection, data, one_way, other_way
):
    data, made = await filled(client, collection, data)
    ended = asyncio.Event()

    async def change(path):
        for turn in range(4):
            assert (await client.patch(path, (one_way, other_way)[turn % 2])).status == 200

    async def write():
        await asyncio.gather(*map(change, made))
        ended.set()

    async def follow():
        seen, last = [], "2026-01-01"
        while True:
            final = ended.is_set()
            news = await walk(client, collection, {"updated_at_gte": last})
            seen += [(one["links"]["self"], one["version"]) for one in news if one["updated_at"] != last]
            last = news[-1]["updated_at"] if news else last
            if final:
                return seen

    seen, _ = await asyncio.gather(follow(), write())
    assert {(path, 5) for path in made} <= set(seen)
    assert len(seen) == len(set(seen))


async def test_what_is_committed_late_is_not_passed_over_by_who_follows_changes(client, pool, org_id):
    """A version is timed before it is committed: the later one waits until nothing earlier can come any more."""
    order = Order(NOUNS["Patient"], "create", {"name": {"family": "Early"}})
    query = {"updated_at_gte": "2026-01-01"}
    async with pool.transaction(org_id) as tx:
        desk = Desk(Access(org_id, "cli:test", "HOPERAT", frozenset("*")), tx)
        await desk.read([order])
        await desk.apply(order)
        await desk.finish()
        late = (await client.post("/api/v1/patients", {"name": {"family": "Late"}})).json["id"]
        assert (await client.get("/api/v1/patients", query)).json["data"] == []
        newest = (await client.get("/api/v1/patients", {"sort": "-updated_at"})).json["data"]
        assert [one["id"] for one in newest] == [late]
    told = (await client.get("/api/v1/patients", query)).json["data"]
    assert [one["name"]["family"] for one in told] == ["Early", "Late"]
