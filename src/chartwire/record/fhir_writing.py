"""Writes of FHIR resources: create, update, patch, delete, under the same rules as every other write of the record.

`read` what some writes need in one round trip, `apply` each of them, `finish` with all that changed. Nothing of HTTP:
a write says what it is about and on which condition, and is answered by what stands then. A write that is refused has
changed nothing. (R4 3.1.0.4 to 3.1.0.8.)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, ConflictError, FaultsError, NotFoundError
from chartwire.core.fhir_ids import is_fhir_id, store_id
from chartwire.mapping.conversion import Content, Json
from chartwire.record import binaries, merging, status
from chartwire.record.bodies import said_meta
from chartwire.record.contents import WITH_CONTENTS
from chartwire.record.fhir_policy import Policy, policy_of, read_policy
from chartwire.record.fhir_refusals import GoneError, IdNotGivenError, MismatchError, PreconditionError
from chartwire.record.owner import owner_of
from chartwire.record.references import missing, references_of
from chartwire.record.standing import Standing
from chartwire.record.work import Ref
from chartwire.record.writing import Asked, Writer, keys_of
from chartwire.store.pool import Connection
from chartwire.store.queries import q

Method = Literal["create", "update", "patch", "delete"]
Integrity = Literal["stored", "told", "strict"]
_LABELS = ("tag", "security")


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one resource.

    `id` is the logical id that it is about, None for a new resource. `body` is what is to stand; `change` makes it of
    what stands (a patch). `version` is the one that If-Match wants, `absent` is If-None-Match: *. `references` to what
    is not there are stored, told by `finish`, or refused by it; at least what the policy says. `place` is where the
    body stands in something larger.
    """

    method: Method
    type: str
    id: str | None = None
    body: Json | None = None
    change: Callable[[Json], Json] | None = None
    version: int | None = None
    absent: bool = False
    references: Integrity = "stored"
    place: str = ""

    @property
    def target(self) -> Ref | None:
        """The resource that it is about, where it names one."""
        return None if self.id is None else (self.type, store_id(self.id))

    @property
    def needs_no_look(self) -> bool:
        """Whether it is a create of which only `finish` can find, as it writes, what stands against it."""
        plain = self.method == "create" and self.id is None and self.references == "stored"
        return plain and self.type not in WITH_CONTENTS and not keys_of(self.type, self.body or {})


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a write. `held` is the resource as it stands, `patients` whose data was touched; `contents` holds
    the bytes of a Binary."""

    status: int
    held: Standing
    changed: bool
    patients: tuple[UUID, ...]
    contents: Mapping[UUID, Content] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The resource as FHIR clients see it, once `finish` has written it."""
        return binaries.shown(self.held, self.contents)


