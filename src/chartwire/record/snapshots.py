"""Snapshots: AL1, DG1, NK1, IN1 name all that there is; what they leave out becomes inactive, never deleted."""

from collections.abc import Sequence
from uuid import UUID

from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import order_key_digest
from chartwire.mapping.conversion import Conversion, Json, Snapshot
from chartwire.record.elements import shape_of
from chartwire.record.lineage import Lineage
from chartwire.record.merge import clear_elements, set_elements
from chartwire.record.standing import Standing
from chartwire.record.telling import Teller


def scope_of(source_id: UUID, snapshot: Snapshot) -> UUID:
    """The scope of a snapshot in the store: one source's list, of one segment type, for one patient or visit."""
    return order_key_digest(str(source_id), snapshot.segment, snapshot.scope)


def scopes_of(source_id: UUID, conversion: Conversion) -> list[UUID]:
    """Every scope that `take` will ask for: prefetch them."""
    return [scope_of(source_id, snapshot) for snapshot in conversion.snapshots]


async def take(teller: Teller, snapshot: Snapshot) -> None:
    """Bring a scope to what the snapshot says.

    A snapshot that comes late ends nothing that was told since; what it may not end stays a member, so that the next
    one can. With action codes only what they name changes, whether or not a list named it before.
    """
    work, kind = teller.work, snapshot.resource_type
    scope = scope_of(teller.context.source.id, snapshot)
    named = [_stored(teller.ids, kind, member) for member in snapshot.members]
    before = work.members_before(scope)
    if snapshot.mode == "action":
        gone = [_stored(teller.ids, kind, member) for member in snapshot.deleted]
        members = [*(member for member in before if member not in named and member not in gone), *named]
    else:
        before = [*before, *await _lists_of_losers(teller, snapshot)]
        gone = [member for member in dict.fromkeys(before) if member not in named]
        members = named
    await work.load({(kind, member) for member in (*gone, *members)})
    gone, members = ([one for one in ids if work.known(kind, one)] for ids in (gone, members))  # without deleted ones
    shape = shape_of(kind)
    for member in gone:
        _end(teller, work.standing(kind, member), shape.inactive, snapshot.segment)
    for held in (work.standing(kind, member) for member in members):
        if _holds(held.body, shape.inactive):
            _set(teller, held, shape.active, snapshot.segment)
    kept = [member for member in gone if _holds(work.standing(kind, member).body, shape.active)]
    work.set_members(scope, [*members, *kept], teller.context.message_id)


async def _lists_of_losers(teller: Teller, snapshot: Snapshot) -> list[UUID]:
    """Members of the lists that this source held for patients who were merged into the one that it speaks of now."""
    reference = teller.ids.get(snapshot.scope, "")
    if not reference.startswith("Patient/"):
        return []
    patient = teller.work.standing("Patient", store_id(reference.partition("/")[2]))
    if not any(link.get("type") == "replaces" for link in patient.body.get("link", ())):
        return []
    source = str(teller.context.source.id)
    moved = await teller.work.load_moved(snapshot.resource_type, patient.id)
    return [held.id for held in moved if "encounter" not in held.body and _told_by(held.lineage, source)]


def _told_by(lineage: Lineage, source: str) -> bool:
    return any(part.stamp.source == source for parts in lineage.parts.values() for part in parts)


def _stored(ids: dict[str, str], resource_type: str, mapped_id: UUID) -> UUID:
    reference = f"{resource_type}/{mapped_id}"
    return store_id(ids.get(reference, reference).partition("/")[2])


def _holds(body: Json, values: Json) -> bool:
    return bool(values) and all(body.get(key) == value for key, value in values.items())


def _end(teller: Teller, held: Standing, values: Json, segment: str) -> None:
    """Inactive; what was entered in error has no clinical status at all (R4 con-5, ait-2)."""
    if _withdrawn(held.body.get("verificationStatus", {}).get("coding", ())):
        stamp = teller.context.stamp(held.type)
        merged = clear_elements(
            held.body, held.lineage, held.type, ["clinicalStatus"], stamp, segment, replay=_replays(teller)
        )
        if merged.changed:
            teller.advance(held, merged)
    else:
        _set(teller, held, values, segment)


def _replays(teller: Teller) -> bool:
    return teller.context.parent_id is not None


def _withdrawn(codings: Sequence[Json]) -> bool:
    return any(coding.get("code") == "entered-in-error" for coding in codings)


def _set(teller: Teller, held: Standing, values: Json, segment: str) -> None:
    stamp = teller.context.stamp(held.type)
    merged = set_elements(held.body, held.lineage, held.type, values, stamp, segment, replay=_replays(teller))
    if merged.changed:
        teller.advance(held, merged)
    elif merged.refreshed:
        held.refresh(merged.lineage)
