"""One message's resources meet the record: whose are they, what changes, what happened.

Every doubt about identity is settled before anything is touched, so that a message is applied whole or held whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from chartwire.mapping.conversion import Conversion, Json, MapFinding, Mapped
from chartwire.record import authority, linking, merging, snapshots
from chartwire.record.bodies import plain_json
from chartwire.record.identity import HeldForReviewError, overlays
from chartwire.record.standing import Standing
from chartwire.record.status import moves, practice_status
from chartwire.record.superseding import supersede
from chartwire.record.telling import MessageContext, Teller, Touch
from chartwire.record.unmerging import Parting
from chartwire.record.work import Work

_ANOTHER_PATIENT, _DIFFERENT_PATIENTS = "belongs_to_another_patient", "identifiers_name_different_patients"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message touched: (type, id, version, whether it changed), and the patient it is about.

    `named_id` is the patient that its number named before merges, where that is another one. `parted` are unmerges
    whose messages are still to be told again.
    """

    touched: list[Touch]
    patient_id: UUID | None
    named_id: UUID | None = None
    parted: Sequence[Parting] = ()


_KEY_FACTS = (("parent_key", None), ("visit_key", "Encounter"))
"""Facts that hold a key of another resource: of the same type where none is named."""


def keys_of(conversion: Conversion) -> list[tuple[str, str]]:
    """Every source key that `save` will ask for, directory resources apart: prefetch them."""
    directory = authority.directory_types()
    keys = [
        (mapped.type, key)
        for mapped in conversion.resources
        if mapped.type not in directory
        for key in (mapped.key, *mapped.keys)
    ]
    keys.extend(
        (kind or mapped.type, mapped.facts[fact])
        for mapped in conversion.resources
        for fact, kind in _KEY_FACTS
        if mapped.facts.get(fact)
    )
    for group in conversion.merges:
        keys.extend(("Patient", key.key) for key in (*group.survivor, *group.loser))
    for link in conversion.links:
        keys.extend(("Patient", key.key) for key in (*link.one, *link.other))
    return keys


async def save(work: Work, conversion: Conversion, context: MessageContext, directory: Mapping[str, str]) -> Outcome:
    """Apply one message. Raises HeldForReviewError, with nothing changed, where identity is in doubt.

    Ties become reviews, changes become versions and events, in `work`; nothing is written before its `flush`.
    `directory` leads from the mapped references of practitioners, locations and organizations to the stored ones.
    """
    await work.breathe()
    patients = [mapped for mapped in conversion.resources if mapped.type == "Patient"]
    doubts = _Doubts(context.decision)
    recognised = [(mapped, _recognise_patient(work, mapped, doubts)) for mapped in patients]
    standing: dict[UUID | None, Standing | None] = {mapped.id: held for mapped, held in recognised}
    others = [mapped for mapped in conversion.resources if mapped.type not in {"Patient", *authority.directory_types()}]
    owner = {mapped.id: _owner(mapped, patients) for mapped in others}
    known = {mapped.id: _recognise(work, mapped, standing.get(owner[mapped.id]), doubts) for mapped in others}
    merging.check(work, conversion, context.source)
    linking.check(work, conversion, context.source)

    for mapped in doubts.apart:
        work.free_keys(mapped.type, (mapped.key, *mapped.keys))
    teller = Teller(work, context, dict(directory))
    for patient, held in recognised:
        _tell_patient(teller, patient, held)
    parted = await _merge_and_link(teller, conversion)
    named: dict[UUID | None, UUID | None] = {patient.id: _named(teller, patient) for patient in patients}
    origins: dict[UUID | None, UUID | None] = {patient.id: _origin(work, patient) for patient in patients}
    pairs = [
        (mapped, _known_or_new(work, mapped, known[mapped.id], named.get(whose), origins.get(whose)))
        for mapped in others
        for whose in (owner[mapped.id],)
    ]
    teller.ids.update({f"{mapped.type}/{mapped.id}": held.reference for mapped, held in pairs})
    for mapped, held in pairs:
        await work.breathe()
        before = practice_status(held.body) if mapped.type == "Appointment" and held.version else None
        teller.tell(mapped, held, context.stamp(mapped.type))
        _note_unusual_move(conversion, before, held)
        supersede(teller, mapped, held)
    work.contents.update((content.id, content) for content in conversion.contents)
    for snapshot in conversion.snapshots:
        await snapshots.take(teller, snapshot)
    return Outcome(teller.touched, next(iter(named.values()), None), next(iter(origins.values()), None), parted)


async def _merge_and_link(teller: Teller, conversion: Conversion) -> list[Parting]:
    """Merges and links, once: a replay does not undo what people or messages decided about these patients since."""
    if not conversion.merges and not conversion.links:
        return []
    if await teller.work.took_effect(teller.context.parent_id):
        return []
    await merging.carry_out(teller, conversion)
    return await linking.carry_out(teller, conversion)


