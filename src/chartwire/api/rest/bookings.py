"""Lenses of appointments and places: who takes part, when, in which status, in what zone. Pure; see lenses.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from chartwire.api.rest.lenses import Json, put
from chartwire.api.rest.models import Party
from chartwire.core.clock import instant
from chartwire.core.fhir_ids import local_reference
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.record import custom_values, localtime, status


class Named(NamedTuple):
    """A record that another one refers to, and the words for people."""

    id: UUID
    display: str | None


@dataclass(frozen=True, slots=True)
class Parties:
    """Who of one FHIR type takes part in an appointment: written as a list of Named, read as ids."""

    type: str
    single: bool = False
    members: tuple[str, ...] = ("participant",)

    def read(self, body: Json) -> Any:
        ids = [one.id for one in self.parties(body) if one.id]
        return (ids[0] if ids else None) if self.single else ids

    def parties(self, body: Json) -> list[Party]:
        """Everyone of the type, those without an id too, each once."""
        actors = [part.get("actor", {}) for part in body.get("participant", ())]
        return list(dict.fromkeys(party(actor, self.type) for actor in actors if self._mine(actor)))

    def write(self, body: Json, value: Sequence[Named] | None) -> None:
        wanted = list(dict.fromkeys(value or ()))
        shown = [to_prefixed(PREFIXES[self.type], one.id) for one in wanted]
        if shown == [one.id for one in self.parties(body)]:
            return
        participants = body.get("participant", ())
        standing = {local_reference(str(part.get("actor", {}).get("reference"))): part for part in participants}
        others = [part for part in participants if not self._mine(part.get("actor", {}))]
        made = [standing.get((self.type, one.id)) or self._made(one) for one in wanted]
        put(body, "participant", [*made, *others] if self.type == "Patient" else [*others, *made])

    def _made(self, one: Named) -> Json:
        actor = {"reference": f"{self.type}/{one.id}"} | ({"display": one.display} if one.display else {})
        return {"actor": actor, "status": "accepted"}

    def _mine(self, actor: Json) -> bool:
        return actor.get("type") == self.type or str(actor.get("reference", "")).startswith(f"{self.type}/")


@dataclass(frozen=True, slots=True)
class Pointing:
    """A reference to one record of a type: written as Named, read as its id."""

    name: str
    type: str

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, body: Json) -> str | None:
        held = body.get(self.name)
        return party(held, self.type).id if held else None

    def write(self, body: Json, value: Named | None) -> None:
        shown = None if value is None else to_prefixed(PREFIXES[self.type], value.id)
        if shown != self.read(body):
            made = None if value is None else {"reference": f"{self.type}/{value.id}", "display": value.display}
            put(body, self.name, made and {key: held for key, held in made.items() if held})


def party(actor: Json, kind: str) -> Party:
    """Who a reference points to: id and name, each where it is known."""
    found = local_reference(str(actor.get("reference", "")))
    known = to_prefixed(PREFIXES[kind], found[1]) if found is not None and found[0] == kind else None
    return Party(known, actor.get("display"))


@dataclass(frozen=True, slots=True)
class Instant:
    """A time: read in UTC, written as FHIR text."""

    name: str

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, body: Json) -> str | None:
        moment = body.get(self.name)
        if not moment or "T" not in moment:
            return None
        try:
            return instant(datetime.fromisoformat(moment).astimezone(UTC))
        except ValueError:
            return None

    def write(self, body: Json, value: str | None) -> None:
        if (value and self.read({self.name: value})) != self.read(body):
            put(body, self.name, value)


@dataclass(frozen=True, slots=True)
class Zone:
    """The IANA zone that a resource names."""

    members: tuple[str, ...] = ("extension",)

    def read(self, body: Json) -> str | None:
        return localtime.zone_name(body)

    def write(self, body: Json, value: str | None) -> None:
        if value != self.read(body):
            kept = [one for one in body.get("extension", ()) if one.get("url") != localtime.TIMEZONE_EXTENSION]
            put(body, "extension", [*kept, *localtime.zone_extensions(value)])


@dataclass(frozen=True, slots=True)
class Status:
    """The status of an appointment in the practice's words."""

    members: tuple[str, ...] = ("status", "extension")

    def read(self, body: Json) -> str:
        return status.practice_status(body)

    def write(self, body: Json, value: str | None) -> None:
        if value is not None and value != self.read(body):
            status.write_status(body, value)


@dataclass(frozen=True, slots=True)
class CancelledBy:
    """Who cancelled an appointment: a part of its status, gone when that moves on."""

    members: tuple[str, ...] = ("status", "extension")

    def read(self, body: Json) -> str | None:
        return status.cancelled_by(body)

    def write(self, body: Json, value: str | None) -> None:
        if value != self.read(body):
            status.write_status(body, status.practice_status(body), value)


@dataclass(frozen=True, slots=True)
class Custom:
    """Values of custom fields, by name; written as the FHIR extensions that hold them."""

    members: tuple[str, ...] = ("extension",)

    def read(self, body: Json) -> dict[str, Any]:
        return custom_values.values_of(body)

    def write(self, body: Json, value: Sequence[Json] | None) -> None:
        if custom_values.values_of({"extension": value or ()}) != self.read(body):
            kept = [one for one in body.get("extension", ()) if custom_values.held(one) is None]
            put(body, "extension", [*kept, *(value or ())])
