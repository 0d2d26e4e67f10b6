"""One message's resources meet the record: whose are they, what changes, what happened.

Every doubt about identity is settled before anything is touched, so that a message is applied whole or held whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from chartwire.mapping.conversion import Conversion, Mapped
from chartwire.record import authority, merging, snapshots
from chartwire.record.identity import HeldForReviewError, overlays
from chartwire.record.standing import Standing
from chartwire.record.telling import MessageContext, Teller, Touch
from chartwire.record.work import Work


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message touched: (type, id, version, whether it changed), and the patient it is about."""

    touched: list[Touch]
    patient_id: UUID | None


def keys_of(conversion: Conversion) -> list[tuple[str, str]]:
    """Every source key that `save` will ask for, directory resources apart: prefetch them."""
    directory = authority.directory_types()
    keys = [
        (mapped.type, key)
        for mapped in conversion.resources
        if mapped.type not in directory
        for key in (mapped.key, *mapped.keys)
    ]
    for group in conversion.merges:
        keys.extend(("Patient", key.key) for key in (*group.survivor, *group.loser))
    return keys


async def save(work: Work, conversion: Conversion, context: MessageContext, directory: Mapping[str, str]) -> Outcome:
    """Apply one message. Raises HeldForReviewError, with nothing changed, where identity is in doubt.

    Ties become reviews, changes become versions and events, in `work`; nothing is written before its `flush`.
    `directory` leads from the mapped references of practitioners, locations and organizations to the stored ones.
    """
    patients = [mapped for mapped in conversion.resources if mapped.type == "Patient"]
    recognised = [(mapped, _recognise_patient(work, mapped)) for mapped in patients]
    subject = _subject(conversion, recognised)
    others = [mapped for mapped in conversion.resources if mapped.type not in {"Patient", *authority.directory_types()}]
    known = {mapped.id: _recognise(work, mapped, subject) for mapped in others}
    merging.check(work, conversion)

    teller = Teller(work, context, dict(directory))
    told = [_tell_patient(teller, mapped, standing) for mapped, standing in recognised]
    await merging.carry_out(teller, conversion)
    patient_id = subject.id if subject else (told[0].id if told else None)
    pairs = [(mapped, known[mapped.id] or _new(work, mapped, patient_id)) for mapped in others]
    teller.ids.update({f"{mapped.type}/{mapped.id}": held.reference for mapped, held in pairs})
    for mapped, held in pairs:
        teller.tell(mapped, held, context.stamp(mapped.type))
    for snapshot in conversion.snapshots:
        await snapshots.take(teller, snapshot)
    return Outcome(teller.touched, patient_id)


def _recognise_patient(work: Work, patient: Mapped) -> Standing | None:
    ids = work.resolve("Patient", (patient.key, *patient.keys))
    if len(ids) > 1:
        raise HeldForReviewError("identifiers_name_different_patients", "Patient", None)
    if not ids:
        return None
    standing = work.standing("Patient", ids.pop())
    if overlays(standing.body, patient.body):
        raise HeldForReviewError("identifier_matches_another_person", "Patient", standing.id)
    return standing


def _subject(conversion: Conversion, recognised: list[tuple[Mapped, Standing | None]]) -> Standing | None:
    """The patient that the message is about, where the record knows them already."""
    subjects = {key.key for key in conversion.patient_keys}
    for mapped, standing in recognised:
        if mapped.key in subjects:
            return standing
    return recognised[0][1] if recognised else None


def _recognise(work: Work, mapped: Mapped, subject: Standing | None) -> Standing | None:
    """What a resource is, where the record knows it; a visit or order of another patient holds the message."""
    for resource_id in work.resolve(mapped.type, (mapped.key, *mapped.keys)):
        held = work.standing(mapped.type, resource_id)
        if held.patient_id and (subject is None or subject.id != held.patient_id):
            raise HeldForReviewError("belongs_to_another_patient", mapped.type, held.id)
        return held
    return None


def _new(work: Work, mapped: Mapped, patient_id: UUID | None) -> Standing:
    return work.create(mapped.type, (mapped.key, *mapped.keys), patient_id)


def _tell_patient(teller: Teller, patient: Mapped, standing: Standing | None) -> Standing:
    """Set demographics where the event may, else find the patient, or make a provisional one."""
    stamp = teller.context.stamp("Patient")
    keys = (patient.key, *patient.keys)
    if standing is None:
        standing = teller.work.create("Patient", keys, None)
        standing.patient_id = standing.original_subject = standing.id
        if stamp.rank == 0:
            standing.provisional = True
            stamp = stamp._replace(rank=authority.provisional_rank())
    teller.ids[f"{patient.type}/{patient.id}"] = standing.reference
    if stamp.rank == 0:
        teller.leave(standing)
        return standing
    completes = standing.provisional and stamp.rank > authority.provisional_rank()
    standing.provisional = standing.provisional and not completes
    teller.work.add_keys(standing, keys)
    # A message under a number that was merged away speaks of this person, but its PID-3 is not the survivor's list.
    bar = ("identifier",) if teller.work.was_moved("Patient", patient.key) else ()
    teller.tell(patient, standing, stamp, force=completes, bar=bar)
    return standing
