"""Which events an endpoint wants: its event types and filters, compiled once to conditions that all must hold.

Every condition is two sets: words that are wanted and words that an event has. It holds when they meet, and why it does
not can be told by showing both. Facts that cost a query (the source, whom and where an appointment is) are asked for
by conditions that need them, so that others cost nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import orjson

from chartwire.core.errors import NotFoundError, ValidationError
from chartwire.core.fhir_ids import local_reference
from chartwire.core.ids import PREFIXES, from_prefixed
from chartwire.delivery import catalogue
from chartwire.delivery.settings import Filters
from chartwire.events.outbox import Event

Need = Literal["source", "body"]
_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "address": ("address",),
    "birth_date": ("birthDate",),
    "comment": ("comment",),
    "deceased": ("deceasedBoolean", "deceasedDateTime"),
    "duration_minutes": ("minutesDuration",),
    "email": ("telecom",),
    "emails": ("telecom",),
    "ends_at": ("end",),
    "identifiers": ("identifier",),
    "language": ("communication",),
    "location": ("participant", "location"),
    "location_id": ("participant", "location"),
    "mrn": ("identifier",),
    "npi": ("identifier",),
    "phone": ("telecom",),
    "phones": ("telecom",),
    "provider_ids": ("participant",),
    "providers": ("participant",),
    "reason": ("reasonCode",),
    "service_type": ("serviceType",),
    "starts_at": ("start",),
    "status": ("status", "extension"),
    "timezone": ("extension",),
})  # fmt: skip
"""Fields of the practice API by the FHIR elements that hold them. Words that are not here are element names."""


@dataclass(frozen=True, slots=True)
class Facts:
    """An event and what had to be looked up: the id of its source, and the references in its resource."""

    event: Event
    source: str = ""
    references: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Condition:
    """One of an endpoint's conditions. `words` are as the owner wrote them."""

    name: str
    words: tuple[str, ...]
    wanted: frozenset[str]
    found: Callable[[Facts], Collection[str]]
    need: Need | None = None

    def holds(self, facts: Facts) -> bool:
        """Whether an event has one of the wanted words."""
        return not self.wanted.isdisjoint(self.found(facts))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one endpoint wants, cheap conditions first."""

    conditions: tuple[Condition, ...]

    def takes(self, facts: Facts) -> bool:
        """Whether the endpoint gets this event."""
        return all(condition.holds(facts) for condition in self.conditions)

    def may_take(self, event: Event) -> bool:
        """Whether it can, as far as the event alone tells."""
        facts = Facts(event)
        return all(condition.holds(facts) for condition in self.conditions if condition.need is None)

    def needs(self, what: Need) -> bool:
        """Whether a condition needs what has to be looked up."""
        return any(condition.need == what for condition in self.conditions)


@lru_cache(maxsize=10_000)
def compiled(event_types: tuple[str, ...], filters: Filters) -> Wanted:
    """The conditions of an endpoint. `filters` have passed `check_filters`."""
    conditions = [Condition("event_types", event_types, frozenset(event_types), _types)]
    if filters.resource_types:
        kinds = frozenset(catalogue.resource_types()[word] for word in filters.resource_types)
        conditions.append(Condition("resource_types", filters.resource_types, kinds, _resource_type))
    if filters.changed:
        elements = frozenset(element for word in filters.changed for element in _FIELDS.get(word, (word,)))
        conditions.append(Condition("changed", filters.changed, elements, _changed))
    if filters.sources:
        conditions.append(Condition("sources", filters.sources, _ids(filters.sources, "source"), _source, "source"))
    for name, noun in (("locations", "Location"), ("providers", "Practitioner")):
        words: tuple[str, ...] = getattr(filters, name)
        if words:
            conditions.append(Condition(name, words, _ids(words, noun), _references, "body"))
    return Wanted(tuple(conditions))


def check_filters(filters: Filters) -> None:
    """Raises ValidationError (`filters`) that says which list holds a word that can never fit."""
    if not set(filters.resource_types) <= set(catalogue.resource_types()):
        raise ValidationError("`filters.resource_types` names a type that has no events", code="filters")
    for name, noun in (("sources", "source"), ("locations", "Location"), ("providers", "Practitioner")):
        try:
            _ids(getattr(filters, name), noun)
        except NotFoundError:
            raise ValidationError(
                f"`filters.{name}` holds ids that begin with {PREFIXES[noun]}_", code="filters"
            ) from None


def patterns_of(event_type: str) -> tuple[str, str, str]:
    """Every pattern that an event type fits: `*`, its family and its name."""
    return ("*", event_type.partition(".")[0] + ".*", event_type)


def known_pattern(pattern: str) -> bool:
    """Whether there are events that a pattern of event types can fit."""
    return pattern in catalogue.patterns()


def references_in(body: str | bytes) -> frozenset[str]:
    """Every local reference (`Location/...`, by the store's id) anywhere in a resource."""
    found: set[str] = set()
    left: list[Any] = [orjson.loads(body)]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            reference = value.get("reference")
            if isinstance(reference, str) and (place := local_reference(reference)) is not None:
                found.add(f"{place[0]}/{place[1]}")
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return frozenset(found)


def _ids(words: Iterable[str], noun: str) -> frozenset[str]:
    """Prefixed ids as they stand in facts: a source's id, or a reference."""
    ids = [str(from_prefixed(PREFIXES[noun], word)) for word in words]
    return frozenset(ids if noun == "source" else [f"{noun}/{each}" for each in ids])


def _types(facts: Facts) -> Collection[str]:
    return patterns_of(facts.event.type)


def _resource_type(facts: Facts) -> Collection[str]:
    return (facts.event.resource_type,)


def _changed(facts: Facts) -> Collection[str]:
    return facts.event.changed


def _source(facts: Facts) -> Collection[str]:
    return (facts.source,)


def _references(facts: Facts) -> Collection[str]:
    return (*facts.references, f"{facts.event.resource_type}/{facts.event.resource_id}")
