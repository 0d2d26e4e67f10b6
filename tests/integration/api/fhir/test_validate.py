"""$validate: 200 with what is wrong, whatever the resource is like; nothing is kept."""

import pytest

from chartwire.formats.codes import Concept
from chartwire.store import terminology

FHIR = {"content-type": "application/fhir+json"}
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Okonkwo"}], "gender": "female"}


async def told(client, path, body, **headers):
    answer = await client.post(path, body, **FHIR, **headers)
    assert (answer.status, answer.json["resourceType"]) == (200, "OperationOutcome")
    return {
        (issue["severity"], issue["details"]["coding"][0]["code"], *issue["expression"])
        for issue in answer.json["issue"]
        if "details" in issue
    }


async def test_a_good_resource_is_told_to_be_good_and_is_not_kept(client):
    answer = await client.post("/fhir/R4/Patient/$validate", {**PATIENT, "id": "kept-not"}, **FHIR)
    assert [issue["severity"] for issue in answer.json["issue"]] == ["information"]
    assert (await client.get("/fhir/R4/Patient/kept-not")).status == 404


async def test_every_issue_has_its_rule_its_place_and_words_to_mend_it(client):
    broken = {**PATIENT, "gender": "femail", "birthDate": "1984-02-30", "contact": [{}]}
    answer = await client.post("/fhir/R4/Patient/$validate", broken, **FHIR)
    issues = {issue["expression"][0]: issue for issue in answer.json["issue"]}
    assert set(issues) == {"Patient.gender", "Patient.birthDate", "Patient.contact[0]"}
    assert issues["Patient.gender"]["code"] == "code-invalid"
    assert "female" in issues["Patient.gender"]["diagnostics"]
    assert "femail" not in answer.body.decode()


async def test_profiles_come_by_the_query_by_parameters_and_by_the_resource(client):
    missing = ("error", "required", "Patient.identifier")
    assert missing in await told(client, f"/fhir/R4/Patient/$validate?profile={US_CORE}", PATIENT)
    packed = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": PATIENT},
            {"name": "profile", "valueUri": f"{US_CORE}|7.0.0"},
            {"name": "mode", "valueCode": "profile"},
        ],
    }
    assert missing in await told(client, "/fhir/R4/Patient/$validate", packed)
    assert missing in await told(client, "/fhir/R4/Patient/$validate", {**PATIENT, "meta": {"profile": [US_CORE]}})


async def test_an_unknown_profile_is_a_warning_and_an_error_for_who_handles_strictly(client):
    path = "/fhir/R4/Patient/$validate?profile=http://example.org/mine"
    assert await told(client, path, PATIENT) == {("warning", "profile-unknown", "Patient.meta.profile")}
    assert await told(client, path, PATIENT, prefer="handling=strict") == {
        ("error", "profile-unknown", "Patient.meta.profile")
    }


async def test_without_a_resource_the_one_that_stands_is_meant(client):
    await client.put("/fhir/R4/Patient/p1", {**PATIENT, "id": "p1"}, **FHIR)
    asked = {"resourceType": "Parameters", "parameter": [{"name": "profile", "valueUri": US_CORE}]}
    assert ("error", "required", "Patient.identifier") in await told(client, "/fhir/R4/Patient/p1/$validate", asked)
    nobody = await client.post("/fhir/R4/Patient/p2/$validate", asked, **FHIR)
    assert nobody.status == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/fhir/R4/Patient/$validate", {"resourceType": "Observation"}, 400),
        ("/fhir/R4/Patient/$validate", {"resourceType": "Parameters", "parameter": []}, 400),
        ("/fhir/R4/Patient/$validate?mode=fix", PATIENT, 400),
        ("/fhir/R4/Patient/$validate?mode=profile", PATIENT, 400),
        ("/fhir/R4/Patient/$validate?strict=1", PATIENT, 400),
        ("/fhir/R4/Patient/p1/$validate?mode=update", {**PATIENT, "id": "p2"}, 400),
        ("/fhir/R4/Pazient/$validate", PATIENT, 404),
    ],
)
async def test_what_cannot_be_asked_is_refused(client, path, body, status):
    assert (await client.post(path, body, **FHIR)).status == status


async def test_a_resource_that_two_readers_read_differently_is_refused(client):
    twice = b'{"resourceType":"Patient","id":"a","id":"b"}'
    answer = await client.call("POST", "/fhir/R4/Patient/$validate", body=twice, headers=FHIR)
    assert (answer.status, answer.json["issue"][0]["details"]["coding"][0]["code"]) == (400, "json_duplicate_key")


async def test_types_that_are_not_kept_are_validated_too(client):
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {**PATIENT, "active": "yes"}}]}
    assert ("error", "not-a-value", "Bundle.entry[0].resource.active") in await told(
        client, "/fhir/R4/Bundle/$validate", bundle
    )


async def test_codes_that_an_operator_has_loaded_are_decided(client, pool):
    findings = [Concept("404684003", "Finding"), Concept("91", "Blue finding", ("404684003",))]
    await terminology.replace(pool, "http://snomed.info/sct", "20300101", findings)
    assert await told(client, "/fhir/R4/Condition/$validate", a_diagnosis("91")) == set()
    assert await told(client, "/fhir/R4/Condition/$validate", a_diagnosis("92")) == {
        ("warning", "code-extensible", "Condition.code")
    }


async def test_codes_that_cannot_be_decided_are_said_to_be_unchecked(client):
    assert await told(client, "/fhir/R4/Condition/$validate", a_diagnosis("91")) == {
        ("information", "code-not-checked", "Condition.code")
    }


def a_diagnosis(code):
    def coded(system, value):
        return {"coding": [{"system": system, "code": value}]}

    hl7 = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "meta": {"profile": [f"{US_CORE.removesuffix('patient')}condition-encounter-diagnosis|6.1.0"]},
        "clinicalStatus": coded(f"{hl7}clinical", "active"),
        "category": [coded(f"{hl7}category", "encounter-diagnosis")],
        "code": coded("http://snomed.info/sct", code),
        "subject": {"reference": "Patient/p1"},
    }