@dataclass(slots=True)
class _Doubts:
    """What a person said about the doubts of a message (`same_person`, `new_patient` or nothing), and which of its
    resources are `apart` by that: new records, which get the numbers."""

    decision: str | None
    apart: list[Mapped] = field(default_factory=list)

    def settle(self, mapped: Mapped, doubt: HeldForReviewError) -> bool:
        """Whether the resource is the one that its numbers name all the same. Raises the doubt that no one decided."""
        if self.decision == "same_person" and doubt.code != _ANOTHER_PATIENT:
            return True
        if self.decision == "new_patient" and doubt.code != _DIFFERENT_PATIENTS:
            self.apart.append(mapped)
            return False
        raise doubt


def _note_unusual_move(conversion: Conversion, before: str | None, held: Standing) -> None:
    """A feed tells what happened and is never refused; a move that no write could make is a finding."""
    after = practice_status(held.body) if before else None
    if before and after and after != before and after not in moves()[before]:
        finding = MapFinding("unusual_move", "SCH-25", f"the appointment went from {before} to {after}")
        if finding not in conversion.findings:  # a batch that broke is done again
            conversion.findings.append(finding)


def _recognise_patient(work: Work, patient: Mapped, doubts: _Doubts) -> Standing | None:
    ids = work.resolve("Patient", (patient.key, *patient.keys))
    if len(ids) > 1:
        doubts.settle(patient, HeldForReviewError(_DIFFERENT_PATIENTS, "Patient", None))
    standing = _first_named(work, patient)
    if standing is not None and overlays(standing.body, patient.body):
        doubt = HeldForReviewError("identifier_matches_another_person", "Patient", standing.id)
        return standing if doubts.settle(patient, doubt) else None
    return standing


def _owner(mapped: Mapped, patients: Sequence[Mapped]) -> UUID | None:
    """The patient of the message whose resource this is: the first that it refers to, else the message's first."""
    if len(patients) > 1:
        text = plain_json(mapped.body)
        for patient in patients:
            if f'"Patient/{patient.id}"' in text:
                return patient.id
    return patients[0].id if patients else None


def _recognise(work: Work, mapped: Mapped, subject: Standing | None, doubts: _Doubts) -> Standing | None:
    """What a resource is, where the record knows it; a visit or order of another patient holds the message.

    The strongest key decides. A weaker one does not lead to what has another filler number: a placer may use its
    number for several.
    """
    for key in (mapped.key, *mapped.keys):
        for resource_id in work.resolve(mapped.type, (key,)):
            held = work.standing(mapped.type, resource_id)
            if key != mapped.key and _numbered_otherwise(held.body, mapped.body):
                continue
            if held.patient_id and (subject is None or subject.id != held.patient_id):
                doubts.settle(mapped, HeldForReviewError(_ANOTHER_PATIENT, mapped.type, held.id))
                return None
            return held
    return None


def _numbered_otherwise(standing: Json, told: Json) -> bool:
    before, now = _fillers(standing), _fillers(told)
    return bool(before and now) and before.isdisjoint(now)


def _fillers(body: Json) -> set[tuple[str, str]]:
    return {
        (identifier.get("system", ""), identifier.get("value", ""))
        for identifier in body.get("identifier", ())
        if any(coding.get("code") == "FILL" for coding in identifier.get("type", {}).get("coding", ()))
    }


def _known_or_new(
    work: Work, mapped: Mapped, held: Standing | None, patient_id: UUID | None, origin: UUID | None
) -> Standing:
    keys = (mapped.key, *mapped.keys)
    if held is None:
        return work.create(mapped.type, keys, patient_id, origin)
    work.add_keys(held, keys)
    return held


def _named(teller: Teller, patient: Mapped) -> UUID | None:
    """Whom the message's patient is after its merges: the one told, or who replaced them."""
    standing = _first_named(teller.work, patient)
    if standing is None:
        return None
    teller.ids[f"{patient.type}/{patient.id}"] = standing.reference
    return standing.id


def _origin(work: Work, patient: Mapped) -> UUID | None:
    return work.first_moved_from((patient.key, *patient.keys))


def _tell_patient(teller: Teller, patient: Mapped, standing: Standing | None) -> None:
    """Set demographics where the event may, else find the patient, or make a provisional one."""
    work, stamp, keys = teller.work, teller.context.stamp("Patient"), (patient.key, *patient.keys)
    standing = standing or _first_named(work, patient)
    if standing is None:
        standing = work.create("Patient", keys, None)
        standing.patient_id = standing.original_subject = standing.id
        if stamp.rank == 0:
            standing.provisional = True
            stamp = stamp._replace(rank=authority.provisional_rank())
    teller.ids[f"{patient.type}/{patient.id}"] = standing.reference
    if stamp.rank == 0:
        teller.leave(standing)
        return
    completes = standing.provisional and stamp.rank > authority.provisional_rank()
    origin = work.moved_from(patient.key)
    if origin and merging.said_before_merge(standing, origin, stamp.recorded):
        teller.leave(standing)
        return
    standing.provisional = standing.provisional and not completes
    work.add_keys(standing, keys, origin=origin)
    # A message under a number that was merged away speaks of this person, but its PID-3 is not the survivor's list.
    bar = ("identifier",) if origin else ()
    teller.tell(patient, standing, stamp, force=completes, bar=bar)


def _first_named(work: Work, patient: Mapped) -> Standing | None:
    """The patient that the strongest known key names by now."""
    for key in (patient.key, *patient.keys):
        for patient_id in work.resolve("Patient", (key,)):
            return work.standing("Patient", patient_id)
    return None
