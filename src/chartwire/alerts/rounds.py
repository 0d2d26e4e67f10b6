"""The rounds: every organisation is looked at by one evaluator at a time, what burns is written with its notices.

A row of `schedule` an organisation, leased to whichever worker takes it, says when. Everything that a round changes is
one transaction under the fence of that lease: a round that another took over writes nothing, and a process that dies
leaves either all of a change, notices included, or nothing of it.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from chartwire.alerts import feeds, telling
from chartwire.alerts.judging import Change, Place, Standing, changes
from chartwire.alerts.kinds import KINDS
from chartwire.alerts.observations import Look, Probe, Seen
from chartwire.alerts.rules import effective_rules
from chartwire.alerts.states import Bout
from chartwire.core import clock
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import order_key_digest
from chartwire.core.telemetry import Counter
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

KIND: Final = "alerts"
EVERY_S: Final = 20.0
ROUND: Final = order_key_digest("chartwire", "alerts")

_LOOK_S: Final = 5.0
_LEASE_S: Final = 120.0
_AT_ONCE_MAX: Final = 4
_KEPT: Final = timedelta(days=400)
_chance: Final = secrets.SystemRandom()
_BOUT: Final = tuple(Bout.__slots__)
_log = structlog.get_logger(__name__)
_rounds = Counter("chartwire_alert_rounds_total", "Looks at an organisation, by how they ended.", ("outcome",))
_failures = Counter("chartwire_alert_probe_failures_total", "Probes that could not look, by kind.", ("kind",))

Deliver = Callable[[UUID], Awaitable[object]]
"""Sends what is due to an organisation's channels. Several processes may call it at once."""


async def _nothing(_org: UUID) -> None:
    """No channel is served here."""


