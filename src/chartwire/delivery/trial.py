"""Trying an endpoint out: a sample event through the very sender that deliveries go through, and what came of it.

Nothing is written: a trial is no delivery, and an answer of 410 switches nothing off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

import yaml

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.delivery import destinations
from chartwire.delivery.catalogue import EventType, sample_event
from chartwire.delivery.keyring import Keyring
from chartwire.delivery.payload import ENDPOINT, body_of
from chartwire.delivery.schedule import Attempt
from chartwire.delivery.send import Delivery, WebhookDestination, webhook_of
from chartwire.delivery.settings import read_settings
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

DEFAULT_TYPE = "patient.updated"
_PROBE = EventType("webhook_endpoint.probe", ENDPOINT, "Asks whether an endpoint answers again")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, and what the person who runs the receiver can do about it."""

    problem: str
    mend: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: what was sent (the owner's headers hidden), how it ended, and advice where it ended badly."""

    attempt: Attempt
    headers: Mapping[str, str]
    body: bytes
    advice: Advice | None

    @property
    def delivered(self) -> bool:
        """Whether a real delivery would be done now."""
        return self.advice is None


async def try_out(
    pool: Pool, access: Access, door: Outbound, sealer: Sealer, endpoint_id: UUID, kind: EventType
) -> Trial:
    """Send a sample of an event type now, whether the endpoint is enabled or not. Raises NotFoundError."""
    receiver, api_version = await _receiver(pool, door, sealer, access.org, endpoint_id)
    event = sample_event(kind)
    at = now()
    body = body_of(access.org, event, at, api_version)
    attempt, headers = await receiver.exchange(Delivery(access.org, event.id, endpoint_id, 0, at, body))
    shown = {name: _HIDDEN if name in receiver.headers else value for name, value in headers.items()}
    return Trial(attempt, shown, body, advice_on(attempt))


async def probe(pool: Pool, door: Outbound, sealer: Sealer, org: UUID, endpoint_id: UUID) -> str:
    """Ask an endpoint whether it answers: `delivered`, or the code of what is wrong."""
    receiver, api_version = await _receiver(pool, door, sealer, org, endpoint_id)
    event, at = sample_event(_PROBE), now()
    body = body_of(org, event, at, api_version)
    attempt = await receiver.send(Delivery(org, event.id, endpoint_id, 0, at, body))
    return attempt.error or "delivered"


def advice_on(attempt: Attempt) -> Advice | None:
    """What to tell about an attempt; None for one that was answered 2xx."""
    return None if attempt.error is None else advice_for(attempt.error, attempt.status or 0)


def advice_for(error: str, status: int) -> Advice:
    """What to tell about the code of a failure, or a status of HTTP (0: there was none)."""
    table = _table()
    code = "address" if error.startswith("address_") else error
    told = table["codes"].get(code) or table["statuses"].get(status) or table["classes"].get(status // 100)
    return Advice(**(told or table["codes"]["connect"]))


@cache
def _table() -> dict[str, Any]:
    text = files("chartwire.delivery").joinpath("advice.yaml").read_text("utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


async def _receiver(
    pool: Pool, door: Outbound, sealer: Sealer, org: UUID, endpoint_id: UUID
) -> tuple[WebhookDestination, str]:
    async with pool.transaction(org) as tx:
        row = await tx.fetchrow(q.load_destination, org, endpoint_id)
    if row is None or row["deleted_at"] is not None:
        raise destinations.unknown()
    keyring = Keyring(sealer, org, endpoint_id)
    return webhook_of(row, keyring, door, read_settings(row["settings"]).timeout_s), row["api_version"]
