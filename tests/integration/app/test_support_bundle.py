"""`chartwire support bundle`: useful without a word about a patient, and without a secret."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.api.fhir.bundles import a_patient, an_observation, post, transaction
from tests.integration.api.hub import new_client, services_of
from tests.integration.feed import Feed, hl7

from chartwire.api.asgi import make_app
from chartwire.app.cli import main
from chartwire.app.knobs import Settings
from chartwire.app.support.bundle import MANIFEST, listed, write_bundle
from chartwire.channels import halts
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool
from chartwire.trust.credentials import Credentials

CANARY = "XANTHIPPE"
"""Planted wherever a person's data or a secret can stand; it must be in no byte of a bundle."""


@pytest.fixture
def settings(database: Any, tmp_path: Path) -> Settings:
    (tmp_path / "logs").mkdir()
    return Settings(
        data_dir=tmp_path,
        database_url=database.admin_dsn,
        database_app_url=database.app_dsn,
        database_engine_url=database.engine_dsn,
        master_key="ab" * 32,
    )


def contents(bundle: Path) -> dict[str, bytes]:
    """Every file of a bundle by its name in it."""
    with tarfile.open(bundle) as archive:
        files = {entry.name.partition("/")[2]: archive.extractfile(entry) for entry in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


def full_of_canaries(segment: str, fields: int) -> str:
    """A segment with the canary in every component of every field."""
    return "|".join([segment, *["^".join([CANARY] * 8)] * fields])


async def plant(feed: Feed, pool: Pool, access: Access) -> str:
    """Canaries in messages of every fate, in the record, in names, reasons and secrets; answers a key that was made."""
    person = f"PID|1||{CANARY}1^^^HOSP^MR||{CANARY}^{CANARY}||19800102|F|||{CANARY}^^{CANARY}||{CANARY}"
    visit = f"PV1|1|I|{CANARY}^{CANARY}|||||||||||||||||{CANARY}V^^^HOSP^VN"
    await feed.send(
        hl7("ADT^A04", person, visit, control_id=f"{CANARY}-1"),
        hl7("ADT^A04", full_of_canaries("PID", 30), full_of_canaries("PV1", 40), full_of_canaries("NK1", 20)),
        hl7(f"ADT^{CANARY}", person),
        hl7("ORU^R01", person, full_of_canaries("OBR", 30), full_of_canaries("OBX", 15)),
        person.encode(),
    )
    async with pool.transaction(feed.org) as tx:
        await halts.begin(tx, access, feed.source.id, "hold", f"{CANARY} is moving")
        await tx.execute(
            "insert into review (org_id, id, kind, detail) values ($1, $2, 'identity', $3)",
            feed.org, uuid7(), json.dumps({"name": CANARY}),
        )  # fmt: skip
        await tx.execute(
            "insert into destination (org_id, id, kind, name, url, event_types, secrets, api_version, failing_since)"
            " values ($1, $2, 'webhook', 'billing', $3, '{*}', $4, '1', now())",
            feed.org, uuid7(), f"https://x.example/{CANARY}", CANARY.encode(),
        )  # fmt: skip
        await tx.execute("update message set error_code = $1, error_text = $1 where state = 'dead'", CANARY)
    await feed.send(hl7("ADT^A08", person))
    await plant_by_fhir(pool, access.org)
    return (await Credentials(pool).create(access, name=CANARY, scopes=["patients.read"])).token


async def plant_by_fhir(pool: Pool, org: UUID) -> None:
    """Canaries in resources, their index, kept answers, audit rows of searches and of refusals."""
    services = services_of(pool, None)
    client = await new_client(services, make_app(services), org)
    patient = a_patient(CANARY, CANARY, id=CANARY, meta={"tag": [{"system": f"urn:{CANARY}", "code": CANARY}]})
    assert (await client.put(f"/fhir/R4/Patient/{CANARY}", patient, idempotency_key=CANARY)).status == 201
    seen = an_observation(f"Patient/{CANARY}", code={"text": CANARY}, valueString=CANARY)
    assert (await client.post("/fhir/R4", transaction(post(seen)))).status == 422
    del seen["valueQuantity"]
    assert (await client.post("/fhir/R4", transaction(post(seen)))).status == 200
    assert (await client.get(f"/fhir/R4/Patient?name={CANARY}&identifier=urn:{CANARY}|{CANARY}")).status == 200
    assert (await client.get(f"/fhir/R4/Patient?birthdate={CANARY}")).status == 400


def plant_in_logs(settings: Settings) -> None:
    """Lines of ours, lines that came in by accident, and lines of a PostgreSQL that logs too much."""
    ours = {"event": "lanes_freed", "level": "info", "count": 3, "patient": CANARY, "error": f"{CANARY} said"}
    lines = [json.dumps(ours), f"Traceback: {CANARY}", json.dumps([CANARY]), "{" + CANARY]
    (settings.data_dir / "logs" / "worker-0.log").write_text("\n".join(lines) + "\n")
    (settings.data_dir / "postgres").mkdir()
    stamp = "2026-11-20 10:40:28.889 UTC [15000]"
    server = [
        f"{stamp} LOG:  database system is ready to accept connections",
        f"{stamp} LOG:  statement: select '{CANARY}'",
        f'{stamp} LOG:  could not open file "{CANARY}"',
        f'{stamp} ERROR:  invalid input syntax for type uuid: "{CANARY}"',
        f"{stamp} DETAIL:  Key (mrn)=({CANARY}) already exists.",
        f"\tand {CANARY}",
    ]
    (settings.data_dir / "postgres" / "server.log").write_text("\n".join(server) + "\n")


async def test_no_byte_of_a_bundle_is_about_a_patient_or_a_secret(
    settings: Settings, pool: Pool, engine_pool: Pool, org_id: UUID, tmp_path: Path
) -> None:
    feed = await Feed(pool, engine_pool, org_id, name="lab").open()
    token = await plant(feed, pool, Access(org_id, "key:operator", "HOPERAT", frozenset({"*"})))
    plant_in_logs(settings)
    out = tmp_path / "bundle.tar.gz"
    manifest = await write_bundle(settings, out)
    files = contents(out)
    assert [one for one in manifest["contents"] if "error" in one] == []
    assert set(files) == {MANIFEST, *(one["file"] for one in manifest["contents"])}
    secrets = [CANARY, token, settings.master_key, "app-of-the-tests", "engine-of-the-tests"]
    leaks = [(name, secret) for name, data in files.items() for secret in secrets if secret.encode() in data]
    assert leaks == []
    assert out.stat().st_mode & 0o077 == 0
    hours = json.loads(files["hours.json"])[str(org_id)]["messages"]
    assert sum(row["messages"] for row in hours) >= 6
    assert json.loads(files["counts.json"])[str(org_id)]["dead_messages"][0]["code"] == "(another)"
    assert "lane_on_hold" in {one["code"] for one in json.loads(files["doctor.json"])["findings"]}
    assert b"-- read_delivery" in files["plans.txt"]
    assert b"ready to accept connections" in files["logs/postgres-server.log"]
    assert b'"count":3' in files["logs/worker-0.log"]
    assert b"lines left out: 3" in files["logs/worker-0.log"]
    async with pool.transaction(UUID(int=0)) as tx:
        assert await tx.fetchval("select query_shape from audit") == "chartwire support bundle"


async def test_without_a_database_the_bundle_has_what_there_is_and_says_what_is_missing(
    settings: Settings, tmp_path: Path
) -> None:
    away = replace(settings, database_url="", database_app_url="", database_engine_url="")
    manifest = await write_bundle(away, tmp_path / "bundle.tar.gz")
    missing = {one["file"]: one["error"] for one in manifest["contents"] if "error" in one}
    assert missing == dict.fromkeys(
        ("migrations.json", "hours.json", "counts.json", "statistics.json", "plans.txt"), "no_database"
    )
    assert b"database_away" in contents(tmp_path / "bundle.tar.gz")["doctor.json"]


def test_a_dry_run_lists_what_would_be_in_it_and_no_file_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle.tar.gz"
    arguments = ["support", "bundle", "--data-dir", str(tmp_path), "--out", str(out), "--json"]
    assert main([*arguments, "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in told] == [part.name for part in listed(Settings(data_dir=tmp_path))]
    assert not out.exists()
    out.write_text("kept")
    assert main(arguments) == 1
    assert out.read_text() == "kept"
