"""Two records of one person become one, reversibly (A40; domain-rules.md section 3).

The loser stays readable: inactive, with a link `replaced-by`. Its keys lead to the survivor, so that late messages get
there; what belonged to it names the survivor from now on, and keeps its original subject for an unmerge.
"""

from uuid import UUID

from chartwire.core.fhir_ids import store_id
from chartwire.core.source import Source
from chartwire.mapping.conversion import Conversion, Json, Merge
from chartwire.record.identity import HeldForReviewError
from chartwire.record.lineage import Lineage, Part
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller, with_references
from chartwire.record.work import PatientMerge, Work

MERGED_BY = "MRG-1"
"""The source field of what a merge set: the links, and that the loser is inactive."""


def check(work: Work, conversion: Conversion, source: Source) -> None:
    """Raises HeldForReviewError, before anything is touched.

    Where one side of a merge names several patients, or the source's table says that it may not set patients.
    """
    if conversion.merges:
        check_may_merge(source)
    for group in conversion.merges:
        for side in (group.survivor, group.loser):
            if len(work.resolve("Patient", (key.key for key in side))) > 1:
                raise HeldForReviewError("merge_names_several_patients", "Patient", None)


def check_may_merge(source: Source) -> None:
    """Raises HeldForReviewError where the source's table says that it may not set patients."""
    if dict(source.may_set).get("Patient") == 0:
        raise HeldForReviewError("source_may_not_merge", "Patient", None)


def said_before_merge(survivor: Standing, origin: UUID, recorded: str | None) -> bool:
    """Whether a word under a number that a merge moved was recorded before the merge.

    Then it is about the loser's record, which the merge has set aside, and not about the survivor's. `origin` is the
    patient that the number named before, or the message of the merge where it named none. Where the number came by a
    chain of merges the last one counts.
    """
    merged_at: dict[UUID, str] = {}
    links = survivor.body.get("link", ())
    for part in survivor.lineage.parts.get("link", ()):
        if part.source_field == MERGED_BY and part.stamp.recorded:
            other = links[part.positions[0]]["other"]["reference"] if part.positions else part.stamp.message
            merged_at[store_id(other.removeprefix("Patient/"))] = part.stamp.recorded
    if recorded is None or not merged_at:
        return False
    return recorded <= (merged_at.get(origin) or max(merged_at.values()))


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
    named_id = work.first_moved_from(survivor_keys)
    for loser_id in losers:
        await _replace(teller, work.standing("Patient", loser_id), survivor)
        work.merges.append(PatientMerge(loser_id, survivor.id, teller.context.message_id, named_id))
    if work.add_keys(survivor, loser_keys, origin=teller.context.message_id) and not losers:
        parts = survivor.lineage.parts
        merged = Part(teller.context.stamp("Patient"), MERGED_BY, ())
        survivor.refresh(Lineage({**parts, "link": [*parts.get("link", ()), merged]}))


async def _replace(teller: Teller, loser: Standing, survivor: Standing) -> None:
    work, stamp = teller.work, teller.context.stamp("Patient")
    moved = [held for held in await work.load_compartment(loser.id) if held.type != "Patient"]
    new_name = dict.fromkeys(loser.references, survivor.reference)
    for held in moved:
        await work.breathe()
        held.patient_id = survivor.id
        held.advance(
            with_references(held.body, new_name), held.lineage, teller.context.message_id, teller.context.actor
        )
        teller.announce(held, [f"{held.type.lower()}.moved"], ("subject",), mode="record-only")
    add_link(teller, loser, survivor, "replaced-by", Part(stamp, MERGED_BY))
    add_link(teller, survivor, loser, "replaces", Part(stamp, MERGED_BY))
    work.repoint_keys(loser.id, survivor.id)
    teller.announce(survivor, ["patient.merged"], ("link",), survivor_id=str(survivor.id), loser_id=str(loser.id))


def add_link(teller: Teller, held: Standing, other: Standing, link_type: str, word: Part) -> None:
    """A version of a patient that links to another; who is replaced is inactive from then on."""
    links = [*held.body.get("link", ()), {"other": {"reference": other.reference}, "type": link_type}]
    body: Json = {**held.body, "link": links}
    parts = dict(held.lineage.parts)
    parts["link"] = [*parts.get("link", ()), word._replace(positions=(len(links) - 1,))]
    if link_type == "replaced-by":
        body["active"] = False
        parts["active"] = [word]
    held.advance(body, Lineage(parts), teller.context.message_id, teller.context.actor)
    teller.touched.append((held.type, held.id, held.version, True))


def links_of_merges(patient: Standing) -> list[Json]:
    """The links of a patient that merges made: they stay until the merge is undone."""
    words = (word for word in patient.lineage.parts.get("link", ()) if word.source_field == MERGED_BY)
    return [patient.body["link"][place] for word in words for place in word.positions or ()]


def without_link(body: Json, lineage: Lineage, other: str, made_by: str) -> tuple[Json, Lineage]:
    """A patient's body and lineage without the links to `other` (a reference) that the field `made_by` made; the words
    about links that stay keep their places."""
    links, words = body.get("link", []), lineage.parts.get("link", [])
    made = {place for word in words if word.source_field == made_by for place in word.positions or ()}
    gone = {place for place in made if links[place]["other"]["reference"] == other}
    if not gone:
        return body, lineage
    kept = [place for place in range(len(links)) if place not in gone]
    moved = {place: number for number, place in enumerate(kept)}
    parts = [
        word._replace(positions=tuple(moved[place] for place in word.positions or () if place in moved))
        for word in words
        if not word.positions or not gone.issuperset(word.positions)
    ]
    rest = {**body, "link": [links[place] for place in kept]}
    if not kept:
        del rest["link"]
    return rest, Lineage({**lineage.parts, "link": parts})
