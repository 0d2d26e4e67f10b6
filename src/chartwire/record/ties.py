"""Two sources of equal weight differ about an element: the word that lost is kept, so that a person can take it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chartwire.core.access import Access
from chartwire.core.errors import ConflictError
from chartwire.events.outbox import Event
from chartwire.mapping.conversion import Json, Mapped
from chartwire.record.bodies import plain_json, read_json
from chartwire.record.elements import shape_of
from chartwire.record.lineage import Lineage
from chartwire.record.work import Ref
from chartwire.record.writing import Asked, Writer, keys_of
from chartwire.store.pool import Connection


def proposal_of(told: Mapped, lineage: Lineage, paths: Sequence[str]) -> dict[str, Any]:
    """What `take` needs: the lost word about each path as a piece of a body (None where it was to be cleared), and the
    message whose word stands there (UUID text)."""
    shape = shape_of(told.type)
    values = shape.told(told.body)
    spoken = [path for path in paths if path in values or path in told.clears]
    words = {path: shape.body({path: values[path]}) if path in values else None for path in spoken}
    return {"words": words, "against": {path: _word_standing(lineage, path) for path in spoken}}


async def take(tx: Connection, access: Access, ref: Ref, proposal: str | None) -> tuple[datetime, Sequence[Event]]:
    """Set the lost word as a write by the access's actor; answers when, and what to announce.

    Raises ConflictError: `superseded` where the element has another word by now, `outranked` where an actor may not set
    it, `no_proposal` for a case that is older than proposals.
    """
    if proposal is None:
        raise ConflictError("the word that lost was not kept: write it by hand, then keep", code="no_proposal")
    told: dict[str, Any] = read_json(proposal)
    writer = Writer(access, tx)
    await writer.read(Asked(targets={ref}))
    held = writer.work.known(*ref)
    if held is None or any(_word_standing(held.lineage, path) != by for path, by in told["against"].items()):
        raise ConflictError("the element has another word since: look at it, then keep", code="superseded")
    shape = shape_of(held.type)
    values = shape.told(held.body)
    for path, word in told["words"].items():
        if word is None:
            values.pop(path, None)
        else:
            values.update(shape.told(word))
    body = shape.body(values)
    await writer.ask(held.type, keys_of(held.type, body))
    writer.amend(held, body, {member: f"/{member}" for member in body})
    return await writer.finish(), writer.work.events


def _word_standing(lineage: Lineage, path: str) -> str | None:
    parts = lineage.parts.get(path)
    return parts[0].stamp.message if parts else None


def comparison(standing: Json | None, resource_type: str, proposal: str | None) -> dict[str, dict[str, str | None]]:
    """For who decides: path -> the value that stands and the one that lost, each as JSON text; None for none."""
    if proposal is None:
        return {}
    shape = shape_of(resource_type)
    values = shape.told(standing or {})
    words: dict[str, Json | None] = read_json(proposal)["words"]
    return {
        path: {"standing": _text(values.get(path)), "told": _text(shape.told(word).get(path) if word else None)}
        for path, word in words.items()
    }


def _text(value: Any) -> str | None:
    return None if value is None else plain_json(value)
