"""Snapshots: AL1, DG1, NK1, IN1 name all that there is; what they leave out becomes inactive, never deleted."""

from uuid import UUID

from chartwire.core.ids import order_key_digest
from chartwire.mapping.conversion import Conversion, Json, Snapshot
from chartwire.record.elements import shape_of
from chartwire.record.merge import set_elements
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller


def scope_of(source_id: UUID, snapshot: Snapshot) -> UUID:
    """The scope of a snapshot in the store: one source's list, of one segment type, for one patient or visit."""
    return order_key_digest(str(source_id), snapshot.segment, snapshot.scope)


def scopes_of(source_id: UUID, conversion: Conversion) -> list[UUID]:
    """Every scope that `take` will ask for: prefetch them."""
    return [scope_of(source_id, snapshot) for snapshot in conversion.snapshots]


async def take(teller: Teller, snapshot: Snapshot) -> None:
    """Bring a scope to what the snapshot says."""
    work, kind = teller.work, snapshot.resource_type
    scope = scope_of(teller.context.source.id, snapshot)
    named = [_stored(teller.ids, kind, member) for member in snapshot.members]
    before = work.members_before(scope)
    if snapshot.mode == "action":
        deleted = {_stored(teller.ids, kind, member) for member in snapshot.deleted}
        gone = [member for member in before if member in deleted]
        members = [*(member for member in before if member not in deleted and member not in named), *named]
    else:
        gone = [member for member in before if member not in named]
        members = named
    await work.load({(kind, member) for member in (*gone, *members)})
    shape = shape_of(kind)
    for member in gone:
        _set(teller, work.standing(kind, member), shape.inactive, snapshot.segment)
    for held in (work.standing(kind, member) for member in members):
        if _holds(held.body, shape.inactive):
            _set(teller, held, shape.active, snapshot.segment)
    work.set_members(scope, members, teller.context.message_id)


def _stored(ids: dict[str, str], resource_type: str, mapped_id: UUID) -> UUID:
    reference = f"{resource_type}/{mapped_id}"
    return UUID(ids.get(reference, reference).partition("/")[2])


def _holds(body: Json, values: Json) -> bool:
    return bool(values) and all(body.get(key) == value for key, value in values.items())


def _set(teller: Teller, held: Standing, values: Json, segment: str) -> None:
    stamp = teller.context.stamp(held.type)
    merged = set_elements(held.body, held.lineage, held.type, values, stamp, segment)
    if merged.changed:
        teller.advance(held, merged)
