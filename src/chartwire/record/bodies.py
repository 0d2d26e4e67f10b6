"""Resource bodies as text: number literals stay as they were written (`72.50` is not 72.5)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chartwire.core.clock import instant
from chartwire.formats.fhir.numerals import encode_number, read_number
from chartwire.mapping.conversion import Json
from chartwire.record.status import provisional_tag

_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder(Json, float_hook=read_number)
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number)
_sorting = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number, order="deterministic")


_OURS = ("versionId", "lastUpdated")
"""Members of meta that the store writes: what somebody else says there counts for nothing."""


def read_body(text: str) -> tuple[Json, bool]:
    """The body with what others said in its meta (profiles, tags, labels, source), and whether it is provisional."""
    body = _decoder.decode(text)
    if "meta" not in body:
        return body, False
    provisional = provisional_tag() in body["meta"].get("tag", ())
    if meta := said_meta(body):
        body["meta"] = meta
    else:
        del body["meta"]
    return body, provisional


def said_meta(body: Json) -> Json:
    """The meta of a body without version and time, and without the tag of a provisional record: those are the record's
    to tell."""
    meta: Json = {key: value for key, value in body.get("meta", {}).items() if key not in _OURS}
    tags = [tag for tag in meta.pop("tag", ()) if tag != provisional_tag()]
    return {**meta, "tag": tags} if tags else meta


def with_provisional_tag(body: Json) -> Json:
    """The body with the tag by which others see that it is provisional."""
    return {**body, "meta": _provisional(body.get("meta", {}))}


def _provisional(meta: Json) -> Json:
    return {**meta, "tag": [*meta.get("tag", ()), provisional_tag()]}


def read_json(text: str) -> Json:
    """A JSON object with its number literals as they were written."""
    return _decoder.decode(text)


def write_body(body: Json, logical_id: str, version: int, updated: datetime, *, provisional: bool) -> str:
    """The canonical text, with id and meta, written once for this version."""
    said = said_meta(body)
    said = _provisional(said) if provisional else said
    meta: Json = {"versionId": str(version), "lastUpdated": instant(updated), **said}
    head = {"resourceType": body["resourceType"], "id": logical_id, "meta": meta}
    return _encoder.encode(head | {key: value for key, value in body.items() if key not in head}).decode()


def rewritten(body: Json, replacements: Sequence[tuple[str, str]]) -> Json:
    """A copy of a body after replacements in its JSON text; by far cheaper than walking it."""
    text = _encoder.encode(body).decode()
    for old, new in replacements:
        text = text.replace(old, new)
    return _decoder.decode(text)


def same_text(one: object, other: object) -> bool:
    """Whether two values are written the same, but for the order of members: 72.50 is equal to 72.5, and not the same
    measurement."""
    return one == other and _sorting.encode(one) == _sorting.encode(other)


def plain_json(value: object) -> str:
    """JSON text of a small structure (an event's detail, a review's detail)."""
    return _encoder.encode(value).decode()
