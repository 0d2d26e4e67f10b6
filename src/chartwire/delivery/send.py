"""One attempt: what a destination is, and the webhook as the first of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chartwire.core.clock import monotonic, now
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.delivery.destinations import policy_of
from chartwire.delivery.keyring import Keyring, Secret, signing_keys
from chartwire.delivery.payload import headers_of
from chartwire.delivery.schedule import Attempt, Ending
from chartwire.delivery.settings import read_settings
from chartwire.store.pool import Row
from chartwire.trust.addresses import OutboundPolicy
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing on its way out: the same id and body at every attempt. `attempts` have been made already, of which
    `attempts_before` came before the replay that sends it now."""

    org_id: UUID
    event_id: UUID
    destination_id: UUID
    attempts: int
    created_at: datetime
    body: bytes
    message_id: UUID | None = None
    historical: bool = False
    replay_id: UUID | None = None
    attempts_before: int = 0

    @property
    def replay(self) -> str:
        """The public id of the replay that sends it again; empty where none does."""
        return to_prefixed(PREFIXES["replay"], self.replay_id) if self.replay_id else ""

    @property
    def correlation(self) -> str:
        """The public id of the message that caused it, from ACK to webhook the same; empty where there is none."""
        return to_prefixed(PREFIXES["message"], self.message_id) if self.message_id else ""


class Destination(Protocol):
    """Somewhere that deliveries go: a webhook endpoint now; HL7 peers, write-back and messages to patients later.

    `send` makes one attempt, ends within its own timeout and tells how it ended; it raises nothing but cancellation.
    A destination that could act twice on one id must say so by resolving `unknown` itself, before it sends again.
    """

    async def send(self, delivery: Delivery) -> Attempt:
        """Make one attempt."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookDestination:
    """A webhook endpoint. Any 2xx is success; no consent is asked, because the body is thin."""

    door: Outbound
    url: str
    policy: OutboundPolicy
    secrets: tuple[Secret, ...]
    timeout_s: float
    headers: Mapping[str, str] = field(default_factory=dict)
    newest_only: bool = False

    async def send(self, delivery: Delivery) -> Attempt:
        """POST the stored body, signed for this moment."""
        return (await self.exchange(delivery))[0]

    async def exchange(self, delivery: Delivery) -> tuple[Attempt, dict[str, str]]:
        """As `send`; answers also the headers that were sent, the owner's own among them."""
        started_at = now()
        headers = self._headers(delivery, started_at.timestamp())
        return await self._posted(delivery.body, headers, started_at), headers

    def _headers(self, delivery: Delivery, now_s: float) -> dict[str, str]:
        keys = signing_keys(self.secrets, now_s)[: 1 if self.newest_only else None]
        ours = headers_of(delivery.event_id, delivery.body, keys, int(now_s), delivery.correlation, delivery.replay)
        return {**self.headers, **ours}

    async def _posted(self, body: bytes, headers: Mapping[str, str], started_at: datetime) -> Attempt:
        started_s = monotonic()
        hit("delivery.before_send")
        try:
            answer = await self.door.post(self.url, body, headers, timeout_s=self.timeout_s, policy=self.policy)
        except (RefusedError, ConnectFailedError, OutcomeUnknownError) as failure:
            return _failed(failure, started_at, (monotonic() - started_s) * 1000)
        finally:
            hit("delivery.after_send")
        return Attempt(
            "answered",
            started_at,
            answer.duration_ms,
            answer.status,
            answer.headers.get("retry-after"),
            None if 200 <= answer.status < 300 else f"http_{answer.status}",
            answer.body_excerpt or None,
        )


def webhook_of(row: Row, keyring: Keyring, door: Outbound, timeout_s: float) -> WebhookDestination:
    """The endpoint of a row of load_destination. Raises SealError."""
    return WebhookDestination(
        door,
        row["url"],
        policy_of(row["organisation_kind"], row["organisation_settings"]),
        tuple(keyring.open(row["secrets"])),
        timeout_s,
        keyring.open_headers(row["headers"]),
        read_settings(row["settings"]).signatures == "newest",
    )


def _failed(failure: ChartwireError, started_at: datetime, duration_ms: float) -> Attempt:
    ending: Ending = "not_connected"
    status = None
    if isinstance(failure, RefusedError):
        ending = "refused"
    elif isinstance(failure, OutcomeUnknownError):
        ending, status = "unknown", failure.status
    return Attempt(ending, started_at, duration_ms, status, error=failure.code)
