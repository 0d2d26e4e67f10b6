"""Two records that were made one become two again (`POST /patients/{id}/unmerge`, A37; domain-rules.md section 3).

Keys, resources and words go back to the patient whose number they came under: keys by where they led before merges,
resources by their original subject, elements by the message that set them. What was told since the merge is taken back
where it stands on the wrong side; the messages are then told again, each to the patient that its number names now
(channels/unmerge.py). What cannot be told again, or fits neither side, is a case for a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from chartwire.core import clock
from chartwire.core.errors import ConflictError
from chartwire.events.outbox import Event
from chartwire.mapping.conversion import Json
from chartwire.mapping.identity import MERGE_EVENTS
from chartwire.record.bodies import read_body
from chartwire.record.elements import shape_of
from chartwire.record.happenings import event_types
from chartwire.record.lineage import Lineage, Part
from chartwire.record.merging import MERGED_BY, without_link
from chartwire.record.standing import Standing
from chartwire.record.telling import with_references
from chartwire.record.visits import redrawn, unheard
from chartwire.record.work import Work
from chartwire.store.pool import Row
from chartwire.store.queries import q

MESSAGES_MAX = 5_000
"""Messages that one unmerge tells again; who has more since the merge is parted by a person."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who parts two records and why, and by which message where it was one."""

    actor: str
    message_id: UUID | None = None
    reason: str | None = None


@dataclass(slots=True)
class Parting:
    """What an unmerge did: `moved` counts resources that went back by type, `restored` those whose words were taken
    back. `messages` are to be told again, in this order."""

    patient_id: UUID
    survivor_id: UUID
    moved: dict[str, int] = field(default_factory=dict)
    restored: int = 0
    messages: Sequence[Row] = ()


async def unmerge(work: Work, loser_id: UUID, act: Act) -> Parting:
    """Part a merged patient from the one that replaced them, within `work`.

    Raises ConflictError: `not_merged`, `too_much_since_merge`, or `merged_meanwhile` (redo).
    """
    chain = await _chain(work, loser_id)
    survivors = [row["survivor_id"] for row in chain]
    await work.load({("Patient", patient_id) for patient_id in (loser_id, *survivors)})
    if chain != await _chain(work, loser_id):
        raise ConflictError("a patient was merged meanwhile", code="merged_meanwhile")
    names = await _merged_under(work, loser_id, survivors)
    messages = await _messages_since(work, [*names, *survivors], chain[0])
    parting = Parting(loser_id, survivors[-1], messages=messages)
    await _give_back(work, chain[0], parting, names, act)
    theirs, ours = _sorted(messages, names)
    await _name_messages(work, loser_id, theirs)
    goes = _Side(work, _voices(ours), await _family(work, loser_id))
    stays = _Side(work, _voices(theirs), await _family(work, survivors[-1]))
    await _part_resources(work, parting, names, goes, stays, act)
    await _part_patients(work, chain, goes, stays, act)
    return parting


async def _chain(work: Work, loser_id: UUID) -> list[Row]:
    """The merges that stand, from this patient's to the last. Raises ConflictError where there is none."""
    chain = await work.tx.fetch(q.merge_chain, work.access.org, loser_id)
    if not chain:
        raise ConflictError("this patient was not merged into another", code="not_merged")
    return chain


async def _merged_under(work: Work, loser_id: UUID, survivors: list[UUID]) -> frozenset[UUID]:
    rows = await work.tx.fetch(q.merged_under, work.access.org, loser_id, survivors)
    return frozenset(row["id"] for row in rows)


async def _messages_since(work: Work, patients: list[UUID], merge: Row) -> list[Row]:
    """What came since the merge; since an earlier one, where that was undone while this one stood: it took words back
    that could not be told again to a patient who was merged away."""
    org = work.access.org
    since = await work.tx.fetchval(q.unmerge_since, org, patients, merge["merged_at"])
    rows = await work.tx.fetch(q.messages_since_merge, org, patients, since, sorted(MERGE_EVENTS), MESSAGES_MAX + 1)
    if len(rows) > MESSAGES_MAX:
        raise ConflictError(
            f"more than {MESSAGES_MAX} messages came since the merge: part the records by hand",
            code="too_much_since_merge",
        )
    return rows


