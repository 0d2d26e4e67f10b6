"""$expand, $validate-code, $lookup, $subsumes: over what ships, and over what an operator has loaded."""

from urllib.parse import urlencode

import pytest

from chartwire.formats.codes import Concept
from chartwire.store import terminology

FHIR = {"content-type": "application/fhir+json"}
R4 = "http://hl7.org/fhir/ValueSet/"
GENDER = f"{R4}administrative-gender"
GENDERS = "http://hl7.org/fhir/administrative-gender"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
FINDING = "404684003"


@pytest.fixture
async def loaded(pool):
    findings = [
        Concept(FINDING, "Finding"),
        Concept("91", "Blue finding", (FINDING,)),
        Concept("92", "Light blue finding", ("91",), {}, True),
    ]
    await terminology.replace(pool, SNOMED, "20300101", findings)


async def ask(client, path, status=200, **query):
    answer = await client.get(f"/fhir/R4/{path}?{urlencode(query, doseq=True)}")
    assert answer.status == status, answer.json
    return answer.json


async def tell(client, path, *parameters, status=200):
    body = {"resourceType": "Parameters", "parameter": [*parameters]}
    answer = await client.post(f"/fhir/R4/{path}", body, **FHIR)
    assert answer.status == status, answer.json
    return answer.json


def told(answer):
    """The parameters of an answer by name; properties by their code."""
    found = {}
    for one in answer["parameter"]:
        if one["name"] == "property":
            code, value = (next(part[key] for key in part if key != "name") for part in one["part"])
            found.setdefault(code, []).append(value)
        else:
            found[one["name"]] = next(one[key] for key in one if key != "name")
    return found


def problem(answer):
    return answer["issue"][0]["details"]["coding"][0]["code"]


async def test_a_value_set_is_expanded_by_its_url_with_displays_a_total_and_by_pages(client):
    whole = await ask(client, "ValueSet/$expand", url=GENDER)
    assert (whole["url"], whole["version"], whole["expansion"]["total"]) == (GENDER, "4.0.1", 4)
    assert {"system": GENDERS, "code": "male", "display": "Male"} in whole["expansion"]["contains"]
    second = await ask(client, "ValueSet/$expand", url=f"{GENDER}|4.0.1", offset=1, count=2)
    assert second["expansion"]["contains"] == whole["expansion"]["contains"][1:3]
    assert (await ask(client, "ValueSet/$expand", url=GENDER, count=0))["expansion"]["contains"] == []


async def test_a_filter_keeps_the_codes_that_have_all_its_words(client):
    found = await ask(
        client, "ValueSet/$expand", url="http://terminology.hl7.org/ValueSet/v3-ActCode", filter="INPATIENT non-"
    )
    assert [one["code"] for one in found["expansion"]["contains"]] == ["NONAC"]


async def test_codes_that_only_group_others_are_marked_and_can_be_left_out(client):
    url = f"{R4}consent-category"
    whole = (await ask(client, "ValueSet/$expand", url=url))["expansion"]["contains"]
    assert [one["code"] for one in whole if one.get("abstract")] == ["_ActConsentType"]
    usable = (await ask(client, "ValueSet/$expand", url=url, excludeNotForUI="true"))["expansion"]["contains"]
    assert len(usable) == len(whole) - 1


async def test_a_value_set_may_come_in_the_body_or_be_a_resource_of_the_organisation(client, other_client):
    value_set = {
        "resourceType": "ValueSet",
        "id": "visits",
        "url": "http://example.org/visits",
        "version": "1",
        "status": "active",
        "compose": {
            "include": [{"system": ACT_CODE, "filter": [{"property": "concept", "op": "is-a", "value": "IMP"}]}],
            "exclude": [{"system": ACT_CODE, "concept": [{"code": "NONAC"}]}],
        },
    }
    codes = ["IMP", "ACUTE"]
    packed = await tell(client, "ValueSet/$expand", {"name": "valueSet", "resource": value_set})
    assert [one["code"] for one in packed["expansion"]["contains"]] == codes
    bare = (await client.post("/fhir/R4/ValueSet/$expand", value_set, **FHIR)).json
    assert [one["code"] for one in bare["expansion"]["contains"]] == codes
    assert (await client.put("/fhir/R4/ValueSet/visits", value_set, **FHIR)).status == 201
    stored = await ask(client, "ValueSet/visits/$expand")
    assert [one["code"] for one in stored["expansion"]["contains"]] == codes
    assert told(await ask(client, "ValueSet/visits/$validate-code", system=ACT_CODE, code="NONAC"))["result"] is False
    for url in ("http://example.org/visits", "http://example.org/visits|1"):
        named = await ask(client, "ValueSet/$expand", url=url)
        assert [one["code"] for one in named["expansion"]["contains"]] == codes
    await ask(client, "ValueSet/$expand", status=404, url="http://example.org/visits|2")
    await ask(other_client, "ValueSet/$expand", status=404, url="http://example.org/visits")
    await ask(other_client, "ValueSet/visits/$expand", status=404)


