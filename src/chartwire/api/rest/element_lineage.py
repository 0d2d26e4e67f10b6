"""The lineage of one element, readable without knowing how it is kept: each value it had, who gave it, when."""

from typing import Any
from uuid import UUID

import msgspec

from chartwire.api.rest.ids import shown
from chartwire.core.clock import instant
from chartwire.record.element_history import Change, Writers, id_in
from chartwire.record.lineage import Part


class Saying(msgspec.Struct, frozen=True, omit_defaults=True):
    """One word about the element. `words` is the sentence for people.

    `by` is `source` (a feed; then `message_id`, `event`, and `field`, the HL7 segment and field), `key` (a program or
    person behind an API key; then `request_id`, and `field`, the JSON pointer) or `process`.
    """

    words: str
    by: str
    id: str
    name: str
    field: str
    element: str
    recorded_at: str | None
    message_id: str | None = None
    event: str | None = None
    request_id: str | None = None
    items: list[int] | None = None
    cleared: bool = False


class ElementChange(msgspec.Struct, frozen=True):
    """From this version on the element had these values; `values` is null for keys that may not read FHIR resources,
    and empty where the element was taken away."""

    version: int
    updated_at: str
    actor: str
    values: list[Any] | None
    said_by: list[Saying]


def told(changes: list[Change], writers: Writers, *, with_values: bool) -> list[ElementChange]:
    """Changes as the API tells them."""
    return [
        ElementChange(
            change.row["version"],
            instant(change.row["updated_at"]),
            change.row["actor"],
            change.values if with_values else None,
            [_saying(element, part, writers) for element, parts in change.parts.items() for part in parts],
        )
        for change in changes
    ]


def _saying(element: str, part: Part, writers: Writers) -> Saying:
    source, message = id_in(part.stamp.source), id_in(part.stamp.message)
    name = writers.names.get(source, "") if source else part.stamp.source
    items = None if part.positions is None else list(part.positions)
    common: dict[str, Any] = {
        "name": name,
        "field": part.source_field,
        "element": element,
        "recorded_at": part.stamp.recorded,
        "items": items,
        "cleared": part.cleared,
    }
    if part.stamp.source.startswith("key:") and source:
        return Saying(
            words=_by_key(part, name), by="key", id=shown("credential", source), request_id=part.stamp.message, **common
        )
    if source and message:
        event = writers.events.get(message)
        return Saying(
            words=_by_feed(part, name, message, event),
            by="source",
            id=shown("source", source),
            message_id=shown("message", message),
            event=event,
            **common,
        )
    return Saying(words=f"{_did(part)} by {part.stamp.source}", by="process", id=part.stamp.source, **common)


def _did(part: Part) -> str:
    return "Cleared" if part.cleared else "Set"


def _by_key(part: Part, name: str) -> str:
    when = f" on {part.stamp.recorded}" if part.stamp.recorded else ""
    return f"{_did(part)} through the API at {part.source_field} by the key {name or 'of an unknown name'}{when}"


def _by_feed(part: Part, name: str, message: UUID, event: str | None) -> str:
    kind = f"a message {event}" if event else "a message that is no longer kept"
    when = f", recorded {part.stamp.recorded}" if part.stamp.recorded else ""
    sender = name or "a source that is no longer there"
    return f"{_did(part)} by {part.source_field} of {kind} ({shown('message', message)}) from {sender}{when}"
