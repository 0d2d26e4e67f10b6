"""A restored or copied installation says nothing to anybody until it is armed, and what was open then is not resent."""

import asyncio
import shutil
from dataclasses import replace

import pytest
from tests.integration.delivery.clinic import until, working

from chartwire.app import installation as app_installation
from chartwire.app.installation import Gate, fingerprint, machine_identity
from chartwire.app.knobs import Settings
from chartwire.core.clock import now
from chartwire.delivery.reconcile import give_up, in_question
from chartwire.delivery.worker import DeliveryWorker
from chartwire.store import installation
from chartwire.trust.addresses import SANDBOX
from chartwire.trust.outbound import Outbound
from chartwire.trust.outcomes import ConnectFailedError


@pytest.fixture
def soon(monkeypatch):
    """Gates look again at once."""
    monkeypatch.setattr(app_installation, "REFRESH_S", 0.02)


@pytest.fixture
async def gate(pool, soon):
    """The gate of the machine that was here first."""
    made = Gate(pool, "first machine")
    await made.start()
    yield made
    await made.close()


async def started(pool, machine):
    """Whether an installation that starts on this machine is armed, and why (not)."""
    gate = Gate(pool, machine)
    found = await gate.start()
    await gate.close()
    assert gate() == found.armed
    return found.armed, found.reason


async def test_a_new_database_is_armed_by_its_first_start_and_stays_so(pool):
    assert await started(pool, "first machine") == (True, "new")
    assert await started(pool, "first machine") == (True, "new")


async def test_a_copy_on_another_machine_is_disarmed_until_somebody_arms_it(pool):
    await started(pool, "first machine")
    assert await started(pool, "second machine") == (False, "copied")
    assert await started(pool, "first machine") == (False, "copied")
    await installation.arm(pool, fingerprint(await installation.identity(pool), "second machine"))
    assert await started(pool, "second machine") == (True, "by_operator")


async def test_a_database_copied_within_its_server_is_disarmed(pool, database, postgres_server):
    await started(pool, "first machine")
    await pool.close()
    copied = await asyncio.to_thread(postgres_server.copy, database)
    try:
        theirs = type(pool)(copied.app_dsn, size=1)
        assert await started(theirs, "first machine") == (False, "copied")
        await theirs.close()
    finally:
        await asyncio.to_thread(postgres_server.drop, copied)


async def test_a_restored_database_is_disarmed_on_its_own_machine_too(pool, database):
    await started(pool, "first machine")
    await installation.restored(database.admin_dsn)
    assert await started(pool, "first machine") == (False, "restored")


def test_a_gate_is_shut_until_it_has_looked(pool):
    assert Gate(pool, "first machine")() is False


async def test_the_door_opens_no_socket_while_disarmed(pool, gate):
    calls = []
    server = await asyncio.start_server(lambda reader, writer: calls.append(writer.close()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door = Outbound(armed=gate)
    await installation.disarm(pool)
    await until(lambda: not gate())
    with pytest.raises(ConnectFailedError) as refused:
        await door.post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=1, policy=SANDBOX)
    assert refused.value.code == "disarmed"
    with pytest.raises(ConnectFailedError):
        await door.open_stream("127.0.0.1", port, False, SANDBOX)
    assert calls == []
    await door.close()
    server.close()
    await server.wait_closed()


async def test_what_was_open_is_ended_and_what_happened_since_goes_out_once_armed(clinic, sink, gate):
    endpoint, _ = await clinic.endpoint(sink.url)
    await clinic.happen(endpoint, count=3)
    await installation.disarm(clinic.pool, "restored")
    await until(lambda: not gate())
    worker = DeliveryWorker(clinic.pool, clinic.engine, Outbound(armed=gate), clinic.sealer)
    async with working(worker):
        await clinic.happen(endpoint)
        worker.wake()
        await asyncio.sleep(0.3)
        assert await clinic.rows("select 1 from delivery_attempt") == []
        found = await installation.read(clinic.pool)
        [open_there] = await in_question(clinic.pool, clinic.access, found.disarmed_at)
        assert (open_there.endpoint, open_there.open) == (endpoint.id, 3)
        assert await give_up(clinic.pool, clinic.access, found.disarmed_at) == 3
        await installation.arm(clinic.pool, found.fingerprint)
        await until(lambda: bool(sink.received))
    assert await clinic.states(endpoint) == ["dead", "dead", "dead", "delivered"]
    reasons = await clinic.rows("select distinct outcome, error from delivery_attempt where error is not null")
    assert [tuple(row) for row in reasons] == [("dead", "restored")]
    assert len(sink.received) == 1


async def test_nothing_is_in_question_that_ended_before(clinic, sink, gate):
    endpoint, _ = await clinic.endpoint(sink.url)
    await clinic.happen(endpoint)
    worker = DeliveryWorker(clinic.pool, clinic.engine, Outbound(armed=gate), clinic.sealer)
    async with working(worker):
        await until(lambda: bool(sink.received))
    assert await in_question(clinic.pool, clinic.access, now()) == []
    assert await give_up(clinic.pool, clinic.access, now()) == 0


def test_a_moved_data_directory_is_the_same_and_a_copied_one_is_another(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    first = machine_identity(settings)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert machine_identity(replace(settings, data_dir=tmp_path / "copy")) != first
    (tmp_path / "data").rename(tmp_path / "moved")
    assert machine_identity(replace(settings, data_dir=tmp_path / "moved")) == first


def test_a_name_for_the_installation_takes_the_place_of_machine_and_directory(tmp_path):
    settings = Settings(data_dir=tmp_path, installation_fingerprint="clinic-eu")
    other = replace(settings, data_dir=tmp_path.parent)
    assert machine_identity(settings) == machine_identity(other) == "clinic-eu"
