"""`chartwire doctor`: each thing that is not well is found, told with its ids and how to mend it."""

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.integration.feed import Feed, hl7, pid

from chartwire.app.backup.state import State, write_state
from chartwire.app.cli import main
from chartwire.app.doctor import capacity, examination, lags, server
from chartwire.app.doctor.examination import examine
from chartwire.app.doctor.findings import Finding
from chartwire.app.knobs import Settings
from chartwire.channels import halts
from chartwire.channels.sources import create_source
from chartwire.core.access import Access
from chartwire.core.ids import to_prefixed, uuid7
from chartwire.core.source import Source
from chartwire.events.lanes import Lanes
from chartwire.record.reindexing import index_batch
from chartwire.store import installation
from chartwire.store.pool import Pool
from chartwire.trust.credentials import Credentials


@pytest.fixture
def settings(database: Any, tmp_path: Path) -> Settings:
    """A sound data directory and a database of the operator's with a backup."""
    tmp_path.chmod(0o700)
    (tmp_path / "backup-ran").touch()
    return Settings(
        data_dir=tmp_path,
        database_url=database.admin_dsn,
        database_app_url=database.app_dsn,
        database_engine_url=database.engine_dsn,
        backup_evidence=str(tmp_path / "backup-ran"),
    )


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id, name="lab").open()


@pytest.fixture
def access(org_id: UUID) -> Access:
    return Access(org_id, "key:operator", "HOPERAT", frozenset({"*"}))


async def found(settings: Settings, *, production: bool = False) -> dict[str, Finding]:
    """Findings by code, the last of each; those of the test server's own speed left out."""
    made = await examine(settings, production=production)
    return {one.code: one for one in made.findings}


async def as_admin(database: Any, sql: str) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(sql.format(name=database.name))
    finally:
        await connection.close()


def tell_of_process(settings: Settings, name: str, pid_: int, *metrics: Any) -> None:
    """What a running process leaves in the run directory."""
    settings.run_dir.mkdir(mode=0o700, exist_ok=True)
    told = json.dumps({"pid": pid_, "process": name, "metrics": metrics})
    (settings.run_dir / f"{name}.metrics.json").write_text(told)


async def test_a_sound_installation_has_nothing_to_tell_but_how_its_server_is_set(settings: Settings) -> None:
    of_the_test_server = {"server_not_durable", "server_logs_data", "server_without_checksums", "memory_short"}
    assert (await found(settings)).keys() <= of_the_test_server


