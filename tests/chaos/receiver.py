"""A webhook receiver of the tests' own: logs every request, and nothing else."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from simulators.sink_check import verified
from simulators.webhook_sink import Behaviour, WebhookSink


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    id: str
    valid: bool
    body_hash: bytes


class Receiver(WebhookSink):
    """Answers 200 to everything and forgets nothing."""

    def __init__(self, secret: str) -> None:
        super().__init__([secret])
        self.requests: list[Request] = []

    def receive(self, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Behaviour:
        """Log one request."""
        self.requests.append(
            Request(
                headers.get("webhook-id", ""),
                verified(self.secrets, headers, body, time.time()),
                hashlib.sha256(body).digest(),
            )
        )
        return Behaviour()
