"""Resource bodies as text: number literals stay as they were written (`72.50` is not 72.5)."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from chartwire.core.clock import instant
from chartwire.mapping.conversion import Json
from chartwire.record.status import provisional_tag

_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder(Json, float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def read_body(text: str) -> tuple[Json, bool]:
    """The body without meta, and whether it is provisional."""
    body = _decoder.decode(text)
    meta = body.pop("meta", {})
    return body, any(tag == provisional_tag() for tag in meta.get("tag", ()))


def read_json(text: str) -> Json:
    """A JSON object with its number literals as they were written."""
    return _decoder.decode(text)


def write_body(body: Json, resource_id: UUID, version: int, updated: datetime, *, provisional: bool) -> str:
    """The canonical text, with id and meta, written once for this version."""
    meta: Json = {"versionId": str(version), "lastUpdated": instant(updated)}
    if provisional:
        meta["tag"] = [provisional_tag()]
    head = {"resourceType": body["resourceType"], "id": str(resource_id), "meta": meta}
    return _encoder.encode(head | {key: value for key, value in body.items() if key not in head}).decode()


def rewritten(body: Json, replacements: Sequence[tuple[str, str]]) -> Json:
    """A copy of a body after replacements in its JSON text; by far cheaper than walking it."""
    text = _encoder.encode(body).decode()
    for old, new in replacements:
        text = text.replace(old, new)
    return _decoder.decode(text)


def plain_json(value: object) -> str:
    """JSON text of a small structure (an event's detail, a review's detail)."""
    return _encoder.encode(value).decode()
