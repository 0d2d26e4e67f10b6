"""All that belongs to a patient."""

import json
from urllib.parse import urlsplit

from tests.integration.api.fhir.stored import FHIR, link, named, observation, patient, put
from tests.integration.feed import Feed, hl7, pid

P1 = {"reference": "Patient/p1"}
ACTIVE = {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}


def shared(kind, logical_id, **more):
    return {"resourceType": kind, "id": logical_id, **more}


def encounter(logical_id, start, **more):
    held = {"status": "finished", "class": {"code": "AMB"}, "subject": P1, "period": {"start": start, "end": start}}
    return {"resourceType": "Encounter", "id": logical_id, **held, **more}


async def chart(client):
    await put(
        client,
        shared("Organization", "clinic", name="Clinic"),
        shared("Practitioner", "dr", name=[{"family": "Ng"}]),
        shared(
            "PractitionerRole", "role", practitioner={"reference": "Practitioner/dr"},
            organization={"reference": "Organization/clinic"},
        ),
        shared("Medication", "aspirin", code={"text": "Aspirin"}),
        patient("p1"),
        patient("p2", "Lind"),
        encounter("e1", "2025-06-01", participant=[{"individual": {"reference": "PractitionerRole/role"}}]),
        encounter("e2", "2026-02-03"),
        observation("o1", day=2, performer=[{"reference": "Patient/p2"}]),
        observation("o2", "p2"),
        shared("Device", "pump", patient=P1),
        shared("AllergyIntolerance", "nuts", patient=P1, clinicalStatus={"coding": [ACTIVE]}),
        shared(
            "MedicationRequest", "rx", status="active", intent="order", subject=P1,
            medicationReference={"reference": "Medication/aspirin"},
        ),
    )  # fmt: skip


OWN = {
    "AllergyIntolerance/nuts", "Device/pump", "Encounter/e1", "Encounter/e2", "MedicationRequest/rx", "Observation/o1",
    "Patient/p1",
}  # fmt: skip
SHARED = {"Medication/aspirin", "Organization/clinic", "Practitioner/dr", "PractitionerRole/role"}


async def told(client, path, **query):
    reply = await client.get(f"{FHIR}/{path}", query)
    assert reply.status == 200, reply.body
    bundles = [reply.json]
    while (following := link(bundles[-1], "next")) is not None:
        address = urlsplit(following)
        bundles.append((await client.get(f"{address.path}?{address.query}")).json)
    return [name for one in bundles for name in named(one)], [name for one in bundles for name in named(one, "include")]


async def test_a_patients_own_resources_come_with_whom_and_what_they_name_but_no_other_patient(client, record):
    await chart(client)
    own, included = await told(client, "Patient/p1/$everything")
    assert (set(own), set(included)) == (OWN, SHARED)
    assert (len(own), len(included)) == (len(OWN), len(SHARED))
    row = (await record.audit_rows())[-1]
    assert (row["query_shape"], row["action"]) == ("GET /fhir/R4/Patient/{id}/$everything", "search")
    assert len(row["patient_ids"]) == 1
    body = json.dumps({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]})
    headers = {"content-type": "application/fhir+json"}
    reply = await client.call("POST", f"{FHIR}/Patient/p1/$everything", body=body.encode(), headers=headers)
    assert named(reply.json) == ["Patient/p1"]


async def test_pages_tell_each_resource_of_the_patient_once(client):
    await chart(client)
    for count in (1, 2, 3, 7):
        own, included = await told(client, "Patient/p1/$everything", _count=count)
        assert sorted(own) == sorted(OWN), count
        assert set(included) == SHARED


async def test_types_times_and_changes_narrow_what_is_told(client):
    await chart(client)
    own, included = await told(client, "Patient/p1/$everything", _type="Encounter,Practitioner")
    assert (set(own), included) == ({"Encounter/e1", "Encounter/e2"}, ["Practitioner/dr"])
    own, _ = await told(client, "Patient/p1/$everything", start="2026-01-01")
    assert set(own) == OWN - {"Encounter/e1"}
    own, _ = await told(client, "Patient/p1/$everything", start="2025", end="2025-06-01")
    assert set(own) == OWN - {"Encounter/e2", "Observation/o1"}
    before = (await client.get(f"{FHIR}/Encounter/e2")).json["meta"]["lastUpdated"]
    await put(client, encounter("e1", "2025-06-02"))
    own, _ = await told(client, "Patient/p1/$everything", _since=before, _type="Encounter,Patient")
    assert set(own) == {"Encounter/e1", "Encounter/e2"}
    for wrong in ({"_type": "Nonsense"}, {"start": "soon"}, {"colour": "blue"}, {"_count": "-1"}):
        assert (await client.get(f"{FHIR}/Patient/p1/$everything", wrong)).status == 400, wrong


async def test_everything_of_all_patients_goes_from_one_to_the_next(client):
    await chart(client)
    whole = OWN | {"Patient/p2", "Observation/o2", "Observation/o1"}
    for count in (1, 3, 100):
        own, _ = await told(client, "Patient/$everything", _count=count)
        assert set(own) == whole, count
        assert own.count("Observation/o1") == 2  # in the compartments of both: subject of one, performed by the other


async def test_of_who_was_merged_away_everything_is_the_survivors(client, record, pool, engine_pool, org_id):
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", pid()), hl7("ADT^A04", pid("2001", "Weber^Anna")))
    loser, survivor = (await feed.body_of("1001"))["id"], (await feed.body_of("2001"))["id"]
    await feed.send(hl7("ADT^A40", pid("2001", "Weber^Anna"), "MRG|1001^^^HOSP^MR"))
    own, _ = await told(client, f"Patient/{loser}/$everything")
    assert own == [f"Patient/{survivor}"]


async def test_nothing_is_told_of_who_is_not_there(client, other_client):
    await chart(client)
    await client.call("DELETE", f"{FHIR}/Observation/o2")
    await client.call("DELETE", f"{FHIR}/Observation/o1")
    await client.call("DELETE", f"{FHIR}/Patient/p2")
    for caller, status, name in ((client, 404, "nobody"), (client, 410, "p2"), (other_client, 404, "p1")):
        assert (await caller.get(f"{FHIR}/Patient/{name}/$everything")).status == status
    assert "entry" not in (await other_client.get(f"{FHIR}/Patient/$everything")).json
