"""What must hold of what FHIR clients wrote. Reads the database and the clients' ledger, and nothing else."""

from collections import Counter, defaultdict
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from tests.chaos.fhir_callers import MARKS, Ledger
from tests.chaos.verdict import Verdict
from tests.integration.record.fhir_index_checks import TABLES, expected_rows, stored_rows

from chartwire.store.pool import Pool


async def judge_fhir(admin: Any, verdict: Verdict, ledger: Ledger) -> None:
    """F1: what was acknowledged stands, once. F2: transactions are whole. F3: versions have no gaps and one event each."""
    by_mark = await _resources_by_mark(admin)
    for mark, told in ledger.resources.items():
        verdict.expect(by_mark[mark] == sorted(told), "F1 what was created stands once", mark, by_mark[mark], told)
    for mark, size in ledger.wholes.items():
        wanted = {size} if mark in ledger.made else {0, size}
        verdict.expect(len(by_mark[mark]) in wanted, "F2 a transaction is whole", mark, len(by_mark[mark]), size)
    for mark in ledger.refused:
        verdict.expect(not by_mark[mark], "F2 a transaction that is refused makes nothing", mark)
    known = ledger.resources.keys() | ledger.wholes.keys() | ledger.refused
    verdict.expect(not by_mark.keys() - known, "F1 nothing stands that was not sent", *(by_mark.keys() - known))
    await _versions(admin, verdict, ledger)
    verdict.figures["fhir"] = sum(map(len, by_mark.values()))


async def judge_index(dsn: str, org: UUID, verdict: Verdict) -> None:
    """F4: the search index holds what the rules say of every current body, and nothing else."""
    pool = Pool(dsn, size=2)
    try:
        stored, expected = await stored_rows(pool, org), await expected_rows(pool, org)
    finally:
        await pool.close()
    for table in TABLES:
        wrong = [str(id_) for id_, rows in expected[table].items() if stored[table].get(id_) != rows]
        wrong += [str(id_) for id_ in stored[table].keys() - expected[table].keys()]
        verdict.expect(not wrong, f"F4 the index of {table} is that of the bodies", *wrong)


async def _resources_by_mark(admin: asyncpg.Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in await admin.fetch("select body from resource where message_id is null and not deleted"):
        body = orjson.loads(row["body"])
        for identifier in body.get("identifier", ()):
            if identifier.get("system") == MARKS:
                found[identifier["value"]].append(body["id"])
    return defaultdict(list, {mark: sorted(ids) for mark, ids in found.items()})


async def _versions(admin: asyncpg.Connection, verdict: Verdict, ledger: Ledger) -> None:
    rows = await admin.fetch(
        "select id, version, body from resource where message_id is null"
        " union all select id, version, body from resource_history where message_id is null order by 1, 2"
    )
    numbers: dict[UUID, list[int]] = defaultdict(list)
    values: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        numbers[row["id"]].append(row["version"])
        body = orjson.loads(row["body"])
        if "multipleBirthInteger" in body:
            values[body["id"]].append(body["multipleBirthInteger"])
    gaps = [str(id_) for id_, told in numbers.items() if told != list(range(1, len(told) + 1))]
    verdict.expect(not gaps, "F3 versions are numbered without gap", *gaps)
    lost = [id_ for id_ in ledger.values.keys() | values.keys() if ledger.values.get(id_, []) != values[id_]]
    verdict.expect(not lost, "F1 every update makes one version, in its order", *lost)
    events = Counter(
        (row["resource_id"], row["version"])
        for row in await admin.fetch("select resource_id, version from event where message_id is null")
    )
    wanted = Counter((id_, version) for id_, told in numbers.items() for version in told)
    verdict.expect(events == wanted, "F3 every version has one event", *(events - wanted), *(wanted - events))
