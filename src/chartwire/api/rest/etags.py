"""Versions of objects in headers: `ETag: "v7"` going out, `If-Match` coming in."""

import re

from chartwire.api.http import Header, Request
from chartwire.api.problem import ApiError, bad_parameter

_VERSION = re.compile(rb'(?:W/)?"v([1-9][0-9]{0,8})"')


def etag_of(version: int) -> Header:
    """The header that names a version."""
    return (b"etag", b'"v%d"' % version)


def wanted_version(request: Request) -> int | None:
    """The version that If-Match wants; None without one, or for `*`. Raises ApiError (400).

    A weak ETag is taken for the strong one that it was: proxies that compress weaken it on its way.
    """
    given = request.headers.get(b"if-match", b"*").strip()
    if given == b"*":
        return None
    found = _VERSION.fullmatch(given)
    if found is None:
        raise bad_parameter("If-Match", 'is an ETag as it was given, such as "v7"')
    return int(found[1])


def check_version(wanted: int | None, version: int) -> None:
    """Raises ApiError (412, with the present ETag) where another version than the present one is wanted."""
    if wanted not in {None, version}:
        raise ApiError(
            "the object has changed meanwhile: read it again",
            code="precondition_failed",
            error_class="conflict",
            headers=[etag_of(version)],
        )


def check_if_match(request: Request, version: int) -> None:
    """`check_version` for what If-Match wants."""
    check_version(wanted_version(request), version)
