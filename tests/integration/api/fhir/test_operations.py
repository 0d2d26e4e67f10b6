"""$meta, $lastn, $docref, $match."""

import json

from tests.integration.api.fhir.stored import FHIR, found, named, observation, patient, put
from tests.integration.feed import Feed, hl7, pid

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
HOME = {"system": "http://example.org/where", "code": "home"}
VIP = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "CEL"}
MRN = {"system": "urn:mrn", "value": "77"}
P1 = {"reference": "Patient/p1"}


async def post(client, path, **parameters):
    listed = [{"name": name, **value} for name, value in parameters.items()]
    body = json.dumps({"resourceType": "Parameters", "parameter": listed}).encode()
    headers = {"content-type": "application/fhir+json"}
    return await client.call("POST", f"{FHIR}/{path}", body=body, headers=headers)


async def meta_of(client, path):
    reply = await client.get(f"{FHIR}/{path}")
    assert reply.status == 200, reply.body
    [returned] = reply.json["parameter"]
    return returned["valueMeta"]


async def test_labels_are_added_once_and_taken_away_by_name_each_as_a_version(client):
    await put(client, patient("p1", meta={"tag": [HOME]}))
    reply = await post(client, "Patient/p1/$meta-add", meta={"valueMeta": {"tag": [HOME], "security": [VIP]}})
    assert reply.status == 200
    assert reply.headers["etag"] == 'W/"2"'
    again = await post(client, "Patient/p1/$meta-add", meta={"valueMeta": {"tag": [HOME], "security": [VIP]}})
    assert again.headers["etag"] == 'W/"2"'
    meta = await meta_of(client, "Patient/p1/$meta")
    assert (meta["versionId"], meta["tag"], meta["security"]) == ("2", [HOME], [VIP])
    assert named(await found(client, "Patient?_security=CEL")) == ["Patient/p1"]
    unlisted = {"security": [VIP], "tag": [{"code": "never-there"}]}
    reply = await post(client, "Patient/p1/$meta-delete", meta={"valueMeta": unlisted})
    meta = reply.json["parameter"][0]["valueMeta"]
    assert (meta["versionId"], meta["tag"], meta.get("security")) == ("3", [HOME], None)
    assert named(await found(client, "Patient?_security=CEL")) == []


async def test_labels_in_use_are_told_of_a_type_and_of_all(client, other_client):
    await put(
        client,
        patient("p1", meta={"tag": [HOME, {"code": "bare"}], "profile": ["http://example.org/p"]}),
        patient("p2", meta={"tag": [HOME]}),
        observation("o1", meta={"tag": [{"system": "http://example.org/where", "code": "away"}]}),
    )
    of_patients = await meta_of(client, "Patient/$meta")
    assert sorted(tag["code"] for tag in of_patients["tag"]) == ["bare", "home"]
    assert of_patients["profile"] == ["http://example.org/p"]
    of_all = await meta_of(client, "$meta")
    assert sorted(tag["code"] for tag in of_all["tag"]) == ["away", "bare", "home"]
    assert await meta_of(other_client, "$meta") == {}


async def test_labels_that_cannot_be_are_refused_and_nothing_is_written_by_who_may_only_read(client, services, app):
    await put(client, patient("p1"))
    for wrong in ({}, {"meta": {"valueString": "x"}}, {"meta": {"valueMeta": {"tag": ["home"]}}}):
        assert (await post(client, "Patient/p1/$meta-add", **wrong)).status == 400
    for wrong in ({"code": {}}, {"code": "x", "colour": "red"}, {"system": 1}):
        for operation in ("$meta-add", "$meta-delete"):
            assert (await post(client, f"Patient/p1/{operation}", meta={"valueMeta": {"tag": [wrong]}})).status == 422
    assert (await client.get(f"{FHIR}/Patient/p1/$meta-add")).status == 405
    assert (await client.get(f"{FHIR}/Patient/nobody/$meta")).status == 404


