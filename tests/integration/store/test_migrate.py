"""Migrations: each once, in order, unchanged; roles as they must be; two starters at once do not collide."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import asyncpg
import pytest

from chartwire.core.errors import AuthError, ConflictError, TransientError
from chartwire.store.lint import problems_of
from chartwire.store.migrate import MIGRATIONS_DIRECTORY, migrate, read_migrations


class Installer(NamedTuple):
    """A database user, its address, and how to give it rights."""

    name: str
    dsn: str
    grant: Callable[[str], Awaitable[object]]


@pytest.fixture
def directory(tmp_path):
    """Two migrations, one of each phase."""
    (tmp_path / "0001_pre_start.sql").write_text("create table first (n integer); insert into first values (1);")
    (tmp_path / "0002_post_end.sql").write_text("insert into first values (2)")
    return tmp_path


async def value(dsn, sql):
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_migrations_run_in_order_and_each_once(empty_database, directory):
    assert await migrate(empty_database.admin_dsn, directory=directory) == ["0001_pre_start", "0002_post_end"]
    assert await migrate(empty_database.admin_dsn, directory=directory) == []
    assert await value(empty_database.admin_dsn, "select sum(n) from first") == 3


async def test_post_migrations_wait_until_they_are_asked_for(empty_database, directory):
    assert await migrate(empty_database.admin_dsn, directory=directory, phases=("pre",)) == ["0001_pre_start"]
    assert await migrate(empty_database.admin_dsn, directory=directory) == ["0002_post_end"]


async def test_a_migration_that_changed_after_it_was_applied_is_refused_by_name(empty_database, directory):
    await migrate(empty_database.admin_dsn, directory=directory)
    (directory / "0001_pre_start.sql").write_text("create table first (n bigint);")
    with pytest.raises(ConflictError, match="0001_pre_start was changed") as refusal:
        await migrate(empty_database.admin_dsn, directory=directory)
    assert refusal.value.code == "migration_changed"


async def test_a_post_migration_that_a_later_pre_may_build_on_runs_before_it(empty_database, directory):
    (directory / "0003_pre_more.sql").write_text("insert into first select sum(n) from first")
    (directory / "0004_post_last.sql").write_text("drop table first")
    applied = await migrate(empty_database.admin_dsn, directory=directory, phases=("pre",))
    assert applied == ["0001_pre_start", "0002_post_end", "0003_pre_more"]
    assert await value(empty_database.admin_dsn, "select sum(n) from first") == 6


async def test_the_release_before_still_starts_after_a_newer_one_prepared_the_database(empty_database, directory):
    newer = directory / "0003_pre_newer.sql"
    newer.write_text("create table newer (n integer)")
    await migrate(empty_database.admin_dsn, directory=directory)
    newer.unlink()
    assert await migrate(empty_database.admin_dsn, directory=directory) == []


async def test_a_database_that_a_newer_release_has_finished_with_is_refused(empty_database, directory):
    await migrate(empty_database.admin_dsn, directory=directory)
    (directory / "0002_post_end.sql").unlink()
    with pytest.raises(ConflictError, match="0002_post_end") as refusal:
        await migrate(empty_database.admin_dsn, directory=directory)
    assert refusal.value.code == "migration_missing"


async def test_a_migration_that_fails_leaves_nothing_and_names_its_line(empty_database, directory):
    (directory / "0003_pre_broken.sql").write_text("create table third (n integer);\n\nselect no_such_column;\n")
    with pytest.raises(ConflictError, match=r"0003_pre_broken failed at line 3: 42703") as refusal:
        await migrate(empty_database.admin_dsn, directory=directory)
    assert refusal.value.code == "migration_failed"
    assert await value(empty_database.admin_dsn, "select to_regclass('third')") is None
    assert await value(empty_database.admin_dsn, "select count(*) from chartwire_migration") == 2


async def test_starters_at_the_same_time_apply_everything_once(empty_database, directory):
    applied = await asyncio.gather(*(migrate(empty_database.admin_dsn, directory=directory) for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 2]
    assert await value(empty_database.admin_dsn, "select sum(n) from first") == 3


@pytest.mark.parametrize("name", ["1_pre_short.sql", "0003_mid_name.sql", "0003_pre_Name.sql", "0001_pre_again.sql"])
def test_a_file_name_out_of_form_or_a_number_used_twice_is_refused(directory, name):
    (directory / name).write_text("select 1")
    with pytest.raises(ConflictError) as refusal:
        read_migrations(directory)
    assert refusal.value.code == "migration_name"


async def test_settings_of_the_serving_roles_are_brought_up_to_date(database):
    shown = "select current_setting('statement_timeout')"
    await value(database.admin_dsn, "alter role chartwire_app reset statement_timeout")
    assert await value(database.app_dsn, shown) == "0"
    await migrate(database.admin_dsn)
    assert await value(database.app_dsn, shown) == "30s"


async def test_tables_belong_to_the_owner_role_whoever_migrates(database):
    owners = (
        "select array_agg(distinct relowner::regrole::text) from pg_class where relnamespace = 'public'::regnamespace"
    )
    assert await value(database.admin_dsn, f"{owners} and relkind in ('r', 'p', 'i', 'v')") == ["chartwire_owner"]


@pytest.fixture
async def installer(postgres_server, empty_database, database):
    """A user without any right, as a hosted database hands out, on a server that has our roles (by `database`)."""
    name = f"installer_{empty_database.name}"
    admin = await asyncpg.connect(empty_database.admin_dsn)
    await admin.execute(f"create role {name} login password 'installer'")
    yield Installer(name, postgres_server.dsn_of(empty_database.name, name, "installer"), admin.execute)
    await admin.execute(
        f"alter database {empty_database.name} owner to current_user;"
        f"reassign owned by {name} to current_user; drop owned by {name}; drop role {name}"
    )
    await admin.close()


async def test_a_user_who_is_no_superuser_but_may_create_roles_can_migrate(empty_database, installer):
    await installer.grant(
        f"alter role {installer.name} createrole; alter database {empty_database.name} owner to {installer.name};"
        f"grant chartwire_owner, chartwire_engine, chartwire_app to {installer.name} with admin option"
    )
    applied = await migrate(installer.dsn, app_password="app-of-the-tests", engine_password="engine-of-the-tests")
    assert applied == [migration.name for migration in read_migrations(MIGRATIONS_DIRECTORY)]
    assert await value(empty_database.app_dsn, "select count(*) from source") == 0


async def test_a_user_who_may_not_manage_roles_is_told_what_an_administrator_runs_and_then_can_migrate(
    empty_database, installer
):
    with pytest.raises(AuthError) as refusal:
        await migrate(installer.dsn, app_password="x", engine_password="y")
    assert refusal.value.code == "roles_missing"
    statements = refusal.value.message.partition("\n")[2].replace("INSTALLER", installer.name).split(";\n")
    assert len(statements) > 10
    for statement in statements:
        if not statement.startswith("create role"):  # the roles belong to the whole server and exist
            await installer.grant(statement)
    applied = await migrate(installer.dsn)
    assert applied == [migration.name for migration in read_migrations(MIGRATIONS_DIRECTORY)]
    assert await problems_of(empty_database.admin_dsn) == []


async def test_a_server_that_is_not_there_is_a_transient_error(tmp_path):
    with pytest.raises(TransientError):
        await migrate(f"postgresql://nobody@/none?host={tmp_path}")
