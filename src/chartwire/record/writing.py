"""A write by an actor (a person or program behind a key) meets the record: the same unit of work as messages, inline.

An actor has seen what stands, so the word is about that: it is checked under the lock, it speaks after everything that
stands, and it speaks of what it changes only. A write that changes nothing makes no version and no event.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.core.errors import ConflictError, TransientError
from chartwire.events.outbox import Event
from chartwire.mapping.conversion import Json, PatientKey
from chartwire.record import authority
from chartwire.record.elements import shape_of
from chartwire.record.happenings import deletion_type, event_types
from chartwire.record.lineage import Stamp
from chartwire.record.merge import overwrite
from chartwire.record.standing import Standing
from chartwire.record.visits import begin_course_anew
from chartwire.record.work import Key, Ref, Use, Work
from chartwire.store.pool import Connection
from chartwire.store.queries import q

EXTERNAL_ID = "https://chartwire.org/fhir/external-id"
"""The system of the identifier by which the practice's own software knows a resource: one each, unique by type."""

CHANGED_MEANWHILE = "changed_meanwhile"
TRY_AGAIN = frozenset({"sql_40001", "sql_40p01", CHANGED_MEANWHILE})
"""What another transaction did first: the same effect may succeed in a new one."""
AUTHORITY = "urn:chartwire:authority:"
_OID = "urn:oid:"
_NPI, _NPI_OID = "http://hl7.org/fhir/sid/us-npi", "2.16.840.1.113883.4.6"
_WRITTEN: Use = "written"
_NAMED: Use = "named"
_NUMBER: Use = "number"
_REDO = frozenset({"sql_23505", "merged_meanwhile"})


def external_key(external_id: str) -> str:
    """The source key of an external id."""
    return f"{EXTERNAL_ID}|{external_id}"


def keys_of(resource_type: str, body: Json) -> list[str]:
    """Source keys by which the API and the feeds know a resource: its external id, then its identifying numbers."""
    keys: list[str] = []
    identifying = authority.api_identifies(resource_type)
    held = body.get("identifier", ())
    for one in [held] if isinstance(held, dict) else held:  # Composition and some others have one, not a list
        value, system = one.get("value"), one.get("system", "")
        if not value:
            continue
        if system == EXTERNAL_ID:
            keys.insert(0, external_key(value))
        elif resource_type == "Practitioner" and system == _NPI:
            keys.append(f"{_NPI_OID}|NPI|{value}")
        elif identifying:
            types = [coding.get("code") for coding in one.get("type", {}).get("coding", ())]
            keys += [PatientKey(_holder(system), kind, value).key for kind in identifying & {*types}]
    return keys


def _holder(system: str) -> str:
    """The assigning authority that a feed would name for a system."""
    return system.removeprefix(AUTHORITY).removeprefix(_OID)


@dataclass(slots=True)
class Asked:
    """What some writes need to know: `targets` and what `keys` lead to are written, `named` and what `named_keys` lead
    to are referred to, `numbers` may be somebody else's."""

    targets: set[Ref] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)
    named: set[Ref] = field(default_factory=set)
    named_keys: set[Key] = field(default_factory=set)
    numbers: set[Key] = field(default_factory=set)


