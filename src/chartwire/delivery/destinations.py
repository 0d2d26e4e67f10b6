"""Webhook endpoints as their owners see them: create, change, rotate the secret, switch off and on, delete.

A secret is shown once, when it is made, and stored sealed. After a rotation the old one keeps signing beside the new
one for a while, so that a receiver changes over without losing a delivery. The URL is judged here, when a person
writes it, and again at every connection.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import AuthError, ConflictError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.delivery.filters import check_filters, known_pattern, patterns_of
from chartwire.delivery.keyring import Keyring, Secret, live, rotated
from chartwire.delivery.settings import EndpointSettings, check_headers, read_settings, settings_text
from chartwire.delivery.signature import decode_secret, new_secret
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q
from chartwire.trust.addresses import LOOPBACK, OutboundPolicy, on_premises
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError
from chartwire.trust.seal import Sealer

API_VERSION = "2026-11-20"
ENDPOINTS_PER_ORGANISATION_MAX = 1000
EVENT_TYPES_MAX = 50
OVERLAP_S = 86_400.0
OVERLAP_S_MAX = 604_800.0
FULL_PAYLOAD_SCOPE = "webhooks.full_payload"
_EVENT_TYPE = re.compile(r"\*|[a-z_]{1,40}\.(?:\*|[a-z_]{1,40})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered endpoint, as it may be shown: no secret, and of its further headers nothing but that they are there.

    `failing_since` begins the present row of failures; `notice` is the step of the ladder that was told (0 to 100).
    """

    id: UUID
    name: str
    url: str
    event_types: tuple[str, ...]
    api_version: str
    state: str
    state_reason: str | None
    created_at: datetime
    settings: EndpointSettings
    version: int
    updated_at: datetime
    disabled_at: datetime | None
    failing_since: datetime | None
    notice: int
    probed_at: datetime | None
    probe_answer: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person asks for. `event_types` are names (`patient.updated`), families (`appointment.*`) or `*`."""

    name: str
    url: str
    event_types: tuple[str, ...] = ("*",)
    api_version: str = API_VERSION
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    headers: Mapping[str, str] = field(default_factory=dict)


async def create(
    pool: Pool, access: Access, door: Outbound, sealer: Sealer, draft: Draft, *, secret: str | None = None
) -> tuple[Endpoint, str]:
    """`check` and `register` in a transaction of its own."""
    await check(pool, access, door, draft)
    async with pool.transaction(access.org) as tx:
        return await register(tx, access, sealer, draft, secret=secret)


async def check(pool: Pool, access: Access, door: Outbound, draft: Draft) -> None:
    """Judge a draft, its URL by name resolution too. Raises ValidationError or AuthError with what our rules refuse."""
    _check(access, draft)
    async with pool.transaction(access.org) as tx:
        policy = await outbound_policy(tx, access.org)
    await check_url(door, draft.url, policy)


async def register(
    tx: Connection, access: Access, sealer: Sealer, draft: Draft, *, secret: str | None = None
) -> tuple[Endpoint, str]:
    """Store a checked draft; answers the endpoint with its secret (`whsec_...`, made here unless given), shown only
    now. Raises ValidationError."""
    shown = secret or new_secret()
    decode_secret(shown)
    if len(await tx.fetch(q.list_destinations, access.org, ENDPOINTS_PER_ORGANISATION_MAX)) >= (
        ENDPOINTS_PER_ORGANISATION_MAX
    ):
        raise ValidationError("this organisation has as many endpoints as it may have", code="endpoints_max")
    endpoint_id = uuid7()
    keyring = Keyring(sealer, access.org, endpoint_id)
    row = (draft.name, draft.url, list(draft.event_types), keyring.seal([Secret(shown)]), draft.api_version)
    await tx.execute(q.insert_destination, access.org, endpoint_id, "webhook", *row)
    await tx.execute(
        q.furnish_destination,
        access.org,
        endpoint_id,
        settings_text(draft.settings),
        keyring.seal_headers(draft.headers),
        [now().timestamp()],
    )
    return await read(tx, access, endpoint_id), shown


async def read(tx: Connection, access: Access, endpoint_id: UUID) -> Endpoint:
    """One endpoint. Raises NotFoundError, also for another organisation's."""
    row = await tx.fetchrow(q.read_destination, access.org, endpoint_id)
    if row is None:
        raise unknown()
    return _endpoint(row)


async def list_all(tx: Connection, access: Access) -> list[Endpoint]:
    """Every endpoint of the organisation, oldest first."""
    return [_endpoint(row) for row in await tx.fetch(q.list_destinations, access.org, ENDPOINTS_PER_ORGANISATION_MAX)]


async def headers_of(tx: Connection, access: Access, sealer: Sealer, endpoint_id: UUID) -> dict[str, str]:
    """The further headers of an endpoint, opened: for a change and for nobody's eyes. Raises NotFoundError."""
    row = await tx.fetchrow(q.read_destination, access.org, endpoint_id)
    if row is None:
        raise unknown()
    return Keyring(sealer, access.org, endpoint_id).open_headers(row["headers"])


async def change(
    tx: Connection, access: Access, sealer: Sealer, endpoint_id: UUID, draft: Draft, *, version: int | None = None
) -> Endpoint:
    """Put a checked draft in the place of what stands. What is open goes on to the new address under the new rules.

    Raises NotFoundError; ConflictError (`version_conflict`) when `version` is given and no longer the present one.
    """
    row = await tx.fetchrow(q.lock_destination, access.org, endpoint_id)
    if row is None:
        raise unknown()
    if version is not None and row["version"] != version:
        raise ConflictError("the endpoint has changed meanwhile: read it again", code="version_conflict")
    await tx.execute(
        q.change_destination,
        access.org,
        endpoint_id,
        draft.name,
        draft.url,
        list(draft.event_types),
        draft.api_version,
        settings_text(draft.settings),
        Keyring(sealer, access.org, endpoint_id).seal_headers(draft.headers),
    )
    return await read(tx, access, endpoint_id)


