"""What became of a message, written in the transaction that decided it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from chartwire.channels.message_keys import MessageKey
from chartwire.channels.reading import Fault, Job, Reading
from chartwire.core.telemetry import Counter
from chartwire.record.bodies import plain_json
from chartwire.record.cases import Review
from chartwire.record.identity import HeldForReviewError
from chartwire.record.save import Outcome
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_FINDINGS_MAX = 200
_settled = Counter("chartwire_messages_settled_total", "Messages by what became of them", ("state", "reason"))


@dataclass(frozen=True, slots=True)
class Settlement:
    """One message's end state, with the reason where it is not `processed`, and the numbers to find it by.

    `named_id` is the patient that its number named before merges, where that is another one than `patient_id`.
    """

    job: Job
    state: Literal["processed", "held", "dead"]
    patient_id: UUID | None = None
    fault: Fault | None = None
    outcome: str | None = None
    keys: tuple[MessageKey, ...] = ()
    named_id: UUID | None = None


def settlement_of(reading: Reading, *, outcome: Outcome | None = None, held: str | None = None) -> Settlement:
    """Processed with an outcome, held for a reason, or dead by the reading's fault."""
    summary = _summary(reading, outcome)
    if held is not None:
        location = reading.held_by[0][1] if held == "strictness" else "PID-3"
        fault = Fault(held, location, "held for review: nothing was changed")
        return Settlement(reading.job, "held", fault=fault, outcome=summary, keys=reading.keys)
    if outcome is None:
        return Settlement(reading.job, "dead", fault=reading.fault, keys=reading.keys)
    patient_id, named_id = outcome.patient_id, outcome.named_id
    return Settlement(reading.job, "processed", patient_id, None, summary, reading.keys, named_id)


def case_of(reading: Reading, doubt: HeldForReviewError, source_id: UUID) -> Review:
    """The case that a doubt about a message makes for a person."""
    job = reading.job
    patient_id = doubt.resource_id if doubt.resource_type == "Patient" else None
    detail: dict[str, Any] = {"code": doubt.code}
    if doubt.code == "strictness":
        detail["issues"] = [list(place) for place in reading.held_by]
    return Review(
        "strictness" if doubt.code == "strictness" else "identity",
        job.message_id,
        job.lane_id,
        doubt.resource_type or None,
        doubt.resource_id,
        detail,
        source_id,
        patient_id,
    )


async def settle(tx: Connection, org: UUID, now: datetime, settlements: Sequence[Settlement]) -> None:
    """Write the end states, keep the bytes of dead letters longer, and take the jobs out of their lanes."""
    if not settlements:
        return
    ids = [settlement.job.message_id for settlement in settlements]
    faults = [settlement.fault or Fault("", "", "") for settlement in settlements]
    await tx.execute(
        q.settle_messages,
        org,
        now,
        ids,
        [settlement.state for settlement in settlements],
        [settlement.patient_id for settlement in settlements],
        [fault.code or None for fault in faults],
        [fault.location or None for fault in faults],
        [fault.text or None for fault in faults],
        [settlement.outcome for settlement in settlements],
        min(ids),
        max(ids),
    )
    await _index(tx, org, settlements)
    await _name(tx, org, [settlement for settlement in settlements if settlement.named_id])
    dead = [settlement.job.message_id for settlement in settlements if settlement.state == "dead"]
    if dead:
        await tx.execute(q.move_bodies_to_dead, org, dead)
    jobs = [settlement.job for settlement in settlements]
    await tx.execute(q.delete_jobs, org, [job.lane_id for job in jobs], [job.seq for job in jobs])
    for settlement, fault in zip(settlements, faults, strict=True):
        _settled.add(1, settlement.state, fault.code)


async def _name(tx: Connection, org: UUID, moved: Sequence[Settlement]) -> None:
    """Remember whom the numbers of these messages named before merges: an unmerge sorts by it."""
    if moved:
        ids = [settlement.job.message_id for settlement in moved]
        patients = [settlement.patient_id for settlement in moved]
        await tx.execute(q.name_messages, org, ids, patients, [settlement.named_id for settlement in moved])


async def _index(tx: Connection, org: UUID, settlements: Sequence[Settlement]) -> None:
    rows = [(*key, settlement.job.message_id) for settlement in settlements for key in settlement.keys]
    if rows:
        await tx.execute(q.insert_message_keys, org, *map(list, zip(*rows, strict=True)))


def _summary(reading: Reading, outcome: Outcome | None) -> str | None:
    if reading.spoken is None:
        return None
    conversion = reading.spoken.conversion
    summary: dict[str, Any] = {"map": conversion.map_version}
    if outcome is not None:
        summary["resources"] = [[kind, str(id_), version, changed] for kind, id_, version, changed in outcome.touched]
    findings = [*((f.code, f.location) for f in conversion.findings), *reading.warned_of]
    if findings:
        summary["findings"] = [list(place) for place in findings[:_FINDINGS_MAX]]
    if conversion.unread:
        summary["unread"] = conversion.unread[:_FINDINGS_MAX]
    return plain_json(summary)
