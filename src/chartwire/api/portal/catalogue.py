"""Two catalogues: every event type with a sample, and every problem with what to do about it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from html import escape
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson

from chartwire.api.http import API_VERSIONS
from chartwire.api.portal.page import told
from chartwire.api.problem import catalogue
from chartwire.delivery.catalogue import event_types, sample_event
from chartwire.delivery.payload import body_of

Json = dict[str, Any]

_SAMPLE_TIME = datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)
_SAMPLE_EVENT = UUID("019a9f00-0000-7000-8000-000000000001")
_SAMPLE_ORGANISATION = UUID("019a9f00-0000-7000-8000-000000000002")
_ENVELOPE: Json = {
    "type": "object",
    "required": ["id", "type", "api_version", "created_at", "tenant", "sequence", "data", "changed"],
    "properties": {
        "id": {"type": "string", "description": "The same in every attempt: what was seen once can be left out"},
        "type": {"type": "string"},
        "api_version": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "tenant": {"type": "string", "description": "The organisation"},
        "sequence": {"type": "integer", "description": "Rises with each change of one resource: drop what comes late"},
        "data": {
            "type": "object",
            "required": ["object", "id", "version", "links"],
            "properties": {
                "object": {"type": "string"},
                "id": {"type": "string"},
                "version": {"type": "integer"},
                "links": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "changed": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Names of changed elements"},
    },
}
_ADVICE: Mapping[int, str] = {
    400: "Mend the request: `errors` names the parameter, `detail` what it can be. The same request fails again.",
    401: "Send a key that is valid, as `Authorization: Bearer`.",
    403: "Take a key with the scope that `detail` names.",
    404: "Check the id and the address. What belongs to another organisation answers the same.",
    405: "`Allow` names what this address does.",
    406: "Leave `Accept` out, or ask for the type that `detail` names.",
    409: "Read the present state, decide anew. Where `retryable` is true the same request may succeed later.",
    410: "It was deleted; the version before stands in its history.",
    412: "Somebody changed it meanwhile: read it again, and write with the new ETag.",
    413: "Send less at a time.",
    415: "Send the body as the type that `detail` names.",
    422: "Mend the body: each of `errors` has a pointer to the place and the rule. The same body fails again.",
    428: "Send `If-Match` with the ETag that you read.",
    429: "Wait as long as `Retry-After` says; `violated-policies` names the limit.",
    500: "Our fault: the log has the place under `request_id`. A retry with an Idempotency-Key is safe.",
    502: "Another system failed; `detail` says which.",
    503: "Wait as long as `Retry-After` says, and send the same request again, with its Idempotency-Key.",
}


@cache
def webhook_items() -> Mapping[str, Json]:
    """The `webhooks` of the OpenAPI document: what is sent for each event type."""
    return {name: {"post": _webhook(name, one.description)} for name, one in event_types().items()}


def sample(name: str) -> Json:
    """A body of this event type about nothing that exists, the same at every call."""
    event = sample_event(event_types()[name])
    body: Json = orjson.loads(body_of(_SAMPLE_ORGANISATION, event, _SAMPLE_TIME, API_VERSIONS[-1]))
    return body | {"id": "evt_01K6J7JZ1C7HQ8ZB1M2N3P4R5S"}


def events_page() -> str:
    """The event catalogue."""
    families = groupby(event_types().values(), key=lambda one: one.name.partition(".")[0])
    text = "".join(
        f'<h2 id="{escape(family)}">{escape(family.replace("_", " ").capitalize())}</h2>'
        + "".join(_event(one.name, one.description) for one in listed)
        for family, listed in families
    )
    return (
        "<h1>Events</h1><p>An event says that something changed and where to read it, nothing about the patient. "
        "Webhooks bring it to you, signed by the Standard Webhooks scheme; <code>GET /api/v1/events</code> has the "
        f"last 30 days. Each is delivered at least once, under one id.</p>{text}"
    )


def problems_page() -> str:
    """The catalogue of problems, by status."""
    by_status: dict[int, list[Json]] = {status: [] for status in sorted(_ADVICE)}
    for one in catalogue():
        by_status.setdefault(one["status"], []).append(one)
    return (
        "<h1>Problems</h1><p>An answer that is not what was asked for is a problem by RFC 9457: <code>code</code> is "
        "for programs, <code>detail</code> and <code>errors</code> for people, and <code>retryable</code> says whether "
        "the same request may succeed later. None carries a value that was sent.</p>"
        + "".join(_status(*one) for one in by_status.items())
    )


def _webhook(name: str, description: str) -> Json:
    content = {"application/json": {"schema": _ENVELOPE, "example": sample(name)}}
    return {
        "operationId": "webhook_" + name.replace(".", "_"),
        "summary": description,
        "tags": ["events"],
        "requestBody": {"content": content, "required": True},
        "responses": {"2XX": {"description": "Taken; anything else is sent again"}},
        "security": [],
    }


def _event(name: str, description: str) -> str:
    text = json.dumps(sample(name), indent=2, ensure_ascii=False)
    return (
        f'<details class="event" id="{name}"><summary><code>{escape(name)}</code> <span>{told(description)}</span>'
        f"</summary><pre data-json><code>{escape(text)}</code></pre></details>"
    )


def _status(status: int, problems: list[Json]) -> str:
    rows = "".join(
        f'<tr id="{one["code"]}"><td><code>{one["code"]}</code></td><td>{escape(one["title"])}</td></tr>'
        for one in problems
    )
    advice = told(_ADVICE.get(status, ""))
    return f'<h2 id="status-{status}">{status}</h2><p>{advice}</p><table class="problems">{rows}</table>'
