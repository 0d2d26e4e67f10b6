"""How the database server is: clocks, settings, partitions, load. For doctor, alerts and the support bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chartwire.core import clock
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Partitions:
    """Names of partitioned tables: those without a partition for next month, those with rows in the default one."""

    without_next: tuple[str, ...]
    spilled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Sessions of the whole server; `transaction_s` is the age of the oldest transaction that this role may see;
    `unfrozen` counts transactions since the last freeze, of at most 2 ** 31."""

    sessions: int
    sessions_max: int
    transaction_s: float
    unfrozen: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a lane. `program` is the name that its session gave, None when the owner shows no life any more."""

    owner: int
    until: datetime | None
    program: str | None
    address: str | None
    last_sign: datetime | None


async def clock_skew_s(connection: Connection) -> float:
    """Seconds that the server's clock is ahead of this machine's (negative: behind), to half a round trip."""
    await connection.fetchval(q.database_clock)  # the first one prepares the statement
    asked = clock.now()
    told: datetime = await connection.fetchval(q.database_clock)
    answered = clock.now()
    return (told - (asked + (answered - asked) / 2)).total_seconds()


async def partitions(connection: Connection, at: datetime) -> Partitions:
    """Partitioned tables that want looking after at a time."""
    month = (at.replace(day=1) + timedelta(days=32)).strftime("%Y_%m")
    rows = await connection.fetch(q.partitions_wanting, month)
    return Partitions(
        tuple(row["name"] for row in rows if row["without_next"]), tuple(row["name"] for row in rows if row["spilled"])
    )


async def settings(pool: Pool, names: Sequence[str]) -> dict[str, str]:
    """Settings of the server by name, as text; without those that this server does not know."""
    async with pool.connection() as connection:
        return {row["name"]: row["setting"] for row in await connection.fetch(q.server_settings, list(names))}


async def load(pool: Pool) -> Load:
    """Sessions, transactions, and how far freezing is."""
    async with pool.connection() as connection:
        row = await connection.fetchrow(q.server_load)
    assert row is not None
    return Load(**row)


async def tables_of_dead_rows(pool: Pool) -> dict[str, int]:
    """Tables where vacuum does not keep up, with their dead rows."""
    async with pool.connection() as connection:
        return {row["name"]: row["dead"] for row in await connection.fetch(q.tables_of_dead_rows)}


async def slots_behind(pool: Pool) -> dict[str, int]:
    """Receivers of the log that are away, with the bytes that are kept for them."""
    async with pool.connection() as connection:
        return {row["name"]: row["bytes"] for row in await connection.fetch(q.slots_behind)}


async def leases(engine: Pool, lanes: Sequence[UUID]) -> dict[UUID, Lease]:
    """Who holds these lanes."""
    async with engine.connection() as connection:
        rows = await connection.fetch(q.lane_leases, list(lanes))
    return {
        row["lane_id"]: Lease(row["owner"], row["lease_until"], row["program"], row["address"], row["last_sign"])
        for row in rows
    }