async def test_the_last_observations_of_each_code_are_given_whatever_codes_stand_beside_it(client):
    loinc, own = "http://loinc.org", "http://example.org/codes"
    pulse = {"coding": [{"system": loinc, "code": "8867-4"}, {"system": own, "code": "HR"}]}
    await put(
        client,
        patient("p1"),
        *(observation(f"hr{day}", day=day, code=pulse) for day in (1, 2, 3)),
        observation("local", day=9, code={"coding": [{"system": own, "code": "HR"}]}),
        *(observation(f"bp{day}", day=day, code={"coding": [{"system": loinc, "code": "85354-9"}]}) for day in (5, 6)),
        observation("text", day=4, code={"text": "Mood"}),
        observation("theirs", "p2", day=28),
    )
    bundle = await found(client, "Observation/$lastn?patient=p1")
    assert named(bundle) == ["Observation/local", "Observation/bp6", "Observation/text"]
    two = await found(client, "Observation/$lastn?patient=Patient/p1&max=2&code=8867-4,HR")
    assert named(two) == ["Observation/local", "Observation/hr3"]
    posted = await post(client, "Observation/$lastn", patient={"valueString": "p1"}, max={"valuePositiveInt": 1})
    assert named(posted.json) == named(bundle)
    for wrong in ("", "?code=8867-4", "?patient=p1&max=0", "?patient=p1&max=x"):
        assert (await client.get(f"{FHIR}/Observation/$lastn{wrong}")).status == 400, wrong


def document(logical_id, code="34133-9", start="2026-01-01", **more):
    return {
        "resourceType": "DocumentReference",
        "id": logical_id,
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": P1,
        "date": f"{start}T00:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "url": "http://example.org/d"}}],
        "context": {"period": {"start": start, "end": start}},
        **more,
    }


