"""Alert channels: where notices go; made, read, changed, tried out, removed. Secrets go in and never come out."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from chartwire.alerts import channel_store
from chartwire.alerts.channel_form import ChannelForm, check_told_again, completed
from chartwire.alerts.channel_store import StoredChannel
from chartwire.alerts.channels.kinds import ChannelKindName
from chartwire.alerts.trial import Trial, try_out
from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent, performed
from chartwire.api.rest.endpoints import door_of
from chartwire.api.rest.etags import check_if_match, etag_of
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.store.pool import Connection


class AlertChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Where notices go. `secrets` names those that are set; they are never shown."""

    id: str
    name: str
    kind: ChannelKindName
    enabled: bool
    settings: dict[str, Any]
    secrets: list[str]
    version: int
    created_at: str
    updated_at: str
    object: Literal["alert_channel"] = "alert_channel"


class NewAlertChannel(AlertChannel, frozen=True, kw_only=True):
    """A channel with the secrets that were made for it, for the only time."""

    made: dict[str, str]


class AlertChannelPage(Page, frozen=True, omit_defaults=True):
    """All channels, by name."""

    data: list[AlertChannel]


class AlertChannelPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change; what is left out stays. In `settings` and `secrets` each member stands for itself, null takes it
    away. Where it changes whom a secret is told (the server of mails), the secret is given again. Rules name a channel:
    its name changes once none does."""

    name: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    secrets: dict[str, str | None] | UnsetType = UNSET


class AlertTestProblem(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it. `code` is for programs."""

    code: str
    problem: str
    mend: str


class AlertTest(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test notice. `delivered` means that the other side took it; a problem may be told all the same
    (some recipients of a mail). `retryable` says whether a real notice would be tried again."""

    delivered: bool
    retryable: bool
    duration_ms: float
    problem: AlertTestProblem | None
    object: Literal["alert_test"] = "alert_test"


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alert-channels`."""
    async with services.pool.transaction(request.access.org) as tx:
        told = [AlertChannel(**_members(one)) for one in await channel_store.list_channels(tx, request.access)]
    return json_answer(Page(told, False, None, "list"), count=len(told))


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/alert-channels/{id}`."""
    async with services.pool.transaction(request.access.org) as tx:
        return _answer(await channel_store.read_channel(tx, request.access, _id(request)))


async def create(request: Request, services: Services) -> Answer:
    """`POST /api/v1/alert-channels`: 201, with the secrets that were made."""
    form, made = completed(await request.body(ChannelForm))
    await channel_store.judge(services.pool, request.access, door_of(services), form)

    async def effect(tx: Connection) -> Answer:
        stored = await channel_store.register(tx, request.access, services.sealer, form)
        told = NewAlertChannel(**_members(stored), made=made)
        headers = [(b"location", f"{_BASE}/{told.id}".encode()), etag_of(stored.version)]
        return json_answer(told, status=201, headers=headers, count=1)

    return await performed(request, services, effect)


async def change(request: Request, services: Services) -> Answer:
    """`PATCH /api/v1/alert-channels/{id}`: a merge patch; what is open goes out by the new settings."""
    patch, access = await request.body(AlertChannelPatch), request.access
    async with services.pool.transaction(access.org) as tx:
        stands = await channel_store.read_channel(tx, access, _id(request))
        secrets = await channel_store.secrets_of(tx, access, services.sealer, stands.id)
    form = _patched(stands, secrets, patch)
    check_told_again(form, stands.settings, () if patch.secrets is UNSET else patch.secrets)
    await channel_store.judge(services.pool, access, door_of(services), form)

    async def effect(tx: Connection) -> Answer:
        check_if_match(request, stands.version)
        changed = await channel_store.rewrite(tx, access, services.sealer, stands.id, form, version=stands.version)
        return _answer(changed)

    return await performed(request, services, effect)


@idempotent
async def remove(request: Request, _: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/alert-channels/{id}`: 204; notices that wait for it are withdrawn."""
    stands = await channel_store.read_channel(tx, request.access, _id(request))
    check_if_match(request, stands.version)
    await channel_store.remove(tx, request.access, stands.id)
    return Answer(b"", 204, count=1)


async def test(request: Request, services: Services) -> Answer:
    """`POST /api/v1/alert-channels/{id}/test`: a notice that says it is a test, now; nothing is recorded."""
    trial = await try_out(services.pool, request.access, door_of(services), services.sealer, _id(request))
    return json_answer(_outcome(trial), count=1)


def _id(request: Request) -> UUID:
    return in_path("alert_channel", request.parts[0])


def _patched(stands: StoredChannel, secrets: dict[str, str], patch: AlertChannelPatch) -> ChannelForm:
    return ChannelForm(
        name=stands.name if patch.name is UNSET else patch.name,
        kind=stands.kind,
        enabled=stands.enabled if patch.enabled is UNSET else patch.enabled,
        settings=_merged(stands.settings, patch.settings),
        secrets=_merged(secrets, patch.secrets),
    )


def _merged(stands: dict[str, Any], patch: dict[str, Any] | UnsetType) -> dict[str, Any]:
    whole = stands if patch is UNSET else {**stands, **patch}
    return {name: value for name, value in whole.items() if value is not None}


def _answer(stored: StoredChannel) -> Answer:
    return json_answer(AlertChannel(**_members(stored)), headers=[etag_of(stored.version)], count=1)


def _members(stored: StoredChannel) -> dict[str, Any]:
    return {
        "id": shown("alert_channel", stored.id),
        "name": stored.name,
        "kind": stored.kind,
        "enabled": stored.enabled,
        "settings": stored.settings,
        "secrets": list(stored.secrets),
        "version": stored.version,
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def _outcome(trial: Trial) -> AlertTest:
    sent, advice = trial.sent, trial.advice
    problem = AlertTestProblem(sent.error or "", advice.problem, advice.mend) if advice else None
    return AlertTest(delivered=sent.ok, retryable=sent.retry, duration_ms=round(trial.duration_ms, 1), problem=problem)


_BASE, _TAG, _TYPE = "/api/v1/alert-channels", "alerts", "AlertChannel"
_ONE = f"{_BASE}/{{id}}"
ROUTES = (
    Route("GET", _BASE, many, "List alert channels", "alerts.read", _TYPE, "search", answer=AlertChannelPage, tag=_TAG),
    Route("POST", _BASE, create, "Make an alert channel", "alerts.write", _TYPE, "create", answer=NewAlertChannel,
          body=ChannelForm, status=201, tag=_TAG),
    Route("GET", _ONE, one, "Read an alert channel", "alerts.read", _TYPE, answer=AlertChannel, tag=_TAG),
    Route("PATCH", _ONE, change, "Change an alert channel", "alerts.write", _TYPE, "update",
          answer=AlertChannel, body=AlertChannelPatch, conditional=True, tag=_TAG),
    Route("DELETE", _ONE, remove, "Remove an alert channel for good", "alerts.write", _TYPE, "delete",
          status=204, conditional=True, tag=_TAG),
    Route("POST", f"{_ONE}/test", test, "Send a test notice now and tell what came of it", "alerts.write", _TYPE,
          answer=AlertTest, tag=_TAG),
)  # fmt: skip
