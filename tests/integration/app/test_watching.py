"""What alerts watch of a machine: files and figures as the other parts of the installation leave them."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.app import watching
from chartwire.app.backup.state import State, write_state
from chartwire.app.installation import Gate
from chartwire.app.knobs import ListenerSettings, Settings
from chartwire.app.services import Services
from chartwire.app.snapshots import write_snapshot
from chartwire.app.watching import Machine
from chartwire.channels.sources import INSTALLATION, ensure_installation
from chartwire.core import telemetry
from chartwire.store.installation import disarm

NOW = datetime.now(UTC)


class Here:
    """A machine with a data directory of its own; probed kind by kind."""

    def __init__(self, settings: Settings, pool, engine_pool) -> None:
        self.settings, self.pool = settings, pool
        self.gate = Gate(pool, "")
        self._shared = Services(pool, engine_pool)
        self.machine = Machine(settings, self._shared, self.gate)

    def with_settings(self, **settings) -> None:
        self.settings = replace(self.settings, **settings)
        self.machine = Machine(self.settings, self._shared, self.gate)

    async def look(self, kind: str, at: datetime = NOW) -> Seen:
        async with self.pool.transaction(INSTALLATION) as tx:
            seen = await self.machine.probes[kind](Look(tx, INSTALLATION, at))
        assert seen is not None
        return seen

    async def things(self, kind: str, at: datetime = NOW) -> list[Observation]:
        return list((await self.look(kind, at)).things)


@pytest.fixture
async def here(pool, engine_pool, tmp_path) -> Here:
    await ensure_installation(pool)
    return Here(Settings(data_dir=tmp_path), pool, engine_pool)


def certificate(path: Path, days: float) -> str:
    """A self-signed certificate that ends in so many days."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(NOW - timedelta(days=400)).not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return str(path)


async def test_each_door_tells_how_long_its_certificate_lasts(here, tmp_path):
    assert await here.things("certificate_expiry") == []
    here.with_settings(
        mllp_tls_cert=certificate(tmp_path / "main.pem", 30),
        http_tls_cert=certificate(tmp_path / "http.pem", 90),
        listeners=(
            ListenerSettings("north", 0, tls_cert=certificate(tmp_path / "north.pem", 2)),
            ListenerSettings("south", 0, tls_cert=certificate(tmp_path / "south.pem", -1)),
            ListenerSettings("gone", 0, tls_cert=str(tmp_path / "gone.pem")),
        ),
    )
    seen = await here.look("certificate_expiry")
    found = {one.key.rpartition(":")[2]: (round(one.value), one.severity) for one in seen.things}
    assert found == {
        "listener tls": (30, None), "listener north": (2, "critical"), "listener south": (-1, "critical"),
        "listener gone": (0, "critical"), "http": (90, None),
    }  # fmt: skip
    assert [one.text.rpartition(" on ")[2].partition(" ")[2] for one in seen.things] == [
        "ends in 30 days", "ends in 48 h", "has ended", "cannot be read", "ends in 90 days",
    ]  # fmt: skip
    assert all(one.key.startswith(seen.covers) for one in seen.things)


async def test_the_age_of_the_last_backup_is_told_whoever_made_it(here, tmp_path):
    assert await here.things("backup_age") == []
    write_state(here.settings, State("backups", False, base_at=(NOW - timedelta(days=3)).isoformat()))
    [own] = await here.things("backup_age")
    assert own.value == pytest.approx(3 * 86_400)
    evidence = tmp_path / "evidence"
    evidence.touch()
    here.with_settings(backup_evidence=str(evidence))
    [fresh] = await here.things("backup_age", datetime.now(UTC))
    assert 0 <= fresh.value < 60


async def test_a_keeper_that_fails_or_is_silent_is_a_failure_of_the_backup(here):
    assert await here.things("backup_failed") == []
    here.with_settings(backup_dir="backups")
    told = []
    for state in (None, State("b", False, receiving=True), State("b", False, receiving=True, error="no_space: full"),
                  State("b", False)):  # fmt: skip
        if state is not None:
            write_state(here.settings, state)
        [one] = await here.things("backup_failed", datetime.now(UTC))
        told.append((one.value, one.text.partition("the backup fails: ")[2]))
    assert told == [
        (1, "its keeper is silent"), (0, ""), (1, "no_space: full"), (1, "the log is not received"),
    ]  # fmt: skip
    write_state(here.settings, State("b", False, receiving=True))
    [dead] = await here.things("backup_failed", datetime.now(UTC) + timedelta(minutes=2))
    assert dead.value == 1


async def test_a_volume_that_fills_up_is_told_and_a_server_of_the_operators_is_not(here, monkeypatch):
    [free] = await here.things("disk_free")
    disk = os.statvfs(here.settings.data_dir)
    assert free.value == pytest.approx(disk.f_bavail / disk.f_blocks, abs=0.05)
    monkeypatch.setattr(watching, "volume", lambda _: (4, 100))
    [full] = await here.things("disk_free")
    assert (full.value, full.severity) == (0.04, "critical")
    monkeypatch.undo()
    here.with_settings(database_url="postgresql://elsewhere/db")
    assert await here.things("disk_free") == await here.things("disk_forecast") == []


async def test_the_day_on_which_the_volume_is_full_follows_from_its_growth(here):
    assert await here.things("disk_forecast") == []
    async with here.pool.transaction(INSTALLATION) as tx:
        disk = os.statvfs(here.settings.data_dir)
        grown = disk.f_bavail * disk.f_frsize // 2
        await tx.execute(
            "insert into disk_sample (org_id, day, class, rows, bytes)"
            " values ($1, current_date - 1, 'database', 0, pg_database_size(current_database()) - $2)",
            INSTALLATION, grown,
        )  # fmt: skip
    [full] = await here.things("disk_forecast")
    assert full.value == pytest.approx(2, abs=0.2)
    assert full.severity == "critical"


async def test_processes_that_were_started_again_are_counted_since_a_quarter_of_an_hour(here):
    name = "worker-that-dies"
    import_module("chartwire.app.processes")  # which has the counter
    [restarts] = [one for one in telemetry.metrics() if one.name == "chartwire_process_restarts_total"]
    restarts.add(5, name)
    write_snapshot(here.settings.run_dir, "up")
    values = {}
    for minutes, more in ((0, 0), (5, 2), (10, 1), (14, 0), (16, 0), (40, 0)):
        restarts.add(more, name)
        write_snapshot(here.settings.run_dir, "up")
        found = await here.things("process_restarts", NOW + timedelta(minutes=minutes))
        [values[minutes]] = [one.value for one in found if one.key.endswith(f":{name}")]
    assert values == {0: 0, 5: 2, 10: 3, 14: 3, 16: 3, 40: 0}


async def test_an_installation_that_may_not_speak_is_told_so(here):
    await here.gate.start()
    try:
        [armed] = await here.things("disarmed")
        assert armed.value == 0
    finally:
        await here.gate.close()
    await disarm(here.pool)
    await here.gate.start()
    await here.gate.close()
    [silent] = await here.things("disarmed")
    assert silent.value == 1