async def test_documents_are_told_by_type_and_time_and_without_a_time_the_newest_of_each_type(client):
    await put(
        client,
        patient("p1"),
        document("old", start="2024-05-01"),
        document("new"),
        document("note", "11506-3", "2025-01-01"),
        document("void", status="superseded"),
        document("theirs", subject={"reference": "Patient/p2"}),
    )
    address = "DocumentReference/$docref?patient=p1"
    assert sorted(named(await found(client, address))) == ["DocumentReference/new", "DocumentReference/note"]
    assert named(await found(client, f"{address}&type=http://loinc.org|34133-9")) == ["DocumentReference/new"]
    in_2024 = await found(client, f"{address}&start=2024&end=2024-12")
    assert named(in_2024) == ["DocumentReference/old"]
    coded = {"valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]}}
    posted = await post(client, "DocumentReference/$docref", patient={"valueId": "p1"}, type=coded)
    assert named(posted.json) == ["DocumentReference/note"]
    on_demand = await found(client, f"{address}&on-demand=true")
    assert named(on_demand) == []
    assert on_demand["entry"][0]["resource"]["resourceType"] == "OperationOutcome"
    assert (await client.get(f"{FHIR}/DocumentReference/$docref")).status == 400


async def graded(client, wanted, **more):
    resource = {"resource": {"resourceType": "Patient", **wanted}}
    reply = await post(client, "Patient/$match", resource=resource, **more)
    assert reply.status == 200, reply.body
    entries = reply.json.get("entry", [])
    return {
        one["resource"]["id"]: (one["search"]["extension"][0]["valueCode"], one["search"]["score"]) for one in entries
    }


async def test_numbers_make_a_match_certain_and_persons_make_it_probable_or_possible(client):
    name = [{"family": "Okonkwo", "given": ["Adaeze"]}]
    await put(
        client,
        patient("numbered", identifier=[MRN], name=name, birthDate="1984-02-29", gender="female"),
        patient("namesake", name=name, birthDate="1984-02-29", gender="female"),
        patient("cousin", name=[{"family": "Okonkwo", "given": ["Ngozi"]}], birthDate="1984-02-29", gender="female"),
        patient("stranger", name=[{"family": "Lind", "given": ["Erik"]}], birthDate="1970-05-05", gender="male"),
    )
    person = {"name": name, "birthDate": "1984-02-29", "gender": "female"}
    found_by_number = await graded(client, {"identifier": [MRN], **person})
    assert found_by_number["numbered"] == ("certain", 1.0)
    assert {name: grade for name, (grade, _) in found_by_number.items()} == {
        "numbered": "certain",
        "namesake": "probable",
        "cousin": "possible",
    }
    assert next(iter(found_by_number)) == "numbered"
    certain = {"valueBoolean": True}
    assert list(await graded(client, {"identifier": [MRN], **person}, onlyCertainMatches=certain)) == ["numbered"]
    assert await graded(client, person, onlyCertainMatches=certain) == {}
    assert len(await graded(client, person, count={"valueInteger": 1})) == 1
    another = {"identifier": [MRN], "name": [{"family": "Lind", "given": ["Erik"]}], "birthDate": "1970-05-05"}
    assert (await graded(client, another))["numbered"][0] == "possible"
    accents = {**person, "name": [{"family": "OKONKWÓ", "given": ["adaeze"]}]}
    assert (await graded(client, accents))["namesake"][0] == "probable"


async def test_who_was_merged_away_is_matched_as_the_survivor(client, pool, engine_pool, org_id):
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", pid()), hl7("ADT^A04", pid("2001")))
    await feed.send(hl7("ADT^A40", pid("2001"), "MRG|1001^^^HOSP^MR"))
    survivor, gone = (await feed.body_of("2001"))["id"], (await feed.body_of("1001"))["identifier"]
    assert list(await graded(client, {"identifier": gone, "name": [{"family": "Weber"}]})) == [survivor]


async def test_what_is_no_patient_is_not_matched(client):
    for parameters, status in (
        ({}, 400),
        ({"resource": {"resource": {"resourceType": "Group"}}}, 400),
        ({"resource": {"resource": {"resourceType": "Patient", "name": "Okonkwo"}}}, 422),
        ({"resource": {"resource": {"resourceType": "Patient"}}, "count": {"valueInteger": 0}}, 400),
    ):
        assert (await post(client, "Patient/$match", **parameters)).status == status, parameters
    assert (await client.get(f"{FHIR}/Patient/$match")).status == 405


GENDERS = {"name": "url", "valueUri": "http://hl7.org/fhir/ValueSet/administrative-gender"}
MALE = {"name": "code", "valueCode": "male"}
GENDERS_SYSTEM = {"name": "system", "valueUri": "http://hl7.org/fhir/administrative-gender"}
OF_P1 = {"name": "patient", "valueId": "p1"}
SOMEBODY = {"name": "resource", "resource": {"resourceType": "Patient"}}
ILL_SHAPED = [
    ("ValueSet/$expand", 5),
    ("ValueSet/$expand", None),
    ("ValueSet/$expand", {"name": "url"}),
    ("ValueSet/$expand", ["url"]),
    ("ValueSet/$expand", [GENDERS, {"name": "activeOnly", "valueCoding": [1]}]),
    ("ValueSet/$validate-code", [GENDERS, MALE, {"name": "abstract", "valueCoding": {}}]),
    ("CodeSystem/$lookup", [MALE, GENDERS_SYSTEM, {"name": "property", "valueCoding": {}}]),
    ("DocumentReference/$docref", [OF_P1, {"name": "type", "valueCodeableConcept": {"coding": ["code"]}}]),
    ("DocumentReference/$docref", [OF_P1, {"name": "type", "valueCodeableConcept": {"coding": {"code": "x"}}}]),
    ("Patient/$match", [SOMEBODY, {"name": "count", "valueString": "\u00b2"}]),
]


async def test_parameters_of_any_shape_are_answered_with_what_is_wrong_with_them(client):
    for path, listed in ILL_SHAPED:
        body = json.dumps({"resourceType": "Parameters", "parameter": listed}).encode()
        reply = await client.call(
            "POST", f"{FHIR}/{path}", body=body, headers={"content-type": "application/fhir+json"}
        )
        assert reply.status == 400, (path, listed, reply.body)
