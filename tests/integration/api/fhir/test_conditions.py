"""Writes on a condition: versions that are wanted, resources that are looked for, what is given back."""

import asyncio

import pytest
from tests.integration.api.fhir.bundles import post, transaction
from tests.integration.api.fhir.resources import FHIR, HOSPITAL, a_patient, an_observation, code_of, put
from tests.integration.api.hub import new_client

KNOWN = f"identifier={HOSPITAL}|1001"


async def test_a_write_that_wants_another_version_than_stands_is_refused_and_changes_nothing(client):
    await put(client, a_patient("p1"))
    again = a_patient("p1", gender="male")
    for refused in (
        await put(client, again, if_match='W/"2"'),
        await put(client, again, if_none_match="*"),
        await client.call("DELETE", "/fhir/R4/Patient/p1", headers={"if-match": 'W/"7"'}),
        await put(client, a_patient("p2"), if_match='W/"1"'),
    ):
        assert (refused.status, code_of(refused)) == (412, "precondition_failed")
    assert (await put(client, again, if_match='W/"1"')).headers["etag"] == 'W/"2"'
    assert (await client.get("/fhir/R4/Patient/p2")).status == 404
    assert (await put(client, again, if_match="seven")).status == 400


async def test_a_read_of_what_the_caller_holds_gives_only_headers(client):
    made = await put(client, a_patient("p1"))
    for headers in (
        {"if-none-match": 'W/"1"'},
        {"if-none-match": 'W/"9", W/"1"'},
        {"if-none-match": '"1"'},
        {"if-modified-since": made.headers["last-modified"]},
    ):
        reply = await client.call("GET", "/fhir/R4/Patient/p1", headers=headers)
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", 'W/"1"')
    older = {"if-modified-since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert (await client.call("GET", "/fhir/R4/Patient/p1", headers=older)).status == 200
    head = await client.call("HEAD", "/fhir/R4/Patient/p1")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", 'W/"1"')


async def test_a_conditional_update_makes_changes_or_refuses_by_how_many_meet_it(client):
    path = f"/fhir/R4/Patient?{KNOWN}"
    made = await client.put(path, a_patient(mrn="1001"), **FHIR)
    assert made.status == 201
    changed = await client.put(path, a_patient(mrn="1001", gender="other"), **FHIR)
    assert (changed.status, changed.json["id"], changed.headers["etag"]) == (200, made.json["id"], 'W/"2"')
    wrong = await client.put(path, a_patient("another", mrn="1001"), **FHIR)
    assert (wrong.status, code_of(wrong)) == (400, "id_mismatch")
    await client.post("/fhir/R4/Patient", a_patient(mrn="1002"), **FHIR)
    several = await client.put("/fhir/R4/Patient?family=Okonkwo", a_patient(), **FHIR)
    assert (several.status, code_of(several)) == (412, "multiple_matches")
    assert (await client.put("/fhir/R4/Patient", a_patient(), **FHIR)).status == 400


async def test_a_conditional_patch_and_delete_are_about_the_one_that_meets_them(client):
    await put(client, a_patient("p1", mrn="1001"))
    merge = {"content-type": "application/merge-patch+json"}
    assert (await client.patch(f"/fhir/R4/Patient?{KNOWN}", {"gender": "other"}, **merge)).json["gender"] == "other"
    assert (await client.patch("/fhir/R4/Patient?identifier=urn:x|9", {"gender": "male"}, **merge)).status == 404
    assert (await client.call("DELETE", "/fhir/R4/Patient?identifier=urn:x|9")).status == 204
    assert (await client.call("DELETE", f"/fhir/R4/Patient?{KNOWN}")).status == 204
    assert (await client.get("/fhir/R4/Patient/p1")).status == 410
    for path in ("/fhir/R4/Patient", "/fhir/R4/Patient?_count=1", "/fhir/R4/Patient?no-such=1"):
        assert (await client.call("DELETE", path)).status == 400


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/json-patch+json", [{"op": "replace", "path": "/gender", "value": "male"}]),
        ("application/json", [{"op": "replace", "path": "/gender", "value": "male"}]),
        ("application/merge-patch+json", {"gender": "male"}),
        ("application/json", {"gender": "male"}),
        (
            "application/fhir+json",
            {
                "resourceType": "Parameters",
                "parameter": [
                    {
                        "name": "operation",
                        "part": [
                            {"name": "type", "valueCode": "replace"},
                            {"name": "path", "valueString": "Patient.gender"},
                            {"name": "value", "valueCode": "male"},
                        ],
                    }
                ],
            },
        ),
    ],
)
async def test_a_patch_changes_a_part_in_each_of_its_formats(client, media, patch):
    await put(client, a_patient("p1"))
    reply = await client.patch("/fhir/R4/Patient/p1", patch, content_type=media, if_match='W/"1"')
    assert (reply.status, reply.json["gender"], reply.json["birthDate"]) == (200, "male", "1984-02-29")
    assert (await client.patch("/fhir/R4/Patient/p1", patch, content_type=media, if_match='W/"1"')).status == 412


