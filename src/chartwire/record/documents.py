"""Documents in the record: what belongs to a DocumentReference, and those of a patient."""

from uuid import UUID

from chartwire.core.access import Access
from chartwire.mapping.conversion import Json, Mapped
from chartwire.record.contents import attachments
from chartwire.record.read import Stored, stored_of
from chartwire.record.standing import Standing
from chartwire.record.work import Work
from chartwire.store.pool import Pool
from chartwire.store.queries import q


def localised(body: Json, mapped: Mapped, held: Standing, work: Work) -> Json:
    """A told DocumentReference with references to the visit and the parent document, where the record knows them.

    A notification without content (MDM T01, T03 ...) says nothing of the content that stands.
    """
    if held.version and not any("contentType" in one for one in attachments(body)):
        body.pop("content", None)
    for key, kind, targets in (
        (mapped.facts.get("parent_key"), "DocumentReference", [one["target"] for one in body.get("relatesTo", ())]),
        (mapped.facts.get("visit_key"), "Encounter", body.get("context", {}).get("encounter", [])),
    ):
        for known in work.resolve(kind, (key,)) - {held.id} if key else ():
            if work.standing(kind, known).patient_id == held.patient_id:
                for target in targets:
                    target["reference"] = f"{kind}/{known}"
    return body


async def documents_of_patient(pool: Pool, access: Access, patient_id: UUID, before: UUID, limit: int) -> list[Stored]:
    """The DocumentReferences of a patient whose ids are less than `before`, newest first."""
    async with pool.transaction(access.org) as tx:
        rows = await tx.fetch(q.documents_of_patient, access.org, patient_id, before, limit)
    return [stored_of(row, row["id"]) for row in rows]
