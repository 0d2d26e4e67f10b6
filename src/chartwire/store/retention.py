"""What is removed when its term is over: whole months where no organisation needs them any longer, else row by row.

A month (a partition) goes by DETACH and DROP in one short transaction that waits at most LOCK_TIMEOUT for the table and
else comes again later: intake never waits longer than that. What keeps a month is looked for before, and again under
the lock. An organisation whose term is shorter than the longest has its bodies removed in batches of ROWS_PER_COMMIT,
and so has what a kept month holds besides. What waits or is held is never removed, nor what is on legal hold
(legal_holds.py). Each removal leaves a row in `retention_run`, in the same transaction.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from chartwire.core.errors import ConflictError
from chartwire.core.ids import uuid7, uuid7_floor
from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.partitions import OWNER
from chartwire.store.pool import Pool
from chartwire.store.queries import q

LOCK_TIMEOUT = "250ms"
ROWS_PER_COMMIT = 500
_MONTH = re.compile(r"(.+)_(\d{4})_(\d{2})")
_LOCK_NOT_TO_BE_HAD = "55P03"


@dataclass(frozen=True, slots=True)
class Bar:
    """What keeps a month: rows of the same month of another table, of an organisation that the month has rows of."""

    table: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows of one organisation go: the query that counts what is due, the one that removes some, what both take for
    `data_class`, and whether they go by time instead of id."""

    due: str
    expire: str
    body: str = ""
    by_time: bool = False


@dataclass(frozen=True, slots=True)
class DataClass:
    """One class of data (core/terms.py): its monthly tables, how its rows go for an organisation with a shorter term,
    and what keeps a month."""

    months: tuple[str, ...] = ()
    rows: Rows | None = None
    bars: tuple[Bar, ...] = ()