@pytest.mark.parametrize(
    ("media", "patch", "status", "code"),
    [
        ("application/json-patch+json", [{"op": "test", "path": "/gender", "value": "male"}], 422, "patch_test_failed"),
        ("application/json-patch+json", [{"op": "remove", "path": "/name/7"}], 422, "patch_failed"),
        ("application/json-patch+json", {"gender": "male"}, 400, "body_malformed"),
        ("application/json-patch+json", [{"op": "replace", "path": "/id", "value": "p2"}], 400, "id_mismatch"),
        ("application/merge-patch+json", {"gender": "unheard-of"}, 422, "code-required"),
        ("application/xml", {"gender": "male"}, 415, "media_type_unsupported"),
    ],
)
async def test_a_patch_that_does_not_fit_or_makes_no_valid_resource_changes_nothing(client, media, patch, status, code):
    await put(client, a_patient("p1"))
    reply = await client.patch("/fhir/R4/Patient/p1", patch, content_type=media)
    assert (reply.status, code_of(reply)) == (status, code)
    assert (await client.get("/fhir/R4/Patient/p1")).headers["etag"] == 'W/"1"'


async def test_a_write_gives_back_what_it_is_asked_for(client):
    await put(client, a_patient("p1"))
    minimal = await client.post("/fhir/R4/Observation", an_observation(), prefer="return=minimal", **FHIR)
    assert (minimal.status, minimal.body, minimal.headers["etag"]) == (201, b"", 'W/"1"')
    body = an_observation(performer=[{"reference": "Practitioner/nobody"}])
    told = await client.post("/fhir/R4/Observation", body, prefer="return=OperationOutcome", **FHIR)
    warned = [one for one in told.json["issue"] if one["expression"] == ["Observation.performer[0]"]]
    assert (told.status, warned[0]["severity"]) == (201, "warning")
    whole = await client.post("/fhir/R4/Observation", an_observation(), prefer="return=representation", **FHIR)
    assert whole.json["resourceType"] == "Observation"


async def test_who_asks_for_strictness_may_not_refer_to_what_is_not_there(client):
    body = an_observation(performer=[{"reference": "Practitioner/nobody"}])
    reply = await client.post("/fhir/R4/Observation", body, prefer="handling=strict", **FHIR)
    assert (reply.status, code_of(reply)) == (422, "reference_not_found")
    places = [issue["expression"] for issue in reply.json["issue"]]
    assert places == [["Observation.performer[0]"], ["Observation.subject"]]
    assert (await client.get("/api/v1/events")).json["data"] == []
    await put(client, a_patient("p1"))
    await put(client, {"resourceType": "Practitioner", "id": "nobody"})
    assert (await client.post("/fhir/R4/Observation", body, prefer="handling=strict", **FHIR)).status == 201


async def test_an_invalid_resource_is_refused_with_every_issue_and_nothing_is_stored(client):
    reply = await client.post("/fhir/R4/Patient", {"resourceType": "Patient", "gender": "x", "nome": "y"}, **FHIR)
    assert reply.status == 422
    assert {tuple(one["expression"]) for one in reply.json["issue"]} == {("Patient.gender",), ("Patient.nome",)}
    malformed = await client.call("POST", "/fhir/R4/Patient", body=b'{"resourceType":"Patient",', headers=FHIR)
    assert (malformed.status, code_of(malformed)) == (400, "body_malformed")
    assert (await client.get("/api/v1/events")).json["data"] == []


async def test_a_retry_under_its_idempotency_key_gets_the_first_answer_and_makes_nothing(client):
    first = await client.post("/fhir/R4/Patient", a_patient(), idempotency_key="k1", **FHIR)
    again = await client.post("/fhir/R4/Patient", a_patient(), idempotency_key="k1", **FHIR)
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (201, first.body, "true")
    assert len((await client.get("/api/v1/events")).json["data"]) == 1


async def test_a_key_without_the_scope_writes_nothing(services, app, org_id, client):
    reader = await new_client(services, app, org_id, "fhir.read")
    reply = await reader.post("/fhir/R4/Patient", a_patient(), **FHIR)
    assert (reply.status, code_of(reply)) == (403, "scope_missing")


async def test_a_key_that_may_only_write_is_given_no_resource_back(services, app, org_id, client):
    blind = await new_client(services, app, org_id, "fhir.write")
    await put(client, a_patient("p1", mrn="7"))
    patched = await blind.patch("/fhir/R4/Patient/p1", {}, **{"content-type": "application/merge-patch+json"})
    condition, wanted = f"identifier={HOSPITAL}|7", {"prefer": "return=representation"}
    found = await blind.post("/fhir/R4/Patient", a_patient(), if_none_exist=condition, **wanted)
    assert [(reply.status, reply.body) for reply in (patched, found)] == [(200, b"")] * 2
    told = await blind.post("/fhir/R4", transaction(post(a_patient(), ifNoneExist=condition)), **wanted)
    assert "resource" not in told.json["entry"][0]


async def test_of_writers_who_saw_the_same_version_one_is_served_and_none_is_lost(client):
    await put(client, a_patient("p1"))
    orders = [put(client, a_patient("p1", birthDate=f"1984-03-0{n + 1}"), if_match='W/"1"') for n in range(6)]
    assert sorted(reply.status for reply in await asyncio.gather(*orders)) == [200, 412, 412, 412, 412, 412]
    freely = [put(client, a_patient("p1", birthDate=f"1984-04-0{n + 1}")) for n in range(6)]
    etags = {reply.headers["etag"] for reply in await asyncio.gather(*freely)}
    assert etags == {f'W/"{version}"' for version in range(3, 9)}


async def test_resources_that_change_their_patients_at_once_deadlock_nobody(client):
    for name in ("p1", "p2"):
        await put(client, a_patient(name))
    for number in range(4):
        await put(client, an_observation(f"Patient/p{number % 2 + 1}", id=f"o{number}"))
    moves = [
        put(client, an_observation(f"Patient/p{number % 2 + 1}", id=f"o{(number * 3 + 1) % 4}")) for number in range(12)
    ]
    assert {reply.status for reply in await asyncio.gather(*moves)} == {200}
