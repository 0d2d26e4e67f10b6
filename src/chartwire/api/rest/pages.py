"""Page tokens: where a list goes on, sealed, because they hold names and birth dates.

A token opens only for the organisation, key and route that it was made for, within 24 hours. It carries the filters and
the sort of the list: a request repeats them all or none. `limit`, `fields`, `expand` and `include_total` are free.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Mapping
from uuid import UUID

import msgspec

from chartwire.api.problem import ApiError, bad_parameter
from chartwire.core.access import Access
from chartwire.core.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_TOKEN_TTL_S
from chartwire.trust.seal import Sealer, SealError

_PURPOSE = "page_token"
_FREE = frozenset({"expand", "fields", "include_total", "limit", "page_token"})


class _Token(msgspec.Struct, array_like=True, frozen=True):
    binding: bytes
    expires_at_s: int
    position: list[str | None]
    filters: dict[str, str]


def page_limit(query: Mapping[str, str]) -> int:
    """`limit`: 1 to 100, 25 by default."""
    text = query.get("limit")
    if text is None:
        return PAGE_SIZE_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= PAGE_SIZE_MAX and len(text) < 6):
        raise bad_parameter("limit", f"is a whole number from 1 to {PAGE_SIZE_MAX}")
    return int(text)


def seal_position(
    sealer: Sealer, access: Access, route: str, query: Mapping[str, str], position: list[str | None]
) -> str:
    """The token that continues this request behind `position` (sort values and ids as text)."""
    expires_at_s = int(time.time()) + PAGE_TOKEN_TTL_S
    token = _Token(_binding(access, route), expires_at_s, position, _filters(query))
    sealed = sealer.seal(_PURPOSE, msgspec.msgpack.encode(token))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def resume(
    sealer: Sealer, access: Access, route: str, query: Mapping[str, str], length: int = 1
) -> tuple[Mapping[str, str], list[str | None] | None]:
    """The request as it goes on: its query with the filters of its page_token, and the position (`length` values).

    Position None for a request without page_token. Raises ApiError: `page_token_invalid`, `page_token_mismatch`,
    `page_token_expired`.
    """
    text = query.get("page_token")
    if text is None:
        return query, None
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = msgspec.msgpack.decode(sealer.open_sealed(_PURPOSE, sealed), type=_Token)
    except (binascii.Error, ValueError, SealError):
        raise ApiError("a page token is taken as it was given", code="page_token_invalid") from None
    told = _filters(query)
    same = not told or told == token.filters
    if not same or token.binding != _binding(access, route) or len(token.position) != length:
        raise ApiError("filters, sort, address and key stay the same from page to page", code="page_token_mismatch")
    if token.expires_at_s < time.time():
        raise ApiError("a token is good for 24 hours: start again", code="page_token_expired")
    return {**query, **token.filters}, token.position


def next_link(path: str, query: Mapping[str, str], token: str) -> tuple[bytes, bytes]:
    """The Link header of the next page. It repeats no filter: they are in the token, sealed."""
    kept = "".join(f"{name}={query[name]}&" for name in ("limit", "include_total") if name in query)
    return (b"link", f'<{path}?{kept}page_token={token}>; rel="next"'.encode())


def uuid_of(position: str | None) -> UUID:
    """An id in a position."""
    return UUID(position or "")


def _filters(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name not in _FREE}


def _binding(access: Access, route: str) -> bytes:
    return hashlib.sha256(f"{access.org}|{access.credential_id}|{route}".encode()).digest()
