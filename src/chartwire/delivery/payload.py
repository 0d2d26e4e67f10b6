"""The body of a webhook: a thin envelope that says what changed and where to read it, and nothing about the patient.

Built once, when the delivery is made, and stored: every attempt carries the same bytes. `sequence` rises with each
change of one resource, so that a receiver can drop what arrives late; there is no other promise of order.
"""

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson

from chartwire.core.clock import instant
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.delivery.signature import signature_header
from chartwire.events.outbox import Event

BODY_BYTES_MAX = 64 * 1024
ENDPOINT = "endpoint"
"""The resource type of events about an endpoint itself: no FHIR type, and no data about a patient."""
PARKED = "ParkedWrite"
"""The resource type of events about writes that wait for a record (record/parking.py)."""
API_NAMES = MappingProxyType({
    "endpoint": ("webhook_endpoint", "webhooks/endpoints"),
    "ParkedWrite": ("parked_write", "parked-writes"),
    "Appointment": ("appointment", "appointments"),
    "Location": ("location", "locations"),
    "Patient": ("patient", "patients"),
    "Practitioner": ("provider", "providers"),
})  # fmt: skip


def webhook_id(event_id: UUID) -> str:
    """The `webhook-id` of an event: the same for every attempt and every endpoint."""
    return to_prefixed(PREFIXES["event"], event_id)


def api_id(resource_type: str, resource_id: UUID) -> str:
    """The prefixed id of a resource; a type without a prefix of its own takes `res`."""
    return to_prefixed(PREFIXES.get(resource_type, "res"), resource_id)


def body_of(
    org_id: UUID, event: Event, created_at: datetime, api_version: str, *, base_url: str = "", resource: str = ""
) -> bytes:
    """The JSON body, UTF-8, at most BODY_BYTES_MAX bytes: what is too long (`resource`, `changed`) is null then.

    `detail` with `survivor_id` and `loser_id` (a merge or unmerge) adds both as API ids to `data`. Links are relative
    unless `base_url` (without closing slash) is given. `resource`, the FHIR JSON of the version that the event is
    about, makes the payload full: it stands in `data.resource` as it is stored.
    """
    envelope: dict[str, Any] = {
        "id": webhook_id(event.id),
        "type": event.type,
        "api_version": api_version,
        "created_at": instant(created_at),
        "tenant": to_prefixed(PREFIXES["organisation"], org_id),
        "sequence": event.version,
        "data": _data(event, base_url),
        "changed": list(event.changed),
    }
    if resource:
        full = orjson.dumps(envelope | {"data": envelope["data"] | {"resource": orjson.Fragment(resource)}})
        if len(full) <= BODY_BYTES_MAX:
            return full
        envelope["data"]["resource"] = None
    body = orjson.dumps(envelope)
    return body if len(body) <= BODY_BYTES_MAX else orjson.dumps(envelope | {"changed": None})


def headers_of(
    event_id: UUID, body: bytes, secrets: Sequence[bytes], timestamp_s: int, correlation: str, replay_id: str = ""
) -> dict[str, str]:
    """The headers of one attempt, signed anew for its time. `correlation` is the id of the message that caused it."""
    message_id = webhook_id(event_id)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Chartwire-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature_header(secrets, message_id, timestamp_s, body),
    }
    if correlation:
        headers["Chartwire-Correlation-Id"] = correlation
    if replay_id:
        headers["Chartwire-Replay"] = replay_id
    return headers


def _data(event: Event, base_url: str) -> dict[str, Any]:
    kind = event.resource_type
    name, collection = API_NAMES.get(kind, (kind, ""))
    shown_id = api_id(kind, event.resource_id)
    links = {} if kind in {ENDPOINT, PARKED} else {"fhir": f"{base_url}/fhir/R4/{kind}/{event.resource_id}"}
    if collection:
        links["self"] = f"{base_url}/api/v1/{collection}/{shown_id}"
    data: dict[str, Any] = {"object": name, "id": shown_id, "version": event.version, "links": links}
    for key in ("survivor_id", "loser_id"):
        if key in event.detail:
            data[key] = api_id(kind, UUID(str(event.detail[key])))
    if kind in {ENDPOINT, PARKED}:
        data |= {key: event.detail[key] for key in ("reason", "percent", "codes") if key in event.detail}
    return data
