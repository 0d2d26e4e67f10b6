"""The bytes of a document as an answer: to be saved, never run in the origin of this API."""

import re
from uuid import UUID

from chartwire.api.http import Answer, Header, Request
from chartwire.store.pool import Row

_SANDBOX = b"default-src 'none'; sandbox"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; charset=[\w-]+)?", re.ASCII)
_FILE_ENDINGS = {
    "application/pdf": "pdf", "text/plain": "txt", "text/html": "html", "image/png": "png", "image/jpeg": "jpg",
    "image/tiff": "tif", "image/gif": "gif", "application/rtf": "rtf", "application/xml": "xml",
}  # fmt: skip


def content_answer(request: Request, content_id: UUID, content: Row) -> Answer:
    """A content (record/documents.read_content) with its media type; 304 where the caller has it."""
    media = content["media_type"] if _MEDIA_TYPE.fullmatch(content["media_type"]) else "application/octet-stream"
    ending = _FILE_ENDINGS.get(media.partition(";")[0], "bin")
    etag = b'"%s"' % str(content_id).encode()
    headers: list[Header] = [
        (b"content-disposition", f'attachment; filename="{content_id}.{ending}"'.encode()),
        (b"content-security-policy", _SANDBOX),
        (b"cache-control", b"private, no-cache"),
        (b"etag", etag),
    ]
    patients = tuple(content["patients"])
    if request.headers.get(b"if-none-match") == etag:
        return Answer(b"", 304, media.encode(), headers, 1, patients)
    return Answer(content["data"], 200, media.encode(), headers, 1, patients)
