"""A transaction Bundle: all of its entries or none, in one transaction of the database (R4 3.1.0.11.2).

Every write is settled before the first is made: which resource it is about, and where links to it lead. Then deletes,
creates, updates and patches are made, then what the Bundle asks for, which sees all of that.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from chartwire.api.fhir.assembling import base_of
from chartwire.api.fhir.inner import Inner
from chartwire.api.fhir.judging import Judge, judged_over, standing_body
from chartwire.api.fhir.leading import Leads
from chartwire.api.fhir.negotiation import preferences
from chartwire.api.fhir.outcome import outcome_of
from chartwire.api.fhir.responding import Response, bundle_answer
from chartwire.api.fhir.steps import ORDER, Step, at_entry, settle, step_of
from chartwire.api.fhir.write import dangling_issue, finished, integrity_of, location_of
from chartwire.api.http import Answer
from chartwire.api.idempotency import performed
from chartwire.api.problem import ApiError, Fault
from chartwire.core.errors import AuthError, ChartwireError, FaultsError
from chartwire.formats.fhir.bundles import Entry
from chartwire.formats.fhir.terminology import Terminology
from chartwire.formats.fhir.validate import Issue
from chartwire.record.fhir_conditions import turn_of
from chartwire.record.fhir_matching import matches
from chartwire.record.fhir_writing import Done, FhirWriter
from chartwire.store.pool import Connection
from chartwire.store.within import Within

_NO_CONTENT = 204


async def carry_transaction(inner: Inner, entries: Sequence[Entry | FaultsError]) -> Answer:
    """Carry a transaction, once for its Idempotency-Key. Raises ChartwireError, with nothing changed, where an entry
    cannot be carried; its faults name the entry."""
    readable, preferred = _readable(entries), preferences(inner.outer)
    judge = await Judge.of(inner.services.terminologies)
    found = [await step_of(inner, entry, integrity_of(preferred), judge) for entry in readable]
    steps = sorted((step for step in found if step is not None), key=lambda step: ORDER[step.asked.method])
    if steps and not inner.outer.access.allows("fhir.write"):
        raise AuthError("the key lacks the scope `fhir.write`", code="scope_missing")
    terminology = await inner.services.terminologies.for_resource([step.body for step in steps])
    transaction = _Transaction(inner, readable, steps, terminology)
    answer = await judge.knowing(lambda: performed(inner.outer, inner.services, transaction.carry))
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
    """The entries of a transaction with its writes in their order, settled anew each time that it is tried."""

    def __init__(self, inner: Inner, entries: Sequence[Entry], steps: Sequence[Step], terminology: Terminology) -> None:
        self._inner = inner
        self._entries = entries
        self._steps = steps
        self._base = base_of(inner.outer, inner.services)
        self._leads = Leads(steps, self._base)
        self._terminology = terminology
        self._returning = preferences(inner.outer).returning

    async def carry(self, tx: Connection) -> Answer:
        """All of it. Raises ChartwireError: roll back."""
        writer = FhirWriter(self._inner.outer.access, tx)
        await self._settle(writer)
        responses = await self._write(writer)
        for entry in self._entries:
            if entry.index not in responses:
                responses[entry.index] = await self._ask(entry, tx)
        return bundle_answer("transaction", [responses[entry.index] for entry in self._entries])

    async def _settle(self, writer: FhirWriter) -> None:
        """Settle what every write is about and where its links lead, and judge the resource that this makes."""
        own = {step.condition for step in self._steps if step.condition is not None}
        if own:
            await writer.know_policy()
            await turn_of(writer, own)
        most = 1 + max((writer.policy.deletes_max for step in self._steps if step.asked.method == "delete"), default=1)
        found = await matches(writer.tx, writer.access, own.union(self._leads.conditions()), most)
        settle(writer, self._steps, found)
        self._leads.lead(found)
        for step in self._steps:
            await writer.writer.work.breathe()
            await self._judge(step, writer)

    async def _judge(self, step: Step, writer: FhirWriter) -> None:
        access, logical_id = writer.access, step.writes[0].id if step.writes else None
        within = Within(writer.tx, access.org, access.credential_id)
        stands = partial(standing_body, within, access, step.asked.type, logical_id)
        try:
            step.issues = await judged_over(step.body, self._terminology, stands) if step.body else ()
        except ChartwireError as error:
            at_entry(step.entry, error)

    async def _write(self, writer: FhirWriter) -> dict[int, Response]:
        """Make every write; what each is answered, by the index of its entry."""
        await writer.read([write for step in self._steps for write in step.writes])
        done: dict[int, list[Done]] = {}
        for step in self._steps:
            await writer.writer.work.breathe()
            done[step.entry.index] = await _made(writer, step)
        at = await finished(writer)
        dangling = _by_entry(writer.dangling)
        responses: dict[int, Response] = {}
        for step in self._steps:
            issues = [*step.issues, *dangling.get(step.entry.place, ())]
            responses[step.entry.index] = self._written(done[step.entry.index], at, issues)
        return responses

    def _written(self, done: Sequence[Done], at: datetime, issues: Sequence[Issue]) -> Response:
        """What stands after the writes of one entry, by Prefer: return."""
        patients = dict.fromkeys(patient for one in done for patient in one.patients)
        count = sum(one.changed for one in done)
        if not done or done[0].status == _NO_CONTENT:
            return Response(_NO_CONTENT, count=count, patients=patients)
        held = done[0].held
        return Response(
            done[0].status,
            location_of(self._base, held),
            f'W/"{held.version}"',
            at if done[0].changed else held.stored_at or at,
            self._shown(done[0], issues),
            1,
            patients,
        )

    def _shown(self, done: Done, issues: Sequence[Issue]) -> bytes:
        if self._returning == "representation":
            return done.text.encode()
        return outcome_of(issues) if self._returning == "OperationOutcome" else b""

    async def _ask(self, entry: Entry, tx: Connection) -> Response:
        try:
            return Response.of(await self._inner.ask(entry, tx))
        except ChartwireError as error:
            at_entry(entry, error)


async def _made(writer: FhirWriter, step: Step) -> list[Done]:
    try:
        return [await writer.apply(write) for write in step.writes]
    except ChartwireError as error:
        at_entry(step.entry, error)


def _by_entry(places: Sequence[str]) -> Mapping[str, list[Issue]]:
    """References that lead nowhere (`Bundle.entry[3].resource.subject`), by the entry that holds them."""
    told: dict[str, list[Issue]] = {}
    for place in places:
        told.setdefault(place.partition(".resource")[0], []).append(dangling_issue(place))
    return told
