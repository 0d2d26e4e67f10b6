"""What became of resources: the versions of one, of a type, of all types, newest first (R4 3.1.0.13).

Versions of one resource are numbered under its lock, so those that can be seen are without a gap. Histories of types
end at what was changed before every transaction that still runs began: whoever asks again with `_since` misses nothing
that was committed late.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.record.read import Stored, stored_of
from chartwire.store.pool import Pool
from chartwire.store.queries import q

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_VERSIONS_END = 2**31 - 1
_NO_ID = UUID(int=0)


class Moment(msgspec.Struct, array_like=True, frozen=True):
    """A place in a history of types: right behind this version."""

    updated_at: datetime
    type: str
    id: UUID
    version: int


class Version(msgspec.Struct, frozen=True):
    """One version, with the type of its resource."""

    type: str
    stored: Stored

    @property
    def moment(self) -> Moment:
        """Where a history goes on behind this version."""
        return Moment(self.stored.updated_at, self.type, self.stored.id, self.stored.version)


async def of_resource(
    pool: Pool,
    access: Access,
    resource_type: str,
    resource_id: UUID,
    *,
    since: datetime = BEGINNING,
    below: int = _VERSIONS_END,
    limit: int,
) -> tuple[list[Version], int]:
    """At most `limit` versions before version `below`, changed at `since` or later; and how many are kept in all.

    (No versions, 0) where the organisation never had such a resource.
    """
    one = (access.org, resource_type, resource_id)
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.history_of_resource, *one, below, since, limit)
        total = await tx.fetchval(q.count_history_of_resource, *one)
    return [Version(resource_type, stored_of(row, resource_id)) for row in rows], total


async def of_types(
    pool: Pool,
    access: Access,
    types: Sequence[str],
    *,
    since: datetime = BEGINNING,
    behind: Moment | None = None,
    limit: int,
) -> tuple[list[Version], datetime]:
    """At most `limit` versions of resources of `types` behind a place, changed at `since` or later; and the instant up
    to which this history is whole: the `since` of who wants to go on from here later."""
    async with pool.transaction(access.org) as tx:
        until: datetime = await tx.fetchval(q.settled_until)
        start = behind or Moment(until, "", _NO_ID, 0)
        at = (start.updated_at, start.type, start.id, start.version)
        rows = await tx.fetch(q.history_of_types, access.org, list(types), since, *at, limit)
    return [Version(row["type"], stored_of(row, row["id"])) for row in rows], until
