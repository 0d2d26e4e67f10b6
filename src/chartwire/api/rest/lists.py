"""Pages of rows that come newest first: one keyset over ids, the same envelope as the practice lists."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.rest.models import Page
from chartwire.api.rest.pages import next_link, page_limit, resume, seal_position, uuid_of
from chartwire.api.routes import Parameter
from chartwire.api.services import Services

R = TypeVar("R")

LAST = UUID(int=2**128 - 1)
LIMIT = Parameter("limit", "Objects a page, 1 to 100; 25 by default", "integer")
PAGE_TOKEN = Parameter("page_token", "Where to go on: `next_page_token` of the page before")


@dataclass(frozen=True, slots=True)
class Window:
    """Where in a list a request stands: its query with the token's filters, the ids it goes on behind, the limit."""

    name: str
    query: Mapping[str, str]
    before: tuple[UUID, ...]
    limit: int


def window(request: Request, services: Services, name: str, ids: int = 1) -> Window:
    """Read `limit` and `page_token` of a list whose keyset is `ids` ids, newest first."""
    limit = page_limit(request.query)
    query, position = resume(services.sealer, request.access, name, request.query, ids)
    before = tuple(uuid_of(one) for one in position) if position else (LAST,) * ids
    return Window(name, query, before, limit)


def page(
    request: Request,
    services: Services,
    at: Window,
    rows: Sequence[R],
    key: Callable[[R], tuple[UUID, ...]],
    data: Sequence[Any],
    patients: Sequence[UUID] = (),
) -> Answer:
    """The answer with `data`, made of the first `at.limit` of `rows`, of which one more was asked for."""
    token, headers = None, []
    if len(rows) > at.limit:
        position: list[str | None] = [str(one) for one in key(rows[at.limit - 1])]
        token = seal_position(services.sealer, request.access, at.name, at.query, position)
        headers.append(next_link(request.path, request.query, token))
    body = msgspec.json.encode(Page(list(data), token is not None, token, "list"))
    return Answer(body, headers=headers, count=len(data), patients=patients)
