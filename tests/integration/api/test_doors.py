"""Who gets in, what is written down, and what never gets out."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import structlog
from tests.integration.api.hub import Client, a_patient, new_client

from chartwire.api.asgi import make_app
from chartwire.api.rest.deliveries import delivery_id
from chartwire.api.services import Services
from chartwire.api.table import ROUTES
from chartwire.channels.sources import create_source
from chartwire.core import telemetry
from chartwire.core.access import Access
from chartwire.core.errors import TransientError
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.core.source import Source
from chartwire.delivery import replays
from chartwire.delivery.keyring import Keyring, Secret
from chartwire.delivery.signature import new_secret
from chartwire.mapping.conversion import Content
from chartwire.record import custom_fields
from chartwire.record.custom_values import CustomField
from chartwire.store.queries import q
from chartwire.trust.audit import AuditTrail, audit_row
from chartwire.trust.seal import Sealer

NOBODY = UUID(int=0)


async def everything_of(record):
    """One of each thing that an organisation can have, by the placeholders of the route table."""
    patient = await record.save("Patient", a_patient())
    practice = {
        "patients": to_prefixed("pat", patient),
        "appointments": to_prefixed("apt", await record.save("Appointment", {"status": "booked"}, patient=patient)),
        "providers": to_prefixed("prv", await record.save("Practitioner", {})),
        "locations": to_prefixed("loc", await record.save("Location", {"name": "Ward"})),
    }
    content = Content.of(b"%PDF-1.7", "application/pdf")
    shown = {"status": "current", "content": [{"attachment": {"url": f"Binary/{content.id}"}}]}
    document = await record.save("DocumentReference", shown, patient=patient)
    message = to_prefixed("msg", await record.message(mrn="MRN-0001", patient_id=patient))
    endpoint, review, event = uuid7(), uuid7(), uuid7()
    operator = Access(record.org, "cli:test", "HOPERAT", frozenset({"*"}))
    async with record.pool.transaction(record.org) as tx:
        sealed = Keyring(Sealer(bytes(range(32))), record.org, endpoint).seal([Secret(new_secret())])
        row = (record.org, endpoint, "webhook", "n", "https://example.org/hook", ["*"], sealed, "2026-11-20")
        await tx.execute(q.insert_destination, *row)
        row = (content.id, content.sha256, content.media_type, len(content.data), content.data, datetime.now(UTC))
        await tx.execute(q.insert_content, record.org, *row)
        await tx.execute(q.insert_content_links, record.org, [content.id], ["DocumentReference"], [document])
        replay = await replays.start(
            tx, operator, replays.Order(endpoint, datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))
        )
        await tx.execute("insert into review (org_id, id, kind) values ($1, $2, 'identity')", record.org, review)
        now = datetime.now(UTC)
        await tx.execute(
            "insert into event values ($1, $2, default, $3, 'patient.created', 'Patient', $4, 1, $4, '{}', null, 'live')",
            record.org, event, now, patient,
        )  # fmt: skip
        await tx.execute(
            "insert into delivery (org_id, event_id, destination_id, state, next_attempt_at, created_at, body)"
            " values ($1, $2, $3, 'pending', $4, $4, '{}')",
            record.org, event, endpoint, now,
        )  # fmt: skip
    source, lasting = Source(record.org, uuid7(), "feed", "HOSP"), uuid7()
    await create_source(record.pool, source, "main")
    await record.message(state="dead", event="ADT^A08", source_id=source.id, error_code="not_hl7")
    async with record.pool.transaction(record.org) as tx:
        cause = await tx.fetchval("select dead_letter_fingerprint($1, 'ADT^A08', 'not_hl7', null)", source.id)
        span = (now, now + timedelta(hours=1))
        await tx.execute(q.write_window, record.org, lasting, None, "hold", *span, None, "update", "cli:test", now)
        field = await custom_fields.create(tx, operator, CustomField("patient", "insurer", "string", "Insurer"))
    row = audit_row(replace(operator, request_id="asked-once"), "read", "Patient", "GET /api/v1/patients", status=200)
    await AuditTrail(record.pool).write(row)
    return {
        **practice,
        "custom-fields": to_prefixed("cfd", field.id),
        "requests": "asked-once",
        "sources": to_prefixed("src", source.id),
        "dead-letters": to_prefixed("dlg", cause),
        "maintenance-windows": to_prefixed("mnt", lasting),
        "documents": to_prefixed("doc", document),
        "fhir": f"Patient/{patient}",
        "binary": f"Binary/{content.id}",
        "hl7/messages": message,
        "webhooks/endpoints": to_prefixed("whe", endpoint),
        "webhooks/deliveries": delivery_id(event, endpoint),
        "webhooks/replays": to_prefixed("rpl", replay),
        "reviews": to_prefixed("rev", review),
        "patient": patient,
        "event": event,
        "endpoint": endpoint,
    }


async def test_a_key_reaches_only_what_its_scopes_name_and_hears_which_one_it_lacks(services, app, org_id, record):
    things = await everything_of(record)
    narrow = await new_client(services, app, org_id, "locations.read")
    assert (await narrow.get("/api/v1/locations")).status == 200
    for path in ("/api/v1/patients", f"/api/v1/patients/{things['patients']}", "/api/v1/keys", "/api/v1/events"):
        reply = await narrow.get(path)
        assert (reply.status, reply.json["code"], reply.json["class"]) == (403, "scope_missing", "auth")
        scope = next(route.scope for route in ROUTES if route.path == path.replace(things["patients"], "{id}"))
        assert scope in reply.json["detail"]
    assert (await narrow.get(f"/fhir/R4/{things['fhir']}")).json["issue"][0]["code"] == "forbidden"


async def test_the_raw_message_needs_a_scope_of_its_own(services, app, org_id, record):
    message = to_prefixed("msg", await record.message(raw=b"MSH|^~\\&|canary\r"))
    path = f"/api/v1/hl7/messages/{message}"
    without = await (await new_client(services, app, org_id, "messages.read")).get(path)
    with_it = await (await new_client(services, app, org_id, "messages.read", "messages.raw")).get(path)
    assert without.json["raw"] is None
    assert with_it.json["raw"]["data"] == "MSH|^~\\&|canary\r"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer nonsense"}, {"x-api-key": "cw_live_nonsense"}],
    ids=["none", "other scheme", "malformed", "malformed in X-API-Key"],
)
async def test_without_a_valid_key_nothing_opens(app, headers):
    reply = await Client(app, headers=headers).get("/api/v1/patients")
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert reply.headers["content-type"] == "application/problem+json"


async def test_a_key_works_in_either_header(client, app):
    assert (await Client(app, headers={"x-api-key": client.token}).get("/api/v1/patients")).status == 200


async def test_a_revocation_takes_effect_on_the_next_request_of_every_route(services, app, org_id, record):
    things = await everything_of(record)
    caller = await new_client(services, app, org_id)
    paths = ["/api/v1/patients", f"/api/v1/patients/{things['patients']}", "/api/v1/patients?mrn=MRN-0001"]
    paths += [f"/fhir/R4/{things['fhir']}", "/api/v1/hl7/messages", "/api/v1/appointments", "/api/v1/keys"]
    for path in paths:
        assert (await caller.get(path)).status == 200
    access = await services.credentials.authenticate(caller.token)
    await services.credentials.revoke(access, access.credential_id)
    for path in paths:
        assert (await caller.get(path)).status == 401, path


async def test_each_answer_is_in_the_audit_trail_with_its_patients_and_without_values(client, record):
    patient = await record.save("Patient", a_patient())
    await record.save("Appointment", {"status": "booked"}, patient=patient)
    await client.get(f"/api/v1/patients/{to_prefixed('pat', patient)}", x_request_id="trace-1")
    await client.get("/api/v1/patients", {"mrn": "MRN-0001", "limit": "5"})
    await client.get("/api/v1/appointments")
    await client.get(f"/fhir/R4/Patient/{patient}")
    rows = await record.audit_rows()
    told = [(row["action"], row["resource_type"], row["query_shape"], row["row_count"], row["status"]) for row in rows]
    assert told == [
        ("read", "Patient", "GET /api/v1/patients/{id}", 1, 200),
        ("search", "Patient", "GET /api/v1/patients?limit&mrn", 1, 200),
        ("search", "Appointment", "GET /api/v1/appointments", 1, 200),
        ("read", "Patient", "GET /fhir/R4/{type}/{id}", 1, 200),
    ]
    assert all(row["patient_ids"] == [patient] for row in rows)
    assert rows[0]["request_id"] == "trace-1"
    assert all(row["actor"].startswith("key:") and row["purpose"] == "HOPERAT" for row in rows)


async def test_refusals_are_audited_too_and_unknown_callers_with_the_installation(app, services, record, org_id):
    narrow = await new_client(services, app, org_id, "locations.read")
    await narrow.get("/api/v1/patients")
    await narrow.get(f"/api/v1/locations/{to_prefixed('loc', uuid7())}")
    await Client(app, "cw_live_nonsense").get("/api/v1/patients")
    told = [(row["action"], row["status"]) for row in await record.audit_rows()]
    assert told == [("refuse", 403), ("refuse", 404)]
    (stranger,) = await record.audit_rows(NOBODY)
    assert (stranger["actor"], stranger["status"]) == ("anonymous", 401)


async def test_the_audit_row_is_committed_before_the_answer_leaves(client, record, services):
    patient = await record.save("Patient", a_patient())
    seen = []

    class Watching:
        async def write(self, row):
            await services.audit.write(row)
            seen.append(len(await record.audit_rows()))

    watched = {name: getattr(services, name) for name in Services.__slots__} | {"audit": Watching()}
    app = make_app(Services(**watched))
    sent = []

    async def send(message):
        sent.append((message["type"], list(seen)))

    headers = [(b"authorization", f"Bearer {client.token}".encode())]
    path = f"/api/v1/patients/{to_prefixed('pat', patient)}"
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app(scope, None, send)
    assert sent[0] == ("http.response.start", [1])


async def test_when_the_access_cannot_be_recorded_it_is_not_given(client, record, services):
    patient = await record.save("Patient", a_patient())

    class Down:
        async def write(self, _):
            raise TransientError("no", code="audit_unavailable")

    parts = {name: getattr(services, name) for name in Services.__slots__} | {"audit": Down()}
    caller = Client(make_app(Services(**parts)), client.token)
    for path in ("/api/v1/patients", f"/api/v1/patients/{to_prefixed('pat', patient)}", f"/fhir/R4/Patient/{patient}"):
        reply = await caller.get(path)
        assert reply.status == 503
        assert reply.headers["retry-after"]
        assert b"Okonkwo" not in reply.body


async def test_nothing_of_a_patient_reaches_logs_errors_or_metrics(client, record, app, capsys, monkeypatch):
    canary = "Zyxwvut"
    patient = await record.save("Patient", a_patient(canary, mrn=canary))
    wrong = [
        ("/api/v1/patients", {"mrn": canary, canary: canary}),
        ("/api/v1/patients", {"birth_date": canary}),
        ("/api/v1/patients", {"sort": canary}),
        ("/api/v1/patients", {"page_token": canary}),
        ("/api/v1/patients", {"updated_at_gte": canary}),
        ("/api/v1/patients", {"fields": canary}),
        (f"/api/v1/patients/{canary}", {}),
        (f"/api/v1/{canary}", {}),
        (f"/fhir/R4/Patient/{canary}", {}),
        (f"/fhir/R4/{canary}/1", {}),
    ]
    replies = [await client.get(path, query) for path, query in wrong]
    replies.append(await client.post("/api/v1/webhooks/endpoints", {"url": 1, canary: canary}))
    replies.append(await client.post("/api/v1/keys", {"name": "k", "scopes": [canary]}))
    assert all(400 <= reply.status < 500 and canary not in reply.body.decode() for reply in replies)
    logged = []
    structlog.configure(
        processors=[lambda _, __, event: logged.append(event) or (_ for _ in ()).throw(structlog.DropEvent)]
    )
    try:
        monkeypatch.setattr("chartwire.api.rest.practice.to_prefixed", lambda *_: 1 / int(canary == canary.lower()))
        reply = await client.get(f"/api/v1/patients/{to_prefixed('pat', patient)}")
    finally:
        structlog.reset_defaults()
    assert (reply.status, reply.json["code"], canary in str(reply.body)) == (500, "internal", False)
    assert logged[0]["kind"] == "ZeroDivisionError"
    printed = capsys.readouterr()
    metrics = json.dumps([[metric.name, list(map(str, metric.values))] for metric in telemetry.metrics()])
    rows = " ".join(str(dict(row)) for row in await record.audit_rows())
    for place in (str(logged), printed.out, printed.err, metrics, rows):
        assert canary not in place


async def test_a_crowd_of_readers_shares_audit_commits_and_each_gets_its_own_row(client, record):
    patients = [await record.save("Patient", a_patient(mrn=f"M{n}")) for n in range(20)]
    replies = await asyncio.gather(*(client.get(f"/api/v1/patients/{to_prefixed('pat', one)}") for one in patients))
    assert [reply.json["mrn"] for reply in replies] == [f"M{n}" for n in range(20)]
    rows = await record.audit_rows()
    assert {row["patient_ids"][0] for row in rows} == set(patients)
    assert len({row["xid"] for row in rows}) < 20
