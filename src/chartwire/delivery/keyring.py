"""What of an endpoint is secret: the keys that sign, newest first, and headers of the owner's. Stored sealed.

A seal is bound to one endpoint of one organisation: a row copied elsewhere does not open.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from chartwire.delivery.signature import decode_secret
from chartwire.trust.seal import Sealer

LIVE_SECRETS_MAX = 10
_SECRETS, _HEADERS = "webhook-secrets", "webhook-headers"


class Secret(NamedTuple):
    """A signing secret (`whsec_...`), when it stops to sign (None: never) and when it was made (0: not known), both in
    seconds since the epoch."""

    text: str
    until_s: float | None = None
    made_at_s: float = 0.0

    @property
    def id(self) -> str:
        """Names a secret without telling it: the start of its SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Keyring:
    """Seals and opens what belongs to one endpoint."""

    sealer: Sealer
    org: UUID
    endpoint: UUID

    def seal(self, secrets: Sequence[Secret]) -> bytes:
        """Signing secrets for the row."""
        return self.sealer.seal(_SECRETS, orjson.dumps([(each.text, each.until_s) for each in secrets]), self._bound)

    def open(self, sealed: bytes, made_at_s: Iterable[float] = ()) -> list[Secret]:
        """The secrets that `seal` sealed, newest first; their ages stand beside them, unsealed. Raises SealError."""
        data: list[Any] = orjson.loads(self.sealer.open_sealed(_SECRETS, sealed, self._bound))
        ages = chain(made_at_s, repeat(0.0))
        return [Secret(text, until_s, made) for (text, until_s), made in zip(data, ages, strict=False)]

    def seal_headers(self, headers: Mapping[str, str]) -> bytes | None:
        """Headers for the row; None for none."""
        return self.sealer.seal(_HEADERS, orjson.dumps(dict(headers)), self._bound) if headers else None

    def open_headers(self, sealed: bytes | None) -> dict[str, str]:
        """The headers that `seal_headers` sealed. Raises SealError."""
        if sealed is None:
            return {}
        headers: dict[str, str] = orjson.loads(self.sealer.open_sealed(_HEADERS, sealed, self._bound))
        return headers

    @property
    def _bound(self) -> bytes:
        return self.org.bytes + self.endpoint.bytes


def live(secrets: Iterable[Secret], now_s: float) -> list[Secret]:
    """The secrets that sign now."""
    return [secret for secret in secrets if secret.until_s is None or secret.until_s > now_s]


def signing_keys(secrets: Iterable[Secret], now_s: float) -> list[bytes]:
    """The bytes of the secrets that sign now, newest first."""
    return [decode_secret(secret.text) for secret in live(secrets, now_s)]


def rotated(secrets: Iterable[Secret], fresh: str, now_s: float, overlap_s: float) -> list[Secret]:
    """`fresh` first; those before sign `overlap_s` seconds more, or shorter where that was said before."""
    end_s = now_s + overlap_s
    older = [each._replace(until_s=end_s if each.until_s is None else min(each.until_s, end_s)) for each in secrets]
    return [Secret(fresh, None, now_s), *live(older, now_s)[: LIVE_SECRETS_MAX - 1]]
