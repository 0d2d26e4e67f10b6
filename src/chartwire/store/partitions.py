"""Monthly partitions by uuidv7, made ahead of time. Every table that is partitioned by range of a uuid gets them.

A partition covers one calendar month (UTC) of the milliseconds in its ids and is named `<parent>_2026_11`. It is built
beside and attached, which bars no reader or writer of the parent. Rows that fell into the default partition because
their month had none move over first.
"""

from datetime import UTC, datetime

import asyncpg

from chartwire.core.ids import uuid7_floor
from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS, translated

OWNER = "chartwire_owner"
MONTHS_AHEAD = 2

_PARENTS = """
select parent.relname::text as name, key.attname::text as key, standard.relname::text as standard
  from pg_partitioned_table t
  join pg_class parent on parent.oid = t.partrelid
  join pg_attribute key on key.attrelid = parent.oid and key.attnum = t.partattrs[0]
  left join pg_class standard on standard.oid = t.partdefid
 where t.partstrat = 'r' and t.partnatts = 1 and key.atttypid = 'uuid'::regtype
   and parent.relnamespace = 'public'::regnamespace
 order by parent.relname
"""


def month_bounds(year: int, month: int) -> tuple[str, str]:
    """The smallest uuidv7 of a month and of the month after it (`month` may count on past 12)."""
    return _floor(year, month), _floor(year, month + 1)


async def ensure_partitions(admin_dsn: str, now: datetime) -> list[str]:
    """Make the partitions of this month and of MONTHS_AHEAD more; the names made now. Safe to run at any time.

    `admin_dsn` is a user that may become `chartwire_owner`. Raises TransientError when a table stays locked for 5 s.
    """
    connection = await connect(admin_dsn)
    try:
        return await make_partitions(connection, now)
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()


async def make_partitions(connection: RawConnection, now: datetime) -> list[str]:
    """`ensure_partitions` on a connection of this room."""
    made: list[str] = []
    for parent in await connection.fetch(_PARENTS):
        for month in range(now.month, now.month + MONTHS_AHEAD + 1):
            child = f"{parent['name']}_{_label(now.year, month)}"
            if await connection.fetchval("select to_regclass($1)", f"public.{child}") is None:
                await _make(connection, parent, child, month_bounds(now.year, month))
                made.append(child)
    return made


async def _make(connection: RawConnection, parent: asyncpg.Record, child: str, bounds: tuple[str, str]) -> None:
    name, key, standard = parent["name"], parent["key"], parent["standard"]
    low, high = bounds
    async with connection.transaction():
        await connection.execute(f"set local role {OWNER}; set local lock_timeout = '5s'")
        await connection.execute(f"create table {child} (like {name} including all)")
        if standard is not None:
            await connection.execute(
                f"lock table {standard} in access exclusive mode;"
                f"with moved as (delete from {standard} where {key} >= '{low}' and {key} < '{high}' returning *)"
                f" insert into {child} select * from moved"
            )
        await connection.execute(f"alter table {name} attach partition {child} for values from ('{low}') to ('{high}')")


def _floor(year: int, month: int) -> str:
    start = datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)
    return str(uuid7_floor(int(start.timestamp() * 1000)))


def _label(year: int, month: int) -> str:
    return f"{year + (month - 1) // 12}_{(month - 1) % 12 + 1:02}"
