"""trust/audit.py on a real database."""

import asyncio
import hashlib
from uuid import UUID

import pytest

from chartwire.core.access import Access
from chartwire.core.errors import TransientError
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool
from chartwire.trust.audit import AuditTrail, audit_row


def access(org, request_id="req_1"):
    return Access(org, "key:test", "HOPERAT", frozenset({"*"}), request_id=request_id)


async def rows_of(pool, org):
    async with pool.transaction(org) as tx:
        return await tx.fetch("select * from audit order by id")


async def test_a_row_is_committed_when_write_returns(pool, org_id):
    patient = uuid7()
    trail = AuditTrail(pool)
    await trail.write(audit_row(access(org_id), "read", "Patient", "GET /x", count=1, patients=[patient]))
    (row,) = await rows_of(pool, org_id)
    told = (row["actor"], row["purpose"], row["action"], row["query_shape"], row["row_count"], row["status"])
    assert told == ("key:test", "HOPERAT", "read", "GET /x", 1, 200)
    assert (row["patient_ids"], row["request_id"]) == ([patient], "req_1")


async def test_rows_of_several_organisations_share_commits_and_stay_apart(pool, org_id, other_org_id):
    trail = AuditTrail(pool)
    rows = [
        audit_row(access(org, f"r{n}"), "read", "Patient", "GET /x")
        for n in range(50)
        for org in (org_id, other_org_id)
    ]
    await asyncio.gather(*map(trail.write, rows))
    mine, theirs = await rows_of(pool, org_id), await rows_of(pool, other_org_id)
    assert len(mine) == len(theirs) == 50
    assert {row["org_id"] for row in mine} == {org_id}
    assert len({row["xid"] for row in mine}) < 50


async def test_a_row_with_more_than_a_hundred_patients_keeps_the_first_and_a_digest_of_all(pool, org_id):
    patients = [UUID(int=n) for n in range(150, 0, -1)]
    await AuditTrail(pool).write(audit_row(access(org_id), "search", "Patient", "GET /x", count=150, patients=patients))
    (row,) = await rows_of(pool, org_id)
    assert row["patient_ids"] == [UUID(int=n) for n in range(1, 101)]
    digest = hashlib.sha256(b"".join(UUID(int=n).bytes for n in range(1, 151))).hexdigest()
    assert row["query_shape"] == f"GET /x patients=150 sha256={digest}"


async def test_write_fails_when_the_row_cannot_be_stored(database, org_id):
    dead = Pool(database.app_dsn.replace("/t", "/absent_t"), size=1)
    with pytest.raises(TransientError) as caught:
        await AuditTrail(dead).write(audit_row(access(org_id), "read", "Patient", "GET /x"))
    assert caught.value.code == "audit_unavailable"


async def test_the_row_of_a_request_that_was_broken_off_is_written_all_the_same(pool, org_id):
    trail = AuditTrail(pool)
    task = asyncio.create_task(trail.write(audit_row(access(org_id), "read", "Patient", "GET /x")))
    await asyncio.sleep(0)
    task.cancel()
    await trail.close()
    assert len(await rows_of(pool, org_id)) == 1
