"""One resource of one message is told to the record: merged, versioned, announced."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from chartwire.core.source import EffectMode, Source
from chartwire.events.outbox import Event
from chartwire.mapping.conversion import Json, Mapped
from chartwire.record import authority, documents, visits
from chartwire.record.bodies import rewritten
from chartwire.record.cases import Review
from chartwire.record.happenings import event_types
from chartwire.record.lineage import Stamp
from chartwire.record.localtime import zone_extensions
from chartwire.record.merge import Merged, merge
from chartwire.record.results import regresses
from chartwire.record.standing import Standing
from chartwire.record.status import replaces_extensions, status_extensions
from chartwire.record.ties import proposal_of
from chartwire.record.work import Work

Touch = tuple[str, UUID, int, bool]


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The message that speaks: where it came from, and what may follow from it. `recorded` is UTC text or None."""

    message_id: UUID
    lane_id: UUID | None
    source: Source
    mode: EffectMode
    event: str
    recorded: str | None
    parent_id: UUID | None = None
    """Of a replay: the message that it repeats, and whose word its words are."""
    decision: str | None = None
    """What a person said about a doubt for which this message was held (channels/reviews.yaml)."""

    @property
    def actor(self) -> str:
        """Who makes the versions that follow: the feed."""
        return f"feed:{self.source.name}"

    def stamp(self, resource_type: str) -> Stamp:
        """With what weight this message speaks of a type."""
        rank = authority.rank(self.source, self.event, resource_type)
        return Stamp(str(self.source.id), str(self.parent_id or self.message_id), self.recorded, rank)


@dataclass(slots=True)
class Teller:
    """Tells one message's resources to a unit of work. `ids` leads from mapped to stored references."""

    work: Work
    context: MessageContext
    ids: dict[str, str] = field(default_factory=dict)
    touched: list[Touch] = field(default_factory=list)

    def leave(self, held: Standing) -> None:
        """The message spoke of this resource and changed nothing."""
        self.touched.append((held.type, held.id, held.version, False))

    def tell(
        self, mapped: Mapped, held: Standing, stamp: Stamp, *, force: bool = False, bar: tuple[str, ...] = ()
    ) -> None:
        """Merge one resource into what stands, as a new version where anything changed (or `force`).

        `bar` names elements that the message may not change here, though its event may.
        """
        if held.version and (stamp.rank == 0 or regresses(held.body, mapped)):
            self.leave(held)
            return
        merged = self._merged(self._localised(mapped, held), held, stamp, bar)
        if merged.ties:
            self._review_ties(held, merged.ties, mapped)
        if merged.changed or force or not held.version:
            self.advance(held, merged)
            return
        if merged.refreshed:
            held.refresh(merged.lineage)
        self.leave(held)

    def _merged(self, mapped: Mapped, held: Standing, stamp: Stamp, bar: tuple[str, ...]) -> Merged:
        event, replay = self.context.event, self.context.parent_id is not None
        if held.type == "Encounter":
            return visits.retell(held.body, held.lineage, mapped, stamp, event, replay=replay)
        only = authority.only(event, held.type) if held.version else None
        if only is not None:
            bar = (*bar, *(path for path in (*mapped.body, *mapped.clears) if path not in only))
        late = authority.never_late(event, held.type)
        return merge(held.body, held.lineage, mapped, stamp, barred=bar, never_late=late, replay=replay)

    def advance(self, held: Standing, merged: Merged) -> None:
        """Add the merged version and announce it."""
        old = held.body if held.version else None
        held.advance(
            {"resourceType": held.type, **merged.body}, merged.lineage, self.context.message_id, self.context.actor
        )
        self.touched.append((held.type, held.id, held.version, True))
        self.announce(held, event_types(held.type, old, held.body, self.context.event), tuple(merged.changed))

    def announce(
        self,
        held: Standing,
        types: Iterable[str],
        changed: tuple[str, ...],
        mode: EffectMode | None = None,
        **detail: Any,
    ) -> None:
        """Put events about the version just added into the unit of work."""
        self.work.events.extend(
            Event(
                type=event_type,
                resource_type=held.type,
                resource_id=held.id,
                version=held.version,
                patient_id=held.patient_id,
                changed=changed,
                message_id=self.context.message_id,
                mode=mode or self.context.mode,
                detail=detail,
            )
            for event_type in types
        )

    def _localised(self, mapped: Mapped, held: Standing) -> Mapped:
        """The mapped resource with stored ids in its references, and with what FHIR has no element for."""
        body: Json = with_references(mapped.body, self.ids)
        if mapped.type == "Appointment":
            told = status_extensions(mapped.facts.get("status"), mapped.facts.get("source_status"), body.get("status"))
            extensions = [
                *body.get("extension", ()),
                *told,
                *zone_extensions(mapped.facts.get("timezone")),
                *replaces_extensions(self._replaced(mapped, held)),
            ]
            if extensions or "extension" in held.body:
                body["extension"] = extensions
        elif mapped.type == "DocumentReference":
            body = documents.localised(body, mapped, held, self.work)
        elif mapped.type == "Location" and self.context.source.timezone:
            body["extension"] = [*body.get("extension", ()), *zone_extensions(self.context.source.timezone)]
        return replace(mapped, body=body)

    def _replaced(self, mapped: Mapped, held: Standing) -> list[str]:
        """The appointments, known to the record, that SCH-23 or SCH-24 names as the ones before this one."""
        key = mapped.facts.get("parent_key")
        known = self.work.resolve("Appointment", (key,)) - {held.id} if key else ()
        return [f"Appointment/{appointment_id}" for appointment_id in known]

    def _review_ties(self, held: Standing, paths: list[str], mapped: Mapped) -> None:
        context, detail = self.context, {"elements": paths}
        if any(case.resource_id == held.id and case.detail == detail for case in self.work.reviews):
            return
        proposal = proposal_of(self._localised(mapped, held), held.lineage, paths)
        case = Review("tie", context.message_id, context.lane_id, held.type, held.id, detail, context.source.id,
                      held.patient_id, proposal)  # fmt: skip
        self.work.reviews.append(case)


def with_references(body: Json, ids: Mapping[str, str]) -> Json:
    """A copy of a body in which each reference that `ids` knows leads where `ids` says."""
    return rewritten(body, [(f'"{old}"', f'"{new}"') for old, new in ids.items()])
