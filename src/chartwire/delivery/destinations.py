"""Webhook endpoints as their owners see them: create, list, rotate the secret, switch off and on.

A secret is shown once, when it is made, and stored sealed. After a rotation the old one keeps signing beside the new
one for a while, so that a receiver changes over without losing a delivery. The URL is judged here, when a person
writes it, and again at every connection.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.delivery.signature import decode_secret, new_secret
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q
from chartwire.trust.addresses import LOOPBACK, OutboundPolicy, on_premises
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError
from chartwire.trust.seal import Sealer

API_VERSION = "2026-11-20"
ENDPOINTS_PER_ORGANISATION_MAX = 100
EVENT_TYPES_MAX = 50
OVERLAP_S = 86_400.0
LIVE_SECRETS_MAX = 10
_SEAL_PURPOSE = "webhook-secrets"
_EVENT_TYPE = re.compile(r"\*|[a-z_]{1,40}\.(?:\*|[a-z_]{1,40})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered endpoint, as it may be shown: no secret."""

    id: UUID
    name: str
    url: str
    event_types: tuple[str, ...]
    api_version: str
    state: str
    state_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person asks for. `event_types` are names (`patient.updated`), families (`appointment.*`) or `*`."""

    name: str
    url: str
    event_types: tuple[str, ...] = ("*",)
    api_version: str = API_VERSION


async def create(
    pool: Pool, access: Access, door: Outbound, sealer: Sealer, draft: Draft, *, secret: str | None = None
) -> tuple[Endpoint, str]:
    """Register an endpoint; answers it with its secret (`whsec_...`, made here unless given), shown only now.

    Raises ValidationError for a URL, event type or secret that our rules refuse.
    """
    _check(draft)
    shown = secret or new_secret()
    decode_secret(shown)
    async with pool.transaction(access.org) as tx:
        policy = await outbound_policy(tx, access.org)
        held = len(await tx.fetch(q.list_destinations, access.org, ENDPOINTS_PER_ORGANISATION_MAX))
    if held >= ENDPOINTS_PER_ORGANISATION_MAX:
        raise ValidationError("this organisation has as many endpoints as it may have", code="endpoints_max")
    await check_url(door, draft.url, policy)
    endpoint_id = uuid7()
    sealed = seal_secrets(sealer, access.org, endpoint_id, [(shown, None)])
    async with pool.transaction(access.org) as tx:
        await tx.execute(
            q.insert_destination,
            access.org,
            endpoint_id,
            "webhook",
            draft.name,
            draft.url,
            list(draft.event_types),
            sealed,
            draft.api_version,
        )
        return await read(tx, access, endpoint_id), shown


async def read(tx: Connection, access: Access, endpoint_id: UUID) -> Endpoint:
    """One endpoint. Raises NotFoundError, also for another organisation's."""
    row = await tx.fetchrow(q.read_destination, access.org, endpoint_id)
    if row is None:
        raise _unknown()
    return _endpoint(row)


async def list_all(tx: Connection, access: Access) -> list[Endpoint]:
    """Every endpoint of the organisation, oldest first."""
    return [_endpoint(row) for row in await tx.fetch(q.list_destinations, access.org, ENDPOINTS_PER_ORGANISATION_MAX)]


async def rotate_secret(
    tx: Connection, access: Access, sealer: Sealer, endpoint_id: UUID, *, overlap_s: float = OVERLAP_S
) -> str:
    """Make a new secret and answer it; those before sign beside it for `overlap_s` seconds more (0: not at all)."""
    sealed = await tx.fetchval(q.lock_destination_secrets, access.org, endpoint_id)
    if sealed is None:
        raise _unknown()
    shown, now_s = new_secret(), now().timestamp()
    end_s = now_s + overlap_s
    older = [
        (text, end_s if until is None else min(until, end_s))
        for text, until in open_secrets(sealer, access.org, endpoint_id, sealed)
    ]
    kept = [(text, until) for text, until in older if until > now_s][: LIVE_SECRETS_MAX - 1]
    fresh = seal_secrets(sealer, access.org, endpoint_id, [(shown, None), *kept])
    await tx.execute(q.set_destination_secrets, access.org, endpoint_id, fresh)
    return shown


