"""Workers bring the FHIR index to the present rules beside their work, with half of one connection's time at most."""

import asyncio
import contextlib
from uuid import UUID

import structlog

from chartwire.channels.sources import list_organisations
from chartwire.core.clock import monotonic
from chartwire.core.errors import ChartwireError
from chartwire.record.reindexing import index_batch, to_index
from chartwire.store.pool import Pool

EVERY_S = 300.0
_log = structlog.get_logger(__name__)


async def keep_indexed(pool: Pool, engine: Pool, stop: asyncio.Event, *, every_s: float = EVERY_S) -> None:
    """Index what is not, organisation by organisation, until `stop`. Several processes may: each takes what is free."""
    while not stop.is_set():
        try:
            for organisation in await list_organisations(pool, engine):
                if done := await _index(pool, organisation.id, stop):
                    _log.info("fhir_index_brought_up", org_id=str(organisation.id), count=done)
        except ChartwireError as error:
            _log.warning("fhir_index_waits", code=error.code)
        await _pause(stop, every_s)


async def unindexed(pool: Pool, engine: Pool) -> int:
    """Resources of all organisations that are still to be indexed."""
    return sum([await to_index(pool, organisation.id) for organisation in await list_organisations(pool, engine)])


async def _index(pool: Pool, org: UUID, stop: asyncio.Event) -> int:
    """How many resources of an organisation were indexed until none was free or it is time to stop."""
    done = 0
    while not stop.is_set():
        began_s = monotonic()
        found = await index_batch(pool, org)
        if not found:
            break
        done += found
        await _pause(stop, monotonic() - began_s)
    return done


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
