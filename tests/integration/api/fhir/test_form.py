"""What a FHIR request may ask of the form of its answer."""

from dataclasses import replace

import pytest
from tests.integration.api.hub import Client

from chartwire.api.asgi import make_app

ORIGIN = {"origin": "https://app.example.org"}


@pytest.mark.parametrize(
    "wanted", ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson", "text/json"]
)
async def test_every_name_of_json_is_json_whatever_the_accept_header_says(app, wanted):
    reply = await Client(app).get(f"/fhir/R4/metadata?_format={wanted}", accept="application/fhir+xml")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/fhir+json")


@pytest.mark.parametrize(
    ("query", "accept"),
    [("", "application/fhir+xml"), ("?_format=xml", "*/*"), ("?_format=ttl", "application/json"), ("", "text/turtle")],
)
async def test_xml_and_turtle_are_refused_with_an_operation_outcome(app, query, accept):
    reply = await Client(app).get(f"/fhir/R4/metadata{query}", accept=accept)
    assert reply.status == 406
    assert reply.json["resourceType"] == "OperationOutcome"


async def test_pretty_draws_the_answer_for_people_and_leaves_every_number_as_it_was_written(client, record):
    body = {"status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1.50}}
    wanted = await record.save("Observation", body)
    plain = await client.get(f"/fhir/R4/Observation/{wanted}")
    pretty = await client.get(f"/fhir/R4/Observation/{wanted}?_pretty=true")
    assert b"\n" not in plain.body
    assert pretty.body.count(b"\n") > 5
    assert pretty.json == plain.json
    assert (await client.get(f"/fhir/R4/Observation/{wanted}?_pretty=1")).status == 400


async def test_a_page_of_any_origin_may_ask_and_read_the_headers_that_count(client):
    reply = await client.get("/fhir/R4/metadata", **ORIGIN)
    assert reply.headers["access-control-allow-origin"] == "*"
    exposed = {name.strip() for name in reply.headers["access-control-expose-headers"].split(",")}
    assert {"ETag", "Location", "Last-Modified", "Content-Location"} <= exposed
    assert "access-control-allow-credentials" not in reply.headers
    refused = await Client(client.app).get("/fhir/R4/Patient/x", **ORIGIN)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")
    for quiet in (await client.get("/fhir/R4/metadata"), await client.get("/api/v1/patients", **ORIGIN)):
        assert not [name for name in quiet.headers if name.startswith("access-control")]


async def test_a_page_may_ask_first_whether_it_may_ask(app):
    asked = ORIGIN | {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    reply = await Client(app).call("OPTIONS", "/fhir/R4/Patient/1", headers=asked)
    assert reply.status == 204
    assert "GET" in reply.headers["access-control-allow-methods"]
    assert "Authorization" in reply.headers["access-control-allow-headers"]
    plain = await Client(app).call("OPTIONS", "/fhir/R4/Patient/1")
    assert "GET" in plain.headers["allow"]
    assert "access-control-allow-methods" not in plain.headers


async def test_addresses_in_answers_are_those_by_which_the_server_is_reached(client, services, record):
    wanted = await record.save("Patient", {"name": [{"family": "Okonkwo"}]})

    async def self_link(caller, **headers):
        reply = await caller.get(f"/fhir/R4/Patient/{wanted}/_history", **headers)
        assert reply.json["entry"][0]["fullUrl"].endswith(f"/fhir/R4/Patient/{wanted}")
        return reply.json["link"][0]["url"].partition("/fhir/")[0]

    assert await self_link(client, host="ehr.example.org:8443") == "http://ehr.example.org:8443"
    assert await self_link(client, host='evil.example.org","x":"') == "http://localhost"
    public = make_app(replace(services, base_url="https://chartwire.example.org"))
    assert await self_link(Client(public, client.token), host="other.example.org") == "https://chartwire.example.org"
    told = (await Client(public).get("/fhir/R4/metadata")).json["implementation"]["url"]
    assert told == "https://chartwire.example.org/fhir/R4"


async def test_head_tells_what_get_tells_without_the_body(client, record):
    wanted = await record.save("Patient", {"name": [{"family": "Okonkwo"}]})
    for path in (f"/fhir/R4/Patient/{wanted}", "/fhir/R4/Patient", f"/fhir/R4/Patient/{wanted}/_history"):
        whole, head = await client.get(path), await client.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))


async def test_another_version_of_fhir_and_a_packed_body_are_refused(client):
    patient = {"resourceType": "Patient"}
    for version, status in (("4.0", 201), ("3.0", 415), ("5.0", 415)):
        media = f"application/fhir+json; fhirVersion={version}"
        assert (await client.send("POST", "/fhir/R4/Patient", patient, **{"content-type": media})).status == status
    packed = await client.post("/fhir/R4/Patient", patient, content_encoding="gzip")
    assert packed.status == 415
    for version, status in (("4.0", 200), ("3.0", 406), ("3.0, application/fhir+json; fhirVersion=4.0", 200)):
        accept = f"application/fhir+json; fhirVersion={version}"
        assert (await client.get("/fhir/R4/Patient", accept=accept)).status == status