async def disable(tx: Connection, access: Access, endpoint_id: UUID, reason: str = "by_owner") -> None:
    """Send nothing more there; open deliveries wait. `reason` is a code. Raises NotFoundError."""
    if await tx.fetchval(q.set_destination_state, access.org, endpoint_id, "disabled", reason) is None:
        raise _unknown()


async def enable(tx: Connection, access: Access, endpoint_id: UUID) -> None:
    """Send again, what waited first. Raises NotFoundError."""
    if await tx.fetchval(q.set_destination_state, access.org, endpoint_id, "enabled", None) is None:
        raise _unknown()
    await tx.execute(q.wake_lane, endpoint_id, access.org, "delivery", now())


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether an endpoint with these patterns wants an event: by name, by family (`appointment.*`) or `*`."""
    family = event_type.partition(".")[0] + ".*"
    return any(pattern in ("*", event_type, family) for pattern in patterns)


async def check_url(door: Outbound, url: str, policy: OutboundPolicy) -> None:
    """Judge a URL at write time. Raises ValidationError (RefusedError, or `url_unresolved`)."""
    try:
        await door.check(url, policy)
    except ConnectFailedError:
        raise ValidationError("the host name of the URL does not resolve", code="url_unresolved") from None


async def outbound_policy(tx: Connection, org_id: UUID) -> OutboundPolicy:
    """Where this organisation's traffic may go. Raises NotFoundError."""
    row = await tx.fetchrow(q.outbound_settings, org_id)
    if row is None:
        raise NotFoundError("no organisation has this id", code="unknown_id")
    return policy_of(row["kind"], row["settings"])


def policy_of(organisation_kind: str, settings: str) -> OutboundPolicy:
    """Public addresses, the networks of the setting `outbound_allowed`, and in a sandbox loopback."""
    allowed = on_premises(orjson.loads(settings).get("outbound_allowed", ())).allowed
    return OutboundPolicy(allowed=(*LOOPBACK, *allowed) if organisation_kind == "sandbox" else allowed)


def seal_secrets(sealer: Sealer, org_id: UUID, endpoint_id: UUID, secrets: Sequence[tuple[str, float | None]]) -> bytes:
    """Seal (secret, end in epoch seconds or None) pairs to one endpoint of one organisation."""
    return sealer.seal(_SEAL_PURPOSE, orjson.dumps(secrets), org_id.bytes + endpoint_id.bytes)


def open_secrets(sealer: Sealer, org_id: UUID, endpoint_id: UUID, sealed: bytes) -> list[tuple[str, float | None]]:
    """The pairs that `seal_secrets` sealed, newest first. Raises SealError."""
    data: list[Any] = orjson.loads(sealer.open_sealed(_SEAL_PURPOSE, sealed, org_id.bytes + endpoint_id.bytes))
    return [(text, until) for text, until in data]


def live_secrets(secrets: Iterable[tuple[str, float | None]], now_s: float) -> list[bytes]:
    """The bytes of the secrets that sign now."""
    return [decode_secret(text) for text, until in secrets if until is None or until > now_s]


def _check(draft: Draft) -> None:
    if not draft.name.strip() or len(draft.name) > 200:
        raise ValidationError("an endpoint has a name of at most 200 characters", code="endpoint_name")
    if draft.api_version != API_VERSION:
        raise ValidationError("this API version does not exist", code="api_version")
    types = draft.event_types
    if not 1 <= len(types) <= EVENT_TYPES_MAX or not all(_EVENT_TYPE.fullmatch(each) for each in types):
        raise ValidationError("event types are `noun.verb`, `noun.*` or `*`, at most 50", code="event_types")


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        row["id"],
        row["name"],
        row["url"],
        tuple(row["event_types"]),
        row["api_version"],
        row["state"],
        row["state_reason"],
        row["created_at"],
    )


def _unknown() -> NotFoundError:
    return NotFoundError("no endpoint has this id", code="unknown_id")
