"""FHIR clients, feeds and the practice API write one record: the same rules hold for all of them."""

import pytest
from tests.integration.api.fhir.resources import FHIR, HOSPITAL, MR, a_patient, adaeze, an_observation, code_of, put
from tests.integration.feed import Feed, hl7

from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import to_prefixed

V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
STATUS = "https://chartwire.org/fhir/StructureDefinition/practice-status"


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id).open()


def an_encounter(**more):
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "identifier": [{"type": {"coding": [{"system": V2_0203, "code": "VN"}]}, "system": HOSPITAL, "value": "V77"}],
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        **more,
    }


def an_appointment(**more):
    return {
        "resourceType": "Appointment",
        "id": "a1",
        "status": "booked",
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T09:30:00Z",
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
        **more,
    }


async def test_a_feed_finds_the_patient_that_a_fhir_client_wrote_and_the_client_what_the_feed_said(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await feed.send(hl7("ADT^A08", adaeze("1001", f13="4165550100"), at="20261120120000"))
    told = (await client.get("/fhir/R4/Patient/p1")).json
    assert (told["id"], told["meta"]["versionId"], told["birthDate"]) == ("p1", "2", "1984-02-29")
    assert told["telecom"][0]["value"] == "4165550100"


async def test_tags_labels_and_profiles_of_a_client_outlive_feeds_and_the_practice_api(client, feed):
    meta = {"tag": [{"system": "urn:t", "code": "pilot"}], "security": [{"system": "urn:s", "code": "R"}]}
    await put(client, a_patient("p1", mrn="1001", meta={**meta, "versionId": "77", "source": "urn:ehr"}))
    await feed.send(hl7("ADT^A08", adaeze("1001", name="Okonkwo^Ada"), at="20261120120000"))
    path = f"/api/v1/patients/{to_prefixed('pat', store_id('p1'))}"
    assert (await client.patch(path, {"gender": "other"})).status == 200
    told = (await client.get("/fhir/R4/Patient/p1")).json["meta"]
    assert {name: told[name] for name in ("tag", "security", "source")} == {**meta, "source": "urn:ehr"}
    assert told["versionId"] == "3"


async def test_a_put_without_its_labels_does_not_take_them_away_and_a_patch_does(client):
    label = {"system": "urn:s", "code": "R"}
    await put(client, a_patient("p1", meta={"security": [label]}))
    kept = await put(client, a_patient("p1", gender="other", meta={"tag": [{"code": "x"}]}))
    assert (kept.json["meta"]["security"], kept.json["meta"]["tag"]) == ([label], [{"code": "x"}])
    patch = [{"op": "remove", "path": "/meta/security"}]
    gone = await client.patch("/fhir/R4/Patient/p1", patch, content_type="application/json-patch+json")
    assert "security" not in gone.json["meta"]


async def test_what_was_written_about_a_patient_is_theirs_by_any_id_in_the_record_too(client, pool, org_id):
    await put(client, a_patient("p1"))
    await client.post("/fhir/R4/Observation", an_observation(f"Patient/{store_id('p1')}"), **FHIR)
    await client.post("/fhir/R4/Observation", an_observation("Patient/p1/_history/1"), **FHIR)
    async with pool.transaction(org_id) as tx:
        rows = await tx.fetch("select patient_id from resource where org_id = $1", org_id)
    assert {row["patient_id"] for row in rows} == {store_id("p1")}


async def test_a_number_of_another_record_is_refused(client):
    await put(client, a_patient("p1", mrn="1001"))
    reply = await put(client, a_patient("p2", mrn="1001"))
    assert (reply.status, code_of(reply)) == (409, "duplicate")
    assert reply.json["issue"][0]["diagnostics"].startswith("Patient/p1 has a number")
    assert (await client.get("/fhir/R4/Patient/p2")).status == 404


async def test_a_deleted_patient_s_number_is_free_for_a_new_record(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await client.call("DELETE", "/fhir/R4/Patient/p1")
    await feed.send(hl7("ADT^A04", adaeze("1001")))
    assert (await client.get("/fhir/R4/Patient/p1")).status == 410
    found = (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]
    assert len(found) == 1


async def test_a_patient_to_whom_something_belongs_is_not_deleted(client):
    await put(client, a_patient("p1"))
    made = (await client.post("/fhir/R4/Observation", an_observation(), **FHIR)).json
    refused = await client.call("DELETE", "/fhir/R4/Patient/p1")
    assert (refused.status, code_of(refused)) == (409, "patient_has_record")
    await client.call("DELETE", f"/fhir/R4/Observation/{made['id']}")
    assert (await client.call("DELETE", "/fhir/R4/Patient/p1")).status == 204


async def test_a_merged_patient_takes_no_writes_and_names_who_replaced_them(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await put(client, a_patient("p2", mrn="2002"))
    await client.post("/fhir/R4/Observation", an_observation("Patient/p2"), **FHIR)
    await feed.send(hl7("ADT^A40", adaeze("1001"), "MRG|2002^^^HOSP^MR"))
    for reply in (
        await put(client, a_patient("p2", gender="other")),
        await client.post("/fhir/R4/Observation", an_observation("Patient/p2"), **FHIR),
        await client.call("DELETE", "/fhir/R4/Patient/p1"),
    ):
        assert (reply.status, code_of(reply)) == (409, "merged")
    survivor = (await client.get("/fhir/R4/Patient/p1")).json
    assert survivor["link"] == [{"other": {"reference": "Patient/p2"}, "type": "replaces"}]
    moved = (await client.get("/fhir/R4/Observation?patient=p1")).json["entry"][0]["resource"]
    assert moved["subject"] == {"reference": "Patient/p1"}
    without = {name: value for name, value in survivor.items() if name != "link"}
    kept = await put(client, {**without, "gender": "other"})
    assert kept.json["link"] == survivor["link"]


async def test_a_link_that_a_client_writes_merges_nothing_and_who_asks_is_told_so(client):
    await put(client, a_patient("p2"))
    link = [{"other": {"reference": "Patient/p2"}, "type": "replaced-by"}]
    reply = await put(client, a_patient("p1", active=False, link=link), prefer="return=OperationOutcome")
    [issue] = [one for one in reply.json["issue"] if one.get("expression") == ["Patient.link[0].type"]]
    assert (issue["severity"], issue["details"]["coding"][0]["code"]) == ("warning", "link_merges_nothing")
    assert (await put(client, a_patient("p1", active=False))).status == 200


async def test_a_message_recorded_before_a_write_does_not_undo_it_and_one_after_it_counts(client, feed):
    await feed.send(hl7("ADT^A04", adaeze("1001"), at="20240101120000"))
    found = (await client.get("/fhir/R4/Patient", {"identifier": f"{HOSPITAL}|1001"})).json["entry"][0]["resource"]
    await put(client, {**found, "gender": "other"})
    path = f"/fhir/R4/Patient/{found['id']}"
    await feed.send(hl7("ADT^A08", adaeze("1001", sex="M"), at="20250101120000"))
    assert (await client.get(path)).json["gender"] == "other"
    await feed.send(hl7("ADT^A08", adaeze("1001", sex="M"), at="20990101120000"))
    assert (await client.get(path)).json["gender"] == "male"


async def test_what_a_source_of_higher_rank_says_is_not_for_a_client_to_change(client, pool, engine_pool, org_id):
    strong = await Feed(pool, engine_pool, org_id, may_set=(("Patient", 20),)).open()
    await strong.send(hl7("ADT^A04", adaeze("1001")))
    found = (await client.get("/fhir/R4/Patient", {"identifier": f"{HOSPITAL}|1001"})).json["entry"][0]["resource"]
    reply = await put(client, {**found, "gender": "other"})
    assert (reply.status, code_of(reply)) == (409, "outranked")
    assert "/gender" in reply.json["issue"][0]["diagnostics"]
    assert (await client.call("DELETE", f"/fhir/R4/Patient/{found['id']}")).status == 409
    assert (await put(client, {**found, "maritalStatus": {"text": "married"}})).status == 200


async def test_a_visit_that_a_client_ended_stays_ended_when_the_feed_updates_it_and_its_number_is_known(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    await put(client, an_encounter(status="finished"))
    visit = "PV1||I|W1^101^1||||||||||||||||V77^^^HOSP^VN"
    await feed.send(hl7("ADT^A08", adaeze("1001"), visit, at="20990101120000"))
    told = (await client.get("/fhir/R4/Encounter/e1")).json
    assert (told["status"], told["location"][0]["location"]["reference"][:9]) == ("finished", "Location/")


async def test_a_discharge_ends_a_visit_that_a_client_changed_after_the_feed_opened_it(client, feed):
    await put(client, a_patient("p1", mrn="1001"))
    visit = "PV1||I|W1^101^1||||||||||||||||V77^^^HOSP^VN"
    await feed.send(hl7("ADT^A04", adaeze("1001"), visit, at="20240101120000"))
    held = (await client.get("/fhir/R4/Encounter?patient=p1")).json["entry"][0]["resource"]
    changed = await put(client, {**held, "status": "in-progress"})
    assert (changed.status, changed.json["status"]) == (200, "in-progress")
    await feed.send(hl7("ADT^A08", adaeze("1001"), visit, at="20990101120000"))
    assert (await client.get(f"/fhir/R4/Encounter/{held['id']}")).json["status"] == "in-progress"
    await feed.send(hl7("ADT^A03", adaeze("1001"), visit, at="20990102120000"))
    assert (await client.get(f"/fhir/R4/Encounter/{held['id']}")).json["status"] == "finished"


async def test_an_appointment_moves_as_the_table_says_and_keeps_its_patient_and_past_times(client):
    await put(client, a_patient("p1"))
    await put(client, a_patient("p2"))
    await put(client, an_appointment())
    other = [{"actor": {"reference": "Patient/p2"}, "status": "accepted"}]
    assert code_of(await put(client, an_appointment(participant=other))) == "patient_fixed"
    assert (await put(client, an_appointment(status="fulfilled"))).status == 409
    assert (await put(client, an_appointment(status="arrived"))).status == 200
    later = an_appointment(status="arrived", start="2026-12-01T08:00:00Z")
    assert code_of(await put(client, later)) == "illegal_move"


async def test_the_practice_s_word_for_a_status_goes_with_the_status_that_it_belonged_to(client):
    await put(client, a_patient("p1"))
    await put(client, an_appointment())
    path = f"/api/v1/appointments/{to_prefixed('apt', store_id('a1'))}"
    assert (await client.patch(path, {"status": "confirmed"})).status == 200
    held = (await client.get("/fhir/R4/Appointment/a1")).json
    assert held["_status"]["extension"][0] == {"url": STATUS, "valueCode": "confirmed"}
    assert (await put(client, {**held, "comment": "by the door"})).json["_status"] == held["_status"]
    arrived = await put(client, {**held, "status": "arrived"})
    assert "_status" not in arrived.json
    assert (await client.get(path)).json["status"] == "arrived"


async def test_the_practice_api_knows_no_deleted_object(client):
    await put(client, a_patient("p1", identifier=[{"type": MR, "system": HOSPITAL, "value": "1001"}]))
    await client.call("DELETE", "/fhir/R4/Patient/p1")
    path = f"/api/v1/patients/{to_prefixed('pat', store_id('p1'))}"
    assert (await client.patch(path, {"gender": "male"})).status == 404
    booking = {"patient_id": to_prefixed("pat", store_id("p1")), "starts_at": "2026-12-01T09:00:00Z"}
    assert (await client.post("/api/v1/appointments", booking)).status == 409


async def test_who_changes_something_else_is_not_blamed_for_what_a_feed_said_wrong(client, record):
    logical_id = str(await record.save("Patient", {"gender": "M", "name": [{"family": "Okonkwo"}]}))
    held = (await client.get(f"/fhir/R4/Patient/{logical_id}")).json
    told = await put(client, held | {"active": True}, prefer="return=OperationOutcome")
    assert (told.status, told.json["issue"][0]["severity"], told.json["issue"][0]["expression"]) == (
        200,
        "warning",
        ["Patient.gender"],
    )
    merge = {"content-type": "application/merge-patch+json"}
    assert (await client.patch(f"/fhir/R4/Patient/{logical_id}", {"birthDate": "1984"}, **merge)).status == 200
    entry = {"resource": held | {"active": False}, "request": {"method": "PUT", "url": f"Patient/{logical_id}"}}
    assert (
        await client.post("/fhir/R4", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    ).status == 200
    worse = [held | {"gender": "F"}, held | {"active": "yes"}, held | {"id": "another"}]
    assert [(await put(client, one)).status for one in worse] == [422, 422, 422]
    assert (await client.patch(f"/fhir/R4/Patient/{logical_id}", {"gender": "F"}, **merge)).status == 422
