"""The gauges that only the database knows."""

from uuid import UUID

from chartwire.app.metrics import Gauges, database_gauges
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool


def value(gauges: Gauges, name: str, kind: str | None = None) -> float:
    (found,) = [row[3] for row in gauges if row[0] == name and (kind is None or row[2] == {"kind": kind})]
    return found


async def add_lane(pool: Pool, org: UUID, kind: str, ready: str, not_before: str = "-infinity") -> None:
    async with pool.transaction(org) as tx:
        await tx.execute(
            "insert into lane (lane_id, org_id, kind, ready_at, not_before)"
            f" values ($1, $2, $3, {ready}, '{not_before}')",
            uuid7(),
            org,
            kind,
        )


async def test_an_idle_installation_has_no_age(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    gauges = await database_gauges(pool, engine_pool)
    assert value(gauges, "chartwire_oldest_unprocessed_seconds") == 0
    assert value(gauges, "chartwire_deliveries_open") == 0
    assert {row[2]["kind"] for row in gauges if row[0] == "chartwire_lanes_ready"} == {"intake", "delivery"}


async def test_the_age_is_that_of_the_lane_that_waits_longest_by_kind(
    pool: Pool, engine_pool: Pool, org_id: UUID, other_org_id: UUID
) -> None:
    await add_lane(pool, org_id, "intake", "now() - interval '10 s'")
    await add_lane(pool, other_org_id, "intake", "now() - interval '90 s'")
    await add_lane(pool, org_id, "delivery", "now() - interval '5 s'")
    gauges = await database_gauges(pool, engine_pool)
    assert 89 < value(gauges, "chartwire_oldest_unprocessed_seconds") < 120
    assert 4 < value(gauges, "chartwire_lane_age_seconds", "delivery") < 60
    assert value(gauges, "chartwire_lanes_ready", "intake") == 2


async def test_a_lane_without_work_or_held_back_on_purpose_does_not_age(
    pool: Pool, engine_pool: Pool, org_id: UUID
) -> None:
    await add_lane(pool, org_id, "intake", "'infinity'")
    await add_lane(pool, org_id, "intake", "now() - interval '60 s'", "2999-01-01")
    assert value(await database_gauges(pool, engine_pool), "chartwire_oldest_unprocessed_seconds") == 0


async def test_alerts_that_burn_are_counted_by_severity_over_all_organisations(
    pool: Pool, engine_pool: Pool, org_id: UUID, other_org_id: UUID
) -> None:
    states = (("firing", "critical"), ("acknowledged", "critical"), ("pending", "critical"), ("recovered", "warning"))
    for org in (org_id, other_org_id):
        async with pool.transaction(org) as tx:
            for state, severity in states:
                await tx.execute(
                    "insert into alert (org_id, id, rule, key, state, severity, summary, since, seen_at)"
                    " values ($1, $2, 'r', $3, $3, $4, '', now(), now())",
                    org, uuid7(), state, severity,
                )  # fmt: skip
    gauges = await database_gauges(pool, engine_pool)
    found = {row[2]["severity"]: row[3] for row in gauges if row[0] == "chartwire_alerts_firing"}
    assert found == {"info": 0, "warning": 0, "critical": 4}


async def test_an_organisation_that_nobody_looks_at_is_seen(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    assert value(await database_gauges(pool, engine_pool), "chartwire_alert_rounds_late_seconds") == 0
    async with pool.transaction(org_id) as tx:
        await tx.execute(
            "insert into schedule (org_id, id, kind, due_at) values ($1, $2, 'alerts', now() - interval '90 s')",
            org_id, uuid7(),
        )  # fmt: skip
    assert 89 < value(await database_gauges(pool, engine_pool), "chartwire_alert_rounds_late_seconds") < 150
