"""Every event type that there is, from the record's own table of what changes are called, and a sample of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from chartwire.core.ids import source_key_id
from chartwire.delivery.payload import API_NAMES, ENDPOINT, PARKED
from chartwire.events.outbox import Event
from chartwire.record.happenings import event_words

OPERATIONAL = MappingProxyType({
    "webhook_endpoint.failing": "An endpoint has failed for 50, 70 or 90% of the time after which it is switched off",
    "webhook_endpoint.disabled": "An endpoint was switched off because it failed for too long, or answered 410",
    "webhook_endpoint.recovered": "An endpoint that was told to be failing answers again",
    "webhook_endpoint.reachable": "An endpoint that was switched off answers a probe: `recover` it",
})  # fmt: skip
_MERGES = MappingProxyType({
    "patient.merged": "Two records were found to be one person: `loser_id` is now a link to `survivor_id`",
    "patient.unmerged": "A merge was undone: `loser_id` is a record of its own again",
})  # fmt: skip
_PARKED = MappingProxyType({
    "parked_write.expired": "A write that waited for a record was given up: the record did not come in time",
    "parked_write.failed": "A write that waited for a record could not be made when it came; `codes` say why",
})  # fmt: skip
_SAMPLE_CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"Patient": ("name", "telecom"), "Appointment": ("status", "start", "end"), ENDPOINT: (), PARKED: ()}
)


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type: `resource_type` is the FHIR type that it is about (`endpoint` for what is about an endpoint)."""

    name: str
    resource_type: str
    description: str


@cache
def event_types() -> Mapping[str, EventType]:
    """All event types by name, in order of their resource types."""
    found = {
        f"{family}.{word}": EventType(f"{family}.{word}", resource_type, _told(resource_type, word))
        for resource_type, family, words in event_words()
        for word in words
    }
    found |= {name: EventType(name, "Patient", told) for name, told in _MERGES.items()}
    found |= {name: EventType(name, ENDPOINT, told) for name, told in OPERATIONAL.items()}
    found |= {name: EventType(name, PARKED, told) for name, told in _PARKED.items()}
    return MappingProxyType(found)


@cache
def patterns() -> frozenset[str]:
    """What an endpoint can ask for: every name, every family (`patient.*`), and `*`."""
    return frozenset({"*", *event_types(), *(name.partition(".")[0] + ".*" for name in event_types())})


@cache
def resource_types() -> Mapping[str, str]:
    """FHIR types by what people call them: themselves, and the API's name where it has one."""
    own = {kind.resource_type for kind in event_types().values()}
    return MappingProxyType({kind: kind for kind in own} | {API_NAMES[kind][0]: kind for kind in own & set(API_NAMES)})


def sample_event(kind: EventType) -> Event:
    """An event of this type about nothing that exists: its resource id is the same at every call."""
    resource_id = source_key_id(kind.resource_type, "webhook-sample")
    loser = source_key_id(kind.resource_type, "webhook-sample-loser")
    detail: dict[str, Any] = {}
    if kind.name in _MERGES:
        detail = {"survivor_id": str(resource_id), "loser_id": str(loser)}
    elif kind.resource_type == ENDPOINT:
        detail = {"reason": "failing", "percent": 50}
    changed = _SAMPLE_CHANGES.get(kind.resource_type, ("status",))
    return Event(kind.name, kind.resource_type, resource_id, 1, None, changed, None, "live", detail)


def _told(resource_type: str, word: str) -> str:
    name = API_NAMES.get(resource_type, (resource_type, ""))[0]
    return f"{name} {word.replace('_', ' ')}".capitalize()
