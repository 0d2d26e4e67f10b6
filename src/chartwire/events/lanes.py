"""Lanes: per-key order with parallel workers, in PostgreSQL.

A lane is claimed with a lease and a fencing token. The lease decides who may work, the fence decides at commit whether
that was still true (`lock` answers the present fences; a worker whose fence is old must roll back). A claim counts an
attempt in its own commit, so that work which kills its process is still counted. Each owner holds a session advisory
lock; where that lock is free the owner is dead and its lanes are freed at once, without waiting for the lease.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog

from chartwire.core.limits import LANE_BACKOFF_MAX_S, LANES_PER_CLAIM_MAX, LEASE_S
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

LaneKind = Literal["intake", "delivery"]
WAKE_CHANNEL = "chartwire_lanes"
BACKOFF_S = (1.0, 5.0, 30.0, 120.0, 300.0, 444.0)
"""Waits after transient failures in a row; together 15 minutes, the longest that a lane is held."""

_log = structlog.get_logger(__name__)


class StaleLeaseError(Exception):
    """Another worker took a lane over meanwhile: roll back, it does the work."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One lane that is ours until the lease ends. `attempts` counts claims since the last one that ended well."""

    lane_id: UUID
    org_id: UUID
    fence: int
    attempts: int


def backoff_s(attempts: int) -> float:
    """Seconds to hold a lane after its `attempts`-th failure in a row, at most LANE_BACKOFF_MAX_S."""
    return min(BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1], LANE_BACKOFF_MAX_S)


class Lanes:
    """One owner's hold on the lanes of one kind."""

    def __init__(self, engine: Pool, kind: LaneKind, *, lease_s: float = LEASE_S) -> None:
        self._engine = engine
        self._kind = kind
        self._lease_s = lease_s
        self._session: Connection | None = None
        self.owner = secrets.randbits(62) + 1

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Hold the lock that tells others that this owner lives."""
        async with self._engine.connection() as connection:
            await connection.execute(q.hold_owner_lock, self.owner)
            self._session = connection
            try:
                yield
            finally:
                self._session = None
                await connection.execute(q.drop_owner_lock, self.owner)

    async def check_alive(self) -> None:
        """Raises TransientError when the session of `alive` is lost: others take us for dead and free our lanes."""
        if self._session is not None:
            await self._session.fetchval("select true")

    async def free_own(self) -> None:
        """Give up every lane that this owner holds: after a break of the database nothing of ours is in progress."""
        async with self._engine.connection() as connection:
            await connection.execute(q.free_lanes_of_owner, self.owner)

    async def claim(self, limit: int = LANES_PER_CLAIM_MAX) -> list[Claim]:
        """Up to `limit` ready lanes of one organisation, oldest first; [] when nothing is ready."""
        async with self._engine.connection() as connection:
            rows = await connection.fetch(q.claim_lanes, self._kind, self.owner, limit, self._lease_s)
        return [Claim(row["lane_id"], row["org_id"], row["fence"], row["attempts"]) for row in rows]

    async def claim_suspect(self) -> Claim | None:
        """One ready lane whose last claim did not end well; it is to be worked alone, one job a transaction."""
        async with self._engine.connection() as connection:
            row = await connection.fetchrow(q.claim_suspect_lane, self._kind, self.owner, self._lease_s)
        return Claim(row["lane_id"], row["org_id"], row["fence"], row["attempts"]) if row else None

    async def extend(self, lane_ids: Sequence[UUID]) -> None:
        """Renew the lease of lanes that are still ours."""
        async with self._engine.connection() as connection:
            await connection.execute(q.extend_leases, self.owner, self._lease_s, list(lane_ids))

    async def give_back(self, claims: Sequence[Claim]) -> None:
        """Undo a claim under which nothing was tried: the attempt does not count."""
        async with self._engine.connection() as connection:
            lane_ids, fences = [claim.lane_id for claim in claims], [claim.fence for claim in claims]
            await connection.execute(q.give_back_lanes, lane_ids, fences)

    async def back_off(self, claim: Claim) -> None:
        """Hold this lane for a while after a transient failure; no other lane waits for it."""
        async with self._engine.connection() as connection:
            await connection.execute(q.back_off_lane, claim.lane_id, claim.fence, backoff_s(claim.attempts))

    async def free_lanes_of_the_dead(self) -> int:
        """Free the lanes of owners whose session lock is free. Answers how many owners were found dead."""
        found = 0
        async with self._engine.connection() as connection:
            for row in await connection.fetch(q.lane_owners):
                owner = row["owner"]
                if owner == self.owner or not await connection.fetchval(q.try_owner_lock, owner):
                    continue
                try:
                    await connection.execute(q.free_lanes_of_owner, owner)
                finally:
                    await connection.execute(q.drop_owner_lock, owner)
                found += 1
        if found:
            _log.warning("lanes_freed", dead_owners=found)
        return found


async def lock(tx: Connection, lane_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Lock lanes at the end of a transaction, in one order for everyone; answers their fences by lane."""
    rows = await tx.fetch(q.lock_lanes, list(lane_ids))
    return {row["lane_id"]: row["fence"] for row in rows}


async def release(tx: Connection, claims: Sequence[Claim]) -> None:
    """End claims in the transaction that did their work: ready again where jobs wait, idle where none do.

    Raises StaleLeaseError when any lane is no longer ours.
    """
    fences = await lock(tx, [claim.lane_id for claim in claims])
    if any(fences.get(claim.lane_id) != claim.fence for claim in claims):
        raise StaleLeaseError
    await tx.execute(q.release_lanes, [claim.lane_id for claim in claims])


async def keep_leases(lanes: Lanes, lane_ids: Sequence[UUID], every_s: float = LEASE_S / 3) -> None:
    """Renew leases until cancelled; for work that may take longer than one lease."""
    while True:
        await asyncio.sleep(every_s)
        await lanes.extend(lane_ids)
