"""What every answer tells beside its body: request, trace, version, limits, deprecation; and the log of requests."""

from dataclasses import replace
from datetime import date

import pytest
from tests.integration.api.hub import Client, new_client

from chartwire.api.asgi import Api, make_app
from chartwire.api.http import json_answer
from chartwire.api.limits import Limits, Quotas
from chartwire.api.routes import Route, Router

PATIENTS = "/api/v1/patients"


@pytest.mark.parametrize("chosen", [None, "order-4711"])
async def test_an_answer_is_found_again_by_its_request_id(client, chosen):
    headers = {"x_request_id": chosen} if chosen else {}
    answered = await client.get(PATIENTS, {"mrn": "MRN-0001", "limit": "5"}, **headers)
    request_id = answered.headers["x-request-id"]
    told = (await client.get(f"/api/v1/requests/{request_id}")).json
    assert told["id"] == (chosen or request_id)
    assert (told["method"], told["route"], told["parameters"], told["status"]) == (
        "GET",
        PATIENTS,
        ["limit", "mrn"],
        200,
    )


async def test_a_problem_leads_to_its_request(client):
    refused = await client.get(PATIENTS, {"birth_date": "yesterday"})
    assert (await client.get(refused.json["instance"])).json["status"] == 400


async def test_no_one_else_finds_a_request(client, other_client, services, app, org_id):
    request_id = (await client.get(PATIENTS)).headers["x-request-id"]
    narrow = await new_client(services, app, org_id, "patients.read")
    assert (await other_client.get(f"/api/v1/requests/{request_id}")).status == 404
    assert (await narrow.get(f"/api/v1/requests/{request_id}")).status == 403


async def test_a_caller_cannot_take_an_id_of_ours(client):
    first = (await client.get(PATIENTS)).headers["x-request-id"]
    second = await client.get(PATIENTS, x_request_id=first)
    assert second.status == 200
    assert second.headers["x-request-id"] != first


async def test_a_trace_is_echoed_and_a_malformed_one_is_not(client):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert (await client.get(PATIENTS, traceparent=trace)).headers["traceparent"] == trace
    zeros = f"00-{'0' * 32}-00f067aa0ba902b7-01"
    assert "traceparent" not in (await client.get(PATIENTS, traceparent=zeros)).headers


async def test_the_version_is_told_and_an_unknown_one_is_refused_with_those_that_exist(client):
    known = (await client.get(PATIENTS)).headers["chartwire-version"]
    assert (await client.get(PATIENTS, chartwire_version=known)).status == 200
    refused = await client.get(PATIENTS, chartwire_version="2001-01-01")
    assert (refused.status, refused.json["code"]) == (400, "version_unknown")
    assert known in refused.json["detail"]


async def test_a_spent_quota_is_a_problem_with_its_policies_and_costs_no_row(client, services, record):
    strict = replace(services, limits=Limits(Quotas({"read": 60, "search": 2, "write": 60, "batch": 6})))
    hasty = Client(make_app(strict), client.token)
    told = [await hasty.get(PATIENTS) for _ in range(3)]
    assert [one.status for one in told] == [200, 200, 429]
    assert told[0].headers["x-ratelimit-remaining"] == "1"
    problem = told[2].json
    assert problem["type"].endswith("http-problem-types#quota-exceeded")
    assert (problem["violated-policies"], problem["class"], problem["retryable"]) == (["search"], "rate", True)
    assert 1 <= int(told[2].headers["retry-after"]) <= 30
    assert len(await record.audit_rows()) == 2
    assert (await hasty.get("/api/v1/keys")).status == 429
    assert (await hasty.get("/fhir/R4/Patient/x")).status == 404


async def test_a_route_that_will_go_says_so_in_every_answer(client, services):
    async def old(_request, _services):
        return json_answer({})

    route = Route("GET", "/old", old, "", "keys.read", "Key", deprecated=date(2026, 1, 1), sunset=date(2027, 1, 1))
    told = (await Client(Api(services, Router([route])), client.token).get("/old")).headers
    assert told["deprecation"] == "@1767225600"
    assert told["sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert 'rel="deprecation"' in told["link"]
