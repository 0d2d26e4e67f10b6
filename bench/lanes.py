"""The work engine alone: 10,000 lanes ready at once, no-op jobs, one worker process."""

import asyncio
import time
from typing import Any

import uvloop

from bench.database import BenchDatabase, database
from chartwire.core.ids import order_key_digest, uuid7
from chartwire.events.lanes import Lanes, release
from chartwire.store.pool import Pool
from chartwire.store.queries import q

LANES = 10_000
JOBS_PER_LANE = 5
TURNS = 3
_FILL = """
with lanes as (
    insert into lane (lane_id, org_id, kind, seq, ready_at)
    select l, $1, 'intake', $3, clock_timestamp() from unnest($2::uuid[]) as l order by l
    returning lane_id
)
insert into job (org_id, lane_id, seq, message_id)
select $1, lane_id, n, gen_random_uuid() from lanes cross join generate_series(1, $3::bigint) as n
"""
_TAKE = "delete from job where org_id = $1 and lane_id = any($2::uuid[])"


def rows() -> list[dict[str, Any]]:
    """Jobs per second, wall clock."""
    with database() as server:
        return [uvloop.run(_drain(server))]


async def _drain(server: BenchDatabase) -> dict[str, Any]:
    pool, engine = Pool(server.app, size=4), Pool(server.engine, size=4)
    org = uuid7()
    ids = [order_key_digest(str(org), str(number)) for number in range(LANES)]
    async with pool.transaction(org) as tx:
        await tx.execute(_FILL, org, ids, JOBS_PER_LANE)
    lanes = Lanes(engine, "intake")
    done = 0

    async def turn() -> None:
        nonlocal done
        while claims := await lanes.claim():
            async with pool.transaction(org) as tx:
                tag = await tx.execute(_TAKE, org, [claim.lane_id for claim in claims])
                await release(tx, claims)
            done += int(tag.split()[1])

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(turn() for _ in range(TURNS)))
    spent, used = time.perf_counter() - started, time.process_time() - cpu
    async with pool.transaction(org) as tx:
        left = len(await tx.fetch(q.lane_heads, org, ids))
    await pool.close()
    await engine.close()
    assert done == LANES * JOBS_PER_LANE
    assert left == 0
    return {
        "name": f"drain {LANES} lanes of {JOBS_PER_LANE} no-op jobs",
        "jobs_per_s": round(done / spent),
        "lanes_per_s": round(LANES / spent),
        "python_us_per_job": round(used / done * 1e6, 1),
    }