NOT_EXPANDABLE = [
    ({}, 400, "invalid_parameter"),
    ({"url": "http://example.org/unknown"}, 404, "unknown_value_set"),
    ({"url": f"{R4}condition-code"}, 422, "not_expandable"),
    ({"url": f"{R4}all-languages"}, 422, "not_expandable"),
    ({"url": GENDER, "count": "-1"}, 400, "invalid_parameter"),
    ({"url": GENDER, "activeOnly": "maybe"}, 400, "invalid_parameter"),
    ({"url": [GENDER, GENDER]}, 400, "invalid_parameter"),
    ({"url": GENDER, "surprise": "x"}, 400, "unknown_parameter"),
]


async def test_what_cannot_be_expanded_is_refused_with_an_outcome_that_says_why(client):
    for query, status, code in NOT_EXPANDABLE:
        assert problem(await ask(client, "ValueSet/$expand", status=status, **query)) == code, query


BROKEN = [
    ({}, "compose"),
    ({"include": [{}]}, "include[0]"),
    ({"include": [{"system": ACT_CODE}] * 101}, "100 parts"),
    ({"include": [{"valueSet": [GENDER] * 11}]}, "include[0].valueSet"),
    (
        {"include": [{"system": ACT_CODE, "filter": [{"property": "code", "op": "regex", "value": "(a+)+$"}]}]},
        "filter",
    ),
    ({"include": [{"system": ACT_CODE}], "exclude": [{"system": ACT_CODE, "concept": "x"}]}, "exclude[0].concept"),
]


async def test_a_value_set_that_cannot_be_evaluated_is_refused_with_its_place(client):
    for compose, place in BROKEN:
        value_set = {"resourceType": "ValueSet", "status": "active", "compose": compose}
        answer = await client.post("/fhir/R4/ValueSet/$expand", value_set, **FHIR)
        assert (answer.status, problem(answer.json)) == (422, "invalid_value_set")
        assert place in answer.json["issue"][0]["diagnostics"]


async def test_a_code_is_in_a_value_set_or_not_and_a_wrong_name_is_told(client):
    path = "ValueSet/$validate-code"
    yes = told(await ask(client, path, url=GENDER, system=GENDERS, code="male"))
    assert yes == {"result": True, "display": "Male"}
    assert told(await ask(client, path, url=GENDER, code="male"))["result"] is True
    no = told(await ask(client, path, url=GENDER, system=GENDERS, code="mann"))
    assert (no["result"], "does not have" in no["message"]) == (False, True)
    named = told(await ask(client, path, url=GENDER, system=GENDERS, code="male", display="Female"))
    assert (named["result"], named["display"]) == (False, "Male")
    assert told(await ask(client, path, url=GENDER, system=GENDERS, code="male", display=" male "))["result"] is True


async def test_codes_that_only_group_others_do_not_count_where_they_are_not_wanted(client):
    asked = {"url": f"{R4}consent-category", "system": ACT_CODE, "code": "_ActConsentType"}
    assert told(await ask(client, "ValueSet/$validate-code", **asked))["result"] is True
    assert told(await ask(client, "ValueSet/$validate-code", abstract="false", **asked))["result"] is False


async def test_a_version_that_is_not_the_one_known_here_answers_nothing(client):
    for version, status in (("4.0.1", 200), ("9", 404)):
        for path in ("$lookup", "$validate-code"):
            named = {"url": GENDERS} if path == "$validate-code" else {"system": GENDERS}
            await ask(client, f"CodeSystem/{path}", status, code="male", version=version, **named)


