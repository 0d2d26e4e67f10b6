"""From an HL7 message through the real path to what a practice reads."""

import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.core.ids import to_prefixed


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id).open()


async def test_a_message_becomes_a_patient_that_is_found_and_explained(client, feed):
    adt = hl7("ADT^A04", pid("4711", "Müller^Jörg^^^^^L", f13="(555)555-0100^PRN^PH"), "PV1|1|O")
    (message,) = await feed.send(adt)
    (patient,) = (await client.get("/api/v1/patients", {"mrn": "4711", "name": "MULL jo"})).json["data"]
    assert (patient["mrn"], patient["birth_date"], patient["status"]) == ("4711", "1980-01-02", "active")
    assert patient["source"]["message_id"] == to_prefixed("msg", message)
    told = (await client.get(f"/api/v1/hl7/messages/{patient['source']['message_id']}")).json
    assert told["raw"]["data"].encode() == adt
    (touched,) = [one for one in told["resources"] if one["type"] == "Patient"]
    assert (touched["id"], touched["lineage"]["birthDate"][0]["field"]) == (patient["id"], "PID-7")
    lineage = (await client.get(f"/api/v1/lineage/Patient/{patient['id']}")).json
    assert lineage["versions"][0]["elements"]["name"][0]["message_id"] == patient["source"]["message_id"]
    events = (await client.get("/api/v1/events", {"types": "patient.*"})).json["data"]
    assert [one["data"]["id"] for one in events] == [patient["id"]]


async def test_who_asks_for_a_merged_number_is_told_where_it_went(client, feed):
    await feed.send(hl7("ADT^A04", pid("1001")), hl7("ADT^A04", pid("1002", f13="555-0102")))
    await feed.send(hl7("ADT^A40", pid("1002"), "MRG|1001^^^HOSP^MR", at="20260302120000"))
    listed = (await client.get("/api/v1/patients")).json["data"]
    assert [one["mrn"] for one in listed] == ["1002"]
    for query in ({"mrn": "1001"}, {"identifier": "1001"}, {"status": "merged"}):
        (merged,) = (await client.get("/api/v1/patients", query)).json["data"]
        assert (merged["status"], merged["merged_into"]) == ("merged", listed[0]["id"])


async def test_an_appointment_stands_on_its_local_day_in_the_zone_of_its_source(client, feed):
    sch = "SCH|P1^HUB|F1^HOSP|||||ROUTINE|CHECKUP|30|min|^^30^20260310003000" + "|" * 14
    await feed.send(hl7("SIU^S12", sch, pid(), "RGS|1", "AIP|1||77^Hoffmann^Eva^^^^^^HOSP"))
    (one,) = (await client.get("/api/v1/appointments", {"date": "2026-03-10"})).json["data"]
    assert (one["starts_at"], one["timezone"]) == ("2026-03-09T23:30:00.000Z", "Europe/Berlin")
    assert (one["local_start"], one["duration_minutes"]) == ("2026-03-10T00:30:00+01:00", 30)
    assert (await client.get("/api/v1/appointments", {"date": "2026-03-09"})).json["data"] == []
    provider = (await client.get(f"/api/v1/providers/{one['provider_ids'][0]}")).json
    assert provider["name"]["family"] == "Hoffmann"


async def test_a_number_without_type_that_identifies_the_patient_is_the_mrn(client, feed):
    """A feed that never sends CX.5: by the source's rule the number is an MR of its own authority."""
    await feed.send(hl7("ADT^A04", pid("4711").replace("^^^HOSP^MR", ""), "PV1|1|O"))
    (patient,) = (await client.get("/api/v1/patients", {"mrn": "4711"})).json["data"]
    assert patient["mrn"] == "4711"
    await feed.send(hl7("ADT^A08", pid("4711", f13="555-0100")))
    (same,) = (await client.get("/api/v1/patients", {"mrn": "4711"})).json["data"]
    assert (same["id"], len(same["identifiers"])) == (patient["id"], 1)