class Rounds:
    """One per worker process. `probes` by kind: those of the store, and those of this machine."""

    def __init__(self, pool: Pool, engine: Pool, probes: Mapping[str, Probe], deliver: Deliver = _nothing) -> None:
        self._pool, self._engine = pool, engine
        self._probes, self._deliver = probes, deliver
        self._looked: dict[tuple[UUID, str], datetime] = {}
        self._delivering: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Do the rounds until `stop`."""
        try:
            while not stop.is_set():
                try:
                    if await self.turn():
                        continue
                except ChartwireError as error:
                    _log.warning("alert_rounds_wait", code=error.code)
                with contextlib.suppress(TimeoutError):
                    # Not in step with other processes, so that each machine has its turn.
                    await asyncio.wait_for(stop.wait(), _LOOK_S * _chance.uniform(0.5, 1.5))
        finally:
            for task in self._delivering.values():
                task.cancel()
            await asyncio.gather(*self._delivering.values(), return_exceptions=True)

    async def turn(self) -> bool:
        """Look at some of the organisations that are due; whether there may be more of them. Raises TransientError."""
        async with self._pool.connection() as connection:
            await connection.execute(q.enroll_organisations, ROUND, KIND)
        async with self._engine.connection() as connection:
            rows = await connection.fetch(q.claim_due, KIND, _LEASE_S, _AT_ONCE_MAX)
        await asyncio.gather(*(self._safely(row["org_id"], row["fence"]) for row in rows))
        return len(rows) == _AT_ONCE_MAX

    async def round(self, org: UUID, at: datetime, fence: int | None = None) -> None:
        """Look at one organisation at `at`, under the fence of its claim where there is one. Raises ChartwireError."""
        await self._learn(org, at)
        async with self._pool.transaction(org) as tx:
            rules = {rule.name: rule for rule in await effective_rules(tx, org) if rule.enabled}
        seen = await self._see(org, {rule.form.kind for rule in rules.values()}, at)
        async with self._pool.transaction(org) as tx:
            if fence is not None and not await _is_ours(tx, org, at, fence):
                _rounds.add(1, "taken_over")
                return
            burning = await _burning(tx, org)
            for change in changes(rules, seen, burning, at):
                await _write(tx, org, change, at)
            await tx.execute(q.forget_alerts, org, at - _KEPT)
        _rounds.add(1, "done")

    async def _learn(self, org: UUID, at: datetime) -> None:
        """What feeds usually do; that it cannot be learned hides nothing that burns."""
        async with self._pool.transaction(org) as tx:
            await feeds.attend(tx, org, at)
        try:
            async with self._pool.transaction(org) as tx:
                await feeds.learn(tx, org, at)
        except Exception as error:
            _failures.add(1, "rhythm")
            _log.warning("alert_rhythm_not_learned", org_id=str(org), error=type(error).__name__)

    async def _safely(self, org: UUID, fence: int) -> None:
        """One organisation's fault is no other's, and none of the messages': its lease ends, and it is tried again."""
        try:
            await self.round(org, clock.now(), fence)
        except ChartwireError as error:
            _rounds.add(1, "failed")
            _log.warning("alert_round_failed", org_id=str(org), code=error.code)
        except Exception as error:
            _rounds.add(1, "failed")
            _log.error("alert_round_broke", org_id=str(org), error=type(error).__name__)
        self._begin_delivery(org)

    def _begin_delivery(self, org: UUID) -> None:
        """Beside the rounds: a channel that answers late holds up no look."""
        if org not in self._delivering:
            task = asyncio.create_task(self._deliver_safely(org))
            self._delivering[org] = task
            task.add_done_callback(lambda _: self._delivering.pop(org, None))

    async def _deliver_safely(self, org: UUID) -> None:
        try:
            await self._deliver(org)
        except ChartwireError as error:
            _log.warning("alert_notices_wait", org_id=str(org), code=error.code)
        except Exception as error:
            _log.error("alert_notices_broke", org_id=str(org), error=type(error).__name__)

    async def _see(self, org: UUID, wanted: Collection[str], at: datetime) -> dict[str, Seen]:
        """What the probes of these kinds find: in one transaction, or each in its own where one of them fails."""
        kinds = [kind for kind in wanted if self._is_due(org, kind, at)]
        try:
            seen = await self._look(org, kinds, at)
        except Exception:
            seen = {}
            for kind in kinds:
                seen |= await self._look_alone(org, kind, at)
        self._looked |= {(org, kind): at for kind in kinds if KINDS[kind].every_s}
        return seen

    def _is_due(self, org: UUID, kind: str, at: datetime) -> bool:
        looked = self._looked.get((org, kind))
        return kind in self._probes and (looked is None or at - looked >= timedelta(seconds=KINDS[kind].every_s))

    async def _look(self, org: UUID, kinds: Collection[str], at: datetime) -> dict[str, Seen]:
        seen = {}
        async with self._pool.transaction(org) as tx:
            for kind in kinds:
                found = await self._probes[kind](Look(tx, org, at))
                if found is not None:
                    seen[kind] = found
        return seen

    async def _look_alone(self, org: UUID, kind: str, at: datetime) -> dict[str, Seen]:
        try:
            return await self._look(org, [kind], at)
        except Exception as error:
            _failures.add(1, kind)
            _log.warning("alert_probe_failed", kind=kind, org_id=str(org), error=type(error).__name__)
            return {}


async def _is_ours(tx: Connection, org: UUID, at: datetime, fence: int) -> bool:
    """Ends the lease and says when to look again; False where another took the organisation over meanwhile."""
    return await tx.fetchval(q.take_turn, org, ROUND, fence, at + timedelta(seconds=EVERY_S)) is not None


async def _burning(tx: Connection, org: UUID) -> dict[Place, Standing]:
    """Every bout that is not over, locked against people who answer."""
    return {
        Place(row["rule"], row["key"]): Standing(row["id"], Bout(**{name: row[name] for name in _BOUT}))
        for row in await tx.fetch(q.open_alerts, org)
    }


async def _write(tx: Connection, org: UUID, change: Change, at: datetime) -> None:
    """A bout and what is to be told of it; one that ends before anybody was told leaves nothing."""
    bout = change.step.bout
    assert bout is not None, "a change has a bout"
    if bout.state == "withdrawn":
        await tx.execute(q.drop_alert, org, change.id)
        return
    place = change.place
    await tx.execute(
        q.write_alert, org, change.id, place.rule, place.key, bout.state, bout.severity, bout.summary, bout.value,
        bout.since, bout.seen_at, bout.fired_at, bout.well_since, bout.recovered_at, bout.snoozed_until,
        bout.escalated, bout.reminded_at,
    )  # fmt: skip
    if change.step.tells == "recovery":
        when = change.rule.opening(bout.severity, at) if change.rule else at
        await telling.tell_those_who_know(tx, org, change.id, "recovery", at, when=when)
    elif change.rule is not None:
        await telling.tell(tx, org, change.id, change.rule, change.step, at)