async def test_a_concept_is_in_where_one_of_its_codes_is(client):
    concept = {"coding": [{"system": "http://example.org", "code": "1"}, {"system": GENDERS, "code": "other"}]}
    url = {"name": "url", "valueUri": GENDER}
    path = "ValueSet/$validate-code"
    assert told(await tell(client, path, url, {"name": "codeableConcept", "valueCodeableConcept": concept}))["result"]
    system = {"name": "url", "valueUri": GENDERS}
    answer = await tell(
        client, "CodeSystem/$validate-code", system, {"name": "codeableConcept", "valueCodeableConcept": concept}
    )
    assert told(answer)["result"] is True, "of the concept, the code of this system counts"
    coding = {"name": "coding", "valueCoding": concept["coding"][0]}
    assert told(await tell(client, path, url, coding))["result"] is False
    await tell(client, path, url, coding, {"name": "code", "valueCode": "x"}, status=400)
    await tell(client, path, url, {"name": "coding", "valueCoding": {"system": "x"}}, status=400)


async def test_what_is_not_known_is_not_said_to_be_right_or_wrong(client):
    answer = await ask(client, "ValueSet/$validate-code", 422, url=f"{R4}condition-code", system=SNOMED, code="91")
    assert problem(answer) == "code_not_checked"
    answer = await ask(client, "CodeSystem/$validate-code", 404, url=SNOMED, code="91")
    assert problem(answer) == "unknown_code_system"
    answer = await ask(
        client,
        "CodeSystem/$validate-code",
        422,
        url="http://terminology.hl7.org/CodeSystem/service-type",
        code="our-own",
    )
    assert problem(answer) == "code_not_checked"


CODES = [
    (GENDERS, "male", True),
    (GENDERS, "mann", False),
    ("http://unitsofmeasure.org", "mg/dL", True),
    ("http://unitsofmeasure.org", "mg/dl!", False),
    ("urn:iso:std:iso:3166", "NL", True),
    ("urn:ietf:bcp:47", "nl-NL", True),
    ("http://terminology.hl7.org/CodeSystem/v2-0203", "MR", True),
]


async def test_a_code_system_has_a_code_or_not(client):
    for system, code, result in CODES:
        answer = await ask(client, "CodeSystem/$validate-code", url=system, code=code)
        assert told(answer)["result"] is result, code


async def test_a_code_is_looked_up_with_its_neighbours(client):
    found = told(await ask(client, "CodeSystem/$lookup", system=ACT_CODE, code="IMP"))
    assert (found["name"], found["display"]) == ("v3.ActCode", "inpatient encounter")
    assert (found["parent"], found["child"], found["inactive"]) == (["_ActEncounterCode"], ["ACUTE", "NONAC"], [False])
    narrowed = told(await ask(client, "CodeSystem/$lookup", system=ACT_CODE, code="IMP", property="parent"))
    assert "child" not in narrowed
    unit = told(await ask(client, "CodeSystem/$lookup", system="http://unitsofmeasure.org", code="mg/dL"))
    assert unit["display"] == "mg/dL"
    assert problem(await ask(client, "CodeSystem/$lookup", 404, system=ACT_CODE, code="nope")) == "unknown_code"
    assert problem(await ask(client, "CodeSystem/$lookup", 404, system=LOINC, code="1-8")) == "unknown_code_system"
    assert problem(await ask(client, "CodeSystem/$lookup", 400, code="IMP")) == "invalid_parameter"


PAIRS = [
    ("IMP", "IMP", "equivalent"),
    ("_ActEncounterCode", "ACUTE", "subsumes"),
    ("ACUTE", "IMP", "subsumed-by"),
    ("AMB", "IMP", "not-subsumed"),
]


async def test_two_codes_stand_to_each_other(client):
    for first, second, outcome in PAIRS:
        found = await ask(client, "CodeSystem/$subsumes", system=ACT_CODE, codeA=first, codeB=second)
        assert told(found) == {"outcome": outcome}
        codings = [
            {"name": f"coding{side}", "valueCoding": {"system": ACT_CODE, "code": code}}
            for side, code in (("A", first), ("B", second))
        ]
        assert told(await tell(client, "CodeSystem/$subsumes", *codings)) == {"outcome": outcome}


