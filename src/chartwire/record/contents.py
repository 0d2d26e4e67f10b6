"""The bytes of embedded documents, stored once by hash apart from the resources that show them (R4 Binary)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from chartwire.mapping.conversion import Content, Json
from chartwire.record.standing import Standing
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_BINARY = "Binary/"
_SHOWN_IN = {"DocumentReference": "content", "DiagnosticReport": "presentedForm"}
"""Where attachments stand, by resource type."""


def attachments(body: Json) -> list[Json]:
    """The attachments of a DocumentReference or DiagnosticReport, in order."""
    items: list[Json] = body.get(_SHOWN_IN[body["resourceType"]], [])
    return [item.get("attachment", item) for item in items]


def content_id(attachment: Json) -> UUID | None:
    """The content that an attachment names; None for a pointer to elsewhere and for one without content."""
    url = str(attachment.get("url", ""))
    return UUID(url.removeprefix(_BINARY)) if url.startswith(_BINARY) else None


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
        if held.type in _SHOWN_IN
        for version in held.versions
        for shown in map(content_id, attachments(version.body))
        if shown is not None
    )
    if links:
        await tx.execute(q.insert_content_links, org, *map(list, zip(*links, strict=True)))
