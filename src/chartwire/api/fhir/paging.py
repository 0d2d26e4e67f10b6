"""Where a Bundle goes on: `_page`, a sealed token that holds the request and the place of its last entry.

A token opens for the organisation, key and address that it was made for, within 24 hours (api/rest/pages.py). It stands
alone in its link, since it brings the parameters along: names and birth dates appear in no address.
"""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from chartwire.api.fhir.assembling import BASE, Links, base_of
from chartwire.api.http import Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.api.rest.pages import resume, seal_position
from chartwire.api.services import Services
from chartwire.core.limits import FHIR_PAGE_SIZE_MAX

PAGE = "_page"
SEARCH = "/_search"
"""Behind an address: what it is asked comes in a form."""
_SAFE = ":$,|/"
T = TypeVar("T")
Pairs = Sequence[tuple[str, str]]


def links_of(request: Request, services: Services, pairs: Pairs, position: Any = None) -> Links:
    """The links of a Bundle: `self` with the parameters that were understood, and `next`, which goes on behind
    `position` (whatever msgspec can write), where there is one."""
    address = base_of(request, services) + request.path.removeprefix(BASE).removesuffix(SEARCH)
    query = urlencode(pairs, safe=_SAFE)
    itself = ("self", f"{address}?{query}" if query else address)
    if position is None:
        return [itself]
    return [itself, ("next", f"{address}?{_next_page(request, services, pairs, position)}")]


def _next_page(request: Request, services: Services, pairs: Pairs, position: Any) -> str:
    asked = {"query": urlencode(pairs)}
    place = msgspec.json.encode(position).decode()
    token = seal_position(services.sealer, request.access, request.path, asked, [place])
    return f"{PAGE}={token}"


def resumed(request: Request, services: Services, pairs: Pairs, shape: type[T]) -> tuple[Pairs, T | None]:
    """What is asked for, and the position behind which it goes on: that of the token in `pairs`, else None.

    Raises ApiError: `page_token_invalid`, `page_token_mismatch` (also where something else is asked beside the token),
    `page_token_expired`.
    """
    told = dict(pairs)
    if PAGE not in told:
        return pairs, None
    if len(pairs) > 1:
        raise ApiError("`_page` brings its parameters along: nothing stands beside it", code="page_token_mismatch")
    asked, position = resume(services.sealer, request.access, request.path, {"page_token": told[PAGE]})
    assert position is not None
    return parse_qsl(asked["query"], keep_blank_values=True), msgspec.json.decode(position[0] or "", type=shape)


def page_size(text: str | None, default: int) -> int:
    """`_count`: what is above the most there may be is the most (R4 3.1.1.5.4). Raises ApiError for no number."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise bad_parameter("_count", "is a whole number, 0 or more")
    return min(int(text[:9]), FHIR_PAGE_SIZE_MAX)
