"""Alerts: what burns and what burnt, who was told; acknowledge, snooze."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from chartwire.alerts import standing
from chartwire.alerts.notices import notices_of
from chartwire.alerts.observations import NoticeKind, Severity
from chartwire.alerts.standing import Alert as Bout
from chartwire.alerts.standing import Wanted
from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import ApiError, Fault, bad_parameter
from chartwire.api.rest.filters import chosen
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.core.clock import instant, now
from chartwire.store.pool import Connection, Row

State = Literal["firing", "acknowledged", "recovered"]
_STATES = ("firing", "acknowledged", "recovered")
_SEVERITIES = ("info", "warning", "critical")
_SNOOZE_MAX = timedelta(days=30)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a thing was not well: `key` says which thing, `summary` and `value` how it last was. `since` is
    the first bad look, `fired_at` when people were to be told; `escalated` counts the steps of the rule that were."""

    id: str
    rule: str
    key: str
    state: State
    severity: Severity
    summary: str
    value: float
    since: str
    seen_at: str
    fired_at: str | None
    recovered_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    note: str | None
    snoozed_until: str | None
    escalated: int
    object: Literal["alert"] = "alert"


class AlertPage(Page, frozen=True, omit_defaults=True):
    """A page of alerts, newest first."""

    data: list[Alert]


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel was told, or is to be. `pending` ones are tried at `send_at`; `error` is the code of the
    last try that failed, or that some recipients were refused."""

    id: str
    kind: NoticeKind
    channel_id: str
    channel_name: str | None
    state: Literal["pending", "sent", "dead", "withdrawn"]
    attempts: int
    error: str | None
    send_at: str
    finished_at: str | None
    object: Literal["alert_notice"] = "alert_notice"


class AlertTold(Alert, frozen=True, kw_only=True):
    """An alert and what people were told of it, the first first."""

    notices: list[AlertNotice]


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note for those who were told. It leaves by mail and chat: nothing about a patient belongs in it."""

    note: Annotated[str, Meta(max_length=500)] | None = None


class Snooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nobody is reminded and nothing escalates until then; at most 30 days."""

    until: Annotated[datetime, Meta(tz=True)]


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alerts`."""
    at = window(request, services, "alerts")
    states: Any = chosen("state", at.query.get("state", "firing,acknowledged"), _STATES)
    wanted = Wanted(states, at.query.get("rule"), _severity(at.query), at.before[0])
    async with services.pool.transaction(request.access.org) as tx:
        found = await standing.list_alerts(tx, request.access, wanted, at.limit + 1)
    told = [Alert(**_members(one)) for one in found[: at.limit]]
    return page(request, services, at, found, lambda bout: (bout.id,), told)


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alerts/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return await _answer(request, tx, await standing.one_alert(tx, request.access, _id(request)))


@idempotent
async def acknowledge(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/alerts/{id}/acknowledge`: nobody is reminded any more."""
    given = Acknowledgement() if request.has_no_body else await request.body(Acknowledgement)
    return await _answer(request, tx, await standing.acknowledge(tx, request.access, _id(request), given.note))


@idempotent
async def snooze(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/alerts/{id}/snooze`: not now."""
    until = (await request.body(Snooze)).until
    if not timedelta() < until.astimezone(UTC) - now() <= _SNOOZE_MAX:
        rule = "lies ahead, by at most 30 days"
        raise ApiError(f"`until` {rule}", code="invalid_body", faults=[Fault("/until", "invalid_value", rule)])
    return await _answer(request, tx, await standing.snooze(tx, request.access, _id(request), until))


def _id(request: Request) -> UUID:
    return in_path("alert", request.parts[0])


def _severity(query: Mapping[str, str]) -> Any:
    text = query.get("severity")
    if text is not None and text not in _SEVERITIES:
        raise bad_parameter("severity", f"is one of {', '.join(_SEVERITIES)}")
    return text


async def _answer(request: Request, tx: Connection, bout: Bout) -> Answer:
    notices = [_notice(row) for row in await notices_of(tx, request.access, bout.id)]
    return json_answer(AlertTold(**_members(bout), notices=notices), count=1)


def _members(bout: Bout) -> dict[str, Any]:
    given = {name: getattr(bout, name) for name in Bout.__slots__}
    told = {name: instant(value) if isinstance(value, datetime) else value for name, value in given.items()}
    return told | {"id": shown("alert", bout.id)}


def _notice(row: Row) -> AlertNotice:
    return AlertNotice(
        id=shown("alert_notice", row["id"]),
        kind=row["kind"],
        channel_id=shown("alert_channel", row["channel_id"]),
        channel_name=row["channel_name"],
        state=row["state"],
        attempts=row["attempts"],
        error=row["error"],
        send_at=instant(row["send_at"]),
        finished_at=instant(row["finished_at"]) if row["finished_at"] else None,
    )


_STATE = Parameter("state", "Which, joined by commas; firing and acknowledged by default", values=_STATES)
_RULE = Parameter("rule", "Those of this rule only, by its name")
_SEVERITY = Parameter("severity", "Those of this severity only", values=_SEVERITIES)
_BASE, _TAG, _TYPE = "/api/v1/alerts", "alerts", "Alert"
_ONE = f"{_BASE}/{{id}}"
ROUTES = (
    Route("GET", _BASE, many, "List alerts, newest first", "alerts.read", _TYPE, "search",
          parameters=(_STATE, _RULE, _SEVERITY, LIMIT, PAGE_TOKEN), answer=AlertPage, tag=_TAG),
    Route("GET", _ONE, one, "Read an alert and what people were told of it", "alerts.read", _TYPE, answer=AlertTold,
          tag=_TAG),
    Route("POST", f"{_ONE}/acknowledge", acknowledge, "Acknowledge an alert: nobody is reminded any more",
          "alerts.write", _TYPE, "resolve", answer=AlertTold, body=Acknowledgement, body_optional=True, tag=_TAG),
    Route("POST", f"{_ONE}/snooze", snooze, "Snooze an alert: nothing is reminded or escalated for a while",
          "alerts.write", _TYPE, "update", answer=AlertTold, body=Snooze, tag=_TAG),
)  # fmt: skip
