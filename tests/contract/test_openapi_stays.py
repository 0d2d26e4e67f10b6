"""What a client of the last release relies on stays: docs/reference/openapi.json is that release's document.

Additions pass. A removal or a narrowing fails here and names its place. Where it is meant, deprecate first
(`Route(deprecated=..., sunset=...)`), say so in the changelog, and then write the document anew:

    python -m tests.contract.test_openapi_stays
"""

import json
from pathlib import Path

import pytest

from chartwire.api.docs import Portal
from chartwire.api.table import DOCUMENTED

RELEASED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def current():
    return without_examples(Portal(DOCUMENTED).document("released"))


def without_examples(value):
    if isinstance(value, dict):
        return {name: without_examples(held) for name, held in value.items() if name != "example"}
    return [without_examples(one) for one in value] if isinstance(value, list) else value


def broken(old, new):
    """Every promise of `old` that `new` does not keep."""
    for path, item in old["paths"].items():
        for method, before in item.items():
            after = new["paths"].get(path, {}).get(method)
            place = f"{method.upper()} {path}"
            if after is None:
                yield f"{place}: gone"
            else:
                yield from (f"{place}: {told}" for told in operation(before, after))
    for name, before in old["components"]["schemas"].items():
        after = new["components"]["schemas"].get(name)
        yield from (f"{name}{told}" for told in schema(before, after or {})) if after else [f"{name}: gone"]
    yield from (f"event {name}: gone" for name in old["webhooks"].keys() - new["webhooks"].keys())


def operation(old, new):
    if old["security"] != new["security"]:
        yield "needs another scope"
    parameters = {key(one): one for one in new["parameters"]}
    for one in old["parameters"]:
        now = parameters.pop(key(one), None)
        if now is None:
            yield f"parameter {key(one)} gone"
        elif "schema" in one:
            yield from (f"parameter {key(one)}{told}" for told in schema(one["schema"], now["schema"]))
    yield from (f"parameter {name} became required" for name, one in parameters.items() if one.get("required"))
    yield from (
        f"status {status} gone" for status in old["responses"].keys() - new["responses"].keys() if status < "400"
    )
    if new.get("requestBody", {}).get("required") and not old.get("requestBody", {}).get("required"):
        yield "a body became required"
    media = old.get("requestBody", {}).get("content", {}).keys() - new.get("requestBody", {}).get("content", {}).keys()
    yield from (f"body type {one} gone" for one in media)


def key(parameter):
    return parameter.get("$ref") or f"{parameter['in']}:{parameter['name']}"


def schema(old, new):
    """Members that are gone, of another type, newly required; values that are no longer allowed."""
    if {name: old.get(name) for name in ("type", "format", "$ref")} != {
        name: new.get(name) for name in ("type", "format", "$ref")
    } and "anyOf" not in new:
        yield ": another type"
    yield from (
        f": value {one} gone" for one in set(map(str, old.get("enum", ()))) - set(map(str, new.get("enum", ())))
    )
    for name, before in old.get("properties", {}).items():
        after = new.get("properties", {}).get(name)
        yield from (f".{name}{told}" for told in schema(before, after)) if after is not None else [f".{name}: gone"]
    yield from (f".{name}: became required" for name in set(new.get("required", ())) - set(old.get("required", ())))


def test_nothing_that_the_last_release_promised_is_gone_or_narrower():
    assert not list(broken(json.loads(RELEASED.read_text("utf-8")), current())), __doc__


def remove(document, *steps):
    *way, last = steps
    for step in way:
        document = document[step]
    del document[last]


@pytest.mark.parametrize(
    "mischief",
    [
        lambda document: remove(document, "paths", "/api/v1/patients"),
        lambda document: remove(document, "paths", "/api/v1/patients/{id}", "get"),
        lambda document: remove(document, "components", "schemas", "Patient", "properties", "birth_date"),
        lambda document: document["components"]["schemas"]["KeyOrder"]["required"].append("expires_at"),
        lambda document: document["paths"]["/api/v1/patients"]["get"]["parameters"].pop(0),
        lambda document: document["paths"]["/api/v1/keys"]["post"].update(security=[{"key": ["*"]}]),
        lambda document: document["components"]["schemas"]["Patient"]["properties"]["version"].update(type="string"),
        lambda document: remove(document, "webhooks", "patient.updated"),
    ],
)
def test_each_kind_of_break_is_seen(mischief):
    document = current()
    mischief(document)
    assert list(broken(current(), document))


def test_additions_are_no_break():
    document = current()
    document["paths"]["/api/v1/more"] = {"get": {}}
    document["components"]["schemas"]["Patient"]["properties"]["nickname"] = {"type": "string"}
    assert not list(broken(current(), document))


if __name__ == "__main__":
    RELEASED.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
