"""One request that was answered: what the audit trail says of it. No body, no value of a parameter."""

from typing import Literal

import msgspec

from chartwire.api.http import Answer, Request, json_answer, request_row
from chartwire.api.problem import not_found
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.trust.audit import read_request


class LoggedRequest(msgspec.Struct, frozen=True):
    """`parameters` are names only; `action` is `refuse` for 401, 403 and 404; `count` how many resources were told;
    `client` the address that asked, behind the trusted proxies."""

    id: str
    at: str
    method: str
    route: str
    parameters: list[str]
    status: int
    action: str
    actor: str
    resource_type: str
    count: int
    client: str | None = None
    object: Literal["request"] = "request"


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/requests/{id}`: by the X-Request-Id of its answer; of an id used twice the latest."""
    wanted = request.parts[0]
    row = await read_request(services.pool, request.access, wanted, request_row(wanted))
    if row is None:
        raise not_found()
    shape, _, _ = row["query_shape"].partition(" patients=")
    method, _, address = shape.partition(" ")
    route, _, names = address.partition("?")
    told = LoggedRequest(
        id=row["request_id"],
        at=instant(row["at"]),
        method=method,
        route=route,
        parameters=names.split("&") if names else [],
        status=row["status"],
        action=row["action"],
        actor=row["actor"],
        resource_type=row["resource_type"],
        count=row["row_count"],
        client=row["client"],
    )
    return json_answer(told, count=1)


ROUTES = (
    Route(
        "GET",
        "/api/v1/requests/{id}",
        one,
        "Read what became of a request",
        "audit.read",
        "Request",
        answer=LoggedRequest,
        tag="requests",
    ),
)
