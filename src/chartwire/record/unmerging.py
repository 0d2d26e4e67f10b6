"""Two records that were made one become two again (`POST /patients/{id}/unmerge`, A37; domain-rules.md section 3).

Keys, resources and words go back to the patient whose number they came under: keys by where they led before merges,
resources by their original subject, elements by the message that set them. What was told since the merge is taken back
where it stands on the wrong side; the messages are then told again, each to the patient that its number names now
(channels/unmerge.py). What cannot be told again, or fits neither side, is a case for a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
from chartwire.record.work import Work
from chartwire.store.pool import Row
from chartwire.store.queries import q

MESSAGES_MAX = 5_000
"""Messages that one unmerge tells again; who has more since the merge is parted by a person."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who parts two records, and by which message where it was one."""

    actor: str
    message_id: UUID | None = None


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
    messages = await _messages_since(work, [loser_id, *survivors], chain[0])
    parting = Parting(loser_id, survivors[-1], messages=messages)
    await _give_back(work, parting, names, act)
    theirs = _voices(message for message in messages if message["named_id"] in names)
    ours = _voices(message for message in messages if message["named_id"] not in names)
    await _part_resources(work, parting, names, theirs, ours, act)
    await _part_patients(work, chain, theirs, act)
    await _name_messages(work, loser_id, [message for message in messages if message["named_id"] in names])
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
    rows = await work.tx.fetch(
        q.messages_since_merge, work.access.org, patients, merge["merged_at"], sorted(MERGE_EVENTS), MESSAGES_MAX + 1
    )
    if len(rows) > MESSAGES_MAX:
        raise ConflictError(
            f"more than {MESSAGES_MAX} messages came since the merge: part the records by hand",
            code="too_much_since_merge",
        )
    return rows


def _voices(messages: Iterable[Row]) -> frozenset[str]:
    """By which message ids the lineage knows these messages' words: a replay speaks with its parent's voice."""
    return frozenset(str(message["parent_id"] or message["id"]) for message in messages)


async def _give_back(work: Work, parting: Parting, names: frozenset[UUID], act: Act) -> None:
    """The merge no longer stands, and the keys lead where they led before it."""
    org, [merge, *_] = work.access.org, await _chain(work, parting.patient_id)
    await work.tx.execute(q.undo_merge, org, merge["id"], clock.now(), act.actor)
    await work.tx.execute(q.give_keys_back, org, parting.patient_id, parting.survivor_id, list(names))
    work.forget_patient_keys()


async def _part_resources(
    work: Work, parting: Parting, names: frozenset[UUID], theirs: frozenset[str], ours: frozenset[str], act: Act
) -> None:
    """Resources go back to their original subject, without the words of messages under the other's numbers."""
    new_name = {f"Patient/{parting.survivor_id}": f"Patient/{parting.patient_id}"}
    for held in await work.load_compartment(parting.survivor_id):
        if held.type == "Patient":
            continue
        goes, before = held.original_subject in names, held.body
        told = await _untold(work, held, ours if goes else theirs)
        if goes:
            held.patient_id = parting.patient_id
            parting.moved[held.type] = parting.moved.get(held.type, 0) + 1
            held.advance(with_references(told.body, new_name), told.lineage, act.message_id, act.actor)
            _announce(work, held, [f"{held.type.lower()}.moved"], ("subject", *told.changed), act)
        elif told.changed:
            held.advance(told.body, told.lineage, act.message_id, act.actor)
            _announce(work, held, event_types(held.type, before, held.body), told.changed, act)
        parting.restored += bool(told.changed)


async def _part_patients(work: Work, chain: list[Row], theirs: frozenset[str], act: Act) -> None:
    """The patients lose their links and the words that are the other's, and both say that they were parted."""
    loser_id, survivor_id = chain[0]["loser_id"], chain[-1]["survivor_id"]
    merged = frozenset({str(chain[0]["message_id"])})
    sides = [(loser_id, merged, chain[0]["survivor_id"])]
    sides += [(row["survivor_id"], theirs, loser_id) for row in chain]
    for patient_id, foreign, other_id in sides:
        held = work.standing("Patient", patient_id)
        told = await _untold(work, held, foreign)
        body, lineage = without_link(told.body, told.lineage, f"Patient/{other_id}", MERGED_BY)
        if body == held.body:
            continue
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


async def _untold(work: Work, held: Standing, foreign: frozenset[str]) -> _Untold:
    """Each element that a foreign word stands in gets the last value that had none; without one it goes."""
    paths = [path for path, parts in held.lineage.parts.items() if path != "link" and _said_by(parts, foreign)]
    if not paths:
        return _Untold(held.body, held.lineage)
    shape = shape_of(held.type)
    told, parts = shape.told(held.body), dict(held.lineage.parts)
    former = await _former(work, held, paths, foreign)
    for path in paths:
        value, words = former.get(path, (None, []))
        told[path], parts[path] = value, words
        if value is None:
            del told[path]
    body = {"resourceType": held.type, **shape.body(told)}
    return _Untold(body, Lineage(parts), tuple(paths))


async def _former(
    work: Work, held: Standing, paths: list[str], foreign: frozenset[str]
) -> dict[str, tuple[Any, list[Part]]]:
    """The newest former value of each path in which no foreign word stands, with its words."""
    shape, wanted = shape_of(held.type), set(paths)
    found: dict[str, tuple[Any, list[Part]]] = {}
    for row in await work.tx.fetch(q.versions_before, work.access.org, held.type, held.id):
        lineage, told = Lineage.read(row["lineage"]), shape.told(read_body(row["body"])[0])
        for path in [path for path in wanted if not _said_by(lineage.parts.get(path, ()), foreign)]:
            found[path] = told.get(path), lineage.parts.get(path, [])
            wanted.discard(path)
        if not wanted:
            break
    return found


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
