"""Connections to PostgreSQL, and transactions bound to one organisation. No other room knows the driver.

    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.patients_by_mrn, mrn)

The organisation is set with SET LOCAL, in the round trip that begins the transaction, and ends with it: a connection
carries nothing from one borrower to the next, so it needs no reset query. Types: text is str, uuid is uuid.UUID,
bytea is bytes, json and jsonb are str, timestamptz is an aware datetime.
"""

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any
from uuid import UUID

import asyncpg

from chartwire.core.clock import monotonic
from chartwire.core.errors import TransientError
from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.queries import q

Row = asyncpg.Record
_ROLLBACK_TIMEOUT_S = 5.0
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 2.0


class Connection:
    """One borrowed connection. Each call takes a query's name or SQL, and its parameters $1, $2, ...

    Raises ConflictError (integrity), ValidationError (a value that its type cannot hold), TransientError (timeout,
    deadlock, server gone: the same transaction may succeed later), AuthError (row-level security, missing grant),
    StoreError (anything else); `code` is `sql_<SQLSTATE>`. No error text carries a value.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.raw.is_in_transaction()

    async def fetch(self, name_or_sql: str, *args: Any) -> list[Row]:
        """All rows."""
        try:
            return await self.raw.fetch(q.text(name_or_sql), *args)
        except DRIVER_ERRORS as error:
            raise translated(error) from None

    async def fetchrow(self, name_or_sql: str, *args: Any) -> Row | None:
        """The first row, None when there is none."""
        try:
            return await self.raw.fetchrow(q.text(name_or_sql), *args)
        except DRIVER_ERRORS as error:
            raise translated(error) from None

    async def fetchval(self, name_or_sql: str, *args: Any) -> Any:
        """The first column of the first row, None when there is no row."""
        try:
            return await self.raw.fetchval(q.text(name_or_sql), *args)
        except DRIVER_ERRORS as error:
            raise translated(error) from None

    async def execute(self, name_or_sql: str, *args: Any) -> str:
        """Run for effect; the command tag, such as `UPDATE 3`. Several statements in one text when without `args`."""
        try:
            return await self.raw.execute(q.text(name_or_sql), *args)
        except DRIVER_ERRORS as error:
            raise translated(error) from None


class Pool:
    """At most `size` connections to one DSN: the last one returned is lent first, waiters are served in order.

    A connection that broke is replaced when next one is needed. While the server is down, borrowers get
    TransientError at once, and the server is asked again only after 50 ms, doubling up to 2 s.
    """

    def __init__(self, dsn: str, *, size: int = 10, acquire_timeout_s: float = 10.0) -> None:
        if size < 1:
            raise ValueError("a pool needs at least one connection")
        self.size = size
        self._dsn = dsn
        self._acquire_timeout_s = acquire_timeout_s
        self._free: list[RawConnection] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._lent = 0
        self._closed = False
        self._backoff_s = 0.0
        self._not_before = 0.0
        self._mending: set[asyncio.Task[None]] = set()

    async def open(self) -> "Pool":
        """Connect once, so that a wrong address or password shows at start. Raises TransientError, AuthError."""
        async with self.connection():
            return self

    async def close(self) -> None:
        """Close idle connections now and lent ones on their return; borrowing fails from now on."""
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(_pool_closed())
        if self._mending:
            await asyncio.gather(*self._mending, return_exceptions=True)
        while self._free:
            await _close(self._free.pop())

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """`async with pool.connection() as c`: a connection without a transaction; every statement commits by itself.

        Tenant tables show no rows here, since no organisation is set. TransientError (`pool_exhausted`) after
        `acquire_timeout_s` without a free connection.
        """
        return _Lease(self)

    def transaction(self, org: UUID | None, credential: UUID | None = None) -> AbstractAsyncContextManager[Connection]:
        """`async with pool.transaction(org) as tx`: one transaction that sees one organisation, or none for None.

        With a `credential` it is checked in the same round trip: StoreError (`sql_28000`) for one that was withdrawn.
        Commits when the block ends, rolls back when it raises. TransientError (`commit_unknown`) means that the server
        vanished during the commit: the transaction may have committed.
        """
        return _Transaction(self, org, credential)

    @property
    def lent(self) -> int:
        """Connections in use now."""
        return self._lent

    async def _acquire(self) -> RawConnection:
        if self._lent >= self.size or self._waiters:
            await self._wait_for_turn()
        else:
            self._lent += 1
        try:
            while self._free:
                raw = self._free.pop()
                if not raw.is_closed():
                    return raw
            return await self._connect()
        except BaseException:
            self._return_turn()
            raise

    async def _wait_for_turn(self) -> None:
        """Wait until a borrower hands its turn over (`_lent` then already counts us)."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                await waiter
        except BaseException as error:
            turn_was_ours = waiter.done() and not waiter.cancelled() and waiter.exception() is None
            if turn_was_ours:
                self._return_turn()
            if isinstance(error, TimeoutError):
                raise TransientError("no database connection came free in time", code="pool_exhausted") from None
            raise

    def _return_turn(self) -> None:
        """Give the turn to the waiter that came first, or lower the count of lent connections."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._lent -= 1

    async def _connect(self) -> RawConnection:
        if self._closed:
            raise _pool_closed()
        if monotonic() < self._not_before:
            raise TransientError("the database is not reachable", code="database_unreachable")
        try:
            raw = await connect(self._dsn)
        except TransientError:
            self._backoff_s = min(max(self._backoff_s * 2, _BACKOFF_FIRST_S), _BACKOFF_MAX_S)
            self._not_before = monotonic() + self._backoff_s
            raise
        self._backoff_s = self._not_before = 0.0
        return raw

    def _release(self, raw: RawConnection) -> None:
        """Take a connection back that is known to be outside a transaction."""
        if self._closed or raw.is_closed() or raw.is_in_transaction():
            raw.terminate()
        else:
            self._free.append(raw)
        self._return_turn()

    def _mend(self, raw: RawConnection) -> "asyncio.Task[None]":
        """Roll back and take back, in a task of its own, so that a cancelled borrower leaves nothing behind."""
        task = asyncio.get_running_loop().create_task(self._roll_back(raw))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)
        return task

    async def _roll_back(self, raw: RawConnection) -> None:
        try:
            if not raw.is_closed():
                async with asyncio.timeout(_ROLLBACK_TIMEOUT_S):
                    await raw.execute("rollback")
        except DRIVER_ERRORS:
            raw.terminate()
        finally:
            self._release(raw)


class _Lease:
    __slots__ = ("_pool", "_raw")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._raw: RawConnection | None = None

    async def __aenter__(self) -> Connection:
        self._raw = await self._pool._acquire()
        return Connection(self._raw)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._raw is not None
        if kind is None and not self._raw.is_in_transaction():
            self._pool._release(self._raw)
        else:
            await asyncio.shield(self._pool._mend(self._raw))


class _Transaction:
    __slots__ = ("_begin", "_pool", "_raw")

    def __init__(self, pool: Pool, org: UUID | None, credential: UUID | None) -> None:
        self._pool = pool
        self._begin = _begin(org, credential)
        self._raw: RawConnection | None = None

    async def __aenter__(self) -> Connection:
        raw = await self._pool._acquire()
        try:
            await raw.execute(self._begin)
        except DRIVER_ERRORS as error:
            await asyncio.shield(self._pool._mend(raw))
            raise translated(error) from None
        except BaseException:
            self._pool._mend(raw)
            raise
        self._raw = raw
        return Connection(raw)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._raw is not None
        if kind is not None:
            await asyncio.shield(self._pool._mend(self._raw))
            return
        try:
            tag = await self._raw.execute("commit")
        except DRIVER_ERRORS as failure:
            await asyncio.shield(self._pool._mend(self._raw))
            raise _commit_failure(failure) from None
        except BaseException:
            self._pool._mend(self._raw)
            raise
        self._pool._release(self._raw)
        if tag != "COMMIT":
            raise TransientError("the transaction had failed and was rolled back", code="transaction_aborted")


def _begin(org: UUID | None, credential: UUID | None) -> str:
    """`hex` and not the values themselves: only a UUID has it, so no text can become SQL here."""
    if org is None:
        return "begin"
    if credential is None:
        return f"begin; select set_config('chartwire.org_id', '{org.hex}', true)"
    return f"begin; select access_open('{credential.hex}', '{org.hex}')"


def _pool_closed() -> TransientError:
    return TransientError("the connection pool is closed", code="pool_closed")


def _commit_failure(failure: Exception) -> Exception:
    """A commit that the server refused is plain; one that got no answer may have happened."""
    ours = translated(failure)
    if isinstance(failure, asyncpg.PostgresConnectionError) or ours.code in ("database_unreachable", "sql_57p01"):
        return TransientError("the server vanished during the commit, which may have happened", code="commit_unknown")
    return ours


async def _close(raw: RawConnection) -> None:
    try:
        await raw.close(timeout=2.0)
    except DRIVER_ERRORS:
        raw.terminate()
