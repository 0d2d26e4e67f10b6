"""HL7 v2 messages as they arrived, what became of them, and replay."""

import base64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import performed
from chartwire.api.problem import not_found
from chartwire.api.rest.deliveries import delivery_of
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.rest.lineage import elements_of
from chartwire.api.rest.lists import page, window
from chartwire.api.rest.message_filters import SEARCH, STATE, conditions_of
from chartwire.api.rest.message_models import (
    Case,
    Child,
    DeadLetterOf,
    Decided,
    Fault,
    Feed,
    Finding,
    Message,
    MessageDetail,
    MessageLinks,
    MessagePage,
    Raw,
    Replayed,
    ReplayOrder,
    TouchedResource,
)
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.channels.replay import put_again
from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.record import messages
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.retention import expired_at


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/hl7/messages`."""
    return await _list(request, services, "hl7/messages", {})


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/hl7/messages/{id}`."""
    access, pool = request.access, services.pool
    message_id = in_path("message", request.parts[0])
    row = await messages.read_message(pool, access, message_id)
    if row is None:
        raise not_found()
    outcome = messages.outcome_of(row["outcome"])
    texts = await messages.lineage_of(pool, access, outcome.touched) if outcome.touched else {}
    raw = await messages.read_raw(pool, access, message_id) if access.allows("messages.raw") else None
    detail = MessageDetail(
        **msgspec.structs.asdict(message_of(row)),
        resources=[_touched(each, texts) for each in outcome.touched],
        findings=[Finding(code, location) for code, location in outcome.findings],
        unread_fields=outcome.unread,
        deliveries=[delivery_of(each) for each in await messages.deliveries_of(pool, access, row)],
        replays=[_child(each) for each in await messages.children(pool, access, message_id)],
        reviews=[_case(each) for each in await messages.reviews_of(pool, access, message_id)],
        dead_letter=_dead_letter(row["cause_id"]),
        decision=msgspec.json.decode(row["decision"], type=Decided) if row["decision"] else None,
        raw=_raw(raw, row["charset"]) if raw is not None else None,
        raw_expired_at=await _expired(pool, access, row) if raw is None and access.allows("messages.raw") else None,
    )
    return Answer(msgspec.json.encode(detail), count=1, patients=_patients(row))


async def again(request: Request, services: Services) -> Answer:
    """`POST /api/v1/hl7/messages/{id}/replay`: 202 and the child, which its lane will come to."""
    message_id = in_path("message", request.parts[0])
    order = ReplayOrder() if request.has_no_body else await request.body(ReplayOrder)

    async def effect(tx: Connection) -> Answer:
        try:
            child = shown("message", await put_again(tx, request.access, message_id, mode=order.mode))
        except NotFoundError:
            raise not_found() from None
        place = f"{_BASE}/{child}".encode()
        told = Replayed(child, request.parts[0], order.mode)
        return json_answer(told, status=202, headers=[(b"location", place)], count=1)

    answer = await performed(request, services, effect)
    services.wake()
    return answer


def message_of(row: Row) -> Message:
    """A message without what it caused."""
    fault = Fault(row["error_code"], row["error_location"], row["error_text"]) if row["error_code"] else None
    return Message(
        id=shown("message", row["id"]),
        received_at=instant(row["received_at"]),
        processed_at=instant(row["processed_at"]) if row["processed_at"] else None,
        state=row["state"],
        event=row["event"],
        control_id=row["control_id"],
        mrn=row["mrn"],
        source=Feed(shown("source", row["source_id"]), row["source_name"]),
        charset=row["charset"],
        size_bytes=row["body_bytes"],
        mode=row["mode"],
        ack_code=row["ack_code"],
        fault=fault,
        patient_id=shown_or_none("Patient", row["patient_id"]),
        parent_id=shown_or_none("message", row["parent_id"]),
        links=MessageLinks(
            itself=f"{_BASE}/{shown('message', row['id'])}",
            source=f"/api/v1/sources/{shown('source', row['source_id'])}",
            patient=f"/api/v1/patients/{shown('Patient', row['patient_id'])}" if row["patient_id"] else None,
            parent=f"{_BASE}/{shown('message', row['parent_id'])}" if row["parent_id"] else None,
        ),
    )


async def _list(request: Request, services: Services, name: str, fixed: dict[str, Any]) -> Answer:
    at = window(request, services, name)
    conditions = {"before": at.before[0], **conditions_of(at.query), **fixed}
    rows = await messages.search_messages(services.pool, request.access, conditions, at.limit + 1)
    shown_rows = rows[: at.limit]
    patients = [patient for row in shown_rows for patient in _patients(row)]
    return page(request, services, at, rows, _key, [message_of(row) for row in shown_rows], patients)


def _key(row: Row) -> tuple[UUID, ...]:
    return (row["id"],)


def _patients(row: Row) -> tuple[UUID, ...]:
    return (row["patient_id"],) if row["patient_id"] else ()


def _touched(each: messages.Touched, texts: Mapping[tuple[str, UUID], str]) -> TouchedResource:
    text = texts.get((each.type, each.id))
    return TouchedResource(
        type=each.type,
        id=shown(each.type, each.id),
        version=each.version,
        changed=each.changed,
        fhir=f"/fhir/R4/{each.type}/{each.id}/_history/{each.version}",
        lineage=elements_of(text) if text else {},
    )


def _child(row: Row) -> Child:
    return Child(shown("message", row["id"]), instant(row["received_at"]), row["state"], row["mode"])


def _case(row: Row) -> Case:
    shown_id = shown("review", row["id"])
    return Case(shown_id, row["kind"], row["state"], instant(row["created_at"]), f"/api/v1/reviews/{shown_id}")


def _dead_letter(cause_id: UUID | None) -> DeadLetterOf | None:
    if cause_id is None:
        return None
    cause = shown("dead_letters", cause_id)
    return DeadLetterOf(cause, f"/api/v1/dead-letters/{cause}")


async def _expired(pool: Pool, access: Access, row: Row) -> str | None:
    """When retention removed the bytes of a message that has none."""
    data_class = "dead_letters" if row["state"] == "dead" else "raw"
    found = await expired_at(pool, access.org, data_class, row["received_at"])
    return instant(found) if found else None


def _raw(raw: bytes, charset: str) -> Raw:
    try:
        return Raw("utf-8", charset, raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Raw("base64", charset, base64.b64encode(raw).decode())


_BASE = "/api/v1/hl7/messages"
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List messages, newest first",
        "messages.read",
        "Message",
        "search",
        parameters=(STATE, *SEARCH),
        answer=MessagePage,
        tag="messages",
    ),
    Route(
        "GET",
        f"{_BASE}/{{id}}",
        one,
        "Read a message and what it caused",
        "messages.read",
        "Message",
        answer=MessageDetail,
        tag="messages",
    ),
    Route(
        "POST",
        f"{_BASE}/{{id}}/replay",
        again,
        "Replay a message",
        "messages.replay",
        "Message",
        "replay",
        answer=Replayed,
        body=ReplayOrder,
        body_optional=True,
        status=202,
        tag="messages",
    ),
)
