"""One attempt: what a destination is, and the webhook as the first of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chartwire.core.clock import monotonic, now
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.delivery.destinations import live_secrets
from chartwire.delivery.payload import headers_of
from chartwire.delivery.schedule import Attempt, Ending
from chartwire.trust.addresses import OutboundPolicy
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError, OutcomeUnknownError, RefusedError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing on its way out: the same id and body at every attempt. `attempts` have been made already."""

    org_id: UUID
    event_id: UUID
    destination_id: UUID
    attempts: int
    created_at: datetime
    body: bytes
    message_id: UUID | None = None
    historical: bool = False

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
    secrets: tuple[tuple[str, float | None], ...]
    timeout_s: float

    async def send(self, delivery: Delivery) -> Attempt:
        """POST the stored body, signed for this moment."""
        started_at, started_s = now(), monotonic()
        timestamp_s = started_at.timestamp()
        secrets = live_secrets(self.secrets, timestamp_s)
        headers = headers_of(delivery.event_id, delivery.body, secrets, int(timestamp_s), delivery.correlation)
        hit("delivery.before_send")
        try:
            answer = await self.door.post(
                self.url, delivery.body, headers, timeout_s=self.timeout_s, policy=self.policy
            )
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


def _failed(failure: ChartwireError, started_at: datetime, duration_ms: float) -> Attempt:
    ending: Ending = "not_connected"
    status = None
    if isinstance(failure, RefusedError):
        ending = "refused"
    elif isinstance(failure, OutcomeUnknownError):
        ending, status = "unknown", failure.status
    return Attempt(ending, started_at, duration_ms, status, error=failure.code)
