"""Where events go: each live event meets each destination's filter, in the transaction of the change.

Deciding here instead of after the commit costs one statement and loses nothing: there is no moment in which a change is
committed and its deliveries are not (docs/decisions/0004-route-in-the-transaction.md).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chartwire.delivery.destinations import matches
from chartwire.delivery.payload import body_of
from chartwire.events.outbox import Event
from chartwire.store.pool import Connection
from chartwire.store.queries import q


async def route(tx: Connection, org: UUID, now: datetime, events: Sequence[Event]) -> list[UUID]:
    """Insert the deliveries of these events; answers the destinations that have some, for `wake`."""
    live = [event for event in events if event.mode == "live"]
    if not live:
        return []
    rows = [
        (event.id, destination["id"], event.message_id, body_of(org, event, now, destination["api_version"]))
        for destination in await tx.fetch(q.enabled_destinations, org)
        for event in live
        if matches(destination["event_types"], event.type)
    ]
    if rows:
        await tx.execute(q.insert_deliveries, org, now, *map(list, zip(*rows, strict=True)))
    return sorted({row[1] for row in rows})


async def wake(tx: Connection, org: UUID, destinations: Sequence[UUID]) -> None:
    """Make the lanes of destinations ready: the last statement of a transaction, since these rows are hot."""
    if destinations:
        await tx.execute(q.wake_delivery_lanes, org, list(destinations))
