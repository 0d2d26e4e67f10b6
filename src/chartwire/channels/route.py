"""Where events go: each live event meets each destination's filter, in the transaction of the change.

Deciding here instead of after the commit costs one statement and loses nothing: there is no moment in which a change is
committed and its deliveries are not (docs/decisions/0004-route-in-the-transaction.md).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chartwire.delivery.routing import destinations_of, rows_for
from chartwire.events.outbox import Event, emit
from chartwire.store.pool import Connection
from chartwire.store.queries import q


async def route(tx: Connection, org: UUID, now: datetime, events: Sequence[Event]) -> list[UUID]:
    """Insert the deliveries of these events; answers the destinations that have some, for `wake`."""
    live = [event for event in events if event.mode == "live"]
    if not live:
        return []
    rows = await rows_for(tx, org, now, live, await destinations_of(tx, org))
    if rows:
        await tx.execute(q.insert_deliveries, org, now, *map(list, zip(*rows, strict=True)))
    return sorted({row[1] for row in rows})


async def wake(tx: Connection, org: UUID, destinations: Sequence[UUID]) -> None:
    """Make the lanes of destinations ready: the last statement of a transaction, since these rows are hot."""
    if destinations:
        await tx.execute(q.wake_delivery_lanes, org, list(destinations))


async def announce(tx: Connection, org: UUID, now: datetime, events: Sequence[Event]) -> None:
    """Events that no message made: write them, route them, wake who gets them; the end of a transaction."""
    await emit(tx, org, now, events)
    await deliver(tx, org, now, events)


async def deliver(tx: Connection, org: UUID, now: datetime, events: Sequence[Event]) -> None:
    """The same for events that were written already."""
    await wake(tx, org, await route(tx, org, now, events))
