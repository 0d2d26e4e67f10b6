"""/metadata is true: what R4 and US Core define is either listed and works, or not listed and refused.

What is asked comes from the definitions and from R4's own words, never from the server.
"""

import itertools
import json

import pytest
from tests.integration.api.fhir.stored import FHIR
from tests.integration.api.hub import Client

from chartwire.formats.fhir.definitions import (
    common_parameters,
    profiles_of,
    resource_types,
    search_parameters,
    structure,
)

HIERARCHICAL = "http://terminology.hl7.org/CodeSystem/v3-ActCode|_ActClaimAttachmentCategoryCode"
MODIFIERS = (
    "missing", "exact", "contains", "text", "not", "above", "below", "in", "not-in", "of-type", "identifier", "Patient",
    "iterate", "nonsense",
)  # fmt: skip
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
VALUES = {
    "token": "a|b", "string": "a", "date": "2026", "number": "1", "quantity": "1", "uri": "http://example.org/a",
    "reference": "Patient/p1", "special": "1|1|1|km",
}  # fmt: skip
OF_MODIFIERS = {
    "contains": "abc",
    ("token", "above"): HIERARCHICAL, ("token", "below"): HIERARCHICAL,
    "missing": "true", "in": "http://hl7.org/fhir/ValueSet/administrative-gender", "of-type": "a|b|c",
    "not-in": "http://hl7.org/fhir/ValueSet/administrative-gender", "identifier": "a|b", "Patient": "p1",
}  # fmt: skip
BOUNDED = {"_text": "&_id=a", "_content": "&_id=a"}
NOT_SEARCHED_ALONE = frozenset({"_list", "_query"})
INTERACTIONS = {
    "read": ("GET", "/a", {404}),
    "vread": ("GET", "/a/_history/1", {404}),
    "update": ("PUT", "/a", {400}),
    "patch": ("PATCH", "/a", {400, 404, 415}),
    "delete": ("DELETE", "/a", {204}),
    "history-instance": ("GET", "/a/_history", {404}),
    "history-type": ("GET", "/_history", {200}),
    "create": ("POST", "", {400}),
    "search-type": ("GET", "", {200}),
}
ABSENT = {404, 405}


@pytest.fixture
async def statement(app):
    reply = await Client(app).get(f"{FHIR}/metadata")
    assert reply.status == 200
    return reply.json


@pytest.fixture
async def strict(client):
    client.headers["prefer"] = "handling=strict"
    return client


def resources(statement):
    return {one["type"]: one for one in statement["rest"][0]["resource"]}


def parameters(kind):
    """What the definitions know of a type, common parameters included, by code."""
    return {**common_parameters(), **search_parameters(kind)}


def value_of(kind, told):
    if told.code == "_id":
        return "a"
    if told.kind != "composite":
        return VALUES[told.kind]
    return "$".join(VALUES[search_parameters(kind)[part.code].kind] for part in told.components)


def listed(resource):
    return {one["name"]: one for one in resource.get("searchParam", ())}


async def test_every_type_of_r4_is_listed_and_answers_each_listed_interaction_or_is_not_served(statement, strict):
    served = resources(statement)
    assert len(served) > 130
    wrong = []
    for kind in sorted(resource_types()):
        told = {one["code"] for one in served.get(kind, {}).get("interaction", ())}
        for code, (method, path, expected) in INTERACTIONS.items():
            body = b"{}" if method in ("PUT", "POST", "PATCH") else b""
            headers = {"content-type": "application/fhir+json"}
            reply = await strict.call(method, f"{FHIR}/{kind}{path}", body=body, headers=headers)
            problem = reply.json["issue"][0]["details"]["coding"][0]["code"] if reply.status >= 400 else ""
            absent = reply.status == 405 or problem == "not_found"
            if absent == (code in told) or (code in told and reply.status not in expected):
                wrong.append((kind, code, reply.status, problem))
    assert wrong == []


async def test_every_defined_parameter_of_every_type_is_listed_and_works_or_is_refused(statement, strict):
    wrong, asked = [], 0
    for kind, resource in resources(statement).items():
        known = listed(resource)
        assert known.keys() <= parameters(kind).keys()
        for code, told in parameters(kind).items() if kind != "Binary" else ():
            value = VALUES["string"] if code in NOT_SEARCHED_ALONE else value_of(kind, told)
            reply = await strict.get(f"{FHIR}/{kind}?{code}={value}{BOUNDED.get(code, '')}")
            asked += 1
            if reply.status != (200 if code in known else 400):
                wrong.append((kind, code, reply.status))
            if code in known:
                assert (known[code]["definition"], known[code]["type"]) == (told.url, told.kind)
    assert wrong == []
    assert asked > 2_500