def test_without_a_database_it_says_so_looks_at_the_rest_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o755)
    assert main(["doctor", "--json", "--data-dir", str(tmp_path)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {"database_away", "open_directory", "no_backup"} <= {one["code"] for one in told["findings"]}
    assert told["ok"] is False
    [away] = [one for one in told["findings"] if one["code"] == "database_away"]
    assert away["page"].endswith("/docs/guide/runbooks/database-down")
    assert "chartwire up" in away["what"]


def test_warnings_alone_are_no_failure_unless_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("database_url", "database_app_url", "database_engine_url"):
        monkeypatch.setenv(f"CHARTWIRE_{name.upper()}", getattr(settings, name))
    others = tuple(check for check in examination.OF_THE_DATABASE if check is not server.durable)
    monkeypatch.setattr(examination, "OF_THE_DATABASE", others)  # the test server spares its disk
    arguments = ["doctor", "--data-dir", str(settings.data_dir)]
    assert main(arguments) == 0
    assert "warning: nothing says that this database is backed up" in capsys.readouterr().out
    assert main([*arguments, "--strict"]) == 1
    assert main([*arguments, "--production"]) == 1
    assert "error: nothing says that this database is backed up" in capsys.readouterr().out


async def test_doors_that_are_open_beyond_this_machine_are_told(settings: Settings, pool: Pool, org_id: UUID) -> None:
    open_wide = replace(
        settings,
        http_host="0.0.0.0",
        mllp_host="10.1.2.3",
        public_url="http://hub.example.org",
    )
    for name, peers in (("anyone", ()), ("known", ("10.1.0.0/16",))):
        await create_source(pool, Source(org_id, uuid7(), name, "HOSP", peers=peers), "plain")
    saw = await found(open_wide)
    assert {"http_in_the_clear", "mllp_in_the_clear", "public_url_in_the_clear"} <= saw.keys()
    assert "source anyone takes messages from every address" in saw["source_takes_from_anybody"].what
    assert saw["mllp_in_the_clear"].severity == "warning"
    assert (await found(open_wide, production=True))["mllp_in_the_clear"].severity == "error"
    behind = await found(replace(open_wide, trusted_proxies=("10.0.0.0/8",)))
    assert {"http_in_the_clear_to_proxies", "proxies_wide"} <= behind.keys()
    assert "http_in_the_clear" not in behind


async def test_secrets_that_others_can_read_are_told(settings: Settings) -> None:
    (settings.data_dir / "master.key").touch(0o600)
    assert "open_secret" not in await found(settings)
    (settings.data_dir / "master.key").chmod(0o640)
    settings.data_dir.chmod(0o750)
    saw = await found(settings)
    assert "master.key can be read by other users (mode 0640)" in saw["open_secret"].what
    assert "(mode 0750)" in saw["open_directory"].what


async def test_a_database_that_was_changed_by_hand_is_told(settings: Settings, database: Any) -> None:
    await as_admin(
        database,
        "alter database {name} set log_statement = 'all'; alter database {name} set synchronous_commit = off;"
        " grant select on message_default to chartwire_app; update chartwire_migration set name = '9999_post_newer'"
        " where name = (select max(name) from chartwire_migration)",
    )
    saw = await found(settings)
    assert "log_statement = all" in saw["server_logs_data"].what
    assert "synchronous_commit = off" in saw["server_not_durable"].what
    assert "message_default" in saw["catalog_unsound"].what
    assert "9999_post_newer" in saw["schema_of_another_release"].what
    assert saw["schema_behind"].what.startswith("1 migration(s) of this release")


async def test_a_copy_that_keeps_silent_and_a_sandbox_are_told(
    settings: Settings, pool: Pool, database: Any, org_id: UUID
) -> None:
    await installation.settle(pool, "ours")
    await installation.disarm(pool)
    await as_admin(database, f"update organisation set kind = 'sandbox' where org_id = '{org_id}'")
    saw = await found(settings, production=True)
    assert saw["disarmed"].what.endswith("it is disarmed (by_operator)")
    assert (saw["sandbox_in_use"].what[:2], saw["sandbox_in_use"].severity) == ("1 ", "error")


async def test_an_old_backup_and_one_that_fails_are_told(settings: Settings, tmp_path: Path) -> None:
    evidence = replace(settings, backup_evidence=str(tmp_path / "never"))
    assert "none was ever completed" in (await found(evidence))["backup_fails"].what
    long_ago = (datetime.now(UTC) - timedelta(days=5)).timestamp()
    os.utime(settings.backup_evidence, (long_ago, long_ago))
    assert (await found(settings))["backup_old"].what == "the last backup is 5 days old"
    embedded = Settings(data_dir=tmp_path, backup_dir=str(tmp_path / "backup"))
    write_state(embedded, State(str(tmp_path / "backup"), synchronous=False, error="backup_disk: no space left"))
    saw = await found(embedded)
    assert saw["backup_beside_data"].severity == "warning"
    assert "no space left" in saw["backup_fails"].what


async def test_lanes_that_stand_are_told_with_the_message_and_the_cause(
    settings: Settings, feed: Feed, access: Access
) -> None:
    async with feed.pool.transaction(feed.org) as tx:
        await halts.begin(tx, access, feed.source.id, "hold", "CANARY is moving")
    first, *_ = await feed.send(hl7("ADT^A04", pid("1")), hl7("ADT^A04", pid("2")))
    held = (await found(settings))["lane_on_hold"]
    assert "2 lane(s) wait since" in held.what
    assert f"source lab is on hold; first message {to_prefixed('msg', first)}" in held.what
    assert held.mend == f"`chartwire source release lab --org {feed.org}`"
    assert "CANARY" not in str(held)


async def test_a_message_that_waits_for_a_decision_is_told_with_its_case(settings: Settings, feed: Feed) -> None:
    feed.change(hold_following="wait")
    await feed.send(hl7("ADT^A04", pid()))
    other = pid(name="Okafor^Chidi", born="19911130", sex="M")
    _, behind = await feed.send(hl7("ADT^A08", other, at="20260302"), hl7("ADT^A08", other, at="20260303"))
    [case] = await feed.rows("select id from review")
    saw = await found(settings)
    assert to_prefixed("msg", behind) in saw["lane_waits_for_review"].what
    assert f"/api/v1/reviews/{to_prefixed('rev', case['id'])}/resolve" in saw["lane_waits_for_review"].mend
    assert saw["cases_wait"].what.startswith("1 case(s) of kind identity wait")


async def test_lanes_that_nobody_takes_that_fail_or_hang_are_told_apart(
    settings: Settings, feed: Feed, engine_pool: Pool
) -> None:
    [message] = await feed.store(hl7("ADT^A04", pid()))
    assert "lane_untaken" not in await found(settings)
    await feed.rows("update message set received_at = now() - interval '10 minutes' returning id")
    await feed.rows("update lane set ready_at = now() - interval '10 minutes' returning lane_id")
    saw = await found(settings)
    assert saw["intake_stands"].what.endswith("waits for 10 min")
    assert to_prefixed("msg", message) in saw["lane_untaken"].what
    lanes = Lanes(engine_pool, "intake", lease_s=60.0)
    async with lanes.alive():
        [claim] = await lanes.claim()
        worked = (await found(settings))["lane_worked_long"]
        assert f"by chartwire {os.getpid()} at" in worked.what
        tell_of_process(settings, "worker-1", os.getpid())
        worked = (await found(settings))["lane_worked_long"]
        assert f"by worker-1 (process {os.getpid()}), which showed life at" in worked.what
        await feed.rows("update lane set lease_until = now() - interval '1 minute' returning lane_id")
        left = (await found(settings))["lane_left"]
        assert left.what.startswith(f"worker-1 (process {os.getpid()}) took 1 lane(s) and stands still")
        await lanes.extend([claim.lane_id])
    assert to_prefixed("msg", message) in (await found(settings))["lane_of_the_dead"].what
    await lanes.back_off(claim)
    assert "failed 1 time(s)" in (await found(settings))["lane_retries"].what


async def test_endpoints_that_fail_or_were_switched_off_are_told_with_their_answer(
    settings: Settings, feed: Feed, pool: Pool
) -> None:
    endpoint, event = uuid7(), uuid7()
    async with pool.transaction(feed.org) as tx:
        await tx.execute(
            "insert into destination (org_id, id, kind, name, url, event_types, secrets, api_version, failing_since)"
            " values ($1, $2, 'webhook', 'billing', 'https://x.example/secret-path', '{*}', '', '1',"
            " now() - interval '1 hour')",
            feed.org, endpoint,
        )  # fmt: skip
        await tx.execute(
            "insert into delivery (org_id, event_id, destination_id, state, attempts, next_attempt_at, created_at, body)"
            " values ($1, $2, $3, 'retrying', 1, now() - interval '20 minutes', now(), '')",
            feed.org, event, endpoint,
        )  # fmt: skip
        await tx.execute(
            "insert into delivery_attempt (org_id, event_id, destination_id, number, started_at, outcome, status,"
            " duration_ms) values ($1, $2, $3, 1, now(), 'retrying', 503, 12)",
            feed.org, event, endpoint,
        )  # fmt: skip
    saw = await found(settings)
    assert "HTTP 503; 1 deliveries open, event " + to_prefixed("evt", event) in saw["endpoint_fails"].what
    assert "the oldest is due for 20 min" in saw["deliveries_late"].what
    assert "secret-path" not in str(saw)
    await feed.rows("update destination set state = 'disabled', state_reason = 'failing' returning id")
    off = (await found(settings))["endpoint_off"]
    assert f"{to_prefixed('whe', endpoint)} (billing) is switched off (failing) with 1 deliveries open" in off.what


async def test_what_the_server_neglects_is_told(settings: Settings, database: Any, pool: Pool, org_id: UUID) -> None:
    month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).strftime("%Y_%m")
    await as_admin(
        database,
        f"drop table audit_{month}; insert into event_default select '{org_id}', gen_random_uuid(),"
        " pg_current_xact_id(), now(), 'x', 'Patient', gen_random_uuid(), 1, null, '{{}}', null, 'live', '{{}}';",
    )
    await as_admin(database, "select pg_stat_force_next_flush(); select 1")
    await installation.settle(pool, "ours")
    await as_admin(database, "update installation set changed_at = now() - interval '9 days'")
    await as_admin(
        database,
        "insert into intake_key select org_id, org_id, 'C1', '', org_id, now() - interval '50 days', '' from organisation;"
        " insert into schedule (org_id, id, kind, due_at)"
        " select org_id, gen_random_uuid(), 'alerts', now() - interval '1 hour' from organisation",
    )
    saw = await found(settings)
    assert saw["ledger_old"].what.endswith("reaches back 50 days")
    assert saw["alerts_asleep"].what == "nobody has looked at the alert rules for 60 min"
    assert "table audit has no partition" in saw["partition_missing"].what
    assert saw["partition_spilled"].what == "the default partition of event holds rows"
    assert "daily_work_missing" in saw


async def test_resources_that_searches_do_not_find_yet_are_told_until_they_are_indexed(
    settings: Settings, feed: Feed
) -> None:
    await feed.send(hl7("ADT^A04", pid("1001")))
    assert "fhir_index_behind" not in await found(settings)
    await feed.rows("update resource set indexed = null returning id")
    saw = await found(settings)
    assert saw["fhir_index_behind"].what == f"1 resource(s) of organisation {feed.org} are not in the FHIR search index"
    assert await index_batch(feed.pool, feed.org) == 1
    assert "fhir_index_behind" not in await found(settings)


async def test_feeds_that_were_forgotten_and_alerts_that_burn_are_told(
    settings: Settings, feed: Feed, access: Access
) -> None:
    async with feed.pool.transaction(feed.org) as tx:
        await halts.begin(tx, access, feed.source.id, "pause", "rebuilt")
    assert "feed_halted_long" not in await found(settings)
    await feed.rows("update source_halt set since = now() - interval '2 days' returning source_id")
    await feed.rows(
        "insert into alert (org_id, id, rule, key, state, severity, summary, value, since, fired_at, seen_at)"
        " values ($1, $2, 'feed_silence', 'source:lab', 'firing', 'warning', 's', 1, now(), now(), now()) returning id",
        feed.org, uuid7(),
    )  # fmt: skip
    saw = await found(settings)
    assert saw["feed_halted_long"].mend == f"`chartwire source resume lab --org {feed.org}`"
    assert saw["alert_burns"].what.startswith("alert feed_silence on source:lab since")


async def test_keys_and_certificates_that_end_are_told(settings: Settings, pool: Pool, access: Access) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    issued = await Credentials(pool).create(access, name="CANARY", scopes=["patients.read"], expires_at=soon)
    await Credentials(pool).create(access, name="lasting", scopes=["patients.read"])
    broken = replace(settings, mllp_tls_cert=str(settings.data_dir / "none.pem"), mllp_tls_key="none.key")
    saw = await found(broken)
    assert to_prefixed("key", issued.credential_id) in saw["key_ends_soon"].what
    assert "CANARY" not in str(saw)
    assert saw["certificate_unusable"].what.startswith("the certificate of listener tls:")


async def test_a_process_that_dies_again_and_again_or_may_open_few_sockets_is_told(settings: Settings) -> None:
    limited = subprocess.Popen(
        ["/bin/sh", "-c", "ulimit -n 100; echo limited; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert limited.stdout is not None
    limited.stdout.readline()
    restarts = {"name": "chartwire_process_restarts_total", "values": [[["worker-1"], 4.0]]}
    tell_of_process(settings, "up", os.getpid(), restarts)
    tell_of_process(settings, "listener-0", limited.pid)
    try:
        saw = await found(settings)
    finally:
        limited.communicate(b"\n")
    assert saw["process_restarts"].what.startswith("process worker-1 ended and was started again 4 time(s)")
    assert saw["files_short"].what == "process listener-0 may open 100 files and sockets only"


async def test_what_runs_short_or_lasts_too_long_is_told_with_its_figures(
    settings: Settings, pool: Pool, org_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room, bound, value in (
        (lags, "_TRANSACTION_OLD_S", 0.0),
        (lags, "_CLOCKS_APART_S", -1.0),
        (lags, "_UNFROZEN_MAX", 0),
        (capacity, "_SESSIONS_SHARE_MAX", 0.0),
        (capacity, "_MEMORY_SHARE_LEAST", 2.0),
        (capacity, "_DISK_SHARE_LEAST", 2.0),
    ):
        monkeypatch.setattr(room, bound, value)
    async with pool.transaction(org_id):
        saw = await found(settings)
    told = {"transaction_old", "clocks_apart", "freeze_behind", "sessions_short", "memory_short"}
    assert told <= saw.keys()
    assert saw["transaction_old"].what.startswith("a transaction is open for ")
    assert "of this machine's memory are available" in saw["memory_short"].what
    embedded = await found(Settings(data_dir=settings.data_dir))
    assert embedded["disk_nearly_full"].what.endswith("%) are left on the volume of the data")


async def test_a_check_that_fails_takes_no_other_along(settings: Settings, database: Any) -> None:
    await as_admin(database, "drop table disk_sample")
    saw = await found(settings)
    assert "did not come to its end (sql_42p01)" in saw["check_failed"].what
    assert saw.keys() - {"check_failed"} == (await found(settings)).keys() - {"check_failed"}
