"""The registry of custom fields, and the values that hang on it."""

import json

import pytest
from tests.integration.api.hub import a_patient

from chartwire.core.access import Access
from chartwire.core.errors import FaultsError
from chartwire.record import custom_fields

FIELDS = "/api/v1/custom-fields"
INSURER = {"noun": "patient", "name": "insurer", "type": "string", "label": "Insurer", "searchable": True}


def with_insurer(value):
    return a_patient(extension=[{"url": custom_fields_url("insurer"), "valueString": value}])


def custom_fields_url(name):
    return f"https://chartwire.org/fhir/StructureDefinition/custom-field/{name}"


async def define(client, **members):
    made = await client.post(FIELDS, INSURER | members)
    assert made.status == 201, made.body
    return made.json


async def patch(client, field_id, change):
    headers = {"content-type": "application/json"}
    return await client.call("PATCH", f"{FIELDS}/{field_id}", body=json.dumps(change).encode(), headers=headers)


async def test_a_field_is_defined_listed_read_changed_and_retired(client):
    made = await define(client)
    assert made["extension"] == custom_fields_url("insurer")
    assert (await client.get(f"{FIELDS}/{made['id']}")).json == made
    changed = await patch(client, made["id"], {"label": "Payer", "required": True})
    assert (changed.json["label"], changed.json["required"], changed.json["type"]) == ("Payer", True, "string")
    assert (await client.call("DELETE", f"{FIELDS}/{made['id']}")).status == 204
    (listed,) = (await client.get(FIELDS, {"noun": "patient"})).json["data"]
    assert listed["retired"]
    assert (await client.get(FIELDS, {"noun": "location"})).json["data"] == []


async def test_a_name_is_given_once_a_noun(client):
    await define(client)
    again = await client.post(FIELDS, INSURER)
    assert (again.status, again.json["code"]) == (409, "custom_field_exists")
    await define(client, noun="provider")


async def test_a_definition_that_breaks_a_rule_is_told_where(client):
    refused = await client.post(FIELDS, INSURER | {"name": "Insurer", "values": ["a"]})
    assert (refused.status, refused.json["code"]) == (422, "invalid_body")
    assert [one["pointer"] for one in refused.json["errors"]] == ["/name", "/values"]


async def test_a_type_changes_only_while_no_value_exists(client, record):
    made = await define(client)
    patient = await record.save("Patient", with_insurer("Acme"))
    refused = await patch(client, made["id"], {"type": "integer"})
    assert (refused.status, refused.json["code"]) == (409, "custom_field_in_use")
    await record.save("Patient", {**a_patient(), "id": str(patient)}, version=2)
    assert (await patch(client, made["id"], {"type": "integer"})).status == 200


async def test_a_searchable_field_finds_its_resources_and_shows_their_values(client, record):
    await define(client)
    await record.save("Patient", with_insurer("Acme Mutual"))
    await record.save("Patient", a_patient(mrn="MRN-0002"))
    found = (await client.get("/api/v1/patients", {"custom.insurer": "acme mutual"})).json["data"]
    assert [one["custom"] for one in found] == [{"insurer": "Acme Mutual"}]
    assert (await client.get("/api/v1/patients", {"custom.insurer": "Acme"})).json["data"] == []


@pytest.mark.parametrize("name", ["custom.insurer", "custom.unheard_of", "custom."])
async def test_a_field_that_is_not_searchable_is_no_parameter(client, name):
    await define(client, searchable=False)
    refused = await client.get("/api/v1/patients", {name: "x"})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (400, "/custom")


async def test_values_are_judged_by_the_definitions_of_their_own_organisation(client, pool, org_id, other_org_id):
    await define(client, required=True)
    ours, theirs = (Access(org, "key:test", "HOPERAT", frozenset({"*"})) for org in (org_id, other_org_id))
    async with pool.transaction(org_id) as tx:
        held = await custom_fields.checked(tx, ours, "patient", {"insurer": "Acme"})
        with pytest.raises(FaultsError):
            await custom_fields.checked(tx, ours, "patient", {})
    async with pool.transaction(other_org_id) as tx:
        with pytest.raises(FaultsError):
            await custom_fields.checked(tx, theirs, "patient", {"insurer": "Acme"})
        assert await custom_fields.checked(tx, theirs, "patient", {}) == []
    assert held == [{"url": custom_fields_url("insurer"), "valueString": "Acme"}]
