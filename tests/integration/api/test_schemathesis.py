"""Requests made from the OpenAPI document by Schemathesis, against a server with two organisations.

Each operation gets what its schema allows and what it does not, under ids that exist and ids that do not; no answer is a
fault, each is documented and fits its schema, and what belongs to the other organisation is not there.
"""

import asyncio
import itertools
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.integration.api.sandbox import filled as sandbox
from tests.integration.api.sandbox import receiver
from tests.integration.api.server_process import server
from tests.integration.api.test_examples import encoded, play

from chartwire.api.docs import Portal
from chartwire.api.examples import filled, story
from chartwire.api.openapi import operation_id
from chartwire.api.table import DOCUMENTED

CHECKED = [status_code_conformance, content_type_conformance, response_schema_conformance]
OF_EVERYONE = {"/api/v1/webhooks/event-types", "/api/v1/keys", "/api/v1/alert-rules"}
NAMED_BY_CALLERS = {
    f"{method}_fhir_R4_{kind}_id" for method in ("put", "delete") for kind in ("type", "Binary")
}  # fmt: skip
"""FHIR clients name what they put, each organisation for itself, and what is not there is deleted as well as may be."""
FEW = settings(
    max_examples=3, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture
async def clinic(client, pool, engine_pool, org_id):
    """What the story of examples leaves behind when nothing is deleted: path parts by operation."""
    sink = await receiver()
    values = {**await sandbox(pool, engine_pool, org_id), "sink": f"{sink.url}/chartwire"}

    async def sent():
        async with pool.transaction(org_id) as tx:
            await tx.execute("update delivery set state = 'delivered', attempts = 1, finished_at = now()")

    steps = [step for step in story() if not step.operation.startswith("delete_")]
    await play(client, values, {"post_webhooks_deliveries_id_replay": sent}, steps)
    yield {step.operation: filled(step.path, values) for step in story() if step.path}, values
    await sink.close()


def without_keys(document):
    """The document without its security, so that no key but ours is sent."""
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security")
    return document


def tried(operation, base_url, token, existing):
    """A few requests of each kind to one operation; raises what is wrong with an answer."""
    real = itertools.cycle([True, False])
    parts = existing.get(operation.definition.raw["operationId"], {})

    def check(case):
        if next(real):
            case.path_parameters.update(parts)
        reply = case.call(base_url=base_url, headers={"Authorization": f"Bearer {token}"})
        assert reply.status_code < 500, reply.content[:500]
        case.validate_response(reply, checks=CHECKED)

    for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
        with suppress(Unsatisfiable):  # what takes nothing cannot be asked wrongly
            seed(20261120)(FEW(given(operation.as_strategy(generation_mode=mode))(check)))()


async def test_no_generated_request_finds_a_fault_and_every_answer_fits_the_document(clinic, client, database):
    existing, _ = clinic

    def faults():
        schema = schemathesis.openapi.from_dict(without_keys(Portal(DOCUMENTED).document("test")))
        with server(database.app_dsn) as (_, base_url):
            for found in schema.get_all_operations():
                operation = found.ok()
                try:
                    tried(operation, base_url, client.token, existing)
                except (Exception, BaseExceptionGroup) as error:
                    yield f"{operation.label}: {str(error)[:1200]}"

    found = await asyncio.to_thread(lambda: list(faults()))
    assert not found, "\n\n".join(found)


async def test_what_belongs_to_another_organisation_is_not_there_by_any_operation(clinic, other_client):
    existing, values = clinic
    steps = {step.operation: step for step in story()}
    for route in DOCUMENTED:
        operation = operation_id(route)
        if route.scope is None or "{" not in route.path.replace("{type}", "") or operation in NAMED_BY_CALLERS:
            continue
        path = route.path.format(**existing[operation])
        body = encoded(filled(steps[operation].body, values))
        reply = await other_client.call(route.method, path, body=body, headers={"content-type": route.body_media[0]})
        if reply.status == 200 and reply.json.get("type") == "searchset":
            assert "entry" not in reply.json, operation
            continue
        assert reply.status == 404, (operation, reply.status, reply.body)
        code = reply.json.get("code") or reply.json["issue"][0]["details"]["coding"][0]["code"]
        assert code in {"unknown_id", "unknown_value_set"}, operation


async def test_no_list_shows_what_another_organisation_owns(clinic, other_client):
    for route in DOCUMENTED:
        if route.method == "GET" and route.scope and "{" not in route.path and route.path not in OF_EVERYONE:
            told = (await other_client.get(route.path)).json
            assert told.get("data", []) == [], route.path
    [own] = (await other_client.get("/api/v1/keys")).json["data"]
    assert own["name"] == "test"
