"""A transaction Bundle is carried whole or not at all, and its links lead to what its entries became."""

import base64
import json

import pytest
from tests.integration.api.fhir.bundles import (
    ODD_ENTRIES,
    PATIENT,
    a_patient,
    an_observation,
    delete,
    faults,
    get,
    patch,
    places,
    post,
    put,
    statuses,
    transaction,
)
from tests.integration.api.hub import new_client


async def read(client, reference):
    return (await client.get(f"/fhir/R4/{reference}")).json


async def test_links_to_entries_lead_to_the_resources_that_they_became(client):
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{PATIENT}">her</a></div>'
    observation = an_observation(text={"status": "generated", "div": narrative})
    reply = await client.post("/fhir/R4", transaction(post(observation), post(a_patient(), PATIENT)))
    assert reply.status == 200, reply.json
    assert reply.json["type"] == "transaction-response"
    assert statuses(reply) == ["201", "201"]
    told, patient = places(reply)
    stored = await read(client, told)
    assert stored["subject"] == {"reference": patient}
    assert f'href="{patient}"' in stored["text"]["div"]
    assert (await read(client, patient))["meta"]["versionId"] == "1"
    assert reply.json["entry"][0]["response"]["etag"] == 'W/"1"'
    assert reply.json["entry"][0]["response"]["lastModified"] == stored["meta"]["lastUpdated"]


async def test_one_entry_that_fails_undoes_all_and_is_named(client, record):
    bad = [post(a_patient(), PATIENT), post(an_observation()), delete("Patient/x", ifMatch='W/"3"')]
    reply = await client.post("/fhir/R4", transaction(*bad))
    assert reply.status == 412
    assert faults(reply) == ["Bundle.entry[2]"]
    async with record.pool.transaction(record.org) as tx:
        assert await tx.fetchval("select count(*) from resource") == 0
        assert await tx.fetchval("select count(*) from event") == 0


async def test_deletes_come_first_then_creates_updates_and_what_is_asked_sees_them(client):
    await client.post("/fhir/R4", transaction(put(a_patient(id="one")), put(a_patient("M-2", id="two"))))
    reply = await client.post(
        "/fhir/R4",
        transaction(
            get("Patient/one"),
            put(a_patient("M-2", family="Changed", id="one")),
            post(a_patient("M-3"), PATIENT),
            delete("Patient/two"),
            get("Patient/one/_history/2"),
            get("Patient?identifier=urn:x:number|M-3"),
            {"request": {"method": "HEAD", "url": "Patient/one"}},
        ),
    )
    assert statuses(reply) == ["200", "200", "201", "204", "200", "200", "200"], reply.json
    assert reply.json["entry"][5]["resource"]["entry"][0]["resource"]["identifier"][0]["value"] == "M-3"
    assert "resource" not in reply.json["entry"][6]
    assert reply.json["entry"][0]["resource"]["name"][0]["family"] == "Changed"
    assert (await client.get("/fhir/R4/Patient/two")).status == 410


async def test_what_is_asked_and_fails_undoes_all(client):
    reply = await client.post("/fhir/R4", transaction(put(a_patient(id="one")), get("Patient/nobody")))
    assert reply.status == 404
    assert faults(reply) == ["Bundle.entry[1]"]
    assert (await client.get("/fhir/R4/Patient/one")).status == 404


async def test_a_create_under_a_condition_makes_one_resource_however_often_it_is_sent(client):
    sent = transaction(
        post(a_patient(), PATIENT, ifNoneExist="identifier=urn:x:number|M-1"),
        post(an_observation()),
    )
    first, again = await client.post("/fhir/R4", sent), await client.post("/fhir/R4", sent)
    assert statuses(first) == ["201", "201"]
    assert statuses(again) == ["200", "201"]
    assert places(first)[0] == places(again)[0]
    assert (await read(client, places(again)[1]))["subject"]["reference"] == places(first)[0]


async def test_two_creates_of_one_condition_are_one_resource(client):
    one = post(a_patient(), PATIENT, ifNoneExist="identifier=urn:x:number|M-1")
    other = one | {"fullUrl": "urn:uuid:7a3b24b4-5fdc-4c54-9b04-d9e6d7f4e7aa"}
    reply = await client.post("/fhir/R4", transaction(one, other))
    assert statuses(reply) == ["201", "200"]
    assert places(reply)[0] == places(reply)[1]


async def test_a_condition_that_several_resources_meet_undoes_all(client):
    twice = [post(a_patient(), None), post(a_patient(family="Other"))]
    assert (await client.post("/fhir/R4", transaction(*twice))).status == 200
    conditional = put(a_patient(), "Patient?identifier=urn:x:number|M-1")
    reply = await client.post("/fhir/R4", transaction(post(a_patient("M-9")), conditional))
    assert reply.status == 412
    assert faults(reply) == ["Bundle.entry[1]"]


