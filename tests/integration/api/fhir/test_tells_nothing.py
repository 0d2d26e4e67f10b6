"""What is about a patient stays out of refusals, logs, metrics and audit rows, wherever in a request it stands."""

import json
from io import BytesIO

import pytest
import structlog
from tests.integration.api.fhir.bundles import a_patient, an_observation, get, post, put, transaction

from chartwire.app import logging
from chartwire.core import telemetry

CANARY = "Zyxwvut"
NO_NAME = f"{CANARY}%20{CANARY}"
"""In place of a parameter's or element's name: what has the form of a name is told, so that it can be found."""
BASE = "/fhir/R4"
FHIR = "application/fhir+json"

ADDRESSES = [
    f"/{CANARY}",
    f"/{CANARY}/1",
    f"/Patient/{CANARY}",
    f"/Patient/{CANARY}/_history/1",
    f"/Patient/one/_history/{CANARY}",
    f"/Patient/one/{CANARY}",
    f"/Patient/${CANARY}",
    f"/Patient/one/${CANARY}",
    f"/Patient/one/{CANARY}?code={CANARY}",
    f"/Patient?{NO_NAME}={CANARY}",
    f"/Patient?birthdate={CANARY}",
    f"/Patient?name:{NO_NAME}={CANARY}",
    f"/Patient?birthdate=zz{CANARY}",
    f"/Patient?identifier:of-type={CANARY}",
    f"/Patient?_sort={CANARY}",
    f"/Patient?_count={CANARY}",
    f"/Patient?_total={CANARY}",
    f"/Patient?_summary={CANARY}",
    f"/Patient?_include={CANARY}",
    f"/Patient?_include=Patient:{CANARY}",
    f"/Patient?_revinclude=Observation:{CANARY}",
    f"/Patient?_has:{NO_NAME}:patient:code=1",
    f"/Patient?_has:Observation:{NO_NAME}:code=1",
    f"/Patient?general-practitioner.{NO_NAME}=1",
    f"/Patient?_page={CANARY}",
    f"/Patient?_format={CANARY}",
    f"/Patient?_lastUpdated={CANARY}",
    f"/Patient?_id={CANARY}%20{CANARY}",
    f"/Observation?value-quantity={CANARY}",
    f"/Observation?code-value-quantity={CANARY}",
    f"/Observation?subject:{NO_NAME}=1",
    f"/Observation?code:in={CANARY}",
    f"/Observation?code:below={CANARY}|{CANARY}",
    f"/Observation/$lastn?max={CANARY}",
    f"/Patient/one/$everything?start={CANARY}",
    f"/Patient/one/$everything?_type={CANARY}",
    f"/Patient/one/_history?_since={CANARY}",
    f"/ValueSet/$expand?url={CANARY}",
    f"/CodeSystem/$lookup?system={CANARY}&code={CANARY}",
    f"/Provenance?target={CANARY}",
    f"/?_type={CANARY}",
    f"/Binary/{CANARY}",
]
BODIES = [
    a_patient(mrn=CANARY, gender=CANARY),
    a_patient(mrn=CANARY, birthDate=CANARY),
    a_patient(mrn=CANARY, **{f"{CANARY} 1": CANARY}),
    a_patient(mrn=CANARY, name=CANARY),
    a_patient(mrn=CANARY, name=[{"family": {"x": CANARY}}]),
    a_patient(mrn=CANARY, telecom=[{"system": CANARY, "value": CANARY}]),
    a_patient(mrn=CANARY, extension=[{"url": CANARY, "valueString": CANARY, "valueCode": CANARY}]),
    a_patient(mrn=CANARY, contained=[{"resourceType": CANARY, "id": CANARY}]),
    a_patient(mrn=CANARY, text={"status": "generated", "div": f"<script>{CANARY}</script>"}),
    a_patient(mrn=CANARY, managingOrganization={"reference": f"{CANARY}/{CANARY}"}),
    a_patient(mrn=CANARY, resourceType=CANARY),
    a_patient(mrn=CANARY, id=f"{CANARY} {CANARY}"),
    a_patient(
        mrn=CANARY, meta={"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}, name=[]
    ),
]


def bundles():
    good = a_patient(mrn=CANARY, family=CANARY)
    yield transaction(put(good, url=f"Patient/{CANARY}"))
    yield transaction(post(good), get(f"Patient/{CANARY}"))
    yield transaction(post(good), get(f"Patient?birthdate={CANARY}"))
    yield transaction(post(an_observation(f"Patient?identifier={CANARY}")))
    yield transaction(post(an_observation(f"urn:uuid:{CANARY}")), get(f"{CANARY}/1"))
    yield transaction(post(good, ifNoneExist=f"birthdate={CANARY}"))
    yield transaction(put({**good, "id": "one"}, ifMatch=CANARY))
    yield transaction({"resource": good, "request": {"method": CANARY, "url": CANARY}})
    yield {"resourceType": "Bundle", "type": CANARY}
    yield from (transaction(post(body)) for body in BODIES)


def patches():
    for media, patch in [
        ("application/json-patch+json", [{"op": "replace", "path": f"/{CANARY}", "value": CANARY}]),
        ("application/json-patch+json", [{"op": "test", "path": "/gender", "value": CANARY}]),
        ("application/json-patch+json", [{"op": CANARY, "path": "/gender", "value": CANARY}]),
        ("application/json-patch+json", [{"op": "add", "path": "/birthDate", "value": CANARY}]),
        ("application/merge-patch+json", {"gender": CANARY}),
        ("application/merge-patch+json", {"name": CANARY}),
    ]:
        yield media, json.dumps(patch)
    for path, kind in [
        (f"Patient.{CANARY}", "replace"),
        (f"Patient.where('{CANARY}", "delete"),
        ("Patient.name", CANARY),
    ]:
        part = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
        operation = {"name": "operation", "part": [*part, {"name": "value", "valueString": CANARY}]}
        yield FHIR, json.dumps({"resourceType": "Parameters", "parameter": [operation]})
    for text in ("{" + CANARY, '{"' + CANARY + '":', f'"{CANARY}"'):
        yield FHIR, text


@pytest.fixture
def logged():
    """What is logged, as it is written."""
    out = BytesIO()
    logging.configure("debug", "test", stream=out)
    yield out
    structlog.reset_defaults()


async def test_nothing_of_a_patient_reaches_refusals_logs_metrics_or_audit_rows(client, record, logged):
    await client.put(f"{BASE}/Patient/one", a_patient(id="one"))
    replies = {f"GET {path}": await client.get(BASE + path, prefer="handling=strict") for path in ADDRESSES}
    for number, body in enumerate(BODIES):
        replies[f"POST {number}"] = await client.post(f"{BASE}/Patient", body)
        replies[f"PUT {number}"] = await client.put(f"{BASE}/Patient/{body.get('id', 'two')}", body)
        replies[f"$validate {number}"] = await client.post(f"{BASE}/Patient/$validate", body)
    for number, bundle in enumerate(bundles()):
        replies[f"Bundle {number}"] = await client.post(BASE, bundle)
        replies[f"batch {number}"] = await client.post(BASE, {**bundle, "type": "batch"})
    for number, (media, text) in enumerate(patches()):
        headers = {"content-type": media}
        replies[f"PATCH {number}"] = await client.call(
            "PATCH", f"{BASE}/Patient/one", body=text.encode(), headers=headers
        )
    for name, value in [("if_match", CANARY), ("if_none_exist", f"birthdate={CANARY}"), ("accept", CANARY)]:
        body = a_patient(mrn=CANARY)
        replies[name] = await client.post(f"{BASE}/Patient", body, **{name: value})
    replies["search"] = await client.post(f"{BASE}/Patient/_search", {CANARY: CANARY})
    refused = {what: reply for what, reply in replies.items() if reply.status >= 400 or "$validate" in what}
    assert len(refused) > 100
    assert [what for what, reply in refused.items() if reply.status >= 500] == []
    assert [what for what, reply in refused.items() if CANARY in reply.body.decode()] == []
    metrics = json.dumps([[metric.name, list(map(str, metric.values))] for metric in telemetry.metrics()])
    rows = " ".join(str(dict(row)) for row in await record.audit_rows())
    assert [place for place in (logged.getvalue().decode(), metrics, rows) if CANARY in place] == []
