"""A pool that lends one open transaction: for what reads by a pool, and is to see what was written in it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from chartwire.store.pool import Connection, Pool


class Within(Pool):
    """Every connection and transaction is `tx`, which its owner opened for `org` and `credential` and ends.

    For callers of the same access only, one after the other.
    """

    def __init__(self, tx: Connection, org: UUID, credential: UUID | None) -> None:
        super().__init__("", size=1)
        self._tx = tx
        self._opened_for = {None, org}, {None, credential}

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """The transaction."""
        return self._lent_out()

    def transaction(self, org: UUID | None, credential: UUID | None = None) -> AbstractAsyncContextManager[Connection]:
        """The transaction, which is bound already."""
        organisations, credentials = self._opened_for
        assert org in organisations, "a transaction stays that of its organisation"
        assert credential in credentials, "a transaction stays that of who opened it"
        return self._lent_out()

    @asynccontextmanager
    async def _lent_out(self) -> AsyncIterator[Connection]:
        yield self._tx
