"""The message list over 1,000,000 messages: p50 and p95 of one page, first and later ones, by what people search for.

Messages of 60 days lie in monthly partitions, written by one statement with their numbers; the calls are those of the
API's list (record/messages.py) as the serving role, one after the other, each with another value.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from bench.database import BenchDatabase, database
from chartwire.core.access import Access
from chartwire.core.clock import now
from chartwire.core.ids import uuid7_floor
from chartwire.record.messages import search_messages
from chartwire.store.partitions import ensure_partitions
from chartwire.store.pool import Pool
from chartwire.store.search_sql import Number

MESSAGES = 1_000_000
DAYS = 60
CALLS = 300
PAGE = 26
BUDGET_MS = 50
ORG = UUID(int=0xA)
_SOURCES = [UUID(int=number) for number in range(1, 6)]
_Case = tuple[str, Callable[[int], dict[str, Any]]]

# Ids are spread evenly over the days before now, as uuidv7 with the number of the message behind its millisecond.
_FILL = """
insert into message (org_id, id, source_id, received_at, state, event, control_id, mrn, charset, body_bytes, mode,
                     ack_code, processed_at, patient_id, error_code, error_location, error_text)
select $1, m.id, ('00000000-0000-0000-0000-00000000000' ||
                  case when n % 1000 = 0 then 5 when n % 20 = 1 then 4 else n % 3 + 1 end)::uuid,
       m.at, m.state, (array['ADT^A08', 'ADT^A01', 'ORU^R01', 'SIU^S12'])[n % 4 + 1], 'C' || n, 'M' || n % 40000,
       'utf-8', 900, 'live', 'AA', m.at, ('00000000-0000-0000-0001-' || lpad((n % 40000)::text, 12, '0'))::uuid,
       case when m.state in ('dead', 'held') then 'unmapped_code' end, null, null
  from (select n, to_timestamp($2 + n * $3) as at,
               (lpad(to_hex((($2 + n * $3) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
                || '8' || lpad(to_hex(n), 15, '0'))::uuid as id,
               case when n % 500 = 7 then 'dead' when n % 1000 = 9 then 'held' when n % 100 = 3 then 'filtered'
                    when n > $4 - 200 then 'received' else 'processed' end as state
          from generate_series(1, $4::bigint) as n) m
"""
_KEYS = """
insert into message_key (org_id, kind, value, authority, message_id)
select m.org_id, k.kind, k.value, 'HOSP', m.id
  from message m
 cross join lateral (values ('patient', m.mrn), ('visit', 'V' || substr(m.control_id, 2)::bigint % 200000),
                            ('filler_order', 'F' || substr(m.control_id, 2)::bigint % 250000)) as k (kind, value)
 where m.org_id = $1 and m.state <> 'received' and (k.kind <> 'filler_order' or m.event = 'ORU^R01')
"""


def rows() -> list[dict[str, Any]]:
    """One row a question: p50 and p95 in ms over CALLS calls, and the budget."""
    with database() as made:
        asyncio.run(fill(made.admin))
        return asyncio.run(_measure(made))


async def fill(admin: str) -> None:
    """Partitions for the days, the messages, their numbers, and the planner's statistics."""
    today = now()
    for back in range(DAYS // 28 + 1, -1, -1):
        await ensure_partitions(admin, today - timedelta(days=28 * back))
    pool = Pool(admin, size=1)
    async with pool.connection() as connection:
        await connection.execute("insert into organisation (org_id, name, kind) values ($1, 'bench', 'live')", ORG)
        for number, source in enumerate(_SOURCES):
            await connection.execute(
                "insert into source (org_id, id, name, settings) values ($1, $2, $3, '{}')", ORG, source, f"s{number}"
            )
        begun_s = today.timestamp() - DAYS * 86_400
        await connection.execute(_FILL, ORG, begun_s, DAYS * 86_400 / MESSAGES, MESSAGES)
        await connection.execute(_KEYS, ORG)
        await connection.execute("vacuum analyze message")
        await connection.execute("vacuum analyze message_key")
    await pool.close()


def cases() -> list[_Case]:
    """Questions by name, each as conditions of record/messages.py for call number n."""

    def week(_: int) -> dict[str, Any]:
        first, last = now() - timedelta(days=30), now() - timedelta(days=23)
        bounds = (uuid7_floor(int(at.timestamp() * 1000)) for at in (first, last))
        return dict(zip(("id_from", "id_to"), bounds, strict=True)) | {"received_from": first, "received_before": last}

    def mrn(n: int) -> dict[str, Any]:
        return {"mrn": Number("patient", f"M{n * 97 % 40000}")}

    plain: list[_Case] = [
        ("MRN", mrn),
        ("control id", lambda n: {"control_id": f"C{n * 3001 % MESSAGES}"}),
        ("visit", lambda n: {"numbers": [Number("visit", f"V{n * 997 % 200000}")]}),
        ("filler number", lambda n: {"numbers": [Number("filler_order", f"F{(n * 997 + 2) % 250000}", "HOSP")]}),
        ("state dead", lambda _: {"states": ["dead"]}),
        ("state dead or held", lambda _: {"states": ["dead", "held"]}),
        ("state processed", lambda _: {"states": ["processed"]}),
        ("rare source", lambda _: {"source_id": _SOURCES[4]}),
        ("source and state dead", lambda n: {"source_id": _SOURCES[n % 3], "states": ["dead"]}),
        ("no message has it", lambda n: {"control_id": f"X{n}"}),
        ("no filter", lambda _: {}),
    ]
    in_a_week = ("MRN", "control id", "state dead", "state dead or held", "state processed", "visit")
    return [*plain, *((f"{name}, a week", _with(week, ask)) for name, ask in plain if name in in_a_week)]


def _with(
    one: Callable[[int], dict[str, Any]], other: Callable[[int], dict[str, Any]]
) -> Callable[[int], dict[str, Any]]:
    return lambda n: one(n) | other(n)


async def _measure(made: BenchDatabase) -> list[dict[str, Any]]:
    pool = Pool(made.app, size=1)
    access = Access(ORG, "bench", "HOPERAT", frozenset({"*"}))
    found = [await _timed(pool, access, name, ask) for name, ask in cases()]
    await pool.close()
    return found


async def _timed(pool: Pool, access: Access, name: str, ask: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Every second call goes on with the page behind, where there is one."""
    took_ms, before = [], None
    for n in range(CALLS):
        conditions = ask(n - n % 2) | ({"before": before} if before else {})
        started = time.perf_counter()
        page = await search_messages(pool, access, conditions, PAGE)
        took_ms.append((time.perf_counter() - started) * 1000)
        before = page[-2]["id"] if len(page) == PAGE and not before else None
    return {
        "what": f"by {name}",
        "p50_ms": round(statistics.median(took_ms), 2),
        "p95_ms": round(_percentile(took_ms, 95), 2),
        "budget_ms": BUDGET_MS,
    }


def _percentile(values: Iterable[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
