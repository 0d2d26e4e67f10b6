"""Create, update and delete of one FHIR resource."""

import pytest
from tests.integration.api.fhir.resources import FHIR, a_patient, an_observation, code_of, put

PATIENT = a_patient()
MERGE = "application/merge-patch+json"


async def test_what_was_created_is_read_at_its_location_and_by_its_version(client):
    made = await client.post("/fhir/R4/Patient", {**PATIENT, "id": "not-this"}, **FHIR)
    assert made.status == 201
    told = made.json
    assert (told["meta"]["versionId"], made.headers["etag"]) == ("1", 'W/"1"')
    assert told["id"] != "not-this"
    place = f"/fhir/R4/Patient/{told['id']}/_history/1"
    assert made.headers["location"] == f"http://localhost{place}"
    assert (await client.get(place)).body == (await client.get(f"/fhir/R4/Patient/{told['id']}")).body == made.body


async def test_a_put_makes_a_resource_of_the_client_s_id_then_versions_of_it(client):
    one = {**PATIENT, "id": "p1"}
    first = await client.put("/fhir/R4/Patient/p1", one, **FHIR)
    assert (first.status, first.json["id"]) == (201, "p1")
    assert first.headers["location"] == "http://localhost/fhir/R4/Patient/p1/_history/1"
    second = await client.put("/fhir/R4/Patient/p1", {**one, "gender": "other"}, **FHIR)
    assert (second.status, second.json["gender"], second.headers["etag"]) == (200, "other", 'W/"2"')
    assert (await client.get("/fhir/R4/Patient/p1/_history/1")).json["gender"] == "female"


async def test_an_update_that_changes_nothing_makes_no_version(client):
    one = {**PATIENT, "id": "p1"}
    first = await client.put("/fhir/R4/Patient/p1", one, **FHIR)
    again = await client.put("/fhir/R4/Patient/p1", first.json, **FHIR)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["last-modified"] == first.headers["last-modified"]


async def test_what_was_deleted_is_gone_with_its_history_kept_and_a_put_brings_it_back(client):
    one = {**PATIENT, "id": "p1"}
    await client.put("/fhir/R4/Patient/p1", one, **FHIR)
    assert (await client.call("DELETE", "/fhir/R4/Patient/p1")).status == 204
    gone = await client.get("/fhir/R4/Patient/p1")
    assert (gone.status, gone.headers["etag"]) == (410, 'W/"2"')
    assert (await client.get("/fhir/R4/Patient/p1/_history/1")).status == 200
    assert (await client.get("/fhir/R4/Patient/p1/_history/2")).status == 410
    assert (await client.call("DELETE", "/fhir/R4/Patient/p1")).status == 204
    back = await client.put("/fhir/R4/Patient/p1", one, **FHIR)
    assert (back.status, back.headers["etag"]) == (201, 'W/"3"')
    assert (await client.get("/fhir/R4/Patient/p1")).json["gender"] == "female"


@pytest.mark.parametrize("literal", [b"72.50", b"1e5", b"0.00000001"])
async def test_numbers_stay_as_they_were_written_through_updates_patches_and_searches(client, literal):
    quantity = b'"valueQuantity":{"value":%s,"unit":"g"}' % literal
    body = b'{"resourceType":"Observation","id":"n","status":"final","code":{"text":"x"},%s}' % quantity
    made = await client.call("PUT", "/fhir/R4/Observation/n", body=body, headers=FHIR)
    again = await client.call("PUT", "/fhir/R4/Observation/n", body=body, headers=FHIR)
    assert quantity in made.body
    assert again.headers["etag"] == made.headers["etag"]
    patched = await client.patch("/fhir/R4/Observation/n", {"status": "amended"}, **{"content-type": MERGE})
    assert quantity in patched.body
    found = await client.get(f"/fhir/R4/Observation?value-quantity={literal.decode()}")
    assert quantity in found.body
    lineage = await client.get("/api/v1/lineage/Observation/n?path=Observation.value")
    assert literal in lineage.body


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/fhir/R4/Patient/p1", {**PATIENT, "id": "p2"}, 400, "id_mismatch"),
        ("/fhir/R4/Patient/p1", PATIENT, 400, "id_mismatch"),
        ("/fhir/R4/Patient/p1", {"resourceType": "Practitioner", "id": "p1"}, 400, "type_mismatch"),
        ("/fhir/R4/Bundle/b", {"resourceType": "Bundle", "id": "b"}, 404, "not_found"),
    ],
)
async def test_a_body_that_names_another_resource_than_its_address_is_refused(client, path, body, status, code):
    reply = await client.put(path, body, **FHIR)
    assert (reply.status, code_of(reply)) == (status, code)


