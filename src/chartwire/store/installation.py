"""Which installation a database belongs to, and whether it may speak: armed, or disarmed because it is a copy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chartwire.store.connect import connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.pool import Pool
from chartwire.store.queries import q

INSTALLATION = UUID(int=0)
Reason = Literal["new", "by_operator", "restored", "copied"]


@dataclass(frozen=True, slots=True)
class Installation:
    """`fingerprint` is what it was armed for; `disarmed_at` when it was disarmed last (None: never)."""

    fingerprint: str
    armed: bool
    reason: Reason
    changed_at: datetime
    disarmed_at: datetime | None


async def identity(pool: Pool) -> str:
    """What tells this database from a copy elsewhere: system identifier and database number."""
    async with pool.connection() as connection:
        return str(await connection.fetchval(q.database_identity))


async def read(pool: Pool) -> Installation | None:
    """The installation's row, None before the first start."""
    async with pool.transaction(INSTALLATION) as tx:
        row = await tx.fetchrow(q.read_installation, INSTALLATION)
    return Installation(**row) if row else None


async def settle(pool: Pool, fingerprint: str) -> Installation:
    """At a start: the first one arms; one with another fingerprint than the armed one disarms (`copied`)."""
    async with pool.transaction(INSTALLATION) as tx:
        await tx.execute(q.first_installation, INSTALLATION, fingerprint)
        await tx.execute(q.disarm_stranger, INSTALLATION, fingerprint)
        row = await tx.fetchrow(q.read_installation, INSTALLATION)
    assert row is not None
    return Installation(**row)


async def arm(pool: Pool, fingerprint: str) -> None:
    """From now on it may speak with this fingerprint."""
    async with pool.transaction(INSTALLATION) as tx:
        await tx.execute(q.arm_installation, INSTALLATION, fingerprint)


async def disarm(pool: Pool, reason: Reason = "by_operator") -> None:
    """Nothing leaves from now on."""
    async with pool.transaction(INSTALLATION) as tx:
        await tx.execute(q.disarm_installation, INSTALLATION, reason)


async def restored(admin_dsn: str) -> None:
    """Disarm a database that was just restored, as a superuser."""
    connection = await connect(admin_dsn)
    try:
        await connection.execute(q.disarm_installation, INSTALLATION, "restored")
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()
