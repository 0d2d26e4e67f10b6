"""Writing through the practice API: what one door writes, every other door reads at once."""

import json

import pytest
from tests.integration.api.hub import new_client

ANNA = {
    "name": {"family": "Weber", "given": ["Anna"]},
    "birth_date": "1980-01-02",
    "gender": "female",
    "identifiers": [{"type": "MR", "system": "urn:chartwire:authority:HOSP", "value": "1001"}],
    "phones": [{"number": "+1 416 555 0100", "use": "home"}],
    "emails": [{"address": "anna@example.org"}],
    "address": {"lines": ["1 Main St"], "city": "Springfield", "postal_code": "62701"},
    "language": "de",
}


async def test_a_patient_that_is_made_reads_as_it_was_written(client):
    made = await client.post("/api/v1/patients", ANNA)
    assert made.status == 201, made.json
    told = made.json
    assert made.headers["etag"] == '"v1"'
    assert made.headers["location"] == told["links"]["self"]
    assert (told["mrn"], told["name"]["text"], told["language"]) == ("1001", "Anna Weber", "de")
    assert (await client.get(told["links"]["self"])).json == told
    assert (await client.get(told["links"]["fhir"])).json["birthDate"] == "1980-01-02"
    assert [one["id"] for one in (await client.get("/api/v1/patients", {"mrn": "1001"})).json["data"]] == [told["id"]]
