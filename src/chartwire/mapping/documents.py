"""Embedded documents: OBX-5 of type ED, RP, TX or FT to an Attachment (R4), its bytes apart from it (HL7 v2.9.2 2A).

The bytes go into the conversion's contents, the Attachment names them by `Binary/<id>`. What cannot be decoded leaves a
finding and an Attachment without a url; the message keeps the text as it came.
"""

import binascii
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from chartwire.core.limits import CONTENTS_PER_MESSAGE_MAX
from chartwire.mapping.context import Context
from chartwire.mapping.conversion import Content, Json
from chartwire.mapping.groups import Frame

_SEGMENT, _FIELD = "OBX", 5
_PLACE: Final = f"{_SEGMENT}-{_FIELD}"
_TEXT: Final = "text/plain; charset=utf-8"
_UNKNOWN: Final = "application/octet-stream"
_MAGIC: Final = (
    (b"%PDF-", "application/pdf"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"), (b"II*\x00", "image/tiff"), (b"MM\x00*", "image/tiff"), (b"{\\rtf", "application/rtf"),
)  # fmt: skip
"""How the bytes of a media type begin."""
_SELF_TELLING: Final = frozenset(media for _, media in _MAGIC)
_SPACES: Final = re.compile(r"\s+")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"]+")


def attachment(context: Context, frame: Frame) -> Json | None:
    """The Attachment of one OBX of type ED or RP. `$media` is the type that the sender claims."""
    segment = frame.segments.get(_SEGMENT)
    claimed = str(frame.variables.get("media") or _UNKNOWN)
    if segment is None:
        return None
    first, *more = segment.raw(_FIELD).split(context.repetition)
    parts = first.split(context.component)
    if segment.raw(2) == "RP":
        return _pointer(context, parts, claimed)
    if len(parts) == 1:
        parts = ["", "", "", "", parts[0]]
    encoding = (context.text(parts[3]) if len(parts) > 3 else None) or ""
    text = "".join([*parts[4:5], *(part for part in more if context.component not in part)])
    return _embedded(context, text, encoding, claimed)


def attachments(_context: Context, frame: Frame) -> list[Json] | None:
    """`$attachment` of every OBX in an ORDER, in order."""
    found = [inner.variables.get("attachment") for inner in frame.inside("OBSERVATION")]
    return [one for one in found if isinstance(one, dict)] or None


def text_attachment(context: Context, frame: Frame) -> Json | None:
    """All lines of the text OBX of a document, as one text."""
    lines = []
    for inner in frame.inside("OBSERVATION"):
        for segment in inner.all(_SEGMENT):
            if segment.raw(2) in {"TX", "FT", "ST"}:
                lines += [context.paragraph(part) or "" for part in segment.raw(_FIELD).split(context.repetition)]
    text = "\n".join(lines).strip("\n")
    return _stored(context, text.encode("utf-8", "replace"), _TEXT) if text else None


def _pointer(context: Context, parts: list[str], claimed: str) -> Json:
    """RP: where the document is. Nothing is fetched."""
    pointer = context.text(parts[0]) if parts else None
    found: Json = {"contentType": claimed}
    if pointer is None:
        context.find("document_empty", _PLACE, "a pointer without an address")
    elif _URL.fullmatch(pointer):
        found["url"] = pointer
    else:
        context.find("document_pointer_unread", _PLACE, "a pointer that is no URL; kept as the title", "information")
        found["title"] = pointer
    return found


def _embedded(context: Context, text: str, encoding: str, claimed: str) -> Json:
    if context.escape in text:
        text = context.unescape(text)
    if not text.strip():
        context.find("document_empty", _PLACE, "a document without content")
        return {"contentType": claimed}
    try:
        data = _decoded(text, encoding)
    except ValueError:
        context.find("document_undecodable", _PLACE, "the content is not what its encoding says; the message keeps it")
        return {"contentType": claimed}
    return _stored(context, data, _media_type(context, data, claimed))


def _decoded(text: str, encoding: str) -> bytes:
    """Raises ValueError."""
    decode = _DECODERS.get(encoding.upper())
    if decode is not None:
        return decode(text)
    try:
        data = _base64(text)
    except ValueError:
        return text.encode()
    return data if data.startswith(tuple(mark for mark, _ in _MAGIC)) else text.encode()


def _base64(text: str) -> bytes:
    packed = _SPACES.sub("", text) if any(mark in text for mark in " \r\n\t") else text
    return binascii.a2b_base64(packed + "=" * (-len(packed) % 4), strict_mode=True)


def _hexadecimal(text: str) -> bytes:
    return bytes.fromhex(text)


def _quoted_printable(text: str) -> bytes:
    return binascii.a2b_qp(text)


_DECODERS: Final[dict[str, Callable[[str], bytes]]] = {
    "BASE64": _base64, "HEX": _hexadecimal, "A": str.encode, "QUOTED-PRINTABLE": _quoted_printable,
}  # fmt: skip
"""HL7 table 0299, and what some senders add to it."""


def _media_type(context: Context, data: bytes, claimed: str) -> str:
    """The type that the bytes show, where they show one; a claim that they contradict is not passed on."""
    shown = next((media for mark, media in _MAGIC if data.startswith(mark)), None)
    if shown == claimed or (shown is None and claimed not in _SELF_TELLING):
        return claimed
    if claimed != _UNKNOWN:
        context.find("media_type_differs", _PLACE, "the content is not of the type that the message says")
    return shown or _UNKNOWN


def _stored(context: Context, data: bytes, media_type: str) -> Json:
    content = Content.of(data, media_type)
    if content.id not in context.contents and len(context.contents) >= CONTENTS_PER_MESSAGE_MAX:
        context.find("too_many_documents", _PLACE, f"more than {CONTENTS_PER_MESSAGE_MAX} documents in one message")
        return {"contentType": media_type}
    context.contents[content.id] = content
    digest = hashlib.sha1(data, usedforsecurity=False).digest()  # R4 Attachment.hash is SHA-1
    return {
        "contentType": media_type,
        "url": f"Binary/{content.id}",
        "size": len(data),
        "hash": b64encode(digest).decode("ascii"),
    }


DOCUMENT_CALLS: Final[dict[str, Callable[[Context, Any], Any]]] = {
    "attachment": attachment, "attachments": attachments, "text_attachment": text_attachment,
}  # fmt: skip
