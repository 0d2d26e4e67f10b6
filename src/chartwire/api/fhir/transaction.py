"""A transaction Bundle: all of its entries or none, in one transaction of the database (R4 3.1.0.11.2).

Every write is settled before the first is made: which resource it is about, and where links to it lead. Then deletes,
creates, updates and patches are made, then what the Bundle asks for, which sees all of that.
"""

from collections.abc import Sequence
from datetime import datetime

from chartwire.api.fhir.inner import BASE, Inner
from chartwire.api.fhir.leading import Leads
from chartwire.api.fhir.negotiation import preferences
from chartwire.api.fhir.responding import Response, bundle_answer
from chartwire.api.fhir.steps import ORDER, Step, at_entry, settle, step_of
from chartwire.api.fhir.write import finished
from chartwire.api.http import Answer
from chartwire.api.idempotency import performed
from chartwire.api.problem import ApiError, Fault
from chartwire.core.errors import AuthError, ChartwireError, FaultsError
from chartwire.formats.fhir.bundles import Entry
from chartwire.record.fhir_matching import matches
from chartwire.record.fhir_writing import Done, FhirWriter, Write
from chartwire.store.pool import Connection


async def carry_transaction(inner: Inner, entries: Sequence[Entry | FaultsError]) -> Answer:
    """Carry a transaction, once for its Idempotency-Key. Raises ChartwireError, with nothing changed, where an entry
    cannot be carried; its faults name the entry."""
    transaction = _Transaction(inner, _readable(entries))
    answer = await performed(inner.outer, inner.services, transaction.carry)
    inner.services.wake()
    return answer


def _readable(entries: Sequence[Entry | FaultsError]) -> list[Entry]:
    faults = [fault for entry in entries if isinstance(entry, FaultsError) for fault in entry.faults]
    if faults:
        raise ApiError(
            "the transaction has entries that cannot be carried",
            code="invalid_bundle",
            faults=[Fault(*fault) for fault in faults],
        )
    return [entry for entry in entries if isinstance(entry, Entry)]


class _Transaction:
    """The entries of a transaction, settled anew each time that it is tried."""

    def __init__(self, inner: Inner, entries: Sequence[Entry]) -> None:
        self._inner = inner
        self._entries = entries
        self._steps = {entry.index: step for entry in entries if (step := _step(inner, entry)) is not None}
        self._writes = sorted(self._steps.values(), key=lambda step: ORDER[step.method])
        self._leads = Leads(self._writes)
        self._shows = preferences(inner.outer).returning == "representation"
        if self._writes and not inner.outer.access.allows("fhir.write"):
            raise AuthError("the key lacks the scope `fhir.write`", code="scope_missing")

    async def carry(self, tx: Connection) -> Answer:
        """All of it. Raises ChartwireError: roll back."""
        writer = FhirWriter(self._inner.outer.access, tx)
        await self._settle(tx)
        responses = await self._write(writer)
        for entry in self._entries:
            if entry.index not in responses:
                responses[entry.index] = await self._ask(entry, tx)
        return bundle_answer("transaction", [responses[entry.index] for entry in self._entries])

    async def _settle(self, tx: Connection) -> None:
        conditions = {step.condition for step in self._writes if step.condition is not None}
        found = await matches(tx, self._inner.outer.access, conditions.union(self._leads.conditions()))
        settle(self._writes, found)
        self._leads.lead(found)

    async def _write(self, writer: FhirWriter) -> dict[int, Response]:
        """Make every write, in their order; what each is answered, by the index of its entry."""
        writes = {step.entry.index: step.write() for step in self._writes if not step.idle}
        await writer.read(writes.values())
        await writer.writer.work.load({step.ref for step in self._writes if step.idle and step.method == "create"})
        done: dict[int, Done] = {}
        for step in self._writes:
            if not step.idle:
                await writer.writer.work.breathe()
                done[step.entry.index] = await _made(writer, step.entry, writes[step.entry.index])
        at = await finished(writer)
        return {step.entry.index: self._written(step, writer, done.get(step.entry.index), at) for step in self._writes}

    def _written(self, step: Step, writer: FhirWriter, done: Done | None, at: datetime) -> Response:
        """What stands after a write; of a step that had nothing to do, what stood."""
        if step.method == "delete":
            patients = done.patients if done else ()
            return Response(204, count=len(patients), patients=patients)
        held = done.held if done else writer.writer.work.standing(*step.ref)
        return Response(
            done.status if done else 200,
            f"{BASE}/{held.reference}/_history/{held.version}",
            f'W/"{held.version}"',
            at if done and done.changed else held.stored_at or at,
            held.text.encode() if self._shows else b"",
            1,
            done.patients if done else (held.patient_id,) if held.patient_id else (),
        )

    async def _ask(self, entry: Entry, tx: Connection) -> Response:
        try:
            return Response.of(await self._inner.ask(entry, tx))
        except ChartwireError as error:
            at_entry(entry, error)


async def _made(writer: FhirWriter, entry: Entry, write: Write) -> Done:
    try:
        return await writer.apply(write)
    except ChartwireError as error:
        at_entry(entry, error)


def _step(inner: Inner, entry: Entry) -> Step | None:
    try:
        return step_of(inner, entry)
    except ChartwireError as error:
        at_entry(entry, error)
