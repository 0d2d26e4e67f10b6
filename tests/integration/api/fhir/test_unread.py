"""Creates that look at nothing before they write: the same outcome as with a look, and a look where it matters."""

import pytest
from tests.integration.api.fhir.resources import FHIR, a_patient, an_observation, put

from chartwire.core.errors import TransientError
from chartwire.core.ids import uuid7
from chartwire.record.unread import Unread

_STORED = """
select r.version, r.patient_id, r.original_subject, r.actor, r.indexed, e.type as event, e.changed, e.patient_id as whose,
       (select array_agg(t.value order by t.key, t.value) from fhir_token t where t.resource_id = r.id) as tokens,
       (select count(*) from fhir_number n where n.resource_id = r.id) as numbers
  from resource r join event e on e.org_id = r.org_id and e.resource_id = r.id
 where r.type = 'Observation' order by r.id
"""


async def test_a_create_stores_the_same_whether_it_looks_or_not(client, pool, org_id):
    await put(client, a_patient("p1"))
    for headers in ({}, {"idempotency-key": "k1"}):
        assert (await client.post("/fhir/R4/Observation", an_observation(), **FHIR, **headers)).status == 201
    async with pool.transaction(org_id) as tx:
        unread, read = [tuple(row) for row in await tx.fetch(_STORED)]
    assert unread == read


async def test_who_is_told_of_events_is_told_of_those_of_a_plain_create(client, pool, org_id):
    await put(client, a_patient("p1"))
    await client.post("/fhir/R4/Observation", an_observation(), **FHIR)
    hook = {"name": "n", "url": "https://9.9.9.9/hook", "event_types": ["*"]}
    assert (await client.post("/api/v1/webhooks/endpoints", hook)).status == 201
    made = (await client.post("/fhir/R4/Observation", an_observation(), **FHIR)).json["id"]
    async with pool.transaction(org_id) as tx:
        told = await tx.fetch("select e.resource_id from delivery d join event e on e.id = d.event_id")
    assert [str(row["resource_id"]) for row in told] == [made]


async def test_a_withdrawn_key_creates_nothing_by_one_statement(client, services, pool, org_id):
    await client.get("/fhir/R4/Patient/p1")
    async with pool.transaction(org_id) as tx:
        await tx.execute("update credential set revoked_at = now() where org_id = $1", org_id)
    assert (await client.post("/fhir/R4/Observation", an_observation(), **FHIR)).status == 401
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from resource") == 0


async def test_after_a_refusal_an_organisation_looks_for_a_while_and_others_do_not(pool):
    unread, one, other, called = Unread(), uuid7(), uuid7(), []

    async def refused(connection):
        called.append(connection.in_transaction)
        raise TransientError("look first", code="sql_40001")

    async def made(_):
        return "made"

    assert await unread.tried(one, pool, refused) is None
    assert await unread.tried(one, pool, made) is None
    assert await unread.tried(other, pool, made) == "made"
    assert called == [False]


async def test_a_server_that_vanished_during_a_create_may_have_made_it(pool):
    async def lost(_):
        raise TransientError("gone", code="database_unreachable")

    with pytest.raises(TransientError, match="may have happened") as caught:
        await Unread().tried(uuid7(), pool, lost)
    assert caught.value.code == "commit_unknown"
