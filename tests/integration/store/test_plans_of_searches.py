"""Plans of FHIR searches over many resources: an index leads to all that is read, and little is read in vain."""

import hashlib
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
from tests.conftest import Database
from tests.integration.store.many_resources import fill

from chartwire.record.search import Context, parse
from chartwire.store.fhir_search.conditions import Search
from chartwire.store.fhir_search.pages import page, parts
from chartwire.store.pool import Pool

PATIENTS = 2_000
PATIENT = UUID(hashlib.md5(b"p78").hexdigest())
"""One of them, with 15 observations."""

SEARCHES = {
    "identifier": ("Patient", "identifier=mrn77", 4),
    "two ids": ("Patient", f"_id={PATIENT},nobody", 4),
    "family and birth date": ("Patient", "family=family77&birthdate=1950-03-19", 8),
    "subject and category by date": ("Observation", f"subject=Patient/{PATIENT}&category=laboratory&_sort=-date", 60),
    "subject and code by date": ("Observation", f"patient={PATIENT}&code=code7&_sort=date", 40),
    "a code": ("Observation", "code=code7&_count=50", 210),
    "a chain": ("Observation", "subject:Patient.identifier=mrn77", 70),
    "a chain backwards": ("Patient", "_has:Observation:subject:date=2020-02-01", 150),
    "the latest changes": ("Observation", "_sort=-_lastUpdated&_count=20", 90),
    "changes since": ("Observation", "_lastUpdated=gt2026-01-01T08:00:00Z&_sort=-_lastUpdated&_count=20", 90),
    "a status by date": ("Observation", "status=final&_sort=-date&_count=20", 200),
    "two codes": ("Observation", "code=code7&status=amended&_count=20", 700),
    "a day": ("Observation", "date=2022-01-03&_count=20", 60),
    "part of a name": ("Patient", "name:contains=cde&_count=20", 200),
    "all": ("Observation", "_count=20", 90),
}


async def test_searches_read_by_indexes_and_little_in_vain(database: Database, pool: Pool, org_id: UUID) -> None:
    await fill(database.admin_dsn, org_id, PATIENTS)
    connection = await asyncpg.connect(database.app_dsn)
    try:
        wrong = {}
        for name, (kind, text, most) in SEARCHES.items():
            scanned, read = await _costs(connection, org_id, _search(kind, text))
            if scanned or read > most:
                wrong[name] = (scanned, read, most)
        assert wrong == {}
        compartment = parse(None, [], context=Context(), compartment=("Patient", str(PATIENT)))
        scanned, read = await _costs(connection, org_id, compartment.search)
        assert not scanned and read < 100
    finally:
        await connection.close()


def _search(kind: str, text: str) -> Search:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&"))]
    query = parse(kind, pairs, strict=True, context=Context())
    return replace(query.search, limit=query.count + 1)


async def _costs(connection: asyncpg.Connection, org: UUID, search: Search) -> tuple[set[str], int]:
    """Tables that the first statement of a search reads from end to end, and how many rows it reads."""
    asked = page(org, None, search, parts(search)[0])
    mode = "force_custom_plan" if asked.planned else "force_generic_plan"
    async with connection.transaction():
        await connection.execute(f"select access_open(null, '{org.hex}')")
        await connection.execute(f"set local plan_cache_mode = {mode}")
        [(told,)] = await connection.fetch(f"explain (analyze, format json) {asked.sql}", *asked.args)
    scans = list(_scans(json.loads(told)[0]["Plan"]))
    whole = {scan["Relation Name"] for scan in scans if scan["Node Type"] == "Seq Scan"}
    return whole, round(sum(_rows(scan) for scan in scans))


def _scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    below = [scan for inner in plan.get("Plans", ()) for scan in _scans(inner)]
    return [plan, *below] if "Relation Name" in plan else below


def _rows(scan: dict[str, Any]) -> float:
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return float((scan["Actual Rows"] + removed) * scan["Actual Loops"])
