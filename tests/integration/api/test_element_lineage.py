"""`GET /api/v1/lineage/{Type}/{id}?path=`: every value of an element, and who gave it, for feeds and FHIR writers."""

import pytest
from tests.integration.api.hub import new_client
from tests.integration.feed import Feed, hl7, pid

FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
async def feed(pool, engine_pool, org_id):
    return await Feed(pool, engine_pool, org_id, name="City Hospital ADT").open()


async def lineage(client, kind, fhir_id, path):
    reply = await client.get(f"/api/v1/lineage/{kind}/{fhir_id}", {"path": path})
    assert reply.status == 200, reply.body
    return reply.json["changes"]


async def test_a_phone_number_says_which_message_and_field_set_it_and_what_stood_before(client, feed):
    await feed.send(hl7("ADT^A04", pid(f13="^PRN^PH^^1^416^5550100")))
    await feed.send(hl7("ADT^A08", pid(name="Weber^Anne", f13="^PRN^PH^^1^416^5550111"), at="20260302120000"))
    patient = await feed.body("Patient")
    now, before = await lineage(client, "Patient", patient["id"], "Patient.telecom.value")
    assert (now["version"], now["values"], before["values"]) == (2, ["+1 416 5550111"], ["+1 416 5550100"])
    [said] = now["said_by"]
    assert (said["by"], said["name"], said["event"], said["field"]) == (
        "source",
        "City Hospital ADT",
        "ADT^A08",
        "PID-13",
    )
    assert said["recorded_at"] == "2026-03-02T11:00:00.000Z"
    assert said["words"].startswith(f"Set by PID-13 of a message ADT^A08 ({said['message_id']}) from City Hospital ADT")
    assert (await client.get(f"/api/v1/hl7/messages/{said['message_id']}")).status == 200


async def test_what_a_fhir_client_set_names_its_key_and_the_feed_s_word_before_it_is_kept(client, feed):
    await feed.send(hl7("ADT^A04", pid()))
    patient = await feed.body("Patient")
    path = f"/fhir/R4/Patient/{patient['id']}"
    read = (await client.get(path)).json
    changed = {**read, "gender": "male", "maritalStatus": {"text": "married"}}
    assert (await client.put(path, changed, **FHIR, **{"x-request-id": "req-9"})).status == 200
    now, before = await lineage(client, "Patient", patient["id"], "gender")
    assert [now["values"], before["values"]] == [["male"], ["female"]]
    assert (now["said_by"][0]["by"], now["said_by"][0]["field"], now["said_by"][0]["request_id"]) == (
        "key",
        "/gender",
        "req-9",
    )
    assert (before["said_by"][0]["by"], before["said_by"][0]["field"]) == ("source", "PID-8")
    assert await lineage(client, "Patient", patient["id"], "Patient.maritalStatus.coding") == []


async def test_one_item_of_a_list_says_who_gave_this_item(client, feed):
    await feed.send(hl7("ADT^A04", pid(f13="^PRN^PH^^1^416^5550100", f14="^WPN^PH^^1^416^5550199")))
    patient = await feed.body("Patient")
    for at, field in enumerate(("PID-13", "PID-14")):
        [change] = await lineage(client, "Patient", patient["id"], f"Patient.telecom[{at}].value")
        assert [said["field"] for said in change["said_by"]] == [field]
    [whole] = await lineage(client, "Patient", patient["id"], "Patient.telecom")
    assert [said["field"] for said in whole["said_by"]] == ["PID-13", "PID-14"]


async def test_any_type_and_any_element_of_it_answers_choices_and_parts_too(client):
    body = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "preliminary",
        "code": {"text": "weight"},
        "valueQuantity": {"value": 72.5, "unit": "kg"},
        "component": [{"code": {"text": "x"}, "valueString": "heavy"}],
    }
    assert (await client.put("/fhir/R4/Observation/o1", body, **FHIR)).status == 201
    final = {**body, "status": "final", "valueQuantity": {"value": 73.5, "unit": "kg"}}
    await client.put("/fhir/R4/Observation/o1", final, **FHIR)
    changes = await lineage(client, "Observation", "o1", "Observation.value.ofType(Quantity).value")
    assert [change["values"] for change in changes] == [[73.5], [72.5]]
    assert {said["element"] for said in changes[0]["said_by"]} == {"value[x]"}
    [unit] = await lineage(client, "Observation", "o1", "value.unit")
    assert unit["version"] == 1
    [component] = await lineage(client, "Observation", "o1", "component.where(code.text = 'x').value")
    assert component["values"] == ["heavy"]


async def test_a_value_that_was_taken_away_is_a_change_to_nothing(client):
    body = {"resourceType": "Patient", "id": "p1", "gender": "female", "name": [{"family": "Weber"}]}
    await client.put("/fhir/R4/Patient/p1", body, **FHIR)
    await client.put("/fhir/R4/Patient/p1", {**body, "gender": None} | {"gender": "unknown"}, **FHIR)
    await client.call("DELETE", "/fhir/R4/Patient/p1")
    changes = await lineage(client, "Patient", "p1", "Patient.gender")
    assert [change["values"] for change in changes] == [[], ["unknown"], ["female"]]


@pytest.mark.parametrize(
    "path", ["Patient.nmae", "name.given & 'x'", "Encounter.status", "name..given", "resolve()", ""]
)
async def test_what_is_no_path_to_an_element_is_refused_with_the_reason(client, path):
    await client.put("/fhir/R4/Patient/p1", {"resourceType": "Patient", "id": "p1", "name": [{"family": "W"}]}, **FHIR)
    reply = await client.get("/api/v1/lineage/Patient/p1", {"path": path})
    assert (reply.status, reply.json["code"]) == (400, "invalid_parameter")


async def test_values_are_for_keys_that_may_read_them_and_never_for_other_organisations(
    client, other_client, services, app, org_id
):
    await client.put("/fhir/R4/Patient/p1", {"resourceType": "Patient", "id": "p1", "name": [{"family": "W"}]}, **FHIR)
    narrow = await new_client(services, app, org_id, "lineage.read")
    [change] = await lineage(narrow, "Patient", "p1", "Patient.name.family")
    assert (change["values"], len(change["said_by"])) == (None, 1)
    assert (await other_client.get("/api/v1/lineage/Patient/p1", {"path": "name"})).status == 404


async def test_parts_of_an_element_that_different_fields_tell_answer_for_themselves(client, feed):
    visit = "PV1|1|I|W1^101^1^HOSP||||||||||||||||V77^^^HOSP^VN|||||||||||||||||||||||||20260301080000"
    await feed.send(hl7("ADT^A01", pid(), visit))
    await feed.send(hl7("ADT^A03", pid(), f"{visit}|20260304100000", at="20260304110000"))
    encounter = await feed.body("Encounter")
    [start] = await lineage(client, "Encounter", encounter["id"], "Encounter.period.start")
    [end] = await lineage(client, "Encounter", encounter["id"], "period.end")
    assert [said["element"] for said in (*start["said_by"], *end["said_by"])] == ["period.start", "period.end"]
    assert [start["said_by"][0]["field"], end["said_by"][0]["field"]] == ["PV1-44", "PV1-45"]
    assert [change["version"] for change in (start, end)] == [1, 2]
    assert len(await lineage(client, "Encounter", encounter["id"], "Encounter.period")) == 2
