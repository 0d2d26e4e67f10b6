"""The examples of the documentation are played against a real database, and still come out as they are told; whatever
changes something is sent twice under its Idempotency-Key, and the second time gets the first answer.

CHARTWIRE_RECORD_EXAMPLES=1 plays the story and writes down its answers anew.
"""

import json
import os
import re
from pathlib import Path

from tests.integration.api.sandbox import filled as sandbox
from tests.integration.api.sandbox import receiver

import chartwire.api.examples
from chartwire.api.examples import examples, filled, story
from chartwire.api.openapi import operation_id
from chartwire.api.table import DOCUMENTED

ANSWERS = Path(chartwire.api.examples.__file__).with_name("answers.json")
RECORDS = bool(os.environ.get("CHARTWIRE_RECORD_EXAMPLES"))
SECRET = re.compile(r"(cw_live_|cw_test_|whsec_)([A-Za-z0-9+/=]+)")
SINK = "https://crm.example/chartwire"
MAPS = {"lineage", "custom"}
"""Members whose own members are data."""
NO_EXAMPLE = {"get_metrics", "get_documents_id_content", "get_fhir_R4_Binary_id"}
"""Text for a program of its own; bytes."""


async def play(client, values, before, steps=None):
    """Every step of the story: operation -> answer of its first time. `values` takes what steps keep; `before` an
    operation something else may have to happen."""
    routes = {operation_id(route): route for route in DOCUMENTED}
    told = {}
    for number, step in enumerate(steps or story()):
        route = routes[step.operation]
        path = route.path
        for name, value in filled(step.path, values).items():
            path = path.replace(f"{{{name}}}", value)
        body = filled(step.body, values)
        await before.get(step.operation, nothing)()
        headers = {"content-type": route.body_media[0], "idempotency-key": f"step-{number}", **step.headers}
        query = filled(step.query, values)
        reply = await client.call(route.method, path, query, body=encoded(body), headers=headers)
        assert reply.status == (step.status or route.status), (step.operation, reply.status, reply.body)
        if route.changes and not step.operation.endswith("_batch"):  # a batch repeats what failed
            again = await client.call(route.method, path, query, body=encoded(body), headers=headers)
            assert again.headers.get("idempotent-replayed") == "true", step.operation
            assert (again.status, again.body) == (reply.status, reply.body), step.operation
        answer = reply.json if "json" in reply.headers.get("content-type", "") else None
        told.setdefault(step.operation, answer)
        for name, pointer in step.keep.items():
            values[name] = at(answer, pointer)
        values["request"] = reply.headers["x-request-id"]
    return told


async def nothing():
    pass


def encoded(body):
    if isinstance(body, str):
        return body.encode()
    return b"" if body is None else json.dumps(body).encode()


def at(value, pointer):
    for part in pointer.strip("/").split("/"):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def shortened(value):
    """Lists of many items by their first two."""
    if isinstance(value, dict):
        return {name: shortened(held) for name, held in value.items()}
    if isinstance(value, list):
        return [shortened(one) for one in (value if len(value) < 5 else value[:2])]
    return value


def shape(value):
    """Which members there are, and of which kind; a list is as its first item, null is anything."""
    if isinstance(value, dict):
        return {name: "map" if name in MAPS else shape(held) for name, held in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return {bool: "boolean", int: "number", float: "number", str: "text", type(None): None}[type(value)]


def differences(one, other, place=""):
    """The places where two shapes differ."""
    if one is None or other is None or one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        both = one.keys() & other.keys()
        found = [f"{place}/{name}" for name in one.keys() ^ other.keys()]
        return found + [far for name in both for far in differences(one[name], other[name], f"{place}/{name}")]
    if isinstance(one, list) and isinstance(other, list):
        return differences(one[0], other[0], f"{place}/0") if one and other else []
    return [place]


async def test_every_example_is_answered_as_the_documentation_tells(client, pool, engine_pool, org_id):
    async def sent():
        async with pool.transaction(org_id) as tx:
            await tx.execute("update delivery set state = 'delivered', attempts = 1, finished_at = now()")

    sink = await receiver()
    values = {**await sandbox(pool, engine_pool, org_id), "sink": f"{sink.url}/chartwire"}
    try:
        told = await play(client, values, {"post_webhooks_deliveries_id_replay": sent})
    finally:
        await sink.close()
    if RECORDS:
        text = json.dumps({"values": values, "answers": shortened(told)}, indent=1, ensure_ascii=False)
        text = SECRET.sub(lambda found: f"{found[1]}{'x' * len(found[2])}", text.replace(values["sink"], SINK))
        ANSWERS.write_text(text + "\n", encoding="utf-8")
        return
    recorded = examples()
    for operation, answer in told.items():
        assert operation in recorded, f"record it: CHARTWIRE_RECORD_EXAMPLES=1 ({operation})"
        unlike = differences(shape(answer), shape(recorded[operation].answer))
        assert not unlike, f"{operation}: record it anew, CHARTWIRE_RECORD_EXAMPLES=1"


def test_every_operation_has_an_example():
    told = {operation_id(route) for route in DOCUMENTED} - {step.operation for step in story()} - NO_EXAMPLE
    assert not told, "tell them in api/examples/story.yaml, then CHARTWIRE_RECORD_EXAMPLES=1 pytest this file"


def test_no_example_holds_a_working_secret_or_an_address_of_this_machine():
    text = ANSWERS.read_text("utf-8")
    assert "127.0.0.1" not in text
    assert {found[2].strip("x") for found in SECRET.finditer(text)} <= {""}