def _voices(messages: Iterable[Row]) -> frozenset[str]:
    """By which message ids the lineage knows these messages' words: a replay speaks with its parent's voice."""
    return frozenset(str(message["parent_id"] or message["id"]) for message in messages)


def _sorted(messages: Iterable[Row], names: frozenset[UUID]) -> tuple[list[Row], list[Row]]:
    """(messages under the loser's numbers, messages under the survivor's)."""
    sides: tuple[list[Row], list[Row]] = [], []
    for message in messages:
        sides[names.isdisjoint((message["named_id"], message["patient_id"]))].append(message)
    return sides


async def _give_back(work: Work, merge: Row, parting: Parting, names: frozenset[UUID], act: Act) -> None:
    """The merge no longer stands, and the keys lead where they led before it."""
    org = work.access.org
    await work.tx.execute(q.undo_merge, org, merge["id"], clock.now(), act.actor, act.reason)
    await work.tx.execute(q.give_keys_back, org, parting.patient_id, parting.survivor_id, list(names))
    work.forget_patient_keys()


async def _family(work: Work, patient_id: UUID) -> frozenset[UUID]:
    """A patient and everyone who is merged into them."""
    rows = await work.tx.fetch(q.merged_into, work.access.org, patient_id)
    return frozenset(row["id"] for row in rows)


async def _part_resources(
    work: Work, parting: Parting, names: frozenset[UUID], goes: "_Side", stays: "_Side", act: Act
) -> None:
    """Resources go back to their original subject, without the words of messages under the other's numbers."""
    survivor, patient = (work.standing("Patient", one) for one in (parting.survivor_id, parting.patient_id))
    new_name = dict.fromkeys(survivor.references, patient.reference)
    for held in await work.load_compartment(parting.survivor_id):
        if held.type == "Patient":
            continue
        await work.breathe()
        before, leaves = held.body, held.original_subject in names
        told = await (goes if leaves else stays).untold(held)
        if leaves:
            held.patient_id = parting.patient_id
            parting.moved[held.type] = parting.moved.get(held.type, 0) + 1
            held.advance(with_references(told.body, new_name), told.lineage, act.message_id, act.actor)
            _announce(work, held, [f"{held.type.lower()}.moved"], ("subject", *told.changed), act)
        elif told.changed:
            held.advance(told.body, told.lineage, act.message_id, act.actor)
            _announce(work, held, event_types(held.type, before, held.body), told.changed, act)
        elif told.lineage is not held.lineage:
            held.refresh(told.lineage)  # moves of a visit that are no longer seen, but would count again
        parting.restored += bool(told.changed)


async def _part_patients(work: Work, chain: list[Row], goes: "_Side", stays: "_Side", act: Act) -> None:
    """The patients lose their links and the words that are the other's, and both say that they were parted."""
    loser_id, survivor_id = chain[0]["loser_id"], chain[-1]["survivor_id"]
    sides = [(loser_id, goes.without(str(chain[0]["message_id"])), chain[0]["survivor_id"])]
    sides += [(row["survivor_id"], stays, loser_id) for row in chain]
    for patient_id, side, other_id in sides:
        held = work.standing("Patient", patient_id)
        told = await side.untold(held)
        other = work.standing("Patient", other_id)
        body, lineage = without_link(told.body, told.lineage, other.reference, MERGED_BY)
        if body != held.body:
            held.advance(body, lineage, act.message_id, act.actor)
        if patient_id in (loser_id, survivor_id):
            detail = {"patient_id": str(loser_id), "survivor_id": str(survivor_id)}
            _announce(work, held, ["patient.unmerged"], ("link", *told.changed), act, detail)


