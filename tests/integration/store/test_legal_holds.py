"""What is on legal hold outlives every term, and falls under it again when it is released."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chartwire.app import retention
from chartwire.channels.sources import Organisation
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7, uuid7_floor
from chartwire.store import legal_holds

NOW = datetime(2026, 11, 20, tzinfo=UTC)
OLD = NOW - timedelta(days=30)
MESSAGE = """
insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes, mode, patient_id)
values ($1, $2, $1, $3, $4, 'ADT^A01', 'C', 'utf-8', 9, 'live', $5)
"""
BODY = "insert into message_body (org_id, id, class, raw) values ($1, $2, $3, 'some body')"
PATIENT = """
insert into resource (org_id, type, id, version, updated_at, actor, body, lineage)
values ($1, 'Patient', $2, 1, now(), 'test', '{}', '{}')
"""
MERGED = "insert into merge (org_id, id, loser_id, survivor_id, actor, undone_at) values ($1, $2, $3, $4, 'test', $5)"
REASON = "Landgericht Köln, 4 O 11/26"


@pytest.fixture
async def patients(pool, org_id):
    """Anna, who was merged into Berta (undone since), and Carla; each with a processed message and a dead letter."""
    found = {name: uuid7() for name in ("anna", "berta", "carla")}
    async with pool.transaction(org_id) as tx:
        for number, patient in enumerate(found.values()):
            await tx.execute(PATIENT, org_id, patient)
            for more, (state, body) in enumerate((("processed", "raw"), ("dead", "dead"))):
                await tx.execute(MESSAGE, org_id, id_of(number, more), OLD, state, patient)
                await tx.execute(BODY, org_id, id_of(number, more), body)
        await tx.execute(MERGED, org_id, uuid7(), found["anna"], found["berta"], NOW)
    return found


def id_of(patient: int, message: int) -> UUID:
    return UUID(int=uuid7_floor(int(OLD.timestamp() * 1000)).int + 10 * patient + message)


async def classes(pool, org) -> str:
    """The class of each body, in order; `-` for one that is gone."""
    async with pool.transaction(org) as tx:
        rows = await tx.fetch(
            "select coalesce(b.class, '-') as class from message m"
            " left join message_body b on b.org_id = m.org_id and b.id = m.id order by m.id"
        )
    return " ".join(row["class"] for row in rows)


async def expire(database, pool, org):
    """A run of retention; another organisation keeps everything longer, so that rows go one by one."""
    other = uuid7()
    async with pool.transaction(other) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'Harbour', 'live')", other)
    clinics = [Organisation(org, "Lindenhof clinic", "live"), Organisation(other, "Harbour", "live")]
    return await retention.run(pool, database.admin_dsn, clinics, {}, NOW)


async def test_a_patient_on_hold_keeps_everything_about_them_and_those_they_were_ever_merged_with(
    database, pool, org_id, patients
):
    await retention.set_own_terms(pool, org_id, {"raw": 1, "dead_letters": 1})
    assert await legal_holds.place(pool, org_id, "patient", patients["anna"], REASON, "cli:retention") == 4
    assert await classes(pool, org_id) == "hold hold hold hold raw dead"
    await expire(database, pool, org_id)
    assert await classes(pool, org_id) == "hold hold hold hold - -"


async def test_what_comes_later_about_a_patient_on_hold_is_kept_by_the_next_run(database, pool, org_id, patients):
    await retention.set_own_terms(pool, org_id, {"raw": 1})
    await legal_holds.place(pool, org_id, "patient", patients["carla"], REASON, "cli:retention")
    async with pool.transaction(org_id) as tx:
        await tx.execute(MESSAGE, org_id, id_of(3, 0), OLD, "processed", patients["carla"])
        await tx.execute(BODY, org_id, id_of(3, 0), "raw")
    await expire(database, pool, org_id)
    assert await classes(pool, org_id) == "- dead - dead hold hold hold"


async def test_a_released_body_goes_back_to_its_class_unless_another_hold_covers_it(pool, org_id, patients):
    await legal_holds.place(pool, org_id, "patient", patients["carla"], REASON, "cli:retention")
    await legal_holds.place(pool, org_id, "message", id_of(2, 1), REASON, "cli:retention")
    assert await legal_holds.release(pool, org_id, "patient", patients["carla"], "settled", "cli:retention") == 1
    assert await classes(pool, org_id) == "raw dead raw dead raw hold"
    assert await legal_holds.release(pool, org_id, "message", id_of(2, 1), "settled", "cli:retention") == 1
    assert await classes(pool, org_id) == "raw dead raw dead raw dead"
    found = await legal_holds.listed(pool, org_id, standing=False, most=10)
    assert {(one["kind"], one["reason"], one["release_reason"]) for one in found} == {
        ("patient", REASON, "settled"), ("message", REASON, "settled"),
    }  # fmt: skip
    assert await legal_holds.listed(pool, org_id, standing=True, most=10) == []


async def test_a_hold_that_was_interrupted_is_finished_by_the_next_run(database, pool, org_id, patients):
    """kill -9 after the hold is written and before its bodies have moved."""
    async with pool.transaction(org_id) as tx:
        await tx.execute(
            "insert into legal_hold (org_id, id, kind, subject_id, reason, placed_by)"
            " values ($1, $2, 'patient', $3, 'x', 'test')",
            org_id, uuid7(), patients["carla"],
        )  # fmt: skip
    await retention.set_own_terms(pool, org_id, {"raw": 1, "dead_letters": 1})
    await expire(database, pool, org_id)
    assert await classes(pool, org_id) == "- - - - hold hold"


async def test_another_organisation_neither_holds_nor_releases_nor_sees(pool, org_id, other_org_id, patients):
    await legal_holds.place(pool, org_id, "patient", patients["anna"], REASON, "cli:retention")
    with pytest.raises(NotFoundError):
        await legal_holds.release(pool, other_org_id, "patient", patients["anna"], "mine", "cli:retention")
    with pytest.raises(NotFoundError):
        await legal_holds.place(pool, other_org_id, "message", id_of(2, 0), REASON, "cli:retention")
    assert await legal_holds.listed(pool, other_org_id, standing=False, most=10) == []


async def test_a_second_hold_and_one_without_a_reason_are_refused(pool, org_id, patients):
    await legal_holds.place(pool, org_id, "patient", patients["anna"], REASON, "cli:retention")
    with pytest.raises(ConflictError) as again:
        await legal_holds.place(pool, org_id, "patient", patients["anna"], REASON, "cli:retention")
    assert again.value.code == "on_hold_already"
    with pytest.raises(ValidationError):
        await legal_holds.place(pool, org_id, "patient", patients["carla"], " ", "cli:retention")
    assert len(await legal_holds.listed(pool, org_id, standing=True, most=10)) == 1
