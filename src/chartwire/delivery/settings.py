"""What an owner may tell an endpoint to be like: bounded data, stored as JSON beside the endpoint.

Durations are seconds. Headers are no part of it: they may be secrets and are sealed apart.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from chartwire.core.errors import ValidationError
from chartwire.core.limits import WEBHOOK_IN_FLIGHT_PER_ENDPOINT_MAX, WEBHOOK_TIMEOUT_S
from chartwire.delivery.schedule import SCHEDULE_S

TIMEOUT_S_MAX = 30.0
HEADERS_MAX = 10
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1000}")
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent",
})  # fmt: skip
_OUR_FAMILIES = ("webhook-", "chartwire-")

Description = Annotated[str, Meta(max_length=500)]
Wait = Annotated[float, Meta(ge=1, le=604_800)]
Schedule = Annotated[tuple[Wait, ...], Meta(max_length=20)]
Timeout = Annotated[float, Meta(ge=1, le=TIMEOUT_S_MAX)]
InFlight = Annotated[int, Meta(ge=1, le=WEBHOOK_IN_FLIGHT_PER_ENDPOINT_MAX)]
FailingTime = Annotated[int, Meta(ge=3_600, le=2_592_000)]
Payload = Literal["thin", "full"]
Signatures = Literal["all", "newest"]
Ordering = Literal["none", "per_resource"]
Words = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...], Meta(max_length=50)]


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `per_second` requests on the long run, `burst` of them at once."""

    per_second: Annotated[float, Meta(gt=0, le=1000)]
    burst: Annotated[int, Meta(ge=1, le=1000)] = 1


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Further conditions on an event: each list that is not empty must hold one word that fits.

    `resource_types` as in FHIR or in the API (`Appointment`, `appointment`); `changed` names of fields (`phones`,
    `starts_at`, or the FHIR element); `sources`, `locations`, `providers` are ids (`src_...`, `loc_...`, `prv_...`).
    """

    resource_types: Words = ()
    changed: Words = ()
    sources: Words = ()
    locations: Words = ()
    providers: Words = ()


class EndpointSettings(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How an endpoint is served.

    `schedule` holds the waits after failures, so that there is one attempt more than waits. `payload: full` adds the
    resource to the body. `signatures: newest` signs with the newest secret only, for receivers that compare the whole
    header. `ordering: per_resource` sends an event of a resource when those before it are delivered or dead.
    `disable_after_s` is how long nothing but failures switches the endpoint off.
    """

    description: Description = ""
    schedule: Schedule = SCHEDULE_S
    timeout_s: Timeout = WEBHOOK_TIMEOUT_S
    rate_limit: RateLimit | None = None
    max_in_flight: InFlight = WEBHOOK_IN_FLIGHT_PER_ENDPOINT_MAX
    payload: Payload = "thin"
    signatures: Signatures = "all"
    ordering: Ordering = "none"
    disable_after_s: FailingTime = 432_000
    filters: Filters = Filters()


NAMES = tuple(EndpointSettings.__struct_fields__)


@lru_cache(maxsize=10_000)
def read_settings(text: str) -> EndpointSettings:
    """The settings in a row's JSON; what is absent has its default."""
    return msgspec.json.decode(text, type=EndpointSettings)


def settings_text(settings: EndpointSettings) -> str:
    """JSON for the row: only what differs from the defaults."""
    return msgspec.json.encode(settings).decode()


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ValidationError for more than HEADERS_MAX headers, one of ours, or one that is no header."""
    if len(headers) > HEADERS_MAX or len({name.lower() for name in headers}) != len(headers):
        raise ValidationError(f"an endpoint has at most {HEADERS_MAX} different headers", code="endpoint_headers")
    for name, value in headers.items():
        lower = name.lower()
        if lower in _OURS or lower.startswith(_OUR_FAMILIES):
            raise ValidationError("a header that Chartwire sets itself cannot be given", code="endpoint_headers")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValidationError(
                "a header has a name of letters, digits and dashes, and a value of 1 to 1000 visible ASCII characters",
                code="endpoint_headers",
            )
