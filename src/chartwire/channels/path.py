"""The path of a message, from its lane to the record and to everyone who is told.

    read      bytes -> document -> FHIR resources          a fault -> dead letter, the lane goes on
    directory practitioners, locations, organizations      a short transaction of their own
    save      whose record, what changes, what happened    doubt -> held for review, nothing changed
    emit      events, in the transaction of the change
    route     event x destination -> delivery, in the same transaction
    settle    message states, jobs done, lanes released    fenced: a worker that lost a lane writes nothing

A message of a source on hold, and what comes behind it in its lane, is left there: the lane waits (`holds.py`).

One batch is one transaction: up to LANES_PER_CLAIM_MAX lanes of one organisation. Whatever breaks it rolls it back;
`one_by_one.py` then redoes it one message a transaction, so that the one at fault is found and the others go on.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from chartwire.channels import holds, route
from chartwire.channels.holds import Wait
from chartwire.channels.reading import Job, Reading, Spoken, read
from chartwire.channels.retelling import read_again, retell
from chartwire.channels.settling import Settlement, case_of, settle, settlement_of
from chartwire.core import clock
from chartwire.core.access import Access
from chartwire.core.crashpoints import hit
from chartwire.core.errors import ConflictError, TransientError
from chartwire.core.limits import BATCH_BYTES_MAX, STANDING_STILL_S
from chartwire.core.source import Source
from chartwire.events import lanes as lane_engine
from chartwire.events.lanes import Claim
from chartwire.events.outbox import Event, emit
from chartwire.mapping.conversion import Conversion, MapFinding
from chartwire.mapping.convert import Mapper
from chartwire.record.directory import Directory
from chartwire.record.identity import HeldForReviewError
from chartwire.record.save import keys_of, save
from chartwire.record.snapshots import scopes_of
from chartwire.record.unmerging import Parting
from chartwire.record.work import Work
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

_DIRECTORY_TRIES = 4


@dataclass(slots=True)
class Path:
    """What a worker needs to carry messages. `sources` is read at each batch, so that configuration takes hold."""

    pool: Pool
    mapper: Mapper
    sources: Callable[[], Mapping[UUID, Source]]
    actor: str
    directory: Directory = field(default_factory=Directory)
    deliveries_made: Callable[[], None] = lambda: None
    """Called after a commit that made deliveries: the delivery worker of this process need not wait for a wake-up."""

    def access(self, org: UUID) -> Access:
        """The worker acts for the organisation whose messages it carries."""
        return Access(org, self.actor, "HOPERAT", frozenset({"*"}))

    async def end_standing_sessions(self) -> None:
        """End sessions whose client stands still in the middle of a statement: the rows that they lock would be locked
        for as long as it stands."""
        async with self.pool.connection() as connection:
            await connection.execute(q.end_standing_sessions, STANDING_STILL_S)

    async def load(self, org: UUID, lane_ids: Sequence[UUID], jobs_per_lane: int) -> list[Job]:
        """The jobs at the head of these lanes, in lane order; at most BATCH_BYTES_MAX and one message more."""
        async with self.pool.transaction(org) as tx:
            rows = await tx.fetch(q.load_jobs, org, list(lane_ids), jobs_per_lane, BATCH_BYTES_MAX)
        return [
            Job(
                row["lane_id"],
                row["seq"],
                row["message_id"],
                tuple(row["ticket_lanes"] or ()),
                row["source_id"],
                row["mode"] or "record-only",
                row["raw"] or b"",
                row["parent_id"],
                row["decision"],
                row["source_on_hold"],
                row["under_review"],
            )
            for row in rows
        ]

    async def read(self, org: UUID, jobs: Iterable[Job]) -> list[Reading]:
        """Parse and map, and save the directory resources that the messages name.

        Raises TransientError for a source that was made after this process last read the sources.
        """
        readings = []
        for job in jobs:
            hit("worker.before_read", job.raw)
            source = self.sources().get(job.source_id)
            if source is None and job.raw:
                raise TransientError("the message's source is not known here yet", code="source_not_known_yet")
            readings.append(read(job, source, self.mapper))
            await asyncio.sleep(0)  # deliveries and leases go on while a long batch is read
        await self._save_directory(org, readings)
        return readings

    async def _save_directory(self, org: UUID, readings: Iterable[Reading]) -> None:
        spoken = [reading.spoken for reading in readings if reading.spoken and reading.job.mode != "preview"]

        async def announce(tx: Connection, events: Sequence[Event]) -> None:
            await route.wake(tx, org, await route.route(tx, org, clock.now(), events))

        for attempt in range(_DIRECTORY_TRIES):
            try:
                await self.directory.save(self.pool, self.access(org), spoken, announce)
                break
            except (ConflictError, TransientError):
                if attempt == _DIRECTORY_TRIES - 1:
                    raise

    async def carry(self, org: UUID, readings: Sequence[Reading], claims: Sequence[Claim]) -> None:
        """Carry these messages in one transaction and end these claims in it.

        Raises StaleLeaseError, TransientError, ConflictError or any other error with nothing changed.
        """
        hit("worker.before_batch")
        async with self.pool.transaction(org) as tx:
            held = await holds.on_hold(tx, org, (reading.job.source_id for reading in readings))
            standing = await self.still_there(tx, org, holds.before_hold(readings, held))
            destinations, waits = await self.apply(tx, org, standing)
            await lane_engine.release(tx, claims)
            await holds.hold_lanes(tx, org, waits)
            await route.wake(tx, org, destinations)
            hit("worker.before_commit")
        hit("worker.after_commit")
        if destinations:
            self.deliveries_made()

    async def park(self, org: UUID, waiting: Sequence[tuple[Claim, Wait]]) -> None:
        """End claims of lanes whose head waits. Raises StaleLeaseError."""
        async with self.pool.transaction(org) as tx:
            await holds.park(tx, org, waiting)

    async def apply(
        self, tx: Connection, org: UUID, readings: Sequence[Reading]
    ) -> tuple[list[UUID], dict[UUID, Wait]]:
        """Save, emit, route and settle within `tx`; answers the destinations to wake, and the lanes that wait from now
        on: what stands behind the case that they wait for is left in them."""
        told = [reading for reading in readings if reading.job.mode != "preview"]
        waits: dict[UUID, Wait] = {}
        work, settlements = await self._meet(tx, org, told, waits)
        now = clock.now()  # after every id of this unit was made: nothing is changed before it was created
        await work.flush(now)
        await emit(tx, org, now, work.events)
        destinations = await route.route(tx, org, now, work.events)
        for reading in readings:
            if reading.job.mode == "preview":
                settlements += (await self._meet(tx, org, [reading], waits))[1]  # what it would change is not written
        await settle(tx, org, now, settlements)
        return destinations, waits

    async def _meet(
        self, tx: Connection, org: UUID, readings: Sequence[Reading], waits: dict[UUID, Wait]
    ) -> tuple[Work, list[Settlement]]:
        """Let these messages meet the record in one unit of work, which is not written yet. Lanes that a case stops are
        added to `waits`; what waits in them is not settled."""
        work = Work(self.access(org), tx)
        spoken = [reading.spoken for reading in readings if reading.spoken]
        keys = [key for conversion, _ in spoken for key in keys_of(conversion)]
        scopes = [scope for conversion, context in spoken for scope in scopes_of(context.source.id, conversion)]
        await work.prefetch(keys, scopes)
        under_review = await self._lanes_under_review(tx, org, spoken)
        told = [reading.spoken for reading in readings if reading.spoken and reading.job.mode != "preview"]
        gone = await self.directory.gone(tx, work.access, told)
        settlements = []
        for reading in readings:
            lane_id = reading.job.lane_id
            if lane_id in under_review and _waits_behind_a_case(reading):
                waits.setdefault(lane_id, Wait(review_id=under_review[lane_id]))
            if lane_id not in waits:
                settlements.append(await self._settlement(work, reading, waits, gone))
        return work, settlements

    async def _settlement(self, work: Work, reading: Reading, waits: dict[UUID, Wait], gone: set[str]) -> Settlement:
        """One message meets the record; a doubt becomes a case, and stops the lane where the source wants that.

        References that lead nowhere (`gone`) are stored, and told of in the findings of the message.
        """
        job = reading.job
        if reading.spoken is None:
            return settlement_of(reading)
        conversion, context = reading.spoken
        references = self.directory.references(work.access, conversion) if job.mode != "preview" else {}
        _note_dangling(conversion, gone.intersection(references.values()))
        try:
            if reading.held_by and job.decision is None:
                raise HeldForReviewError("strictness", "", None)
            outcome = await save(work, conversion, context, references)
        except HeldForReviewError as doubt:
            case = case_of(reading, doubt, context.source.id)
            work.reviews.append(case)
            if context.source.hold_following == "wait" and job.mode != "preview":
                waits[job.lane_id] = Wait(review_id=case.id)
            return settlement_of(reading, held=doubt.code)
        for parting in outcome.parted:
            await self.tell_again(work, parting)
        return settlement_of(reading, outcome=outcome)

    async def tell_again(self, work: Work, parting: Parting) -> None:
        """Tell the messages that came since a merge once more, now that it is undone."""
        readings = await read_again(work, parting.messages, self.sources(), self.mapper)
        await self._save_directory(work.access.org, readings)
        await retell(work, readings, lambda conversion: self.directory.references(work.access, conversion))

    async def still_there(self, tx: Connection, org: UUID, readings: Sequence[Reading]) -> list[Reading]:
        """Lock the jobs; those that another worker did meanwhile are left out."""
        lanes, seqs = [reading.job.lane_id for reading in readings], [reading.job.seq for reading in readings]
        rows = await tx.fetch(q.lock_jobs, org, lanes, seqs)
        there = {(row["lane_id"], row["seq"]) for row in rows}
        return [reading for reading in readings if (reading.job.lane_id, reading.job.seq) in there]

    async def _lanes_under_review(self, tx: Connection, org: UUID, spoken: Sequence[Spoken]) -> dict[UUID, UUID]:
        """The oldest open case of each lane in which a source wants later messages to wait for it."""
        lanes = {context.lane_id for _, context in spoken if context.source.hold_following == "wait"}
        if not lanes:
            return {}
        return {row["lane_id"]: row["id"] for row in await tx.fetch(q.lanes_under_review, org, list(lanes))}


def _note_dangling(conversion: Conversion, gone: Iterable[str]) -> None:
    for kind in sorted({reference.partition("/")[0] for reference in gone}):
        finding = MapFinding("reference_not_found", kind, "refers to what was deleted since another message told of it")
        if finding not in conversion.findings:  # a batch that broke is done again
            conversion.findings.append(finding)


def _waits_behind_a_case(reading: Reading) -> bool:
    """Whether a message waits for an open case of its lane. One about which a person has decided does not."""
    if reading.spoken is None or reading.job.decision is not None:
        return False
    return reading.spoken.context.source.hold_following == "wait"
