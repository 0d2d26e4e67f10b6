"""Many patients and observations with their index rows, made by SQL: for the plans of searches over them."""

from uuid import UUID

import asyncpg

from chartwire.record.fhir_index import key_of

PATIENTS_OF = 15
"""Observations of a patient."""

_PATIENTS = """
insert into resource (org_id, type, id, version, updated_at, patient_id, actor, body, lineage, indexed)
select $1, 'Patient', md5('p' || n)::uuid, 1, '2026-01-01'::timestamptz + n * interval '1 second', md5('p' || n)::uuid,
       'test', '{"resourceType":"Patient","id":"' || md5('p' || n)::uuid || '","note":"' || repeat('x', 400) || '"}',
       '{}', 1
  from generate_series(1, $2::integer) n
"""
_OBSERVATIONS = """
insert into resource (org_id, type, id, version, updated_at, patient_id, actor, body, lineage, indexed)
select $1, 'Observation', md5('o' || n)::uuid, 1, '2026-01-01'::timestamptz + n * interval '1 second',
       md5('p' || 1 + n % $2::integer)::uuid, 'test',
       '{"resourceType":"Observation","id":"' || md5('o' || n)::uuid || '","note":"' || repeat('x', 400) || '"}',
       '{}', 1
  from generate_series(1, $2::integer * 15) n
"""
_TOKENS = {
    ("Patient", "identifier"): "'mrn' || n",
    ("Patient", "gender"): "case n % 2 when 0 then 'male' else 'female' end",
    ("Observation", "subject"): "'Patient/' || md5('p' || 1 + n % $3::integer)::uuid",
    ("Observation", "status"): "case when n % 100 = 0 then 'amended' else 'final' end",
    ("Observation", "category"): "case n / 7 % 3 when 0 then 'laboratory' else 'vital-signs' end",
    ("Observation", "code"): "'code' || (n * 7919::bigint) % 50",
}
_STRINGS = {
    ("Patient", "family", ""): "'family' || n % 3000",
    ("Patient", "given", ""): "'given' || n % 500",
    ("Patient", "name", "contains"): "substr('abcdefghijklmnopqrstuvwxyz', 1 + n % 24, 3)",
}
_DATES = {
    ("Patient", "birthdate"): ("'1950-01-01'::timestamptz + n % 25000 * interval '1 day'", "1 day"),
    ("Observation", "date"): ("'2020-01-01'::timestamptz + (n * 7919::bigint) % 200000 * interval '15 minutes'", "1 s"),
}


async def fill(admin_dsn: str, org: UUID, patients: int) -> None:
    """Patients and 15 observations of each; then the planner's statistics."""
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute(_PATIENTS, org, patients)
        await connection.execute(_OBSERVATIONS, org, patients)
        for (kind, code), value in _TOKENS.items():
            await _rows(connection, "fhir_token", "value", org, kind, key_of(kind, code), value, patients)
        for (kind, code, variant), value in _STRINGS.items():
            await _rows(connection, "fhir_string", "value", org, kind, key_of(kind, code, variant), value, patients)
        for (kind, code), (low, width) in _DATES.items():
            ends = f"{low}, {low} + interval '{width}'"
            await _rows(connection, "fhir_date", "low, high", org, kind, key_of(kind, code), ends, patients)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


async def _rows(
    connection: asyncpg.Connection, table: str, columns: str, org: UUID, kind: str, key: int, values: str, patients: int
) -> None:
    letter, times = ("p", 1) if kind == "Patient" else ("o", PATIENTS_OF)
    await connection.execute(
        f"insert into {table} (org_id, key, resource_id, {columns})"
        f" select $1, $2, md5('{letter}' || n)::uuid, {values} from generate_series(1, $3::integer * {times}) n",
        org,
        key,
        patients,
    )