async def test_loaded_systems_answer_every_operation(client, loaded):
    url = f"{R4}condition-code"
    assert told(await ask(client, "ValueSet/$validate-code", url=url, system=SNOMED, code="92"))["result"] is True
    assert told(await ask(client, "ValueSet/$validate-code", url=url, system=SNOMED, code="93"))["result"] is False
    found = told(await ask(client, "CodeSystem/$lookup", system=SNOMED, code="91"))
    assert (found["name"], found["version"], found["display"]) == ("SNOMED CT", "20300101", "Blue finding")
    assert (found["parent"], found["child"]) == ([FINDING], ["92"])
    assert told(await ask(client, "CodeSystem/$subsumes", system=SNOMED, codeA=FINDING, codeB="92")) == {
        "outcome": "subsumes"
    }
    listed = await ask(client, "ValueSet/$expand", url=f"{R4}clinical-findings", filter="blue")
    assert [one["code"] for one in listed["expansion"]["contains"]] == ["91", "92"]


async def test_operations_answer_inside_a_transaction_too(client, loaded):
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "GET", "url": f"CodeSystem/$lookup?system={SNOMED}&code=91"}}],
    }
    answer = await client.post("/fhir/R4", bundle, **FHIR)
    assert answer.status == 200, answer.json
    assert answer.json["entry"][0]["resource"]["resourceType"] == "Parameters"


def a_condition(code):
    return {
        "resourceType": "Condition",
        "id": f"c{code}",
        "clinicalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
        },
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-category",
                        "code": "encounter-diagnosis",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": SNOMED, "code": code}]},
        "subject": {"display": "somebody"},
    }


async def test_searches_go_below_loaded_concepts_and_into_value_sets_over_them(client, loaded):
    for code in (FINDING, "91", "92", "77"):
        assert (await client.put(f"/fhir/R4/Condition/c{code}", a_condition(code), **FHIR)).status == 201
    below = await ask(client, "Condition", **{"code:below": f"{SNOMED}|91"})
    assert {one["resource"]["id"] for one in below["entry"]} == {"c91", "c92"}
    inside = await ask(client, "Condition", **{"code:in": f"{R4}clinical-findings"})
    assert {one["resource"]["id"] for one in inside["entry"]} == {f"c{FINDING}", "c91", "c92"}


async def test_validation_decides_codes_of_loaded_systems_and_says_what_it_cannot_decide(client, loaded):
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition-encounter-diagnosis"

    async def issues(code):
        answer = await client.post(f"/fhir/R4/Condition/$validate?profile={profile}", a_condition(code), **FHIR)
        return {issue["severity"] for issue in answer.json["issue"] if issue.get("expression") == ["Condition.code"]}

    assert await issues("92") == set()
    assert await issues("77") == {"warning"}


async def test_a_patch_is_judged_by_loaded_codes_too(client, loaded):
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition-encounter-diagnosis"
    condition = a_condition(FINDING) | {"meta": {"profile": [profile]}, "subject": {"reference": "Patient/p1"}}
    condition["encounter"] = {"reference": "Encounter/e1"}
    assert (await client.put(f"/fhir/R4/Condition/c{FINDING}", condition, **FHIR)).status == 201

    async def issues(code):
        change = [{"op": "replace", "path": "/code/coding/0/code", "value": code}]
        headers = {"content_type": "application/json-patch+json", "prefer": "return=OperationOutcome"}
        answer = await client.patch(f"/fhir/R4/Condition/c{FINDING}", change, **headers)
        assert answer.status == 200
        places = [(one["severity"], one.get("expression")) for one in answer.json["issue"]]
        return {severity for severity, place in places if place == ["Condition.code"]}

    assert await issues("92") == set()
    assert await issues("77") == {"warning"}
    entry = {
        "resource": {"resourceType": "Binary", "contentType": "application/merge-patch+json", "data": "e30="},
        "request": {"method": "PATCH", "url": f"Condition/c{FINDING}"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await client.post("/fhir/R4", bundle, **FHIR)).status == 200
