"""How an organisation wants to be written to, as `chartwire org fhir` sets it."""

import pytest
from tests.integration.api.fhir.resources import FHIR, a_patient, an_observation, code_of, put

from chartwire.core.access import Access
from chartwire.record.fhir_policy import Policy, set_policy


@pytest.fixture
def wants(pool, org_id):
    """Sets the policy of the first organisation."""
    access = Access(org_id, "cli:test", "HOPERAT", frozenset({"*"}))

    async def change(**policy):
        async with pool.transaction(org_id) as tx:
            await set_policy(tx, access, Policy(**policy))

    return change


async def test_an_organisation_that_gives_its_resources_their_ids_takes_none_from_clients(client, wants):
    await put(client, a_patient("p1"))
    await wants(update_creates=False)
    refused = await put(client, a_patient("p2"))
    assert (refused.status, code_of(refused)) == (405, "update_create_not_allowed")
    assert (await put(client, a_patient("p1", gender="other"))).status == 200
    by_condition = await client.put("/fhir/R4/Patient?identifier=urn:x|1", a_patient("p3"), **FHIR)
    assert by_condition.status == 405
    assert (await client.put("/fhir/R4/Patient?identifier=urn:x|1", a_patient(), **FHIR)).status == 201


async def test_an_organisation_that_is_strict_about_references_is_so_with_everybody(client, wants):
    await wants(strict_references=True)
    reply = await client.post("/fhir/R4/Observation", an_observation(), **FHIR)
    assert (reply.status, code_of(reply)) == (422, "reference_not_found")


async def test_a_condition_deletes_as_many_as_the_organisation_allows(client, wants):
    await put(client, a_patient("p1"))
    for _ in range(3):
        await client.post("/fhir/R4/Observation", an_observation(), **FHIR)
    path = "/fhir/R4/Observation?patient=p1"
    refused = await client.call("DELETE", path)
    assert (refused.status, code_of(refused)) == (412, "multiple_matches")
    await wants(deletes_max=2)
    assert (await client.call("DELETE", path)).status == 412
    await wants(deletes_max=3)
    assert (await client.call("DELETE", path)).status == 204
    assert (await client.get(path)).json.get("entry", []) == []
