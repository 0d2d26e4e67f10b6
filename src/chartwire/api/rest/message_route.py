"""Where a message would go, and why: nothing is stored."""

from typing import Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.problem import ApiError, Fault
from chartwire.api.rest.ids import shown
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.channels.explaining import Route as Explained
from chartwire.channels.explaining import Step, explain
from chartwire.channels.routing import Peer, Refusal
from chartwire.channels.sources import SourceDirectory
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import read_envelope, split

_FOREIGN = "another organisation's source"


class RouteOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message, and by which listener and from whom it would come: address, and names of a client certificate
    (`cn:NAME`, `san:NAME`, `sha256:HEX`)."""

    message: str
    listener: str = "plain"
    peer: str = "127.0.0.1"
    client_certificate: list[str] = []


class RoutedSource(msgspec.Struct, frozen=True):
    """The source that takes the message."""

    id: str
    name: str


class RouteRefusal(msgspec.Struct, frozen=True):
    """Why no source takes it."""

    code: str
    reason: str


class RouteStep(msgspec.Struct, frozen=True):
    """One rule: whose, whether it holds (null: it only tells something), and why."""

    source: str | None
    rule: str
    holds: bool | None
    why: str


class RouteAnswer(msgspec.Struct, frozen=True):
    """Which source, organisation and lane a message would get. `merge_lanes` are the further lanes of a merge."""

    outcome: Literal["source", "refused", "another_organisation"]
    listener: str
    organisation_id: str | None
    source: RoutedSource | None
    refusal: RouteRefusal | None
    lane: str | None
    merge_lanes: list[str]
    steps: list[RouteStep]
    object: Literal["route"] = "route"


async def route(request: Request, services: Services) -> Answer:
    """`POST /api/v1/hl7/route`."""
    order = await request.body(RouteOrder)
    members = [*split(order.message.encode("utf-8", "surrogatepass"))]
    if len(members) != 1:
        fault = Fault("/message", "invalid_value", "is one HL7 v2 message")
        raise ApiError("`message` is one HL7 v2 message", code="invalid_body", faults=[fault])
    directory = SourceDirectory(services.pool, services.pool)
    await directory.refresh()
    peer = Peer(order.peer, frozenset(order.client_certificate))
    candidates, envelope = directory.of(order.listener), read_envelope(members[0])
    found = explain(order.listener, candidates, directory.all, peer, envelope, members[0])
    return json_answer(_told(request.access.org, order.listener, found), count=1)


def _told(org: UUID, listener: str, found: Explained) -> RouteAnswer:
    """What one organisation may know: of another one's sources only that they are there."""
    steps = [_step(org, step) for step in found.steps]
    outcome = found.outcome
    if isinstance(outcome, Refusal):
        refusal = RouteRefusal(outcome.code, outcome.reason)
        return RouteAnswer("refused", listener, None, None, refusal, None, [], steps)
    if outcome.org != org or found.lanes is None:
        return RouteAnswer("another_organisation", listener, None, None, None, None, [], steps)
    source = RoutedSource(shown("source", outcome.id), outcome.name)
    lanes = [str(lane) for lane in found.lanes.partners]
    own = shown("organisation", org)
    return RouteAnswer("source", listener, own, source, None, str(found.lanes.lane), lanes, steps)


def _step(org: UUID, step: Step) -> RouteStep:
    if _is_foreign(org, step.source):
        return RouteStep(_FOREIGN, "settings", step.holds, "not told")
    return RouteStep(step.source.name if step.source else None, step.rule, step.holds, step.why)


def _is_foreign(org: UUID, source: Source | None) -> bool:
    return source is not None and source.org != org


ROUTES = (
    Route("POST", "/api/v1/hl7/route", route, "Explain where a message would go", "sources.read", "Source",
          answer=RouteAnswer, body=RouteOrder, tag="sources"),
)  # fmt: skip