async def test_every_modifier_and_prefix_is_listed_and_works_or_is_refused(statement, strict):
    """Each parameter with one modifier and one prefix in turn, so that each word meets each kind many times."""
    wrong, met = [], set()
    words = itertools.cycle(MODIFIERS)
    prefixes = itertools.cycle(PREFIXES)
    for kind, resource in itertools.islice(resources(statement).items(), 0, None, 5):
        for code, one in listed(resource).items():
            told, documented = parameters(kind)[code], one.get("documentation", "").split()
            modifier, prefix = next(words), next(prefixes)
            plain = "2026" if told.kind == "date" else "1"
            value = OF_MODIFIERS.get((told.kind, modifier), OF_MODIFIERS.get(modifier, value_of(kind, told)))
            word = "type" if modifier == "Patient" else modifier
            works = f":{word}" in documented and (word != "type" or "Patient" in told.targets)
            more = BOUNDED.get(code, "&_id=a")
            for query, expected in (
                (f"{code}:{modifier}={value}", works),
                *(
                    [(f"{code}={prefix}{plain}", prefix in documented)]
                    if told.kind in ("date", "number", "quantity")
                    else ()
                ),
            ):
                reply = await strict.get(f"{FHIR}/{kind}?{query}{more}")
                met.add((told.kind, modifier))
                if reply.status != (200 if expected else 400):
                    wrong.append((kind, query, reply.status, reply.json["issue"] if reply.status >= 400 else ""))
    assert wrong == []
    assert len(met) > 80


async def test_every_listed_inclusion_works_and_no_other(statement, strict):
    for kind, resource in resources(statement).items():
        if kind == "Binary":
            continue
        inclusions = resource.get("searchInclude", [])
        for name, listed_ones in (("_include", inclusions), ("_revinclude", resource.get("searchRevInclude", []))):
            for some in (listed_ones[at : at + 50] for at in range(0, len(listed_ones), 50)):
                reply = await strict.get(f"{FHIR}/{kind}?_id=a&{name}={','.join(some)}")
                assert reply.status == 200, (kind, name, reply.body)
        others = [code for code in search_parameters(kind) if f"{kind}:{code}" not in inclusions]
        for code in others[:2]:
            assert (await strict.get(f"{FHIR}/{kind}?_include={kind}:{code}")).status == 400, (kind, code)


async def test_every_listed_operation_answers_where_it_is_listed_and_no_other(statement, strict):
    rest = statement["rest"][0]
    places = [("", one) for one in rest["operation"]]
    places += [(f"/{kind}", one) for kind, told in resources(statement).items() for one in told.get("operation", ())]
    assert {one["name"] for _, one in places} >= {
        "everything",
        "match",
        "meta",
        "validate",
        "lastn",
        "docref",
        "expand",
    }
    first = {(one["name"], path == ""): path for path, one in reversed(places)}
    for (name, _), path in first.items():
        found = []
        for address in (f"{path}/${name}", f"{path}/a/${name}"):
            for method, body in (("GET", b""), ("POST", b'{"resourceType":"Parameters"}')):
                headers = {"content-type": "application/fhir+json"}
                reply = await strict.call(method, FHIR + address, body=body, headers=headers)
                problem = reply.json["issue"][0]["details"]["coding"][0]["code"] if reply.status >= 400 else ""
                found.append(reply.status != 405 and problem != "not_found")
                assert reply.status < 500, (address, reply.body)
        assert any(found), (path, name)
    for path in ("/$nonsense", "/Patient/$nonsense", "/Observation/$everything", "/Patient/a/$lastn"):
        assert (await strict.call("POST", FHIR + path)).status in ABSENT, path


async def test_the_statement_is_for_everyone_says_what_certification_asks_for_and_is_kept_by_its_etag(app, statement):
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["instantiates"] == ["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"]
    assert "application/fhir+json" in statement["format"]
    system = {one["code"] for one in statement["rest"][0]["interaction"]}
    assert system == {"transaction", "batch", "search-system", "history-system"}
    for kind, resource in resources(statement).items():
        assert resource.get("supportedProfile", []) == list(profiles_of(kind))
        assert all(structure(one) is not None for one in resource.get("supportedProfile", ()))
    first = await Client(app).get(f"{FHIR}/metadata?mode=full")
    assert json.loads(first.body) == statement
    again = await Client(app).get(f"{FHIR}/metadata", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert (await Client(app).get(f"{FHIR}/metadata?mode=terminology")).status == 400