@dataclass(slots=True)
class FhirWriter:
    """The FHIR writes of one transaction, by one actor.

    The organisation's `policy` comes with the first `read`; `dangling` are the places of references that lead nowhere,
    as `finish` finds them for the writes that wanted to be told.
    """

    access: Access
    tx: Connection
    policy: Policy = field(default_factory=Policy)
    writer: Writer = field(init=False)
    dangling: list[str] = field(default_factory=list)
    _knows_policy: bool = False
    _looked_at: list[tuple[Integrity, Standing, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.writer = Writer(self.access, self.tx)

    async def read(self, writes: Iterable[Write]) -> None:
        """Read what these writes need, in one round trip for all: what they change, whose it is, whose numbers."""
        if self.writer.work.unread:
            return
        asked = Asked()
        for write in writes:
            if write.target is not None:
                asked.targets.add(write.target)
            if write.body is not None:
                _ask(asked, write.type, write.body)
        told = await self.writer.read(asked, deleted=True, policy=not self._knows_policy)
        if not self._knows_policy:
            self.policy, self._knows_policy = read_policy(told), True

    def look_at_nothing(self) -> None:
        """For one write that `needs_no_look`, on a connection without transaction: nothing is read, and `finish` is the
        whole transaction. It raises TransientError (`sql_40001`), with nothing written, where a look would
        have made a difference (write_unread in 0027), or another transaction was first: make the write with a look.
        """
        self._knows_policy = self.writer.work.unread = True

    async def know_policy(self) -> None:
        """Read the organisation's policy, for who needs it before the first `read`."""
        if not self._knows_policy:
            self.policy, self._knows_policy = await policy_of(self.tx, self.access), True

    async def apply(self, write: Write) -> Done:
        """Make one write; a create of what is there leaves that as it stands. Raises ChartwireError with nothing
        changed: PreconditionError, ConflictError (`merged`, `duplicate`, `outranked`, `illegal_move`, `patient_fixed`,
        `patient_has_record`, `id_taken`), FaultsError, NotFoundError."""
        if write.method == "delete":
            return await self._delete(write)
        held = self._standing(write)
        if write.method == "create" and held is not None and not held.deleted:
            return Done(200, held, changed=False, patients=_patients(held))
        await self._check(write, held)
        body = self._wanted(write, held)
        if write.method == "patch":
            await self._read_more(write.type, body)
        done = replace(await self._put(write, held, body), contents=self.writer.work.contents)
        integrity: Integrity = "strict" if self.policy.strict_references else write.references
        if integrity != "stored":
            self._looked_at.append((integrity, done.held, write.place or write.type))
        return done

    async def finish(self) -> datetime:
        """Write everything; the events are in `writer.work.events`, for the outbox. Answers the time of the versions.

        Raises TransientError (`changed_meanwhile`) when another transaction was first: roll back and redo. Raises
        FaultsError (`reference_not_found`) for references that lead nowhere, where one of the writes was strict.
        """
        await self._look_for_dangling()
        return await self.writer.finish()

    async def _look_for_dangling(self) -> None:
        told = [
            (integrity, place, ref)
            for integrity, held, root in self._looked_at
            for place, ref in references_of(held.body, root)
        ]
        if not told:
            return
        gone = await missing(self.tx, self.access, self.writer.work, {ref for _, _, ref in told})
        self.dangling = [place for _, place, ref in told if ref in gone]
        refused = [place for integrity, place, ref in told if ref in gone and integrity == "strict"]
        if refused:
            faults = [(place, "reference_not_found", "leads to nothing that is there") for place in refused]
            raise FaultsError("references lead to nothing that is there", code="reference_not_found", faults=faults)

    # What stands ------------------------------------------------------------------------------------------------------

    def _standing(self, write: Write) -> Standing | None:
        return None if write.target is None else self.writer.work.known(*write.target)

    async def _check(self, write: Write, held: Standing | None) -> None:
        """Refuse what its conditions, or the state of the resource, do not allow."""
        version, there = held.version if held else 0, held is not None and not held.deleted
        if write.absent and there:
            raise PreconditionError(
                "there is a resource of this id already: leave If-None-Match out to update it", version
            )
        if write.version not in {None, version}:
            raise PreconditionError(
                "the resource has changed since it was read: read it again, and send the ETag that it has then", version
            )
        if write.method == "patch" and not there:
            raise _gone(held)
        if write.method == "update" and held is None and not self.policy.update_creates:
            raise IdNotGivenError
        if write.type == binaries.TYPE and held is None and write.target is not None:
            await binaries.check_free(self.tx, self.access, write.target[1])
        if held is not None and write.id != held.logical_id:
            raise ConflictError(f"this id is another name of {held.reference}: write to that", code="id_taken")

    def _wanted(self, write: Write, held: Standing | None) -> Json:
        """The body that is to stand, without id, and with what stays of its meta."""
        if write.change is not None:
            assert held is not None, "what is not there is not patched"
            body = write.change({"resourceType": held.type, "id": held.logical_id, **held.body})
            _check_identity(write, body)
        else:
            assert write.body is not None, "a write has a body, or a change of what stands"
            body = write.body
            if write.method == "update":
                _check_identity(write, body)
        meta = said_meta(body)
        if write.method == "update" and held is not None:
            meta = _labelled(meta, held.body.get("meta", {}))
        rest = {name: value for name, value in body.items() if name not in {"id", "meta"}}
        if write.type == binaries.TYPE:
            rest, content = binaries.laid_apart(rest)
            self.writer.work.contents[content.id] = content
        return {**rest, "meta": meta} if meta else rest

    async def _read_more(self, resource_type: str, body: Json) -> None:
        """What a patch led to that was not read: another patient, other numbers."""
        asked = Asked()
        _ask(asked, resource_type, body)
        await self.writer.read(asked, deleted=True)

    # What is to stand -------------------------------------------------------------------------------------------------

    async def _put(self, write: Write, held: Standing | None, body: Json) -> Done:
        if held is not None and held.replaced:
            raise await self._merged(held)
        body = _settled(write.type, body, held)
        owner = await self._owner(write.type, body, held)
        await self._check_numbers(write.type, body, held)
        pointers = {name: f"/{name}" for name in (*body, *(held.body if held else ()))}
        if held is None:
            made = self.writer.create(write.type, body, pointers, owner, write.id or "")
            return Done(201, made, changed=True, patients=_patients(made))
        before, again = _patients(held), held.deleted
        held.patient_id, former = owner, held.patient_id
        try:
            changed = self.writer.amend(held, body, pointers)
        except ChartwireError:
            held.patient_id = former
            raise
        if former != owner:
            held.original_subject = owner
        return Done(201 if again else 200, held, changed, tuple(dict.fromkeys((*_patients(held), *before))))

    async def _owner(self, resource_type: str, body: Json, held: Standing | None) -> UUID | None:
        """Whose it is to be. Raises ConflictError (`merged`) for a patient who was merged into another."""
        if resource_type == "Patient":
            return held.id if held else None
        owner = owner_of(resource_type, body)
        if resource_type == binaries.TYPE:
            owner = await self._owner_of_binary(body)
        if resource_type == "Appointment" and held and not held.deleted and held.patient_id not in {None, owner}:
            raise ConflictError("an appointment stays with its patient: cancel it, book another", code="patient_fixed")
        patient = self.writer.work.known("Patient", owner) if owner else None
        if patient is not None and patient.replaced:
            raise await self._merged(patient)
        return owner

    async def _owner_of_binary(self, body: Json) -> UUID | None:
        context = binaries.context_of(body)
        owner = binaries.owner_by_context(body, context and self.writer.work.known(*context))
        await self.writer.read(Asked(named={("Patient", owner)} if owner else set()), deleted=True)
        return owner

    async def _merged(self, patient: Standing) -> ConflictError:
        survivor = await self.writer.survivor_of(patient.id)
        await self.writer.work.load({("Patient", survivor)})
        told = self.writer.work.known("Patient", survivor)
        return ConflictError(
            f"{patient.reference} was merged into {told.reference if told else 'another patient'}", code="merged"
        )

    async def _check_numbers(self, resource_type: str, body: Json, held: Standing | None) -> None:
        """Refuse numbers by which another record is known."""
        now = keys_of(resource_type, body)
        before = set(keys_of(resource_type, held.body)) if held else set()
        await self.writer.ask(resource_type, before.symmetric_difference(now))
        for key in now:
            others = self.writer.work.resolve(resource_type, (key,)) - ({held.id} if held else set())
            if key not in before and others:
                raise await self._taken(resource_type, min(others))

    async def _taken(self, resource_type: str, other: UUID) -> ConflictError:
        await self.writer.work.load({(resource_type, other)})
        told = self.writer.work.known(resource_type, other)
        name = told.reference if told else "another record"
        return ConflictError(f"{name} has a number of `identifier` already: write to that one", code="duplicate")

    # Deletion ---------------------------------------------------------------------------------------------------------

    async def _delete(self, write: Write) -> Done:
        assert write.target is not None, "a deletion names what is to go"
        held = self._standing(write)
        await self._check(write, held)
        if held is None or held.deleted:
            return Done(204, held or Standing(*write.target), changed=False, patients=())
        if held.type == "Patient":
            await self._check_may_go(held)
        patients = _patients(held)
        self.writer.delete(held)
        return Done(204, held, changed=True, patients=patients)

    async def _check_may_go(self, patient: Standing) -> None:
        """A patient who was part of a merge, or to whom something belongs, stays."""
        if patient.replaced or merging.links_of_merges(patient):
            raise ConflictError(
                "the patient was part of a merge, which may be undone, and so is not deleted: set `active` to false",
                code="merged",
            )
        rows = await self.tx.fetch(q.belongings, self.access.org, patient.id)
        left = {(row["type"], row["id"]) for row in rows}
        known = ((ref, self.writer.work.known(*ref)) for ref in left)
        if any(one is None or not one.deleted for _, one in known):
            raise ConflictError("resources belong to the patient: delete those first", code="patient_has_record")


def _ask(asked: Asked, resource_type: str, body: Json) -> None:
    """Add what a body needs to be judged: whose it is, and whose numbers it names."""
    if (owner := owner_of(resource_type, body)) is not None:
        asked.named.add(("Patient", owner))
    if resource_type == binaries.TYPE and (context := binaries.context_of(body)) is not None:
        asked.named.add(context)
    asked.numbers |= {(resource_type, key) for key in keys_of(resource_type, body)}


def _settled(resource_type: str, body: Json, held: Standing | None) -> Json:
    """The body with what a write cannot take from it. Raises ConflictError (`illegal_move`)."""
    if resource_type == "Appointment":
        return status.settled(held.body if held else {}, body)
    if resource_type == "Patient" and held is not None:
        merged = [link for link in merging.links_of_merges(held) if link not in body.get("link", ())]
        return {**body, "link": [*body.get("link", ()), *merged]} if merged else body
    return body


def _check_identity(write: Write, body: Json) -> None:
    """The body says the type and id that the write is about (R4 3.1.0.4)."""
    faults: list[tuple[str, str, str]] = []
    if body.get("resourceType") != write.type:
        faults.append(("/resourceType", "type_mismatch", "is the type of the address"))
    if body.get("id") != write.id or not is_fhir_id(str(write.id)):
        faults.append(("/id", "id_mismatch", "is needed in the body, and is that of the address"))
    if faults:
        raise MismatchError(*faults)


def _labelled(meta: Json, standing: Json) -> Json:
    """Tags and security labels stay until they are taken back by name ($meta-delete, or a patch)."""
    kept = {name: _united(standing.get(name, []), meta.get(name, [])) for name in _LABELS}
    return {**meta, **{name: labels for name, labels in kept.items() if labels}}


def _united(standing: Sequence[Json], told: Sequence[Json]) -> list[Json]:
    known = {(one.get("system"), one.get("code")) for one in told}
    return [*told, *(one for one in standing if (one.get("system"), one.get("code")) not in known)]


def _gone(held: Standing | None) -> NotFoundError:
    if held is None:
        return NotFoundError("nothing that this key may see has this id", code="unknown_id")
    return GoneError()


def _patients(held: Standing) -> tuple[UUID, ...]:
    return (held.patient_id,) if held.patient_id else ()