@dataclass(slots=True)
class Writer:
    """The writes of one transaction, by one actor. Read first (`read`), then `create` and `amend`, then `finish`."""

    access: Access
    tx: Connection
    work: Work = field(init=False)
    heard: bool = False
    _asked: set[Key] = field(default_factory=set)
    _led: list[Key] = field(default_factory=list)
    _spoken: str = field(default_factory=lambda: instant(clock.now()))

    def __post_init__(self) -> None:
        self.work = Work(self.access, self.tx)

    async def read(self, asked: Asked, *, deleted: bool = False, policy: bool = False) -> str | None:
        """Read what is to be written (locked, its patient first; what was deleted only where asked for) and what it
        refers to. With `policy` answers what the organisation says of FHIR writes, as JSON.

        Raises TransientError (`changed_meanwhile`) when a patient was merged while its lock was waited for: redo.
        """
        uses = dict.fromkeys(asked.numbers, _NUMBER) | dict.fromkeys(asked.named_keys, _NAMED)
        uses |= dict.fromkeys(asked.keys, _WRITTEN)
        refs = dict.fromkeys(asked.named, False)
        for (kind, key), use in uses.items():
            if (kind, key) in self._asked and use != _NUMBER:
                refs |= {(kind, one): use == _WRITTEN for one in self.work.resolve(kind, (key,))}
        refs |= dict.fromkeys(asked.targets, True)
        fresh = {key: use for key, use in uses.items() if key not in self._asked}
        return await self._read(fresh, refs, deleted=deleted, policy=policy)

    async def ask(self, resource_type: str, keys: Iterable[str]) -> None:
        """Read where numbers lead, as far as this was not asked before."""
        fresh = {(resource_type, key) for key in keys} - self._asked
        await self._read(dict.fromkeys(fresh, _NUMBER), {})

    async def _read(
        self, keys: Mapping[Key, Use], refs: Mapping[Ref, bool], *, deleted: bool = False, policy: bool = False
    ) -> str | None:
        with _redoing():
            told = await self.work.read_for_writing(keys, refs, deleted=deleted, policy=policy)
        self._asked |= keys.keys()
        return told

    def take_led(self) -> list[Key]:
        """The external ids that lead somewhere since this was asked last."""
        led, self._led = self._led, []
        return led

    async def survivor_of(self, patient_id: UUID) -> UUID:
        """The patient at the end of the chain of merges that began with this one."""
        rows = await self.tx.fetch(q.survivors_of, self.access.org, [patient_id])
        return next((row["survivor_id"] for row in rows), patient_id)

    def create(
        self,
        resource_type: str,
        body: Json,
        pointers: Mapping[str, str],
        patient_id: UUID | None,
        logical_id: str = "",
    ) -> Standing:
        """A new resource, with a FHIR client's own id or a new one. `pointers` leads from members of the body to the
        JSON pointers that gave them."""
        held = self.work.create(resource_type, (), patient_id, logical_id=logical_id)
        if resource_type == "Patient":
            held.patient_id = held.original_subject = held.id
        self.amend(held, body, pointers)
        return held

    def amend(self, held: Standing, body: Json, pointers: Mapping[str, str]) -> bool:
        """Bring a resource to `body`: whether anything changed.

        Raises ConflictError (`outranked`), with nothing changed, where a source of higher rank holds an element.
        """
        stamp = Stamp(self.access.actor, self.access.request_id, self._spoken, authority.api_rank())
        merged = overwrite(held.body, held.lineage, held.type, body, stamp, _pointers_by_path(held.type, pointers))
        if held.type == "Encounter":
            begin_course_anew(merged)
        if merged.outranked:
            told = ", ".join(sorted({_pointers_by_path(held.type, pointers)(path) for path in merged.outranked}))
            raise ConflictError(f"a source of higher rank sets {told}", code="outranked")
        stands = held.version > 0 and not held.deleted
        if stands and not merged.changed:
            return False
        old = held.body if stands else None
        self._follow_keys(held, body)
        held.provisional = False
        held.advance({"resourceType": held.type, **merged.body}, merged.lineage, None, self.access.actor)
        self._announce(held, event_types(held.type, old, held.body), tuple(merged.changed))
        return True

    def delete(self, held: Standing) -> None:
        """Delete a resource; its history stays, its numbers lead nowhere from now on.

        Raises ConflictError (`outranked`), with nothing changed, where a source of higher rank holds an element.
        """
        ranks = (part.stamp.rank for parts in held.lineage.parts.values() for part in parts)
        if max(ranks, default=0) > authority.api_rank():
            raise ConflictError("a source of higher rank sets elements of it", code="outranked")
        held.delete(self.access.actor)
        self.work.forget_keys(held)
        self._announce(held, [deletion_type(held.type)], ())

    async def finish(self) -> datetime:
        """Write everything, its events too. Answers the time of the versions; `heard` says whether anybody is to be
        told of `work.events`.

        Raises TransientError (`changed_meanwhile`) when another transaction was first: roll back and redo.
        """
        at = clock.now()  # after every id was made: nothing is changed before it was created
        with _redoing():
            self.heard = await self.work.flush(at, emitting=True)
        return at

    def _follow_keys(self, held: Standing, body: Json) -> None:
        """New numbers lead here from now on; an external id that is taken back does no longer."""
        before, now = keys_of(held.type, held.body), keys_of(held.type, body)
        fresh = [key for key in now if key not in before]
        self.work.add_keys(held, fresh)
        self._led += [(held.type, key) for key in fresh if key.startswith(EXTERNAL_ID)]
        for key in before:
            if key.startswith(EXTERNAL_ID) and key not in now:
                self.work.free_keys(held.type, [key])

    def _announce(self, held: Standing, types: Iterable[str], changed: tuple[str, ...]) -> None:
        self.work.events.extend(
            Event(one, held.type, held.id, held.version, held.patient_id, changed, None, "live") for one in types
        )


@contextmanager
def _redoing() -> Iterator[None]:
    """What another transaction did first is no fault of the caller's: the same again will succeed."""
    try:
        yield
    except ConflictError as error:
        if error.code in _REDO:
            raise TransientError("another write was first", code=CHANGED_MEANWHILE) from None
        raise


def _pointers_by_path(resource_type: str, pointers: Mapping[str, str]) -> Callable[[str], str]:
    shape = shape_of(resource_type)
    by_path: dict[str, str] = {shape.path_of(member): pointer for member, pointer in pointers.items()}

    def pointer_of(path: str) -> str:
        return by_path.get(path) or by_path.get(path.partition(".")[0], "/")

    return pointer_of