async def test_conditional_updates_and_deletes_are_about_what_meets_the_condition(client):
    made = await client.post("/fhir/R4", transaction(post(a_patient()), post(a_patient("M-2"))))
    reply = await client.post(
        "/fhir/R4",
        transaction(
            put(a_patient(family="Changed"), "Patient?identifier=urn:x:number|M-1", PATIENT),
            put(a_patient("M-3"), "Patient?identifier=urn:x:number|M-3"),
            delete("Patient?identifier=urn:x:number|M-2"),
            delete("Patient?identifier=urn:x:number|nobody"),
            post(an_observation()),
        ),
    )
    assert statuses(reply) == ["200", "201", "204", "204", "201"]
    assert places(reply)[0] == places(made)[0]
    assert (await read(client, places(reply)[4]))["subject"]["reference"] == places(made)[0]
    assert (await client.get(f"/fhir/R4/{places(made)[1]}")).status == 410


async def test_references_by_a_condition_lead_to_the_one_resource_that_meets_it(client):
    made = await client.post("/fhir/R4", transaction(post(a_patient())))
    practitioner = {"resourceType": "Practitioner", "identifier": [{"system": "urn:x:npi", "value": "7"}]}
    by_condition = an_observation(
        "Patient?identifier=urn:x:number|M-1", performer=[{"reference": "Practitioner?identifier=urn:x:npi|7"}]
    )
    reply = await client.post("/fhir/R4", transaction(post(by_condition), post(practitioner)))
    assert reply.status == 200, reply.json
    stored = await read(client, places(reply)[0])
    assert stored["subject"]["reference"] == places(made)[0]
    assert stored["performer"][0]["reference"] == places(reply)[1]


async def test_a_reference_by_a_condition_that_nothing_meets_undoes_all(client):
    reply = await client.post("/fhir/R4", transaction(post(an_observation("Patient?identifier=urn:x:number|M-1"))))
    assert reply.status == 412
    assert faults(reply) == ["Bundle.entry[0]"]


async def test_two_entries_about_one_resource_are_refused(client):
    reply = await client.post("/fhir/R4", transaction(put(a_patient(id="one")), delete("Patient/one")))
    assert reply.status == 400
    assert faults(reply) == ["Bundle.entry[0].request.url"]
    twice = transaction(post(a_patient(), PATIENT), post(a_patient("M-2"), PATIENT))
    assert faults(await client.post("/fhir/R4", twice)) == ["Bundle.entry[1].fullUrl"]


async def test_relative_references_follow_the_server_that_their_own_entry_came_from(client):
    base = "https://elsewhere.example/fhir"
    await client.post("/fhir/R4", transaction(put(a_patient("M-9", id="7"))))
    reply = await client.post(
        "/fhir/R4",
        transaction(
            post(a_patient(), f"{base}/Patient/7"),
            post(an_observation("Patient/7"), f"{base}/Observation/1"),
            post(an_observation("Patient/7")),
        ),
    )
    patient, theirs, ours = places(reply)
    assert (await read(client, theirs))["subject"]["reference"] == patient
    assert (await read(client, ours))["subject"]["reference"] == "Patient/7"


async def test_decimals_stay_as_they_were_written(client):
    body = b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Observation"},'
    body += b'"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},'
    body += b'"valueQuantity":{"value":72.50}}}]}'
    headers = {"content-type": "application/fhir+json", "prefer": "return=representation"}
    reply = await client.call("POST", "/fhir/R4", body=body, headers=headers)
    assert b'"value":72.50' in reply.body


async def test_a_key_that_may_only_read_writes_nothing(services, app, org_id, client):
    reader = await new_client(services, app, org_id, "fhir.read")
    assert (await reader.post("/fhir/R4", transaction(post(a_patient())))).status == 403
    await client.post("/fhir/R4", transaction(put(a_patient(id="one"))))
    assert statuses(await reader.post("/fhir/R4", transaction(get("Patient/one")))) == ["200"]


async def test_the_same_request_under_its_key_is_carried_once(client, record):
    sent = transaction(post(a_patient(), PATIENT), post(an_observation()))
    first = await client.post("/fhir/R4", sent, idempotency_key="k-1")
    again = await client.post("/fhir/R4", sent, idempotency_key="k-1")
    assert places(first) == places(again)
    assert again.headers["idempotent-replayed"] == "true"
    async with record.pool.transaction(record.org) as tx:
        assert await tx.fetchval("select count(*) from resource") == 2


