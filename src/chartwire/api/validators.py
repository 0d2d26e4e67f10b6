"""ETag and Last-Modified: what a caller holds already, and when something changed (RFC 9110 section 13)."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from chartwire.api.http import Request


def http_date(moment: datetime) -> bytes:
    """A moment as HTTP headers write it (RFC 9110 5.6.7), to the second."""
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode()


def is_held(request: Request, etag: bytes, updated_at: datetime) -> bool:
    """Whether the caller holds what stands (RFC 9110 13.1.2, 13.1.3; ETags compared weakly): If-None-Match decides
    where it is given."""
    given = request.headers.get(b"if-none-match")
    if given is not None:
        return given.strip() == b"*" or _opaque(etag) in map(_opaque, given.split(b","))
    since = request.headers.get(b"if-modified-since")
    if since is None:
        return False
    try:
        held = parsedate_to_datetime(since.decode("latin-1"))
    except ValueError:
        return False
    return held.tzinfo is not None and updated_at.replace(microsecond=0) <= held


def _opaque(etag: bytes) -> bytes:
    return etag.strip().removeprefix(b"W/")
