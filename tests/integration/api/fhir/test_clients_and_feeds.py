"""What feeds say later leaves standing what FHIR clients wrote, unless it is about just that."""

import json

import pytest
from tests.integration.api.fhir.resources import FHIR, a_patient, adaeze, an_observation, put
from tests.integration.feed import Feed, hl7, pid

from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import to_prefixed

PENICILLIN = "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives"
LATEX = "AL1|1|MA|111088007^Latex^SCT|MO|Rash"
CLINICAL = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id).open()


def an_allergy():
    return {
        "resourceType": "AllergyIntolerance",
        "id": "nuts",
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "code": {"text": "nuts"},
        "patient": {"reference": "Patient/p1"},
    }


async def about(client, patient):
    """The ids of the observations of a patient."""
    found = (await client.get("/fhir/R4/Observation", {"patient": patient})).json
    return {entry["resource"]["id"] for entry in found.get("entry", ())}


async def test_the_number_of_a_patient_whom_a_client_wrote_does_not_let_another_person_in(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    [message] = await feed.send(hl7("ADT^A08", pid("1001", name="Weber^Karl", born="19401130", sex="M")))
    assert await feed.states(message) == [("held", "identifier_matches_another_person")]
    assert (await client.get("/fhir/R4/Patient/p1")).json["meta"]["versionId"] == "1"


async def test_a_list_of_a_feed_ends_nothing_that_a_client_wrote(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await put(client, an_allergy())
    await feed.send(hl7("ADT^A08", adaeze("1001"), PENICILLIN, at="20261120120000"))
    await feed.send(hl7("ADT^A08", adaeze("1001"), LATEX, at="20261121120000"))
    found = await client.get("/fhir/R4/AllergyIntolerance", {"patient": "p1", "clinical-status": "active"})
    active = {entry["resource"]["code"].get("text") for entry in found.json["entry"]}
    assert "nuts" in active and len(found.json["entry"]) == 2


async def test_what_a_client_took_out_stays_out_under_an_older_message(client, feed):
    await feed.send(hl7("ADT^A04", adaeze("1001", f13="4165550100"), at="20240101120000"))
    found = (await client.get("/fhir/R4/Patient", {"identifier": "1001"})).json["entry"][0]["resource"]
    path = f"/fhir/R4/Patient/{found['id']}"
    await put(client, {name: value for name, value in found.items() if name != "telecom"})
    await feed.send(hl7("ADT^A08", adaeze("1001", f13="4165550100"), at="20250101120000"))
    assert "telecom" not in (await client.get(path)).json
    await feed.send(hl7("ADT^A08", adaeze("1001", f13="4165550100"), at="20990101120000"))
    assert (await client.get(path)).json["telecom"][0]["value"] == "4165550100"


async def test_what_a_client_wrote_goes_with_a_merge_and_back_when_the_patients_are_parted(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await put(client, a_patient("p2", mrn="2002"))
    of_the_loser = (await client.post("/fhir/R4/Observation", an_observation("Patient/p2"), **FHIR)).json["id"]
    await feed.send(hl7("ADT^A40", adaeze("1001"), "MRG|2002^^^HOSP^MR"))
    of_the_survivor = (await client.post("/fhir/R4/Observation", an_observation("Patient/p1"), **FHIR)).json["id"]
    assert await about(client, "p1") == await about(client, "p2") == {of_the_loser, of_the_survivor}

    loser = to_prefixed("pat", store_id("p2"))
    parted = await client.post(f"/api/v1/patients/{loser}/unmerge", {"reason": "two people"})
    assert parted.status == 200
    assert (await about(client, "p1"), await about(client, "p2")) == ({of_the_survivor}, {of_the_loser})
    assert (await put(client, a_patient("p2", mrn="2002", gender="other"))).status == 200


async def test_bytes_about_a_patient_go_along_with_a_merge(client, feed, record):
    await put(client, a_patient("p1", mrn="1001"))
    await put(client, a_patient("p2", mrn="2002"))
    scan = {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "QQ=="}
    await put(client, {**scan, "securityContext": {"reference": "Patient/p2"}})
    await feed.send(hl7("ADT^A40", adaeze("1001"), "MRG|2002^^^HOSP^MR"))
    reply = await client.get("/fhir/R4/Binary/scan")
    assert (reply.body, reply.headers["x-security-context"]) == (b"A", "Patient/p1")
    assert (await record.audit_rows())[-1]["patient_ids"] == [store_id("p1")]


async def test_a_reference_to_what_a_client_deleted_is_told_in_the_findings_and_the_next_message_mends_it(client, feed):
    doctor = "PV1|1|I|||||D7^Bauer^Eva^^^^^^HOSP||||||||||||V1^^^HOSP^VN"
    for day, deleted in (("01", True), ("02", False), ("03", False)):
        [message] = await feed.send(hl7("ADT^A01", adaeze("1001"), doctor, at=f"202603{day}120000"))
        [row] = await feed.rows("select outcome from message where id = $1", message)
        dangling = ["reference_not_found", "Practitioner"] in json.loads(row["outcome"]).get("findings", [])
        assert dangling == (day == "02")
        if deleted:
            gone = (await client.get("/fhir/R4/Practitioner")).json["entry"][0]["resource"]["id"]
            assert (await client.call("DELETE", f"/fhir/R4/Practitioner/{gone}")).status == 204
    [entry] = (await client.get("/fhir/R4/Practitioner")).json["entry"]
    assert entry["resource"]["id"] != gone


async def test_a_provisional_patient_who_is_put_back_as_read_stays_so_and_who_is_changed_is_known(client, feed):
    result = ("OBR|1||F1|K^Potassium^L", "OBX|1|NM|K^Potassium^L||4.1|mmol/L|||||F")
    await feed.send(hl7("ORU^R01", adaeze("5005"), *result))
    found = (await client.get("/fhir/R4/Patient", {"identifier": "5005"})).json["entry"][0]["resource"]
    assert [tag["code"] for tag in found["meta"]["tag"]] == ["provisional"]
    same = await put(client, found)
    assert (same.status, same.json["meta"]) == (200, found["meta"])
    known = await put(client, {**found, "maritalStatus": {"text": "married"}})
    assert (known.json["meta"]["versionId"], "tag" in known.json["meta"]) == ("2", False)


async def test_a_list_that_a_client_added_to_keeps_what_is_not_the_feed_s(client, feed):
    await feed.send(hl7("ADT^A04", adaeze("1001", f13="4165550100"), at="20240101120000"))
    found = (await client.get("/fhir/R4/Patient", {"identifier": "1001"})).json["entry"][0]["resource"]
    email = {"system": "email", "value": "adaeze@post.example"}
    await put(client, {**found, "telecom": [*found["telecom"], email]})
    await feed.send(hl7("ADT^A08", adaeze("1001", f13="4165550199"), at="20990101120000"))
    told = (await client.get(f"/fhir/R4/Patient/{found['id']}")).json["telecom"]
    assert [one["value"] for one in told] == ["4165550199", "adaeze@post.example"]
