"""The bytes of documents, stored once by hash apart from the resources that show them (R4 Binary)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from chartwire.core.fhir_ids import local_reference
from chartwire.mapping.conversion import Content, Json
from chartwire.record.standing import Standing
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_BINARY = "Binary"
_NAMED_BY = "https://chartwire.org/fhir/StructureDefinition/content"
"""The extension of a stored Binary's `data` that names its content."""
_URN = "urn:uuid:"
_SHOWN_IN = {"DocumentReference": "content", "DiagnosticReport": "presentedForm"}
"""Where attachments stand, by resource type."""
WITH_CONTENTS = frozenset({_BINARY, *_SHOWN_IN})
"""Types of which `store` may write something beside."""


def attachments(body: Json) -> list[Json]:
    """The attachments of a DocumentReference or DiagnosticReport, in order."""
    items: list[Json] = body.get(_SHOWN_IN[body["resourceType"]], [])
    return [item.get("attachment", item) for item in items]


def content_id(attachment: Json) -> UUID | None:
    """The content, or stored Binary, that an attachment names; None for a pointer to elsewhere, and without one."""
    found = local_reference(str(attachment.get("url", "")))
    return found[1] if found is not None and found[0] == _BINARY else None


def naming(content: UUID) -> Json:
    """What stands in a stored Binary in place of its bytes (`_data`)."""
    return {"extension": [{"url": _NAMED_BY, "valueUuid": f"{_URN}{content}"}]}


def named_content(binary: Json) -> UUID | None:
    """The content that a stored Binary has; None for a deleted one."""
    extensions: list[Json] = binary.get("_data", {}).get("extension", [])
    return next((UUID(one["valueUuid"].removeprefix(_URN)) for one in extensions if one["url"] == _NAMED_BY), None)


def _shown(body: Json) -> Iterator[UUID]:
    """The contents that a resource shows."""
    told = [named_content(body)] if body["resourceType"] == _BINARY else map(content_id, attachments(body))
    yield from (shown for shown in told if shown is not None)


async def store(
    tx: Connection, org: UUID, contents: Sequence[Content], changed: Iterable[Standing], now: datetime
) -> None:
    """Write contents that are not there yet, one statement each, and which of the changed resources show which."""
    if contents:
        known = {row["id"] for row in await tx.fetch(q.known_contents, org, [content.id for content in contents])}
        for content in contents:
            if content.id not in known:
                size, data = len(content.data), content.data
                await tx.execute(q.insert_content, org, content.id, content.sha256, content.media_type, size, data, now)
    links = dict.fromkeys(
        (shown, held.type, held.id)
        for held in changed
        if held.type in _SHOWN_IN or held.type == _BINARY
        for version in held.versions
        if not version.deleted
        for shown in _shown(version.body)
    )
    if links:
        await tx.execute(q.insert_content_links, org, *map(list, zip(*links, strict=True)))
