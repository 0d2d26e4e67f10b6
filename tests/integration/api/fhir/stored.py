"""Resources that tests put through the FHIR door, and pages of what it answers."""

import json
from urllib.parse import urlsplit

FHIR = "/fhir/R4"


async def put(client, *resources, **headers):
    """Put resources under ids of their own, in this order."""
    for resource in resources:
        address = f"{FHIR}/{resource['resourceType']}/{resource['id']}"
        sent = {"content-type": "application/fhir+json", **headers}
        reply = await client.call("PUT", address, body=json.dumps(resource).encode(), headers=sent)
        assert reply.status in (200, 201), reply.body


async def found(client, query, **headers):
    """The searchset of an address below the base."""
    reply = await client.get(FHIR + query if query.startswith("?") else f"{FHIR}/{query}", **headers)
    assert reply.status == 200, (query, reply.body)
    assert (reply.json["resourceType"], reply.json["type"]) == ("Bundle", "searchset")
    return reply.json


def named(bundle, mode="match"):
    """`Type/id` of the entries of a mode, in their order."""
    held = [one["resource"] for one in bundle.get("entry", []) if one["search"]["mode"] == mode]
    return [f"{one['resourceType']}/{one['id']}" for one in held]


def link(bundle, relation):
    """The link of a relation, None without one."""
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


async def walked(client, query):
    """The searchsets of all pages."""
    bundles = [await found(client, query)]
    while (following := link(bundles[-1], "next")) is not None:
        address = urlsplit(following)
        reply = await client.get(f"{address.path}?{address.query}")
        assert reply.status == 200, reply.body
        bundles.append(reply.json)
    return bundles


def patient(logical_id, family="Okonkwo", **more):
    return {"resourceType": "Patient", "id": logical_id, "name": [{"family": family}], **more}


def observation(logical_id, subject="p1", day=1, **more):
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": f"2026-01-{day:02}",
        **more,
    }
