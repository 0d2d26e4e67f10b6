"""Two records of one person become one, reversibly (A40; domain-rules.md section 3).

The loser stays readable: inactive, with a link `replaced-by`. Its keys lead to the survivor, so that late messages get
there; what belonged to it names the survivor from now on, and keeps its original subject for an unmerge.
"""

from uuid import UUID

from chartwire.core.source import Source
from chartwire.mapping.conversion import Conversion, Json, Merge
from chartwire.record.identity import HeldForReviewError
from chartwire.record.lineage import Lineage, Part, Stamp
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller, with_references
from chartwire.record.work import PatientMerge, Work

_SOURCE_FIELD = "MRG-1"


def check(work: Work, conversion: Conversion, source: Source) -> None:
    """Raises HeldForReviewError, before anything is touched.

    Where one side of a merge names several patients, or the source's table says that it may not set patients.
    """
    if conversion.merges and dict(source.may_set).get("Patient") == 0:
        raise HeldForReviewError("source_may_not_merge", "Patient", None)
    for group in conversion.merges:
        for side in (group.survivor, group.loser):
            if len(work.resolve("Patient", (key.key for key in side))) > 1:
                raise HeldForReviewError("merge_names_several_patients", "Patient", None)


def said_before_merge(survivor: Standing, origin: UUID, recorded: str | None) -> bool:
    """Whether a word under a number that a merge moved was recorded before the merge.

    Then it is about the loser's record, which the merge has set aside, and not about the survivor's. `origin` is the
    patient that the number named before, or the message of the merge where it named none. Where the number came by a
    chain of merges the last one counts.
    """
    merged_at: dict[str, str] = {}
    links = survivor.body.get("link", ())
    for part in survivor.lineage.parts.get("link", ()):
        if part.source_field == _SOURCE_FIELD and part.stamp.recorded:
            other = links[part.positions[0]]["other"]["reference"] if part.positions else part.stamp.message
            merged_at[other.removeprefix("Patient/")] = part.stamp.recorded
    if recorded is None or not merged_at:
        return False
    return recorded <= (merged_at.get(str(origin)) or max(merged_at.values()))


async def carry_out(teller: Teller, conversion: Conversion) -> None:
    """Carry out every merge of a message. The same merge again changes nothing."""
    for group in conversion.merges:
        await _merge(teller, group)


async def _merge(teller: Teller, group: Merge) -> None:
    work = teller.work
    survivor_keys = [key.key for key in group.survivor]
    loser_keys = [key.key for key in group.loser]
    survivors = work.resolve("Patient", survivor_keys)
    losers = work.resolve("Patient", loser_keys) - survivors
    if not survivors:
        return
    survivor = work.standing("Patient", survivors.pop())
    for loser_id in losers:
        await _replace(teller, work.standing("Patient", loser_id), survivor)
    if work.add_keys(survivor, loser_keys, merged_by=teller.context.message_id) and not losers:
        parts = survivor.lineage.parts
        merged = Part(teller.context.stamp("Patient"), _SOURCE_FIELD, ())
        survivor.refresh(Lineage({**parts, "link": [*parts.get("link", ()), merged]}))


async def _replace(teller: Teller, loser: Standing, survivor: Standing) -> None:
    work, stamp = teller.work, teller.context.stamp("Patient")
    moved = [held for held in await work.load_compartment(loser.id) if held.type != "Patient"]
    new_name = {loser.reference: survivor.reference}
    for held in moved:
        held.patient_id = survivor.id
        held.advance(
            with_references(held.body, new_name), held.lineage, teller.context.message_id, teller.context.actor
        )
        teller.announce(held, [f"{held.type.lower()}.moved"], ("subject",), mode="record-only")
    _link(teller, loser, survivor, "replaced-by", stamp)
    _link(teller, survivor, loser, "replaces", stamp)
    work.repoint_keys(loser.id, survivor.id)
    work.merges.append(PatientMerge(loser.id, survivor.id, teller.context.message_id))
    teller.announce(survivor, ["patient.merged"], ("link",), survivor_id=str(survivor.id), loser_id=str(loser.id))


def _link(teller: Teller, held: Standing, other: Standing, link_type: str, stamp: Stamp) -> None:
    links = [*held.body.get("link", ()), {"other": {"reference": other.reference}, "type": link_type}]
    body: Json = {**held.body, "link": links}
    parts = dict(held.lineage.parts)
    parts["link"] = [*parts.get("link", ()), Part(stamp, _SOURCE_FIELD, (len(links) - 1,))]
    if link_type == "replaced-by":
        body["active"] = False
        parts["active"] = [Part(stamp, _SOURCE_FIELD)]
    held.advance(body, Lineage(parts), teller.context.message_id, teller.context.actor)
    teller.touched.append((held.type, held.id, held.version, True))
