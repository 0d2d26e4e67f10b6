"""What comes too late: messages, deliveries, partitions, vacuum, clocks."""

from collections.abc import Iterable
from datetime import timedelta

from chartwire.alerts.words import spelled
from chartwire.app.disk import shown
from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached
from chartwire.app.services import operator_access
from chartwire.core.ids import to_prefixed
from chartwire.core.limits import INTAKE_LEDGER_DAYS
from chartwire.delivery.standing import endpoints
from chartwire.record.reindexing import to_index
from chartwire.store import condition, disk, installation
from chartwire.store.queries import q

_INTAKE_LATE_S, _INTAKE_STANDS_S = 60.0, 300.0
DELIVERY_LATE = timedelta(minutes=5)
_TRANSACTION_OLD_S = 600.0
_UNFROZEN_MAX = 1_000_000_000
_LOG_KEPT_BYTES_MAX = 1024**3
_CLOCKS_APART_S = 2.0
_LEDGER_TERM = timedelta(days=INTAKE_LEDGER_DAYS + 7)
_ROUNDS_LATE_S = 600.0


async def intake(reached: Reached) -> Iterable[Found]:
    """Messages that nothing holds back."""
    async with reached.shared.pool.connection() as connection:
        late_s = float(await connection.fetchval(q.intake_lag))
    if late_s <= _INTAKE_LATE_S:
        return ()
    code = "intake_stands" if late_s > _INTAKE_STANDS_S else "intake_late"
    return [found(code, age=spelled(late_s))]


async def deliveries(reached: Reached) -> Iterable[Found]:
    """Deliveries that are due, by endpoint that is on."""
    saw = []
    for organisation in reached.organisations:
        for one in await endpoints(reached.shared.pool, operator_access(organisation.id, "doctor")):
            if one.state == "enabled" and one.due_since and reached.at - one.due_since > DELIVERY_LATE:
                age = reached.around.age(one.due_since)
                saw.append(found("deliveries_late", endpoint=to_prefixed("whe", one.id), count=one.waiting, age=age))
    return saw


async def partitions(reached: Reached) -> Iterable[Found]:
    """Months ahead, and rows outside of all months."""
    async with reached.shared.pool.connection() as connection:
        wanting = await condition.partitions(connection, reached.at)
    saw = [found("partition_missing", table=name) for name in wanting.without_next]
    return saw + [found("partition_spilled", table=name) for name in wanting.spilled]


async def cleaning(reached: Reached) -> Iterable[Found]:
    """Vacuum, freezing, old transactions, and the log that is kept for receivers that are away."""
    pool = reached.shared.pool
    saw = [
        found("vacuum_behind", table=table, count=dead)
        for table, dead in (await condition.tables_of_dead_rows(pool)).items()
    ]
    load = await condition.load(pool)
    if load.unfrozen > _UNFROZEN_MAX:
        saw.append(found("freeze_behind", count=load.unfrozen // 1_000_000))
    if load.transaction_s > _TRANSACTION_OLD_S:
        saw.append(found("transaction_old", age=spelled(load.transaction_s)))
    for name, size in (await condition.slots_behind(pool)).items():
        if size > _LOG_KEPT_BYTES_MAX:
            saw.append(found("log_kept", name=name, size=shown(size)))
    return saw


async def clocks(reached: Reached) -> Iterable[Found]:
    """The server's and this machine's."""
    async with reached.shared.pool.connection() as connection:
        apart_s = await condition.clock_skew_s(connection)
    return [found("clocks_apart", seconds=f"{apart_s:.1f}")] if abs(apart_s) > _CLOCKS_APART_S else []


async def daily_work(reached: Reached) -> Iterable[Found]:
    """What is to be done once a day, from the third day on."""
    before = reached.at - timedelta(days=2)
    row = await installation.read(reached.shared.pool)
    if row is None or row.changed_at > before or await disk.was_sampled(reached.shared.pool, before.date()):
        return ()
    return [found("daily_work_missing")]


async def ledger(reached: Reached) -> Iterable[Found]:
    """Entries of the intake ledger far over their term."""
    saw = []
    for organisation in reached.organisations:
        async with reached.shared.pool.transaction(organisation.id) as tx:
            oldest = await tx.fetchval(q.oldest_in_ledger, organisation.id)
        if oldest and reached.at - oldest > _LEDGER_TERM:
            saw.append(found("ledger_old", age=reached.around.age(oldest), org=str(organisation.id)))
    return saw


async def fhir_index(reached: Reached) -> Iterable[Found]:
    """Resources that the FHIR search index lacks: of a release before, or of other rules."""
    left = {
        organisation.id: await to_index(reached.shared.pool, organisation.id) for organisation in reached.organisations
    }
    return [found("fhir_index_behind", count=count, org=str(org)) for org, count in left.items() if count]


async def alert_rounds(reached: Reached) -> Iterable[Found]:
    """Whether anybody looks at the alert rules."""
    async with reached.shared.engine_pool.connection() as connection:
        late_s = float(await connection.fetchval(q.observe_alert_rounds))
    if late_s <= _ROUNDS_LATE_S:
        return ()
    return [found("alerts_asleep", age=spelled(late_s))]
