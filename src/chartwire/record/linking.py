"""Two records of one person refer to each other (A24), or no longer do; what was merged is parted (A37)."""

from collections.abc import Iterable

from chartwire.core.errors import ConflictError
from chartwire.core.source import Source
from chartwire.mapping.conversion import Conversion, PatientKey
from chartwire.record.identity import HeldForReviewError
from chartwire.record.lineage import Part
from chartwire.record.merging import add_link, check_may_merge, without_link
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller
from chartwire.record.unmerging import Act, Parting, unmerge
from chartwire.record.work import Work

LINKED_BY = "PID-3"
_SEE_ALSO = "seealso"


def check(work: Work, conversion: Conversion, source: Source) -> None:
    """Raises HeldForReviewError, before anything is touched, where a side of a link is not one known patient."""
    if conversion.links:
        check_may_merge(source)
    for link in conversion.links:
        for side in (link.one, link.other):
            found = len(work.resolve("Patient", (key.key for key in side)))
            if found != 1:
                code = "link_names_several_patients" if found else "link_names_unknown_patient"
                raise HeldForReviewError(code, "Patient", None)


async def carry_out(teller: Teller, conversion: Conversion) -> list[Parting]:
    """Link and unlink; answers the unmerges, whose messages are still to be told again. Raises HeldForReviewError."""
    partings = []
    for link in conversion.links:
        one, other = _patient(teller.work, link.one), _patient(teller.work, link.other)
        if not link.apart:
            _link(teller, one, other)
        elif one is other:
            partings.append(await _part(teller, link.one, link.other, one))
        else:
            _unlink(teller, one, other)
    return partings


def _patient(work: Work, keys: Iterable[PatientKey]) -> Standing:
    [patient_id] = work.resolve("Patient", (key.key for key in keys))
    return work.standing("Patient", patient_id)


def _link(teller: Teller, one: Standing, other: Standing) -> None:
    if one is other or any(link["other"]["reference"] == other.reference for link in one.body.get("link", ())):
        return
    stamp = teller.context.stamp("Patient")
    for held, sibling in ((one, other), (other, one)):
        add_link(teller, held, sibling, _SEE_ALSO, Part(stamp, LINKED_BY))
        teller.announce(held, ["patient.linked"], ("link",), linked_id=str(sibling.id))


def _unlink(teller: Teller, one: Standing, other: Standing) -> None:
    for held, sibling in ((one, other), (other, one)):
        body, lineage = without_link(held.body, held.lineage, sibling.reference, LINKED_BY)
        if body == held.body:
            continue
        held.advance(body, lineage, teller.context.message_id, teller.context.actor)
        teller.touched.append((held.type, held.id, held.version, True))
        teller.announce(held, ["patient.unlinked"], ("link",), unlinked_id=str(sibling.id))


async def _part(teller: Teller, one: Iterable[PatientKey], other: Iterable[PatientKey], both: Standing) -> Parting:
    """Part whom the second group names, where a merge moved that number, else whom the first one names."""
    origins = (teller.work.first_moved_from(key.key for key in side) for side in (other, one))
    loser_id = next((origin for origin in origins if origin), None)
    if loser_id is None:
        raise HeldForReviewError("nothing_to_unlink", "Patient", both.id)
    try:
        return await unmerge(teller.work, loser_id, Act(teller.context.actor, teller.context.message_id))
    except ConflictError as error:
        if error.code == "merged_meanwhile":
            raise
        raise HeldForReviewError(error.code, "Patient", both.id) from None
