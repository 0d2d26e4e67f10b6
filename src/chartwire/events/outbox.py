"""The outbox: what changed, in the transaction of the change, and the deliveries that it causes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from chartwire.core.ids import uuid7
from chartwire.core.source import EffectMode
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Event:
    """The fact that a resource changed. `changed` names elements; `detail` holds ids and codes, no patient data."""

    type: str
    resource_type: str
    resource_id: UUID
    version: int
    patient_id: UUID | None
    changed: tuple[str, ...]
    message_id: UUID | None
    mode: EffectMode
    detail: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=uuid7)


async def emit(tx: Connection, org: UUID, now: datetime, events: Sequence[Event]) -> None:
    """Write events to the outbox. `preview` events are nobody's business and are left out."""
    kept = [event for event in events if event.mode != "preview"]
    if kept:
        await tx.execute(q.insert_events, *event_columns(org, now, kept))


def event_columns(org: UUID, now: datetime, events: Sequence[Event]) -> tuple[Any, ...]:
    """Events as the parameters of insert_events."""
    return (
        org,
        now,
        [event.id for event in events],
        [event.type for event in events],
        [event.resource_type for event in events],
        [event.resource_id for event in events],
        [event.version for event in events],
        [event.patient_id for event in events],
        ["{" + ",".join(f'"{name}"' for name in event.changed) + "}" for event in events],
        [event.message_id for event in events],
        [event.mode for event in events],
        [orjson.dumps(event.detail).decode() for event in events],
    )


def event_of(row: Row) -> Event:
    """The event of a row of the outbox, as it was emitted."""
    return Event(
        row["type"],
        row["resource_type"],
        row["resource_id"],
        row["version"],
        row["patient_id"],
        tuple(row["changed"]),
        row["message_id"],
        row["mode"],
        orjson.loads(row["detail"]),
        row["id"],
    )
