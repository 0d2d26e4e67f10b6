"""Alert rules: the default of each kind, what stands in its place, and rules of the organisation's own."""

from typing import Literal

import msgspec

from chartwire.alerts.observations import Severity
from chartwire.alerts.rule_form import HoursForm, RuleForm, StepForm
from chartwire.alerts.rules import Rule, effective_rules, one_rule, remove_rule, rewrite_rule, write_rule
from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.rest.etags import check_if_match, etag_of
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.store.pool import Connection


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it works. `id` is null for a default that nobody has changed: POST a rule of its name to change it.
    `watches`, `measures` (the unit of `threshold`), `bad` (on which side of it) and `guide` are its kind's."""

    id: str | None
    name: str
    kind: str
    enabled: bool
    severity: Severity
    threshold: float
    keys: list[str]
    for_s: float
    clear_s: float
    channels: list[str]
    escalation: list[StepForm]
    remind_every_s: float
    business_hours: HoursForm | None
    watches: str
    measures: str
    bad: Literal["above", "below"]
    guide: str | None
    version: int
    created_at: str | None
    updated_at: str | None
    object: Literal["alert_rule"] = "alert_rule"


class AlertRulePage(Page, frozen=True, omit_defaults=True):
    """All rules: the defaults, then the organisation's own by name."""

    data: list[AlertRule]


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alert-rules`."""
    async with services.pool.transaction(request.access.org) as tx:
        told = [_shown(rule) for rule in await effective_rules(tx, request.access.org)]
    return json_answer(Page(told, False, None, "list"), count=len(told))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alert-rules/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return _answer(await _found(tx, request))


@idempotent
async def create(request: Request, _: Services, tx: Connection) -> Answer:
    """`POST /api/v1/alert-rules`: 201."""
    made = await write_rule(tx, request.access, await request.body(RuleForm))
    place = (b"location", f"{_BASE}/{shown_or_none('alert_rule', made.id)}".encode())
    return json_answer(_shown(made), status=201, headers=[place, etag_of(made.version)], count=1)


@idempotent
async def replace(request: Request, _: Services, tx: Connection) -> Answer:
    """`PUT /api/v1/alert-rules/{id}`: what is left out is as the kind has it."""
    stands = await _found(tx, request)
    check_if_match(request, stands.version)
    form, rule_id = await request.body(RuleForm), in_path("alert_rule", request.parts[0])
    return _answer(await rewrite_rule(tx, request.access, rule_id, form, version=stands.version))


@idempotent
async def remove(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/alert-rules/{id}`: 204; a default of its name counts again."""
    stands = await _found(tx, request)
    check_if_match(request, stands.version)
    await remove_rule(tx, request.access, in_path("alert_rule", request.parts[0]), version=stands.version)
    return Answer(b"", 204, count=1)


async def _found(tx: Connection, request: Request) -> Rule:
    return await one_rule(tx, request.access, in_path("alert_rule", request.parts[0]))


def _answer(rule: Rule) -> Answer:
    return json_answer(_shown(rule), headers=[etag_of(rule.version)], count=1)


def _shown(rule: Rule) -> AlertRule:
    form, kind = rule.form, rule.kind
    return AlertRule(
        id=shown("alert_rule", rule.id) if rule.id else None,
        name=form.name,
        kind=form.kind,
        enabled=rule.enabled,
        severity=rule.severity,
        threshold=rule.threshold,
        keys=form.keys,
        for_s=rule.pace.for_s,
        clear_s=rule.pace.clear_s,
        channels=form.channels,
        escalation=form.escalation,
        remind_every_s=form.remind_every_s,
        business_hours=form.business_hours,
        watches=kind.watches,
        measures=kind.measures,
        bad=kind.bad,
        guide=f"/docs/guide/{kind.page.removesuffix('.md')}" if kind.page else None,
        version=rule.version,
        created_at=instant(rule.created_at) if rule.created_at else None,
        updated_at=instant(rule.updated_at) if rule.updated_at else None,
    )


_BASE, _TAG, _TYPE = "/api/v1/alert-rules", "alerts", "AlertRule"
_ONE = f"{_BASE}/{{id}}"
ROUTES = (
    Route("GET", _BASE, many, "List alert rules, the defaults too", "alerts.read", _TYPE, "search",
          answer=AlertRulePage, tag=_TAG),
    Route("POST", _BASE, create, "Make an alert rule, or put one in the place of a default", "alerts.write", _TYPE,
          "create", answer=AlertRule, body=RuleForm, status=201, tag=_TAG),
    Route("GET", _ONE, one, "Read an alert rule", "alerts.read", _TYPE, answer=AlertRule, tag=_TAG),
    Route("PUT", _ONE, replace, "Change an alert rule", "alerts.write", _TYPE, "update",
          answer=AlertRule, body=RuleForm, conditional=True, tag=_TAG),
    Route("DELETE", _ONE, remove, "Remove an alert rule; a default of its name counts again", "alerts.write", _TYPE,
          "delete", status=204, conditional=True, tag=_TAG),
)  # fmt: skip
