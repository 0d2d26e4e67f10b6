"""The bytes of a document as an answer: to be saved, never run in the origin of this API."""

import re

from chartwire.api.http import Answer, Header, Request
from chartwire.api.validators import http_date, is_held
from chartwire.record.binaries import Binary

_SANDBOX = b"default-src 'none'; sandbox"
_PARAMETER = r"""; ?[\w.+-]+=(?:[\w.+-]+|"[^"\\\x00-\x1f\x7f-\U0010ffff]*")"""
_MEDIA_TYPE = re.compile(rf"[\w.+-]+/[\w.+-]+(?:{_PARAMETER})*", re.ASCII)
_FILE_ENDINGS = {
    "application/pdf": "pdf", "text/plain": "txt", "text/html": "html", "image/png": "png", "image/jpeg": "jpg",
    "image/tiff": "tif", "image/gif": "gif", "application/rtf": "rtf", "application/xml": "xml",
}  # fmt: skip


def content_answer(request: Request, content: Binary) -> Answer:
    """The bytes with their media type; 304 where the caller has them."""
    media = content.media_type if _MEDIA_TYPE.fullmatch(content.media_type) else "application/octet-stream"
    ending = _FILE_ENDINGS.get(media.partition(";")[0], "bin")
    headers = [
        (b"content-disposition", f'attachment; filename="{content.id}.{ending}"'.encode()),
        (b"content-security-policy", _SANDBOX),
        (b"cache-control", b"private, no-cache"),
        *validators(content),
    ]
    if is_held(request, headers[-2][1], content.updated_at):
        return Answer(b"", 304, media.encode(), headers, 1, content.patients)
    return Answer(content.data, 200, media.encode(), headers, 1, content.patients)


def validators(content: Binary) -> list[Header]:
    """ETag and Last-Modified. A document's content never changes."""
    etag = f'W/"{content.version}"' if content.version else f'"{content.id}"'
    return [(b"etag", etag.encode()), (b"last-modified", http_date(content.updated_at))]