IN_USE = "the table was in use"
_WAITING = Bar("message", "state in ('received', 'held')", "messages in it still wait")
_ON_HOLD = Bar("message_body_dead", "class = 'hold'", "a legal hold is on it")
CLASSES = {
    "raw": DataClass(("message_body_raw",), Rows("due_bodies", "expire_bodies", "raw"), (_WAITING,)),
    "dead_letters": DataClass(
        ("message_body_dead",), Rows("due_bodies", "expire_bodies", "dead"), (_WAITING, _ON_HOLD)
    ),
    "messages": DataClass(("message", "message_key"), None, (_WAITING, _ON_HOLD)),
    "events": DataClass(("event",)),
    "deliveries": DataClass(
        ("delivery", "delivery_attempt"), Rows("due_deliveries_bodies", "expire_deliveries_bodies")
    ),
    "audit": DataClass(("audit",)),
    "quarantine": DataClass((), Rows("due_quarantine", "expire_quarantine")),
    "contents": DataClass((), Rows("due_contents", "expire_contents", by_time=True)),
}
"""In the order of their terms, in which they go."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What went, or would go: rows and bytes of one class of one organisation, from before an instant; of which table,
    where it was a month."""

    org: UUID
    data_class: str
    how: str
    before: datetime
    rows: int
    bytes: int
    table: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A month that should have gone and did not: messages in it wait, a legal hold is on it, or its table was busy."""

    month: str
    why: str


async def remove_months(
    admin_dsn: str, data_class: str, before: datetime, *, dry_run: bool
) -> AsyncIterator[Removal | Kept]:
    """Drop the months of a class that ended before an instant; what went, by organisation.

    `admin_dsn` is a user that may become `chartwire_owner`. Raises TransientError; ConflictError (`retention_running`)
    while another run does the same.
    """
    connection = await connect(admin_dsn)
    try:
        if not await connection.fetchval(q.lock_months):
            raise ConflictError("another run of retention is under way", code="retention_running")
        await connection.execute(f"set role {OWNER}")
        for table in CLASSES[data_class].months:
            for row in await connection.fetch(q.monthly_partitions, table):
                end = _end_of(row["name"])
                if end <= before:
                    for found in await _remove_month(connection, data_class, table, row["name"], row["bytes"], dry_run):
                        yield found
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()


async def remove_rows(pool: Pool, org: UUID, data_class: str, before: datetime, *, dry_run: bool) -> Removal:
    """Remove what one organisation has of a class from before an instant, in small transactions."""
    way, run = CLASSES[data_class].rows, uuid7()
    assert way is not None
    cut = before if way.by_time else uuid7_floor(int(before.timestamp() * 1000))
    of = (org, cut, *filter(None, [way.body]))
    rows = size = 0
    while True:
        async with pool.transaction(org) as tx:
            await tx.execute(q.lock_retention, org)
            found = await (
                tx.fetchrow(q[way.due], *of) if dry_run else tx.fetchrow(q[way.expire], *of, ROWS_PER_COMMIT)
            )
            assert found is not None
            if found["rows"] and not dry_run:
                await tx.execute(q.note_removal, org, run, data_class, "rows", before, found["rows"], found["bytes"])
        rows, size = rows + found["rows"], size + found["bytes"]
        if dry_run or not found["rows"]:
            return Removal(org, data_class, "rows", before, rows, size)


async def expired_at(pool: Pool, org: UUID, data_class: str, moment: datetime) -> datetime | None:
    """When retention removed what a class held of an instant; None when it did not. For links that lead nowhere."""
    async with pool.transaction(org) as tx:
        found: datetime | None = await tx.fetchval(q.expired_at, org, data_class, moment)
    return found


async def _remove_month(
    connection: RawConnection, data_class: str, table: str, name: str, size: int, dry_run: bool
) -> list[Removal | Kept]:
    end = _end_of(name)
    counts = await connection.fetch(f"select org_id, count(*) as rows from {name} group by org_id")
    if why := await _barred(connection, data_class, name, [row["org_id"] for row in counts]):
        return [Kept(name, why)]
    total = sum(row["rows"] for row in counts)
    found = [
        Removal(row["org_id"], data_class, "partition", end, row["rows"], size * row["rows"] // total, table)
        for row in counts
    ]
    if not dry_run and (why := await _drop(connection, data_class, table, name, found)):
        return [Kept(name, why)]
    return [*found]


async def _barred(connection: RawConnection, data_class: str, name: str, orgs: list[UUID]) -> str:
    """What keeps a month that has rows of these organisations; empty when nothing does."""
    month = name[-len("_2026_11") :]
    for bar in CLASSES[data_class].bars:
        partition = bar.table + month
        if await connection.fetchval("select to_regclass($1)", f"public.{partition}") is None:
            continue
        found = f"select exists (select 1 from {partition} where org_id = any($1) and {bar.where})"
        if await connection.fetchval(found, orgs):
            return bar.why
    return ""


class _BarredError(Exception):
    """The month may not go after all."""


async def _drop(connection: RawConnection, data_class: str, table: str, name: str, removals: list[Removal]) -> str:
    """Drop a month, in one transaction with the account of it; why not, when it cannot be or may not be any more."""
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(f"alter table {table} detach partition {name}")
            if why := await _barred(connection, data_class, name, [one.org for one in removals]):
                raise _BarredError(why)
            await connection.execute(f"drop table {name}")
            for one in removals:
                await connection.execute("select set_config('chartwire.org_id', $1, true)", str(one.org))
                account = (one.org, uuid7(), one.data_class, one.how, one.before, one.rows, one.bytes)
                await connection.execute(q.note_removal, *account)
    except _BarredError as barred:
        return str(barred)
    except DRIVER_ERRORS as error:
        if getattr(error, "sqlstate", None) == _LOCK_NOT_TO_BE_HAD:
            return IN_USE
        raise
    return ""


def _end_of(name: str) -> datetime:
    """The first instant after the month of a partition."""
    match = _MONTH.fullmatch(name)
    assert match is not None
    year, month = int(match[2]), int(match[3])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
