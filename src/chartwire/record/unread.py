"""Creates that look at nothing before they write: one statement is the whole transaction (write_unread in 0027)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from chartwire.core.clock import monotonic
from chartwire.core.crashpoints import hit
from chartwire.core.errors import TransientError
from chartwire.record.writing import TRY_AGAIN
from chartwire.store.pool import Connection, Pool

T = TypeVar("T")
_LOOK_S = 30.0
_REMEMBERED_MAX = 10_000
_LOST = frozenset({"database_unreachable", "sql_57p01"})


class Unread:
    """Tries them, and remembers for some seconds the organisations for which that failed. One per process."""

    def __init__(self) -> None:
        self._look_until: dict[UUID, float] = {}

    async def tried(self, org: UUID, pool: Pool, effect: Callable[[Connection], Awaitable[T]]) -> T | None:
        """What `effect` answers on a connection without transaction. None, with nothing written, where it has to be
        called in one: a look would have made a difference, or another transaction was first.

        Raises what `effect` raises, TransientError (`commit_unknown`) where the server vanished: it may have happened.
        """
        if self._look_until.get(org, 0.0) > monotonic():
            return None
        hit("api.before_commit")
        try:
            async with pool.connection() as connection:
                answer = await effect(connection)
        except TransientError as error:
            if error.code in _LOST:
                raise TransientError(
                    "the server vanished during the write, which may have happened", code="commit_unknown"
                ) from None
            if error.code not in TRY_AGAIN:
                raise
        else:
            hit("api.after_commit")
            return answer
        if len(self._look_until) >= _REMEMBERED_MAX:
            self._look_until.clear()
        self._look_until[org] = monotonic() + _LOOK_S
        return None
