"""A document that replaces another one makes that one superseded (R4 DocumentReference.relatesTo)."""

from chartwire.mapping.conversion import Mapped
from chartwire.record.merge import set_elements
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller

_PARENT = "TXA-13"


def supersede(teller: Teller, mapped: Mapped, held: Standing) -> None:
    """After `mapped` was told to `held`: the documents of the same patient that it replaces are superseded."""
    relations = mapped.body.get("relatesTo", ()) if mapped.type == "DocumentReference" else ()
    if not any(relation["code"] == "replaces" for relation in relations):
        return
    stamp, replay, status = (
        teller.context.stamp(held.type),
        teller.context.parent_id is not None,
        {"status": "superseded"},
    )
    for parent_id in teller.work.resolve(held.type, (mapped.facts["parent_key"],)) - {held.id}:
        parent = teller.work.standing(held.type, parent_id)
        if parent.patient_id == held.patient_id:
            merged = set_elements(parent.body, parent.lineage, held.type, status, stamp, _PARENT, replay=replay)
            if merged.changed:
                teller.advance(parent, merged)