async def test_an_event_tells_of_each_write_and_its_patient_is_whose_it_is(client):
    await client.put("/fhir/R4/Patient/p1", {**PATIENT, "id": "p1"}, **FHIR)
    made = (await client.post("/fhir/R4/Observation", an_observation(), **FHIR)).json
    await client.call("DELETE", f"/fhir/R4/Observation/{made['id']}")
    care = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"reference": "Patient/p1"}}
    await client.post("/fhir/R4/CarePlan", care, **FHIR)
    events = (await client.get("/api/v1/events")).json["data"]
    assert [one["type"] for one in events] == [
        "patient.created",
        "observation.created",
        "observation.deleted",
        "care_plan.created",
    ]


async def test_another_organisation_sees_and_touches_nothing(client, other_client):
    await client.put("/fhir/R4/Patient/p1", {**PATIENT, "id": "p1"}, **FHIR)
    assert (await other_client.get("/fhir/R4/Patient/p1")).status == 404
    assert (await other_client.call("DELETE", "/fhir/R4/Patient/p1")).status == 204
    theirs = await other_client.put("/fhir/R4/Patient/p1", {**PATIENT, "id": "p1", "gender": "male"}, **FHIR)
    assert (theirs.status, theirs.headers["etag"]) == (201, 'W/"1"')
    assert (await client.get("/fhir/R4/Patient/p1")).json["gender"] == "female"


async def test_an_external_id_is_known_of_types_that_have_one_identifier_and_of_those_that_have_many(client):
    external = {"system": "https://chartwire.org/fhir/external-id", "value": "77"}
    answers = {"resourceType": "QuestionnaireResponse", "status": "completed", "identifier": external}
    account = {"resourceType": "Account", "status": "active", "identifier": [external]}
    for body in (answers, account):
        assert (await client.post(f"/fhir/R4/{body['resourceType']}", body, **FHIR)).status == 201
        again = await client.post(f"/fhir/R4/{body['resourceType']}", body, **FHIR)
        assert (again.status, code_of(again)) == (409, "duplicate")


async def test_absolute_references_to_this_server_become_relative_in_writes_and_patches(client):
    address = "http://hub.example/fhir/R4/Patient"
    seen = an_observation(f"{address}/p1", id="o1")
    made = await client.put("/fhir/R4/Observation/o1", seen, host="hub.example", **FHIR)
    assert made.json["subject"] == {"reference": "Patient/p1"}
    assert made.headers["location"] == "http://hub.example/fhir/R4/Observation/o1/_history/1"
    patch = {"subject": {"reference": f"{address}/p2"}}
    merge = {"host": "hub.example", "content-type": "application/merge-patch+json"}
    changed = await client.patch("/fhir/R4/Observation/o1", patch, **merge)
    assert changed.json["subject"] == {"reference": "Patient/p2"}


async def test_events_lead_fhir_clients_to_what_changed_under_any_id_and_of_any_type(client):
    for body in (
        {"resourceType": "Basic", "id": "note-1", "code": {"text": "note"}},
        {"resourceType": "Binary", "id": "scan-1", "contentType": "text/plain", "data": "QQ=="},
    ):
        kind, logical_id = body["resourceType"], body["id"]
        assert (await client.put(f"/fhir/R4/{kind}/{logical_id}", body, **FHIR)).status == 201
        event = (await client.get("/api/v1/events")).json["data"][-1]
        assert event["type"] == f"{kind.lower()}.created"
        reply = await client.get(event["data"]["links"]["fhir"], accept="application/fhir+json")
        assert (reply.status, reply.json["id"]) == (200, logical_id)


@pytest.mark.parametrize("logical_id", ["a_b", "x" * 65, "ä"])
async def test_an_id_that_can_be_none_is_refused_with_the_rule(client, logical_id):
    reply = await client.put(f"/fhir/R4/Patient/{logical_id}", {**PATIENT, "id": logical_id}, **FHIR)
    assert reply.status == 400
    assert "1 to 64" in reply.json["issue"][0]["diagnostics"]
    assert (await client.call("DELETE", f"/fhir/R4/Patient/{logical_id}")).status == 400


async def test_a_reference_by_a_condition_is_refused_outside_transactions(client):
    whose = {"reference": "Patient?identifier=urn:s|1"}
    made = await client.post("/fhir/R4/Observation", an_observation(whose["reference"]), **FHIR)
    await put(client, an_observation("Patient/p1", id="o1"))
    patched = await client.patch("/fhir/R4/Observation/o1", {"subject": whose}, **{"content-type": MERGE})
    for reply in (made, patched):
        assert (reply.status, code_of(reply)) == (422, "reference-by-condition")
        assert reply.json["issue"][0]["expression"] == ["Observation.subject"]
