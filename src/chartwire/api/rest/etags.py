"""Versions of objects in headers: `ETag: "v7"` going out, `If-Match` coming in."""

import re

from chartwire.api.http import Header, Request
from chartwire.api.problem import ApiError, bad_parameter

_VERSION = re.compile(r'"v([0-9]{1,9})"')


def etag_of(version: int) -> Header:
    """The header that names a version."""
    return (b"etag", b'"v%d"' % version)


def check_if_match(request: Request, version: int) -> None:
    """Raises ApiError: 412 `precondition_failed` where the request wants another version than the present one, 400 for
    a header that is none. No header, or `*`, wants any version."""
    given = request.headers.get(b"if-match", b"*").decode("latin-1").strip()
    if given == "*":
        return
    wanted = _VERSION.fullmatch(given)
    if wanted is None:
        raise bad_parameter("If-Match", 'is an ETag as it was given, such as "v7"')
    if int(wanted[1]) != version:
        raise ApiError("the object has changed meanwhile: read it again", code="precondition_failed")