async def _name_messages(work: Work, loser_id: UUID, messages: list[Row]) -> None:
    if messages:
        named = [None if message["named_id"] == loser_id else message["named_id"] for message in messages]
        ids = [message["id"] for message in messages]
        await work.tx.execute(q.name_messages, work.access.org, ids, [loser_id] * len(ids), named)


@dataclass(frozen=True, slots=True)
class _Untold:
    """A body and lineage without the words of some messages, and the paths of the elements that changed."""

    body: Json
    lineage: Lineage
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two patients: messages since the merge whose words are not theirs, and who belongs to them."""

    work: Work
    foreign: frozenset[str]
    family: frozenset[UUID]

    def without(self, message_id: str) -> "_Side":
        """The same side, for which the words of one more message are foreign."""
        return replace(self, foreign=self.foreign | {message_id})

    async def untold(self, held: Standing) -> _Untold:
        """Each element that a foreign word stands in gets the last value that had none; without one it goes."""
        shape, parts = shape_of(held.type), dict(held.lineage.parts)
        paths = {path for path, words in parts.items() if path != "link" and _said_by(words, self.foreign)}
        moves = unheard(held.lineage.moves, self.foreign)
        if not paths and moves == held.lineage.moves:
            return _Untold(held.body, held.lineage)
        before, former = shape.told(held.body), await self._former(held, paths)
        told = dict(before)
        for path in paths:
            told.pop(path, None)
            value, parts[path] = former.get(path, (None, []))
            if value is not None:
                told[path] = value
        body, lineage = redrawn(shape.body(told), Lineage(parts, moves))
        drawn = shape.told(body)
        changed = paths | {path for path in drawn.keys() | before.keys() if drawn.get(path) != before.get(path)}
        return _Untold({"resourceType": held.type, **body}, lineage, tuple(sorted(changed)))

    async def _former(self, held: Standing, paths: set[str]) -> dict[str, tuple[Any, list[Part]]]:
        """The newest former value of each path in which no foreign word stands, with its words."""
        rows = await self.work.tx.fetch(q.versions_before, self.work.access.org, held.type, held.id)
        versions = [(row["body"], Lineage.read(row["lineage"]).parts) for row in rows]
        foreign = self.foreign | await self._strangers(parts.get(path, ()) for _, parts in versions for path in paths)
        found: dict[str, tuple[Any, list[Part]]] = {}
        for body, parts in versions:
            clean = [path for path in paths - found.keys() if not _said_by(parts.get(path, ()), foreign)]
            if clean:
                told = shape_of(held.type).told(read_body(body)[0])
                found.update({path: (told.get(path), parts.get(path, [])) for path in clean})
        return found

    async def _strangers(self, words: Iterable[Iterable[Part]]) -> frozenset[str]:
        """Messages among these whose number names someone else by now: an unmerge before took their words back."""
        messages = {part.stamp.message for parts in words for part in parts if not part.source_field.startswith("/")}
        rows = await self.work.tx.fetch(
            q.messages_of_strangers, self.work.access.org, sorted(messages), list(self.family)
        )
        return frozenset(row["id"] for row in rows)


def _said_by(parts: Iterable[Part], messages: frozenset[str]) -> bool:
    return any(part.stamp.message in messages for part in parts)


def _announce(
    work: Work, held: Standing, types: Iterable[str], changed: tuple[str, ...], act: Act, detail: Json | None = None
) -> None:
    """Receivers are told that two patients were parted; what moved with it is for the record only, as at the merge."""
    work.events.extend(
        Event(
            type=event_type,
            resource_type=held.type,
            resource_id=held.id,
            version=held.version,
            patient_id=held.patient_id,
            changed=changed,
            message_id=act.message_id,
            mode="live" if detail else "record-only",
            detail=detail or {},
        )
        for event_type in types
    )
