"""Webhook endpoints as JSON: what is shown, what is asked for, and how one becomes the other."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chartwire.api.rest.ids import shown
from chartwire.api.rest.models import Page
from chartwire.core.clock import instant
from chartwire.delivery import settings
from chartwire.delivery.destinations import API_VERSION
from chartwire.delivery.destinations import Endpoint as Registered

EventTypes = Annotated[list[str], Meta(min_length=1, max_length=50)]


class Failing(msgspec.Struct, frozen=True):
    """A row of failures: since when, and the share of the time (50, 70, 90) after which the endpoint is switched off
    that was told of."""

    since: str
    told_percent: int


class Probe(msgspec.Struct, frozen=True):
    """How an endpoint that was switched off answered when it was last asked: `delivered`, or the code of a failure."""

    at: str
    answer: str


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A registered webhook endpoint. Its secret is shown once, when it is made or rotated; its headers never."""

    id: str
    name: str
    url: str
    event_types: list[str]
    api_version: str
    state: Literal["enabled", "disabled"]
    state_reason: str | None
    created_at: str
    updated_at: str
    version: int
    description: str
    schedule: list[float]
    timeout_s: float
    rate_limit: settings.RateLimit | None
    max_in_flight: int
    payload: settings.Payload
    signatures: settings.Signatures
    ordering: settings.Ordering
    disable_after_s: int
    filters: settings.Filters
    failing: Failing | None
    disabled_at: str | None
    probe: Probe | None
    object: Literal["webhook_endpoint"] = "webhook_endpoint"


class NewEndpoint(Endpoint, frozen=True, kw_only=True):
    """An endpoint with its secret, for the only time."""

    secret: str


class EndpointOrder(settings.EndpointSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to register. Event types are names (`patient.updated`), families (`appointment.*`) or `*`; `headers` are
    sent with each request, kept sealed and never shown."""

    url: str
    name: str = "webhook"
    event_types: EventTypes = msgspec.field(default_factory=lambda: ["*"])
    api_version: str = API_VERSION
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class EndpointPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change; what is left out stays. `headers` and `filters` are replaced as a whole."""

    url: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    api_version: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    description: settings.Description | UnsetType = UNSET
    schedule: settings.Schedule | UnsetType = UNSET
    timeout_s: settings.Timeout | UnsetType = UNSET
    rate_limit: settings.RateLimit | UnsetType | None = UNSET
    max_in_flight: settings.InFlight | UnsetType = UNSET
    payload: settings.Payload | UnsetType = UNSET
    signatures: settings.Signatures | UnsetType = UNSET
    ordering: settings.Ordering | UnsetType = UNSET
    disable_after_s: settings.FailingTime | UnsetType = UNSET
    filters: settings.Filters | UnsetType = UNSET


class EndpointPage(Page, frozen=True, omit_defaults=True):
    """All endpoints, at most 1,000."""

    data: list[Endpoint]


class Figures(msgspec.Struct, frozen=True):
    """Attempts in a span of time. `p95_ms` is an upper bound of a class: 5, 10, 25, 50, 100, ... ms."""

    attempts: int
    delivered: int
    success_rate: float | None
    p95_ms: int | None


class Stats(msgspec.Struct, frozen=True):
    """How an endpoint fares. `waiting` deliveries are open; the oldest that is due waits since `due_since`."""

    endpoint_id: str
    last_hour: Figures
    last_day: Figures
    waiting: int
    due_since: str | None
    object: Literal["webhook_endpoint_stats"] = "webhook_endpoint_stats"


class LiveSecret(msgspec.Struct, frozen=True):
    """A secret that signs now: `id` is the start of its SHA-256 as hex, `expires_at` null for the newest."""

    id: str
    made_at: str | None
    expires_at: str | None


class SecretPage(Page, frozen=True, omit_defaults=True):
    """The secrets that sign now, newest first; never the secrets themselves."""

    data: list[LiveSecret]


class NewSecret(msgspec.Struct, frozen=True):
    """The new secret. Those before sign beside it until `overlap_ends_at`."""

    id: str
    secret: str
    overlap_ends_at: str


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the secret before goes on signing beside the new one: 0 to 7 days."""

    overlap_s: Annotated[float, Meta(ge=0, le=604_800)] = 86_400.0


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an endpoint is switched off, in a word for the log."""

    reason: Annotated[str, Meta(pattern="^[a-z0-9_]{1,40}$")] = "by_owner"


def shown_endpoint(one: Registered) -> Endpoint:
    """A registered endpoint as JSON."""
    told, state = one.settings, one.state
    return Endpoint(
        id=shown("endpoint", one.id),
        name=one.name,
        url=one.url,
        event_types=list(one.event_types),
        api_version=one.api_version,
        state="enabled" if state == "enabled" else "disabled",
        state_reason=one.state_reason,
        created_at=instant(one.created_at),
        updated_at=instant(one.updated_at),
        version=one.version,
        description=told.description,
        schedule=list(told.schedule),
        timeout_s=told.timeout_s,
        rate_limit=told.rate_limit,
        max_in_flight=told.max_in_flight,
        payload=told.payload,
        signatures=told.signatures,
        ordering=told.ordering,
        disable_after_s=told.disable_after_s,
        filters=told.filters,
        failing=Failing(instant(one.failing_since), one.notice) if one.failing_since else None,
        disabled_at=instant(one.disabled_at) if one.disabled_at else None,
        probe=Probe(instant(one.probed_at), one.probe_answer or "") if one.probed_at else None,
    )
