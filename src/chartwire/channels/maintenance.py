"""What has to be done now and then: the intake ledger forgets resend keys that are older than its window; answers kept
for an Idempotency-Key, parked writes and figures of endpoints go when their time is over."""

import asyncio
import contextlib
from uuid import UUID

import structlog

from chartwire.channels.intake import forget_resends
from chartwire.channels.route import announce
from chartwire.channels.sources import list_organisations
from chartwire.core import clock
from chartwire.core.errors import ChartwireError
from chartwire.delivery.log import forget_traffic
from chartwire.record.parking import give_up
from chartwire.store.pool import Pool
from chartwire.trust.idempotency import forget as forget_answers

EVERY_S = 900.0
_log = structlog.get_logger(__name__)


async def keep_in_order(pool: Pool, engine: Pool, stop: asyncio.Event, *, every_s: float = EVERY_S) -> None:
    """Do the rounds until `stop`. Several processes may: what one has removed the others no longer find."""
    while not stop.is_set():
        try:
            for organisation in await list_organisations(pool, engine):
                while await forget_resends(pool, organisation.id, clock.now()) and not stop.is_set():
                    pass
                await _give_up_parked(pool, organisation.id)
                await forget_traffic(pool, organisation.id, clock.now())
                while await forget_answers(pool, organisation.id) and not stop.is_set():
                    pass
        except ChartwireError as error:
            _log.warning("maintenance_waits", code=error.code)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)


async def _give_up_parked(pool: Pool, org: UUID) -> None:
    """Parked writes whose record did not come in time, told by events in the transaction that takes them out."""
    now = clock.now()
    async with pool.transaction(org) as tx:
        await announce(tx, org, now, await give_up(tx, org, now))