async def rotate_secret(
    tx: Connection,
    access: Access,
    sealer: Sealer,
    endpoint_id: UUID,
    *,
    overlap_s: float = OVERLAP_S,
    secret: str | None = None,
) -> str:
    """Make a new secret (or take the given one) and answer it; those before sign beside it for `overlap_s` seconds more
    (0: not at all).

    Raises NotFoundError; ValidationError for an overlap of more than seven days, and for a secret that is none.
    """
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        raise ValidationError("an overlap is 0 to 604800 seconds (seven days)", code="overlap")
    keyring, shown = Keyring(sealer, access.org, endpoint_id), secret or new_secret()
    decode_secret(shown)
    held = await _locked_secrets(tx, access, keyring)
    await _store_secrets(tx, access, keyring, rotated(held, shown, now().timestamp(), overlap_s))
    return shown


async def expire_old_secrets(tx: Connection, access: Access, sealer: Sealer, endpoint_id: UUID) -> list[Secret]:
    """From now on only the newest secret signs; answers it. Raises NotFoundError."""
    keyring = Keyring(sealer, access.org, endpoint_id)
    newest = (await _locked_secrets(tx, access, keyring))[:1]
    await _store_secrets(tx, access, keyring, newest)
    return newest


async def secrets_of(tx: Connection, access: Access, sealer: Sealer, endpoint_id: UUID) -> list[Secret]:
    """The secrets that sign now, newest first. Raises NotFoundError."""
    held = await _locked_secrets(tx, access, Keyring(sealer, access.org, endpoint_id))
    return live(held, now().timestamp())


async def disable(tx: Connection, access: Access, endpoint_id: UUID, reason: str = "by_owner") -> None:
    """Send nothing more there; open deliveries wait. `reason` is a code. Raises NotFoundError."""
    if await tx.fetchval(q.set_destination_state, access.org, endpoint_id, "disabled", reason) is None:
        raise unknown()


async def enable(tx: Connection, access: Access, endpoint_id: UUID) -> None:
    """Send again, what waited first. Raises NotFoundError."""
    if await tx.fetchval(q.set_destination_state, access.org, endpoint_id, "enabled", None) is None:
        raise unknown()
    await tx.execute(q.wake_lane, endpoint_id, access.org, "delivery", now())


async def delete(tx: Connection, access: Access, endpoint_id: UUID) -> None:
    """An endpoint goes for good, its secrets with it; what was open is dead, the log stays. Raises NotFoundError."""
    if await tx.fetchval(q.delete_destination, access.org, endpoint_id) is None:
        raise unknown()
    await tx.execute(q.close_deliveries_of, access.org, endpoint_id)


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


def unknown() -> NotFoundError:
    """The one error for an endpoint that is not there for this caller."""
    return NotFoundError("no endpoint has this id", code="unknown_id")


def check_event_types(patterns: Sequence[str]) -> None:
    """Raises ValidationError (`event_types`) for what is no pattern of event types, or for too many or no names."""
    if not 1 <= len(patterns) <= EVENT_TYPES_MAX or not all(_EVENT_TYPE.fullmatch(each) for each in patterns):
        raise ValidationError("event types are `noun.verb`, `noun.*` or `*`, 1 to 50 of them", code="event_types")
    strange = [pattern for pattern in patterns if not known_pattern(pattern)]
    if strange:
        raise ValidationError(
            "an event type does not exist; GET /api/v1/webhooks/event-types lists all", code="event_type_unknown"
        )


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether patterns name an event: by name, by family (`appointment.*`) or `*`."""
    return not set(patterns_of(event_type)).isdisjoint(patterns)


def _check(access: Access, draft: Draft) -> None:
    if not draft.name.strip() or len(draft.name) > 200 or "\x00" in draft.name:
        raise ValidationError("an endpoint has a name of 1 to 200 characters", code="endpoint_name")
    if draft.api_version != API_VERSION:
        raise ValidationError(f"this API version does not exist; known is {API_VERSION}", code="api_version")
    if draft.settings.payload == "full" and not access.allows(FULL_PAYLOAD_SCOPE):
        raise AuthError(f"full payloads need the scope `{FULL_PAYLOAD_SCOPE}`", code="scope_missing")
    check_event_types(draft.event_types)
    check_filters(draft.settings.filters)
    check_headers(draft.headers)


async def _locked_secrets(tx: Connection, access: Access, keyring: Keyring) -> list[Secret]:
    row = await tx.fetchrow(q.lock_destination_secrets, access.org, keyring.endpoint)
    if row is None:
        raise unknown()
    return keyring.open(row["secrets"], row["secret_times"])


async def _store_secrets(tx: Connection, access: Access, keyring: Keyring, secrets: Sequence[Secret]) -> None:
    times = [secret.made_at_s for secret in secrets]
    await tx.execute(q.set_destination_secrets, access.org, keyring.endpoint, keyring.seal(secrets), times)


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
        read_settings(row["settings"]),
        row["version"],
        row["updated_at"] or row["created_at"],
        row["disabled_at"],
        row["failing_since"],
        row["notice"],
        row["probed_at"],
        row["probe_answer"],
    )
