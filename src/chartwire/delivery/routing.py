"""From events to rows of deliveries: who wants which event, and the body that every attempt will carry."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chartwire.delivery.filters import Facts, Wanted, compiled, references_in
from chartwire.delivery.payload import ENDPOINT, body_of
from chartwire.delivery.settings import EndpointSettings, read_settings
from chartwire.events.outbox import Event
from chartwire.store.pool import Connection
from chartwire.store.queries import q

DeliveryRow = tuple[UUID, UUID, UUID | None, bytes, UUID | None]
"""Event, destination, message, body, order key: the columns of insert_deliveries."""
Version = tuple[str, UUID, int]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A destination as routing sees it."""

    id: UUID
    api_version: str
    settings: EndpointSettings
    wanted: Wanted

    @property
    def needs_body(self) -> bool:
        """Whether it cannot be served without reading the resource."""
        return self.settings.payload == "full" or self.wanted.needs("body")


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked up for some events: their facts, and the resources that they are about."""

    facts: dict[UUID, Facts]
    bodies: dict[Version, str]

    def body(self, event: Event) -> str:
        """The resource as the event's version had it; empty where it was not asked for, or is gone."""
        return self.bodies.get(_version(event), "")


async def destinations_of(tx: Connection, org: UUID) -> list[Recipient]:
    """The enabled destinations of an organisation."""
    return [
        recipient(row["id"], row["api_version"], tuple(row["event_types"]), read_settings(row["settings"]))
        for row in await tx.fetch(q.enabled_destinations, org)
    ]


def recipient(
    endpoint_id: UUID, api_version: str, event_types: tuple[str, ...], settings: EndpointSettings
) -> Recipient:
    """A destination with its conditions compiled."""
    return Recipient(endpoint_id, api_version, settings, compiled(event_types, settings.filters))


async def rows_for(
    tx: Connection, org: UUID, now: datetime, events: Sequence[Event], recipients: Iterable[Recipient]
) -> list[DeliveryRow]:
    """The deliveries of these events. An endpoint is not told of itself: it would have to answer to hear of it."""
    likely = [
        (one, event)
        for one in recipients
        for event in events
        if one.wanted.may_take(event) and one.id != event.resource_id
    ]
    known = await look_up(tx, org, likely)
    return [row_of(org, now, event, one, known) for one, event in likely if one.wanted.takes(known.facts[event.id])]


def row_of(org: UUID, created_at: datetime, event: Event, one: Recipient, known: Known) -> DeliveryRow:
    """One delivery. A full payload whose resource is gone is thin."""
    full = known.body(event) if one.settings.payload == "full" else ""
    body = body_of(org, event, created_at, one.api_version, resource=full)
    order_key = event.resource_id if one.settings.ordering == "per_resource" else None
    return event.id, one.id, event.message_id, body, order_key


async def look_up(tx: Connection, org: UUID, pairs: Sequence[tuple[Recipient, Event]]) -> Known:
    """The facts of events, with what their recipients need of the store: nothing, in the common case."""
    events = {event.id: event for _, event in pairs}
    sources = await _sources(tx, org, [event for one, event in pairs if one.wanted.needs("source")])
    bodies = await _bodies(tx, org, [event for one, event in pairs if one.needs_body])
    return Known(
        {
            event.id: Facts(
                event,
                sources.get(event.message_id, "") if event.message_id else "",
                references_in(body) if (body := bodies.get(_version(event))) else frozenset(),
            )
            for event in events.values()
        },
        bodies,
    )


async def _sources(tx: Connection, org: UUID, events: Sequence[Event]) -> dict[UUID, str]:
    messages = list({event.message_id for event in events if event.message_id})
    rows = await tx.fetch(q.sources_of_messages, org, messages) if messages else []
    return {row["id"]: str(row["source_id"]) for row in rows}


async def _bodies(tx: Connection, org: UUID, events: Sequence[Event]) -> dict[Version, str]:
    wanted = list({_version(event) for event in events if event.resource_type != ENDPOINT})
    if not wanted:
        return {}
    rows = await tx.fetch(q.bodies_of_versions, org, *map(list, zip(*wanted, strict=True)))
    return {(row["type"], row["id"], row["version"]): row["body"] for row in rows}


def _version(event: Event) -> Version:
    return event.resource_type, event.resource_id, event.version