async def test_the_audit_row_lists_every_patient_and_counts_every_resource(client, record):
    reply = await client.post("/fhir/R4", transaction(post(a_patient(), PATIENT), post(an_observation())))
    [row] = [row for row in await record.audit_rows() if row["query_shape"].startswith("POST /fhir/R4")]
    assert row["row_count"] == 2
    assert places(reply)[0].removeprefix("Patient/") in str(dict(row))


async def test_patches_of_every_format_are_entries(client):
    await client.post("/fhir/R4", transaction(put(a_patient(id="one")), put(a_patient("M-2", id="two"))))
    operations = json.dumps([{"op": "replace", "path": "/gender", "value": "other"}]).encode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(operations).decode(),
    }
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.birthDate"},
        {"name": "value", "valueDate": "1990-01-01"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    reply = await client.post("/fhir/R4", transaction(patch("Patient/one", binary), patch("Patient/two", parameters)))
    assert statuses(reply) == ["200", "200"], reply.json
    assert (await read(client, "Patient/one"))["gender"] == "other"
    assert (await read(client, "Patient/two"))["birthDate"] == "1990-01-01"


async def test_an_invalid_resource_undoes_all_and_its_fault_is_told_at_its_place(client):
    bad = an_observation(status="unknowable")
    reply = await client.post("/fhir/R4", transaction(post(a_patient(), PATIENT), post(bad)))
    assert reply.status == 422
    assert faults(reply) == ["Bundle.entry[1].resource.status"]
    assert (await client.get("/fhir/R4/Patient?_summary=count")).json["total"] == 0


async def test_a_reference_to_nothing_is_refused_where_strictness_is_asked_for_and_told_where_an_outcome_is(client):
    sent = transaction(post(a_patient(), PATIENT), post(an_observation("Patient/nobody")))
    strict = await client.post("/fhir/R4", sent, prefer="handling=strict")
    assert strict.status == 422
    assert faults(strict) == ["Bundle.entry[1].resource.subject"]
    told = await client.post("/fhir/R4", sent, prefer="return=OperationOutcome")
    outcomes = [entry["response"]["outcome"]["issue"] for entry in told.json["entry"]]
    assert [issue["expression"] for issue in outcomes[1]][-1:] == [["Bundle.entry[1].resource.subject"]]
    assert statuses(told) == ["201", "201"]


async def test_absolute_references_to_this_server_become_relative(client):
    await client.post("/fhir/R4", transaction(put(a_patient(id="one"))))
    absolute = an_observation("http://localhost/fhir/R4/Patient/one")
    reply = await client.post("/fhir/R4", transaction(post(absolute)))
    assert (await read(client, places(reply)[0]))["subject"]["reference"] == "Patient/one"


async def test_a_patient_of_one_organisation_is_nothing_to_a_condition_of_another(client, other_client):
    await other_client.post("/fhir/R4", transaction(post(a_patient())))
    reply = await client.post("/fhir/R4", transaction(post(a_patient(), ifNoneExist="identifier=urn:x:number|M-1")))
    assert statuses(reply) == ["201"]


JUNK = {
    "identifier": [5, [5], [{"value": {}}], {"value": 1}],
    "id": [7, [], "", "a b"],
    "subject": ["", {"reference": ""}, {"reference": 5}, {"reference": "Patient?x"}, {"reference": "Patient?_id="}],
    "meta": [5, {"tag": 5}, {"versionId": []}],
    "text": [{"div": "href"}, {"div": 5}],
    "contained": [5, [5], [{"resourceType": "Nonsense"}]],
    "resourceType": ["Nonsense", 5, None],
}


@pytest.mark.parametrize("name", JUNK)
async def test_broken_resources_are_refused_and_nothing_is_stored(client, name):
    for junk in JUNK[name]:
        body = an_observation() | {name: junk}
        entries = [
            {"resource": body, "request": {"method": "POST", "url": "Observation"}},
            {"resource": body, "request": {"method": "PUT", "url": "Observation/one"}},
            {"resource": body, "request": {"method": "PUT", "url": "Observation?identifier=urn:x|1"}},
        ]
        for entry in entries:
            reply = await client.post("/fhir/R4", transaction(post(a_patient(), PATIENT), entry))
            refused = {200, 422} if name == "id" and entry["request"]["method"] == "POST" else {400, 404, 412, 422}
            assert reply.status in refused, (junk, reply.json)


async def test_entries_of_any_shape_undo_all_or_are_carried_and_are_never_a_fault(client):
    await client.post("/fhir/R4", transaction(put({**an_observation("Patient/x"), "id": "one"})))
    for entry in ODD_ENTRIES:
        reply = await client.post("/fhir/R4", transaction(post(a_patient(), PATIENT), entry))
        assert reply.status < 500, entry
