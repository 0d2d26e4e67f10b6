"""`POST /patients/{id}/unmerge`: a merge by mistake is undone by a person."""

from uuid import UUID

import pytest
from tests.integration.api.hub import Client
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.test_merges import ANNA, TWIN, a40, visit

from chartwire.store.pool import Pool


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    """Two patients, made one, and a visit under the loser's number since."""
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", ANNA), hl7("ADT^A04", TWIN))
    await feed.send(a40(ANNA, "2002"))
    await feed.send(hl7("ADT^A01", pid("2002", name="Weber^Anna"), visit("V9"), at="20260304"))
    return feed


async def ids(client: Client) -> tuple[str, str]:
    """(survivor, loser)."""
    found = [(await client.get(f"/api/v1/patients?mrn={mrn}")).json["data"][0]["id"] for mrn in ("1001", "2002")]
    return found[0], found[1]


async def test_both_patients_are_read_as_two_again(client: Client, feed: Feed) -> None:
    survivor, loser = await ids(client)
    answer = await client.post(f"/api/v1/patients/{loser}/unmerge", {"reason": "two people"})
    assert answer.status == 200
    assert answer.json | {"object": ""} == {
        "object": "",
        "patient_id": loser,
        "survivor_id": survivor,
        "moved": {"Encounter": 1},
        "restored": 0,
        "told_again": 1,
        "reviews": 0,
    }
    listed = (await client.get("/api/v1/patients")).json["data"]
    assert {patient["id"] for patient in listed} == {survivor, loser}
    assert {patient["status"] for patient in listed} == {"active"}


async def test_a_survivor_is_told_whom_to_name(client: Client, feed: Feed) -> None:
    survivor, loser = await ids(client)
    answer = await client.post(f"/api/v1/patients/{survivor}/unmerge", {"reason": "two people"})
    assert (answer.status, answer.json["code"]) == (409, "not_merged")
    assert loser in answer.json["detail"]


async def test_who_is_unknown_cannot_be_parted(client: Client, other_client: Client, feed: Feed) -> None:
    _, loser = await ids(client)
    answer = await other_client.post(f"/api/v1/patients/{loser}/unmerge", {"reason": "two people"})
    assert answer.status == 404


async def test_a_reason_is_needed(client: Client, feed: Feed) -> None:
    _, loser = await ids(client)
    answer = await client.post(f"/api/v1/patients/{loser}/unmerge", {})
    assert answer.status == 422
