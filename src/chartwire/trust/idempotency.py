"""Answers kept under an Idempotency-Key: found again by a retry, written in the transaction of the effect.

An answer and its effect are committed together, so a retry finds both or neither. Answers are sealed, since they may
hold a secret that is shown once. Requests of one key follow one another: in a process by Turns, among processes by an
advisory lock of their transactions.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, TransientError, ValidationError
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q
from chartwire.trust.credentials import explaining
from chartwire.trust.seal import Sealer

WHOLE = -1
"""The item number of the answer to the whole request."""
WAIT_MS = 2_000
_SEAL_PURPOSE = "idempotent-answer"
_FORGET_MAX = 1_000
_LOCK_NOT_AVAILABLE = "sql_55p03"


@dataclass(frozen=True, slots=True)
class Claim:
    """One request that carries a key. `scope` (SHA-256) names organisation, credential, method, route and key;
    `fingerprint` (SHA-256) what was asked. `kept_s` is how long its answers are kept."""

    org: UUID
    scope: bytes
    fingerprint: bytes
    kept_s: float

    @property
    def lock(self) -> int:
        """The number of the advisory lock of this scope."""
        return int.from_bytes(self.scope[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given before, as its door wrote it."""

    fingerprint: bytes
    answer: bytes


class Turns:
    """Requests of one key follow one another within a process, without holding a connection each while they wait."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, claim: Claim) -> AsyncIterator[None]:
        """Wait for the claim's turn, at most WAIT_MS. Raises ConflictError (`in_progress`)."""
        lock = self._locks.get(claim.scope) or self._locks.setdefault(claim.scope, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_MS / 1000):
                await lock.acquire()
        except TimeoutError:
            raise in_progress() from None
        try:
            yield
        finally:
            lock.release()


async def opened(tx: Connection, access: Access, claim: Claim, sealer: Sealer) -> Mapping[int, Kept]:
    """Bind a new transaction to the organisation of `access`, wait for the turn of its key, and give the answers kept
    under it, by item.

    Raises ConflictError (`in_progress`) when another request with this key takes longer than WAIT_MS, AuthError
    (`credential_invalid`) for a credential that was withdrawn.
    """
    try:
        with explaining():
            rows = await tx.fetch(
                q.idempotency_open, access.credential_id, access.org, claim.scope, claim.lock, WAIT_MS
            )
    except TransientError as error:
        if error.code == _LOCK_NOT_AVAILABLE:
            raise in_progress() from None
        raise
    return {row["item"]: Kept(row["fingerprint"], _open(sealer, claim, row["answer"])) for row in rows}


async def keep(tx: Connection, claim: Claim, sealer: Sealer, answer: bytes, *, item: int = WHOLE) -> None:
    """Keep an answer under the key, in the transaction of the effect."""
    sealed = sealer.seal(_SEAL_PURPOSE, answer, claim.org.bytes + claim.scope)
    await tx.execute(q.idempotency_keep, claim.org, claim.scope, item, claim.fingerprint, sealed, claim.kept_s)


async def forget(pool: Pool, org: UUID) -> int:
    """Drop answers of one organisation whose time is over, a bounded number a call; answers how many."""
    async with pool.transaction(org) as tx:
        tag = await tx.execute(q.idempotency_forget, org, _FORGET_MAX)
    return int(tag.rpartition(" ")[2])


def in_progress() -> ConflictError:
    """Another request with the same key has not ended."""
    return ConflictError("a request with this Idempotency-Key is under way", code="in_progress")


def key_reused() -> ValidationError:
    """The key came with another body before."""
    return ValidationError(
        "this Idempotency-Key came with another request before; take a new key for a new request",
        code="idempotency_key_reused",
    )


def _open(sealer: Sealer, claim: Claim, sealed: bytes) -> bytes:
    return sealer.open_sealed(_SEAL_PURPOSE, sealed, claim.org.bytes + claim.scope)
