"""The audit trail: one row a request, on disk before the answer that it tells of leaves.

Rows are committed plain and together: whatever waits when a commit starts goes with it, so that the cost of a durable
commit is shared and a lone request waits for one only. A row names who asked, why, for what kind of thing, by which
parameters (names, never values), how many came back and whose they were.

A row holds at most PATIENTS_PER_ROW_MAX patient ids, the lowest ones; where there were more, its query shape ends in
` patients=<how many> sha256=<digest>`, the digest being over all ids in ascending order, 16 bytes each.
"""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import TransientError
from chartwire.core.ids import uuid7
from chartwire.core.telemetry import Counter, Histogram
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

PATIENTS_PER_ROW_MAX = 100
INSTALLATION = UUID(int=0)
"""The organisation that owns what happens before an organisation is known."""

_ROWS_PER_COMMIT_MAX = 512
_ROWS_WAITING_MAX = 10_000
_COMMIT_TIMEOUT_S = 10.0
_ROWS = Counter("chartwire_audit_rows_total", "Audit rows by outcome of their commit.", ("outcome",))
_ROWS_PER_COMMIT = Histogram(
    "chartwire_audit_rows_per_commit", "Audit rows that shared one commit.", bounds=(1, 2, 4, 8, 16, 32, 64, 128, 512)
)


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """One request. `action` is read, search, create, delete, replay or refuse; `status` the HTTP status of the answer.

    `query_shape` is the route and the names of its parameters (`GET /api/v1/patients?limit&mrn`), never a value.
    `client` is the address that asked, empty where none did.
    """

    org: UUID
    actor: str
    purpose: str
    action: str
    resource_type: str
    query_shape: str
    count: int
    patients: Collection[UUID]
    status: int
    request_id: str
    at: datetime = msgspec.field(default_factory=now)
    id: UUID = msgspec.field(default_factory=uuid7)
    client: str = ""


def audit_row(
    access: Access,
    action: str,
    resource_type: str,
    query_shape: str,
    *,
    count: int = 0,
    patients: Collection[UUID] = (),
    status: int = 200,
) -> AuditRow:
    """The row of a request that `access` made."""
    return AuditRow(
        access.org,
        access.actor,
        access.purpose,
        action,
        resource_type,
        query_shape,
        count,
        patients,
        status,
        access.request_id,
    )


class AuditTrail:
    """Writes audit rows by group commit. One per process; `close` before its pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[AuditRow, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, row: AuditRow) -> None:
        """Return once the row is committed. Raises TransientError (`audit_unavailable`) when it could not be.

        A caller that is cancelled meanwhile leaves its row behind, which is written all the same.
        """
        if len(self._waiting) >= _ROWS_WAITING_MAX:
            raise _unavailable()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_waiting())
        await future

    async def close(self) -> None:
        """Return when every row that waited is written or refused."""
        if self._writer is not None:
            await self._writer

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:_ROWS_PER_COMMIT_MAX]
                del self._waiting[:_ROWS_PER_COMMIT_MAX]
                _settle(batch, await self._commit([row for row, _ in batch]))
        finally:
            self._writer = None

    async def _commit(self, rows: Sequence[AuditRow]) -> bool:
        try:
            async with asyncio.timeout(_COMMIT_TIMEOUT_S), self._pool.connection() as connection:
                await connection.execute(q.flush_audit, *_columns(rows))
        except Exception:  # whatever the reason: an access that is not recorded is not given
            _ROWS.add(len(rows), "refused")
            return False
        _ROWS.add(len(rows), "written")
        _ROWS_PER_COMMIT.observe(len(rows))
        return True


async def record(tx: Connection, row: AuditRow) -> None:
    """Write a row in the transaction that it tells of, which is bound to the row's organisation."""
    await tx.execute(q.flush_audit, *_columns([row]))


async def read_request(pool: Pool, access: Access, request_id: str, row_id: UUID | None) -> Row | None:
    """The row of a request of the access's organisation: by `row_id`, else the latest with this request id.

    Columns: id, at, actor, action, resource_type, query_shape, row_count, status, request_id,
    client.
    """
    async with pool.transaction(access.org) as tx:
        if row_id is not None:
            return await tx.fetchrow(q.request_by_row, access.org, row_id, request_id)
        return await tx.fetchrow(q.request_by_name, access.org, request_id)


def _settle(batch: list[tuple[AuditRow, asyncio.Future[None]]], written: bool) -> None:
    for _, future in batch:
        if future.done():
            continue
        if written:
            future.set_result(None)
        else:
            future.set_exception(_unavailable())


def _unavailable() -> TransientError:
    return TransientError("the access could not be recorded, so it was not given", code="audit_unavailable")


def _columns(rows: Sequence[AuditRow]) -> list[list[object]]:
    """The rows as the parallel arrays of audit_flush."""
    values = []
    for row in rows:
        patients, shape = _patients(row)
        columns = (row.org, row.id, row.at, row.actor, row.purpose, row.action, row.resource_type, shape)
        values.append((*columns, row.count, patients, row.status, row.request_id, row.client))
    return [list(column) for column in zip(*values, strict=True)]


def _patients(row: AuditRow) -> tuple[str, str]:
    """The patient ids as an array literal, and the query shape, with the digest where there are too many ids."""
    if not row.patients:
        return "{}", row.query_shape
    if len(row.patients) == 1:
        return f"{{{next(iter(row.patients))}}}", row.query_shape
    ids = sorted(set(row.patients))
    shape = row.query_shape
    if len(ids) > PATIENTS_PER_ROW_MAX:
        digest = hashlib.sha256(b"".join(one.bytes for one in ids)).hexdigest()
        shape = f"{shape} patients={len(ids)} sha256={digest}"
    return f"{{{','.join(map(str, ids[:PATIENTS_PER_ROW_MAX]))}}}", shape
