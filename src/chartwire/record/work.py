"""The unit of work: what one transaction knows of one organisation's record, and what it will write at its end.

Everything that a batch of messages needs is read in a few statements (`prefetch`), patients are locked in one order
for everyone, messages are then applied in memory, and `flush` writes all of it in a few statements more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Literal
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.clock import monotonic
from chartwire.core.errors import ConflictError
from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import source_key_id, uuid7
from chartwire.events.outbox import Event, event_columns
from chartwire.mapping.conversion import Content
from chartwire.record.bodies import write_body
from chartwire.record.cases import Review, write_reviews
from chartwire.record.contents import store as store_contents
from chartwire.record.fhir_index import RULES
from chartwire.record.indexing import columns, fhir_columns, practice_columns
from chartwire.record.standing import Standing, Version
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q
from chartwire.trust.credentials import explaining

Ref = tuple[str, UUID]
Key = tuple[str, str]
"""A resource type and the text of a source key."""
Use = Literal["written", "named", "number"]
"""What becomes of what a source key leads to; of a `number` only whether it leads somewhere counts."""
_BREATHE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class PatientMerge:
    """A merge that this unit of work carries out. `named_id` is the patient that the survivor's number named before
    merges, where that is another one."""

    loser_id: UUID
    survivor_id: UUID
    message_id: UUID | None
    named_id: UUID | None


@dataclass(slots=True)
class Work:
    """One organisation, one transaction; an `unread` one is the one statement that creates a resource."""

    access: Access
    tx: Connection
    events: list[Event] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    merges: list[PatientMerge] = field(default_factory=list)
    contents: dict[UUID, Content] = field(default_factory=dict)
    unread: bool = False
    _keys: dict[Ref, UUID] = field(default_factory=dict)
    _new_keys: dict[Ref, UUID] = field(default_factory=dict)
    _freed_keys: list[Ref] = field(default_factory=list)
    _forgotten: list[UUID] = field(default_factory=list)
    _moved: dict[Ref, UUID] = field(default_factory=dict)
    _standing: dict[Ref, Standing] = field(default_factory=dict)
    _snapshots: dict[UUID, list[UUID]] = field(default_factory=dict)
    _new_snapshots: dict[UUID, tuple[list[UUID], UUID]] = field(default_factory=dict)
    _breathed_s: float = field(default_factory=monotonic)

    async def prefetch(
        self, keys: Iterable[tuple[str, str]], scopes: Sequence[UUID] = (), *, lock: bool = False
    ) -> None:
        """Read what source keys name, lock the patients among it (all of it with `lock`), and read snapshots.

        Raises ConflictError when another transaction merged one of the patients meanwhile: redo.
        """
        wanted = {(resource_type, source_key_id(resource_type, key)) for resource_type, key in keys}
        unknown = [ref for ref in wanted if ref not in self._keys]
        await self._read_keys(unknown)
        named = {(ref[0], self._keys[ref]) for ref in unknown if ref in self._keys}
        await self.load(named, lock=lock)
        await self._check_moved([ref for ref in unknown if ref in self._moved])
        if any(ref not in self._standing for ref in named):
            raise ConflictError("a resource was deleted meanwhile", code="merged_meanwhile")
        # Keys lead to no loser of a merge: this one became one while its lock was waited for.
        if any(self._standing[ref].replaced for ref in named if ref[0] == "Patient"):
            raise ConflictError("a patient was merged meanwhile", code="merged_meanwhile")
        if scopes:
            rows = await self.tx.fetch(q.read_snapshots, self.access.org, list(scopes))
            self._snapshots.update({row["scope"]: list(row["members"]) for row in rows})

    async def _read_keys(self, refs: Sequence[Ref]) -> None:
        types, ids = [ref[0] for ref in refs], [ref[1] for ref in refs]
        for row in await self.tx.fetch(q.resolve_keys, self.access.org, types, ids):
            self._keys[row["type"], row["key"]] = row["resource_id"]
            if row["original_id"] != row["resource_id"]:
                self._moved[row["type"], row["key"]] = row["original_id"]

    async def _check_moved(self, moved: Sequence[Ref]) -> None:
        """A key that a merge moved may have gone back by an unmerge while the survivor's lock was waited for."""
        if not moved:
            return
        led = [self._keys[ref] for ref in moved]
        await self._read_keys(moved)
        if led != [self._keys[ref] for ref in moved]:
            raise ConflictError("a patient was unmerged meanwhile", code="merged_meanwhile")

    async def load(self, refs: Iterable[Ref], *, lock: bool = False, deleted: bool = False) -> None:
        """Read current versions that are not here yet; patients (and all, with `lock`) are locked first. What was
        deleted is not there, but for who asks for it too."""
        missing = sorted({ref for ref in refs if ref not in self._standing})
        locked = [ref for ref in missing if lock or ref[0] == "Patient"]
        plain = [ref for ref in missing if not (lock or ref[0] == "Patient")]
        for query, group in ((q.lock_resources, locked), (q.read_current, plain)):
            if group:
                rows = await self.tx.fetch(query, self.access.org, [ref[0] for ref in group], [ref[1] for ref in group])
                found = {(row["type"], row["id"]): Standing.read(row) for row in rows if deleted or not row["deleted"]}
                self._standing.update(found)

    async def read_for_writing(
        self, keys: Mapping[Key, Use], refs: Mapping[Ref, bool], *, deleted: bool, policy: bool = False
    ) -> str | None:
        """Read where keys lead, and what they lead to (but for a mere `number`), and the resources of `refs` (True: to
        be written), locked as `load` does it and in one round trip; what is here already stays. With `policy` answers
        what the organisation says of FHIR writes, as JSON.

        Raises ConflictError (`sql_40001`, `merged_meanwhile`) when another transaction was first: redo.
        """
        asked = [((kind, source_key_id(kind, text)), use) for (kind, text), use in keys.items()]
        missing = [ref for ref in refs if ref not in self._standing]
        if not asked and not missing and not policy:
            return None
        told: str | None = None
        others = [ref for ref in missing if ref[0] != "Patient"]
        for row in await self.tx.fetch(
            q.write_read,
            *columns([(*ref, use) for ref, use in asked], 3),
            [ref[1] for ref in missing if ref[0] == "Patient"],
            *columns([ref for ref in others if refs[ref]], 2),
            *columns([ref for ref in others if not refs[ref]], 2),
            policy,
        ):
            if row["what"] == "key":
                self._learn(row["type"], row["key"], row["id"], row["original_id"])
            elif row["what"] == "policy":
                told = row["body"]
            elif deleted or not row["deleted"]:
                self._standing.setdefault((row["type"], row["id"]), Standing.read(row))
        for ref, use in asked:
            if ref in self._keys and use != "number":
                self._check_stands(ref[0], self._keys[ref])
        return told

    def _learn(self, kind: str, key: UUID, resource_id: UUID, original_id: UUID) -> None:
        self._keys[kind, key] = resource_id
        if original_id != resource_id:
            self._moved[kind, key] = original_id

    def _check_stands(self, kind: str, resource_id: UUID) -> None:
        held = self._standing.get((kind, resource_id))
        if held is None or held.replaced:
            raise ConflictError("a patient was merged, or a resource deleted, meanwhile", code="merged_meanwhile")

    async def load_compartment(self, patient_id: UUID) -> list[Standing]:
        """Everything that belongs to a patient now, as far as it is stored or in this unit of work."""
        for row in await self.tx.fetch(q.compartment, self.access.org, patient_id):
            self._standing.setdefault((row["type"], row["id"]), Standing.read(row))
        return [held for held in self._standing.values() if held.patient_id == patient_id and held.version]

    async def load_moved(self, resource_type: str, patient_id: UUID) -> list[Standing]:
        """What of one type belongs to a patient only since a merge."""
        for row in await self.tx.fetch(q.moved_to, self.access.org, resource_type, patient_id):
            self._standing.setdefault((row["type"], row["id"]), Standing.read(row))
        return [
            held
            for held in self._standing.values()
            if held.type == resource_type and held.patient_id == patient_id != held.original_subject
        ]

    def resolve(self, resource_type: str, keys: Iterable[str]) -> set[UUID]:
        """The stored (or here created) resources that these source keys name."""
        refs = ((resource_type, source_key_id(resource_type, key)) for key in keys)
        return {self._keys[ref] for ref in refs if ref in self._keys}

    def moved_from(self, key: str) -> UUID | None:
        """The patient to whom a key led before a merge made it lead elsewhere; the merge message for a tombstone."""
        return self._moved.get(("Patient", source_key_id("Patient", key)))

    async def breathe(self) -> None:
        """Call between the parts of long work: the transaction shows that it goes on, and the process that it lives.
        A session that says nothing in its transaction for some seconds is ended, so that a frozen one holds no locks.
        """
        if monotonic() - self._breathed_s >= _BREATHE_EVERY_S:
            await self.tx.execute(q.breathe)
            self._breathed_s = monotonic()

    async def took_effect(self, message_id: UUID | None) -> bool:
        """Whether this message was told to the record already."""
        return bool(message_id and await self.tx.fetchval(q.message_took_effect, self.access.org, message_id))

    def first_moved_from(self, keys: Iterable[str]) -> UUID | None:
        """`moved_from` of the strongest of these keys that leads to a patient."""
        return next((self.moved_from(key) for key in keys if self.resolve("Patient", (key,))), None)

    def forget_patient_keys(self) -> None:
        """Read again where the patients' keys lead: an unmerge let them lead elsewhere."""
        for known in (self._keys, self._moved):
            for ref in [ref for ref in known if ref[0] == "Patient"]:
                del known[ref]

    def known(self, resource_type: str, resource_id: UUID) -> Standing | None:
        """The resource as it stands; None when it was not read, or is not there."""
        return self._standing.get((resource_type, resource_id))

    def standing(self, resource_type: str, resource_id: UUID) -> Standing:
        """The resource as it stands. Raises KeyError when it was not prefetched."""
        return self._standing[resource_type, resource_id]

    def create(
        self,
        resource_type: str,
        keys: Iterable[str],
        patient_id: UUID | None,
        origin: UUID | None = None,
        logical_id: str = "",
    ) -> Standing:
        """A new resource, known by these source keys, with a new id or a FHIR client's own (`logical_id`). `origin` is
        the patient that the message's number named before merges, where that is another one than `patient_id`: whose
        resource it is after an unmerge."""
        resource_id = store_id(logical_id) if logical_id else uuid7()
        subject = origin or patient_id
        held = Standing(
            resource_type, resource_id, patient_id=patient_id, original_subject=subject, logical_id=logical_id
        )
        self._standing[resource_type, held.id] = held
        self.add_keys(held, keys)
        return held

    def add_keys(self, held: Standing, keys: Iterable[str], *, origin: UUID | None = None) -> int:
        """Let further source keys lead to a resource; keys that lead somewhere already stay. Answers how many are new.

        `origin` is whom they lead back to at an unmerge: the patient whose message named them, or the message of a
        merge, which makes tombstones of the numbers of a patient that was never seen.
        """
        unknown = [ref for ref in ((held.type, source_key_id(held.type, key)) for key in keys) if ref not in self._keys]
        for ref in unknown:
            self._keys[ref] = self._new_keys[ref] = held.id
            if origin:
                self._moved[ref] = origin
        return len(unknown)

    def free_keys(self, resource_type: str, keys: Iterable[str]) -> None:
        """Let source keys lead nowhere, from now on in this unit of work: a new record gets them."""
        for ref in ((resource_type, source_key_id(resource_type, key)) for key in keys):
            self._moved.pop(ref, None)
            self._new_keys.pop(ref, None)
            if self._keys.pop(ref, None):
                self._freed_keys.append(ref)

    def forget_keys(self, held: Standing) -> None:
        """Let whatever led to a resource lead nowhere: it is deleted."""
        self._forgotten.append(held.id)
        for keys in (self._keys, self._new_keys):
            for ref in [ref for ref, led in keys.items() if led == held.id and ref[0] == held.type]:
                del keys[ref]

    def repoint_keys(self, loser_id: UUID, survivor_id: UUID) -> None:
        """Let everything that led to one patient lead to another, from now on in this unit of work too."""
        for keys in (self._keys, self._new_keys):
            for ref, resource_id in keys.items():
                if ref[0] == "Patient" and resource_id == loser_id:
                    keys[ref] = survivor_id
                    self._moved.setdefault(ref, loser_id)

    def members_before(self, scope: UUID) -> list[UUID]:
        """The members of a scope at its last snapshot; [] when there was none."""
        return self._snapshots.get(scope, [])

    def set_members(self, scope: UUID, members: list[UUID], message_id: UUID) -> None:
        """Remember a snapshot's members."""
        if self._snapshots.get(scope) != members:
            self._snapshots[scope] = members
            self._new_snapshots[scope] = (members, message_id)

    async def flush(self, now: datetime, *, emitting: bool = False) -> bool:
        """Write everything as of `now`: keys, versions, contents, index, snapshots, merges, reviews; not the events.

        With `emitting` the events go along; answers whether anybody is to be told of them. Raises ConflictError or
        TransientError when another transaction was first: roll back and redo.
        """
        org = self.access.org
        changed = [held for held in self._standing.values() if held.versions]
        if self._freed_keys:
            types, keys = [ref[0] for ref in self._freed_keys], [ref[1] for ref in self._freed_keys]
            await self.tx.execute(q.delete_keys, org, types, keys)
        if self._forgotten:
            await self.tx.execute(q.delete_keys_of, org, self._forgotten)
        heard = await self._write_keys_and_versions(changed, now, emitting=emitting)
        await store_contents(self.tx, org, list(self.contents.values()), changed, now)
        await self._write_refreshed()
        await self._write_snapshots()
        await self._write_merges()
        await write_reviews(self.tx, org, self.reviews)
        return heard

    async def _write_keys_and_versions(self, changed: list[Standing], now: datetime, *, emitting: bool) -> bool:
        """A resource that changed twice in this unit gets both versions, in rounds; the first takes all else along."""
        heard = False
        keys = [(*ref, id_, self._moved.get(ref, id_)) for ref, id_ in self._new_keys.items()]
        rounds = max((len(held.versions) for held in changed), default=0)
        if keys or rounds or (emitting and self.events):
            told = (
                columns(keys, 4),
                self._version_columns(changed, 0, now),
                practice_columns(changed, now),
                [RULES],
                fhir_columns(changed),
            )
            parameters = chain.from_iterable(told)
            if emitting:
                events = event_columns(self.access.org, now, self.events)
                row = await self._flush_and_emit([*parameters, *events], changed)
                heard = bool(row and row["heard"] and self.events)
            else:
                await self.tx.execute(q.flush_record, *parameters)
        for number in range(1, rounds):
            await self.tx.execute(q.save_resources, *self._version_columns(changed, number, now), RULES)
        return heard

    async def _flush_and_emit(self, parameters: Sequence[Any], changed: Sequence[Standing]) -> Row | None:
        if not self.unread:
            return await self.tx.fetchrow(q.flush_and_emit, *parameters)
        [created] = changed
        with explaining():
            return await self.tx.fetchrow(q.flush_unread, *parameters, self.access.credential_id, created.patient_id)

    def _version_columns(self, changed: list[Standing], number: int, now: datetime) -> list[list[Any]]:
        rows = [self._version_row(held, held.versions[number], now) for held in changed if len(held.versions) > number]
        return columns(rows, 11)

    def _version_row(self, held: Standing, version: Version, now: datetime) -> tuple[Any, ...]:
        body = {"resourceType": held.type} if version.deleted else version.body
        text = write_body(body, held.logical_id, version.number, now, provisional=version.provisional)
        held.text = text
        return (
            held.type,
            held.id,
            version.number,
            now,
            version.deleted,
            version.patient_id,
            held.original_subject,
            version.message_id,
            version.actor,
            text,
            version.lineage.write(),
        )

    async def _write_refreshed(self) -> None:
        """Times of words that only repeated what stands: the lineage moves, the version does not."""
        rows = [held for held in self._standing.values() if held.refreshed and not held.versions]
        if rows:
            await self.tx.execute(
                q.refresh_lineage,
                self.access.org,
                [held.type for held in rows],
                [held.id for held in rows],
                [held.lineage.write() for held in rows],
            )

    async def _write_snapshots(self) -> None:
        if self._new_snapshots:
            scopes = list(self._new_snapshots)
            members = ["{" + ",".join(map(str, held)) + "}" for held, _ in self._new_snapshots.values()]
            messages = [message_id for _, message_id in self._new_snapshots.values()]
            await self.tx.execute(q.write_snapshots, self.access.org, scopes, members, messages)

    async def _write_merges(self) -> None:
        if not self.merges:
            return
        for merge in self.merges:
            await self.tx.execute(q.repoint_keys, self.access.org, merge.loser_id, merge.survivor_id)
        await self.tx.execute(
            q.insert_merges,
            self.access.org,
            [uuid7() for _ in self.merges],
            [merge.loser_id for merge in self.merges],
            [merge.survivor_id for merge in self.merges],
            [merge.message_id for merge in self.merges],
            [self.access.actor for _ in self.merges],
            [merge.named_id for merge in self.merges],
        )
