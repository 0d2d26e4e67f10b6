"""Trying webhooks out: what there is to hear of, a test event that is sent now, and whether a filter fits an event."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.deliveries import RESPONSES_SCOPE
from chartwire.api.rest.endpoints import door_of, wanted
from chartwire.api.rest.ids import in_path
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import now
from chartwire.delivery import destinations
from chartwire.delivery.catalogue import EventType, event_types, sample_event
from chartwire.delivery.destinations import API_VERSION
from chartwire.delivery.filters import Condition, Facts
from chartwire.delivery.payload import body_of
from chartwire.delivery.replays import recipient_of
from chartwire.delivery.routing import look_up
from chartwire.delivery.trial import DEFAULT_TYPE, Trial, try_out
from chartwire.events.outbox import Event, event_of
from chartwire.store.pool import Connection
from chartwire.store.queries import q


class EventTypeShown(msgspec.Struct, frozen=True):
    """An event type, with the body of a sample."""

    type: str
    resource_type: str
    description: str
    example: msgspec.Raw


class EventTypePage(Page, frozen=True, omit_defaults=True):
    """Every event type."""

    data: list[EventTypeShown]


class TestOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which sample to send."""

    event_type: str = DEFAULT_TYPE


class TestProblem(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it. `code` is for programs."""

    code: str
    problem: str
    mend: str


class TestResult(msgspec.Struct, frozen=True):
    """What came of a test event: `delivered` means that a real delivery would be done. `response` is the start of the
    answer, null for a key without the scope `webhooks.read_responses`."""

    delivered: bool
    status: int | None
    duration_ms: float
    problem: TestProblem | None
    request_headers: dict[str, str]
    request_body: msgspec.Raw
    response: str | None
    object: str = "webhook_test"


class FilterTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event that happened, by its id, or a sample of one: its type, the fields that it changed."""

    event_id: str | None = None
    event_type: str | None = None
    changed: list[str] = []


class ConditionShown(msgspec.Struct, frozen=True):
    """One condition of the endpoint: it holds when one of the words that it wants is among those that the event has."""

    filter: str
    wants: list[str]
    event_has: list[str]
    holds: bool


class FilterResult(msgspec.Struct, frozen=True):
    """Whether the endpoint would get the event, and by which conditions. `state` says whether it is switched on."""

    matches: bool
    conditions: list[ConditionShown]
    state: str
    object: str = "webhook_filter_test"


async def catalogue(request: Request, _: Services) -> Answer:
    """`GET /api/v1/webhooks/event-types`."""
    data = [
        EventTypeShown(
            kind.name,
            kind.resource_type,
            kind.description,
            msgspec.Raw(body_of(request.access.org, sample_event(kind), now(), API_VERSION)),
        )
        for kind in event_types().values()
    ]
    return json_answer(Page(data, False, None, "list"), count=len(data))


async def send(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/test`: send a sample now; nothing is recorded, nothing switched off."""
    order = TestOrder() if request.has_no_body else await request.body(TestOrder)
    kind = _type("event_type", order.event_type)
    trial = await try_out(services.pool, request.access, door_of(services), services.sealer, wanted(request), kind)
    return json_answer(_shown(trial, request.access.allows(RESPONSES_SCOPE)), count=1)


async def filter_test(request: Request, services: Services) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/filter-test`."""
    async with services.pool.transaction(request.access.org) as tx:
        endpoint = await destinations.read(tx, request.access, wanted(request))
        order = await request.body(FilterTest)
        event = await _event(tx, request.access.org, order)
        one = recipient_of(endpoint)
        facts = (await look_up(tx, request.access.org, [(one, event)])).facts[event.id]
    shown = [_condition(condition, facts) for condition in one.wanted.conditions]
    matches = all(condition.holds for condition in shown)
    return json_answer(FilterResult(matches, shown, endpoint.state), count=1)


async def _event(tx: Connection, org: UUID, order: FilterTest) -> Event:
    if (order.event_id is None) == (order.event_type is None):
        raise bad_parameter("event_id", "or `event_type` is given, and not both")
    if order.event_id is None:
        sample = sample_event(_type("event_type", order.event_type or ""))
        return replace(sample, changed=tuple(order.changed)) if order.changed else sample
    row = await tx.fetchrow(q.read_event, org, in_path("event", order.event_id))
    if row is None:
        raise not_found()
    return event_of(row)


def _type(name: str, text: str) -> EventType:
    kind = event_types().get(text)
    if kind is None:
        raise bad_parameter(name, "is one of GET /api/v1/webhooks/event-types")
    return kind


def _condition(condition: Condition, facts: Facts) -> ConditionShown:
    return ConditionShown(condition.name, list(condition.words), sorted(condition.found(facts)), condition.holds(facts))


def _shown(trial: Trial, may_read: bool) -> TestResult:
    attempt, advice = trial.attempt, trial.advice
    problem: Any = advice and TestProblem(attempt.error or "", advice.problem, advice.mend)
    response = attempt.response.decode("utf-8", "replace") if attempt.response and may_read else None
    return TestResult(
        trial.delivered,
        attempt.status,
        round(attempt.duration_ms, 1),
        problem,
        dict(trial.headers),
        msgspec.Raw(trial.body),
        response,
    )


_ONE, _TAG, _TYPE = "/api/v1/webhooks/endpoints/{id}", "webhooks", "WebhookEndpoint"
ROUTES = (
    Route(
        "GET",
        "/api/v1/webhooks/event-types",
        catalogue,
        "List event types with a sample of each",
        "webhooks.read",
        "EventType",
        "search",
        answer=EventTypePage,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ONE}/test",
        send,
        "Send a test event now and tell what came of it",
        "webhooks.write",
        _TYPE,
        answer=TestResult,
        body=TestOrder,
        body_optional=True,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ONE}/filter-test",
        filter_test,
        "Tell whether a webhook endpoint would get an event, and why not",
        "webhooks.read",
        _TYPE,
        answer=FilterResult,
        body=FilterTest,
        tag=_TAG,
    ),
)
