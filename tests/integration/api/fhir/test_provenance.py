"""A Provenance for every version: who made it, of what, when; readable by its id."""

import json

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.core.access import Access
from chartwire.core.fhir_ids import store_id
from chartwire.formats.fhir.validate import check
from chartwire.record.provenance import Version, provenance_id, provenances, version_of

FHIR = {"content-type": "application/fhir+json"}
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-provenance|7.0.0"
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Okonkwo"}]}


@pytest.fixture
def told(pool, org_id):
    """The Provenances of resources, as JSON, newest first."""
    access = Access(org_id, "worker:test", "TREAT", frozenset({"*"}))

    async def of(*targets):
        async with pool.transaction(org_id) as tx:
            return [json.loads(one.body) for one in await provenances(tx, access, targets)]

    return of


async def test_every_version_says_which_key_made_it_and_what_it_did(client, told):
    await client.put("/fhir/R4/Patient/p1", PATIENT, **FHIR)
    await client.put("/fhir/R4/Patient/p1", {**PATIENT, "gender": "other"}, **FHIR)
    await client.call("DELETE", "/fhir/R4/Patient/p1")
    found = await told(("Patient", store_id("p1")))
    assert [one["activity"]["coding"][0]["code"] for one in found] == ["DELETE", "UPDATE", "CREATE"]
    assert [one["target"] for one in found] == [[{"reference": f"Patient/p1/_history/{n}"}] for n in (3, 2, 1)]
    who = found[0]["agent"][0]["who"]
    assert who["identifier"]["value"].startswith("key_") and who["display"]
    assert [one["recorded"] for one in found] == sorted((one["recorded"] for one in found), reverse=True)


async def test_what_a_feed_said_names_its_source_and_the_message(client, pool, engine_pool, org_id, told):
    feed = await Feed(pool, engine_pool, org_id, name="City Hospital ADT").open()
    await feed.send(hl7("ADT^A01", pid()))
    patient = await feed.body("Patient")
    [found] = await told(("Patient", store_id(patient["id"])))
    assert [one["who"]["display"] for one in found["agent"]] == ["City Hospital ADT"] * 2
    assert found["entity"][0]["what"]["display"] == "HL7 v2 message ADT^A01"
    parts = [one["type"]["coding"][0]["code"] for one in found["agent"]]
    wrong = [issue for issue in check(found, (US_CORE,)) if issue.severity == "error"]
    assert (parts, wrong) == (["author", "transmitter"], [])
    linked = found["entity"][0]["what"]["identifier"]["value"]
    assert (await client.get(f"/api/v1/hl7/messages/{linked}")).status == 200


async def test_it_is_read_by_its_id_by_its_own_organisation_only(client, other_client, told):
    await client.put("/fhir/R4/Patient/p1", PATIENT, **FHIR)
    [found] = await told(("Patient", store_id("p1")))
    read = await client.get(f"/fhir/R4/Provenance/{found['id']}")
    assert (read.status, read.json) == (200, found)
    assert (await client.get(f"/fhir/R4/Provenance/{found['id']}/_history/1")).json == found
    assert (await other_client.get(f"/fhir/R4/Provenance/{found['id']}")).status == 404
    later = provenance_id(Version("Patient", store_id("p1"), 2))
    assert (await client.get(f"/fhir/R4/Provenance/{later}")).status == 404


def test_an_id_says_its_version_within_64_characters():
    longest = Version("MedicinalProductUndesirableEffect", store_id("x"), 9_999_999)
    for one in (longest, Version("Patient", store_id("p1"), 1)):
        assert version_of(provenance_id(one)) == one
    assert len(provenance_id(longest)) == 64
    assert version_of("Patient.zzzzzzzzzzzzzzzzzzzzzz.1") is None
    assert version_of("example") is None
