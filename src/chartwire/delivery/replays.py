"""Sending again what went out or should have gone out: one delivery, or a range of time as a durable job.

A replay sends a delivery under its id and body, with the replay's own id in a header, from the beginning of the
schedule. An event for which no delivery was made (the endpoint was off, or not there yet) gets one. The job queues a
page at a time, and only while few of its deliveries are open: events of now are not delayed by those of last week, and
nothing is cut off silently at some number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.core.limits import EVENT_RETENTION_DAYS
from chartwire.delivery import destinations
from chartwire.delivery.destinations import Endpoint, matches
from chartwire.delivery.filters import patterns_of
from chartwire.delivery.log import floor_of
from chartwire.delivery.routing import Recipient, look_up, recipient, row_of
from chartwire.delivery.schedule import JITTER
from chartwire.events.outbox import event_of
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

KIND = "webhook_replay"
State = Literal["dead", "missing", "delivered", "retrying", "unknown"]
STATES: tuple[State, ...] = get_args(State)
STATES_DEFAULT: tuple[State, ...] = ("dead", "missing")
OPEN_MAX = 200
_PAGE = 1000
_KEPT = timedelta(days=EVENT_RETENTION_DAYS)
_SLACK = timedelta(minutes=10)
_WAIT = timedelta(seconds=1)
_WAIT_FOR_ENDPOINT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Order:
    """What to send again: events from `since` to `until` whose delivery is in one of `states` (`missing`: none was
    made). `historical` takes record-only events along, which nobody was told of."""

    endpoint: UUID
    since: datetime
    until: datetime
    states: tuple[str, ...] = STATES_DEFAULT
    event_types: tuple[str, ...] = ("*",)
    historical: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """How many deliveries a replay would make; an upper bound where filters look into the events."""

    deliveries: int
    is_upper_bound: bool


async def preview(tx: Connection, access: Access, order: Order) -> Preview:
    """Count first. Raises NotFoundError, ValidationError."""
    endpoint = await _checked(tx, access, order)
    one = recipient_of(endpoint)
    bounds = floor_of(order.since), floor_of(order.until)
    rows = await tx.fetch(q.count_events_to_replay, access.org, order.endpoint, *bounds)
    likely = [row for row in rows if _may_want(order, one, row)]
    looks_inside = any(condition.name not in ("event_types", "resource_types") for condition in one.wanted.conditions)
    missing = any(row["delivery_state"] == "missing" for row in likely)
    return Preview(sum(row["events"] for row in likely), looks_inside and missing)


async def start(tx: Connection, access: Access, order: Order) -> UUID:
    """Begin a replay; it goes on by itself, whichever process lives. Raises NotFoundError, ValidationError;
    ConflictError while the endpoint is off."""
    endpoint = await _checked(tx, access, order)
    _check_enabled(endpoint)
    expected = (await preview(tx, access, order)).deliveries
    replay_id = await _insert(tx, access, order, "running", floor_of(order.since), expected, queued=0)
    await tx.execute(q.schedule_at, access.org, replay_id, KIND, now())
    return replay_id


async def again(tx: Connection, access: Access, event_id: UUID, endpoint_id: UUID) -> UUID:
    """Send one delivery again, now; answers the replay. Raises NotFoundError; ConflictError while its endpoint is off,
    or while the delivery is open and due anyway."""
    row = await tx.fetchrow(q.read_delivery, access.org, event_id, endpoint_id)
    if row is None:
        raise NotFoundError("no delivery has this id", code="unknown_id")
    _check_enabled(await destinations.read(tx, access, endpoint_id))
    if row["state"] == "pending":
        raise ConflictError("the delivery has not been sent yet: it is about to be", code="delivery_pending")
    at = row["created_at"]
    order = Order(endpoint_id, at, at, (row["state"],))
    replay_id = await _insert(tx, access, order, "done", event_id, 1, queued=1)
    await tx.execute(q.queue_again, access.org, endpoint_id, [event_id], replay_id)
    await tx.execute(q.wake_delivery_lanes, access.org, [endpoint_id])
    return replay_id


async def recover(tx: Connection, access: Access, endpoint_id: UUID, since: datetime | None = None) -> UUID | None:
    """Switch an endpoint on that failed or was off, and send what it missed since then (`since`, where given).

    An event that was given up when the endpoint began to fail may be as old as a whole schedule: the replay reaches
    back so far. Answers the replay; None where there is no time since when to replay. Raises NotFoundError.
    """
    endpoint = await destinations.read(tx, access, endpoint_id)
    began = min(filter(None, (endpoint.failing_since, endpoint.disabled_at)), default=None)
    await destinations.enable(tx, access, endpoint_id)
    if since is None and began is not None:
        reach = timedelta(seconds=sum(endpoint.settings.schedule) * (1 + JITTER)) + _SLACK
        since = max(began - reach, now() - _KEPT + _SLACK)
    return None if since is None else await start(tx, access, Order(endpoint_id, since, now()))


async def read(tx: Connection, access: Access, replay_id: UUID) -> Row:
    """One replay; columns of webhook_replay and `destination_name`. Raises NotFoundError."""
    row = await tx.fetchrow(q.read_replay, access.org, replay_id)
    if row is None:
        raise _unknown()
    return row


async def many(tx: Connection, access: Access, before: UUID, endpoint_id: UUID | None, limit: int) -> list[Row]:
    """Replays, newest first."""
    return await tx.fetch(q.list_replays, access.org, before, endpoint_id, limit)


async def cancel(tx: Connection, access: Access, replay_id: UUID) -> None:
    """Queue nothing more; what is queued already (at most OPEN_MAX) still goes out. Raises NotFoundError;
    ConflictError for a replay that has ended."""
    await read(tx, access, replay_id)
    if await tx.fetchval(q.cancel_replay, access.org, replay_id) is None:
        raise ConflictError("the replay has ended already", code="replay_ended")


async def step(tx: Connection, access: Access, replay_id: UUID) -> datetime | None:
    """Queue the next page; answers when to go on, None when the replay has ended."""
    row = await tx.fetchrow(q.lock_replay, access.org, replay_id)
    if row is None or row["state"] != "running":
        return None
    try:
        endpoint = await destinations.read(tx, access, row["destination_id"])
    except NotFoundError:
        await tx.fetchval(q.cancel_replay, access.org, replay_id)
        return None
    if endpoint.state != "enabled":
        return now() + _WAIT_FOR_ENDPOINT
    room = OPEN_MAX - int(await tx.fetchval(q.open_replay_deliveries, access.org, endpoint.id))
    if room <= 0 or not row["settled"]:
        return now() + _WAIT
    return await _queue_page(tx, access, row, recipient_of(endpoint), room)


def recipient_of(endpoint: Endpoint) -> Recipient:
    """An endpoint as routing sees it."""
    return recipient(endpoint.id, endpoint.api_version, endpoint.event_types, endpoint.settings)


async def _queue_page(tx: Connection, access: Access, job: Row, one: Recipient, room: int) -> datetime | None:
    page = await tx.fetch(q.events_to_replay, access.org, one.id, job["cursor_id"], floor_of(job["until"]), _PAGE)
    order = Order(
        one.id, job["since"], job["until"], tuple(job["states"]), tuple(job["event_types"]), job["historical"]
    )
    seen, chosen = await _choose(tx, access.org, order, one, page, room)
    known = [row["id"] for row, _ in chosen if row["delivery_state"] != "missing"]
    made = [values for row, values in chosen if row["delivery_state"] == "missing"]
    if known:
        await tx.execute(q.queue_again, access.org, one.id, known, job["id"])
    if made:
        await tx.execute(q.queue_missing, access.org, one.id, job["id"], *map(list, zip(*made, strict=True)))
    cursor = page[seen - 1]["id"] if seen else job["cursor_id"]
    ended = seen == len(page) < _PAGE
    await tx.execute(q.advance_replay, access.org, job["id"], cursor, seen, len(chosen), ended)
    if chosen:
        await tx.execute(q.wake_delivery_lanes, access.org, [one.id])
    return None if ended else now()


MissingRow = tuple[UUID, datetime, UUID | None, bytes, UUID | None]


async def _choose(
    tx: Connection, org: UUID, order: Order, one: Recipient, page: Sequence[Row], room: int
) -> tuple[int, list[tuple[Row, MissingRow]]]:
    """How many events of a page were looked at, and those to send: no more than there is room for."""
    likely = {row["id"]: event_of(row) for row in page if _may_want(order, one, row)}
    known = await look_up(tx, org, [(one, event) for event in likely.values()])
    chosen: list[tuple[Row, MissingRow]] = []
    for seen, row in enumerate(page):
        if len(chosen) == room:
            return seen, chosen
        event = likely.get(row["id"])
        if event and (row["delivery_state"] != "missing" or one.wanted.takes(known.facts[event.id])):
            _, _, message_id, body, order_key = row_of(org, row["created_at"], event, one, known)
            chosen.append((row, (event.id, row["created_at"], message_id, body, order_key)))
    return len(page), chosen


def _may_want(order: Order, one: Recipient, row: Row) -> bool:
    """Whether an event (or a group of them) is to be sent again, as far as its type, mode and delivery tell."""
    if row["delivery_state"] not in order.states or not matches(order.event_types, row["type"]):
        return False
    if row["mode"] == "record-only" and not order.historical:
        return False
    if row["delivery_state"] != "missing":
        return True
    words = {"event_types": patterns_of(row["type"]), "resource_types": (row["resource_type"],)}
    return all(
        not condition.wanted.isdisjoint(words[condition.name])
        for condition in one.wanted.conditions
        if condition.name in words
    )


async def _checked(tx: Connection, access: Access, order: Order) -> Endpoint:
    if not order.since < order.until:
        raise ValidationError("`since` is before `until`", code="replay_range")
    if order.since < now() - _KEPT:
        raise ValidationError(
            f"events are kept for {EVENT_RETENTION_DAYS} days: `since` is too early", code="replay_range"
        )
    if not order.states or not set(order.states) <= set(STATES):
        raise ValidationError(f"states are of {', '.join(STATES)}", code="replay_states")
    destinations.check_event_types(order.event_types)
    return await destinations.read(tx, access, order.endpoint)


def _check_enabled(endpoint: Endpoint) -> None:
    if endpoint.state != "enabled":
        raise ConflictError("the endpoint is switched off: enable or recover it first", code="endpoint_disabled")


async def _insert(
    tx: Connection, access: Access, order: Order, state: str, cursor: UUID, expected: int, *, queued: int
) -> UUID:
    replay_id = uuid7()
    await tx.execute(
        q.insert_webhook_replay,
        access.org,
        replay_id,
        order.endpoint,
        state,
        order.since,
        order.until,
        list(order.states),
        list(order.event_types),
        order.historical,
        cursor,
        expected,
        queued,
        access.actor,
    )
    return replay_id


def _unknown() -> NotFoundError:
    return NotFoundError("no replay has this id", code="unknown_id")
