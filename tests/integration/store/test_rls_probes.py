"""Every way that row-level security is known to leak, tried on the real schema (reliability.md section 2).

Where the schema forbids the way, the test shows the refusal. Where PostgreSQL itself leaks once a rule is broken, the
test breaks the rule in a scratch table and shows the leak: that is why the catalog lint has the rule.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from chartwire.core.errors import AuthError, ChartwireError, ConflictError
from chartwire.core.ids import uuid7
from chartwire.store.errors import StoreError

POLICY = "using (org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid)"
INSERT_SOURCE = "insert into source (org_id, id, name, settings) values ($1, $2, $3, '{}')"
INSERT_MESSAGE = (
    "insert into message (org_id, id, source_id, received_at, state, event, control_id, charset, body_bytes, mode)"
    " values ($1, $2, $2, now(), 'received', 'ADT^A01', 'C1', 'UTF-8', 1, 'live')"
)
TENANT_TABLES = (
    "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace"
    " and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity order by 1"
)


@dataclass(frozen=True)
class Two:
    """Two organisations, each with one source named alike and one message."""

    ours: UUID
    theirs: UUID
    our_source: UUID
    their_source: UUID
    our_message: UUID
    their_message: UUID


@pytest.fixture
async def two(pool, org_id, other_org_id):
    both = Two(org_id, other_org_id, *(uuid7() for _ in range(4)))
    for org, source, message in (
        (both.ours, both.our_source, both.our_message),
        (both.theirs, both.their_source, both.their_message),
    ):
        async with pool.transaction(org) as tx:
            await tx.execute(INSERT_SOURCE, org, source, "feed")
            await tx.execute(INSERT_MESSAGE, org, message)
    return both


@pytest.fixture
async def admin(database):
    """The superuser."""
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def app(database):
    """One session of chartwire_app, without any help of our pool."""
    connection = await asyncpg.connect(database.app_dsn)
    yield connection
    await connection.close()


async def set_org(connection, org, *, local=True):
    await connection.execute("select set_config('chartwire.org_id', $1, $2)", str(org), local)


# Who is bound by the policies ---------------------------------------------------------------------------------------


async def test_the_owner_of_the_tables_sees_nothing_without_an_organisation(admin, two):
    await admin.execute("set role chartwire_owner")
    assert await admin.fetchval("select count(*) from source") == 0
    assert await admin.fetchval("select count(*) from message") == 0


async def test_an_owner_without_force_sees_every_organisation(admin, two):
    await admin.execute("set role chartwire_owner; alter table source no force row level security")
    assert await admin.fetchval("select count(*) from source") == 2


async def test_a_superuser_sees_every_organisation_whatever_is_forced(admin, two):
    assert await admin.fetchval("select count(*) from source") == 2


async def test_serving_roles_are_neither_superuser_nor_bypass_nor_owner(pool, engine_pool):
    for each in (pool, engine_pool):
        async with each.connection() as connection:
            row = await connection.fetchrow(
                "select rolsuper, rolbypassrls, rolcreaterole,"
                " (select count(*) from pg_class where relowner = r.oid) as owned from pg_roles r"
                " where rolname = current_user"
            )
        assert tuple(row) == (False, False, False, 0)


async def test_no_serving_role_can_become_the_owner(pool, engine_pool):
    for each in (pool, engine_pool):
        async with each.connection() as connection:
            with pytest.raises(AuthError):
                await connection.execute("set role chartwire_owner")


async def test_row_security_off_is_an_error_and_not_a_way_around(app, two):
    await app.execute("set row_security = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.fetch("select * from source")


async def test_the_engine_reads_no_tenant_table(admin, engine_pool, two):
    for row in await admin.fetch(TENANT_TABLES):
        with pytest.raises(AuthError):
            async with engine_pool.connection() as connection:
                await connection.fetch(f"select * from {row['relname']}")


# One organisation at a time -----------------------------------------------------------------------------------------


async def test_every_tenant_table_is_empty_without_an_organisation(admin, app, two):
    tables = [row["relname"] for row in await admin.fetch(TENANT_TABLES)]
    assert {"message", "resource", "source_key", "audit", "event", "delivery"} <= set(tables)
    for table in tables:
        readable = await app.fetchval("select has_table_privilege($1, 'select')", table)
        if readable:
            assert await app.fetchval(f"select count(*) from {table}") == 0, table


async def test_another_organisation_reads_updates_and_deletes_no_row(pool, two):
    async with pool.transaction(two.ours) as tx:
        assert await tx.fetchval("select count(*) from source where org_id = $1", two.theirs) == 0
        assert await tx.execute("update source set name = 'x' where id = $1", two.their_source) == "UPDATE 0"
        assert await tx.execute("update source set name = 'y'") == "UPDATE 1"
        assert await tx.execute("delete from intake_key") == "DELETE 0"
    async with pool.transaction(two.theirs) as tx:
        assert await tx.fetchval("select name from source") == "feed"


async def test_a_row_of_another_organisation_cannot_be_inserted_or_made(pool, two):
    for statement in (
        (INSERT_SOURCE, two.theirs, uuid7(), "planted"),
        ("update source set org_id = $1 where id = $2", two.theirs, two.our_source),
    ):
        with pytest.raises(AuthError):
            async with pool.transaction(two.ours) as tx:
                await tx.execute(*statement)


async def test_a_separate_with_check_lets_a_row_move_into_another_organisation(admin, app, two):
    await admin.execute(
        "create table scratch (org_id uuid not null, id uuid not null);"
        "alter table scratch enable row level security; alter table scratch force row level security;"
        f"create policy p on scratch {POLICY} with check (true); grant all on scratch to chartwire_app"
    )
    async with app.transaction():
        await set_org(app, two.ours)
        await app.execute("insert into scratch values ($1, $1)", two.theirs)
    assert await admin.fetchval("select count(*) from scratch where org_id = $1", two.theirs) == 1


async def test_an_upsert_onto_another_organisations_row_is_refused(pool, two):
    with pytest.raises(ChartwireError) as refusal:
        async with pool.transaction(two.ours) as tx:
            await tx.execute(
                "insert into source (org_id, id, name, settings) values ($1, $2, 'x', '{}')"
                " on conflict (org_id, id) do update set name = 'taken'",
                two.theirs,
                two.their_source,
            )
    assert isinstance(refusal.value, AuthError)


# Prepared statements, functions and settings ------------------------------------------------------------------------


async def test_a_prepared_plan_follows_the_organisation_of_each_transaction(app, two):
    statement = await app.prepare("select org_id from source where id = any($1)")
    both = [two.our_source, two.their_source]
    for org in [two.ours] * 10 + [two.theirs] * 3 + [two.ours] * 3:
        async with app.transaction():
            await set_org(app, org)
            assert [row["org_id"] for row in await statement.fetch(both)] == [org]


async def test_an_immutable_helper_in_a_policy_gives_the_rows_of_another_organisation(admin, app, two):
    await admin.execute(
        "create function scratch_org() returns uuid language sql immutable"
        " as $$ select nullif(current_setting('chartwire.org_id', true), '')::uuid $$;"
        "create table scratch (org_id uuid not null, id uuid not null);"
        f"insert into scratch values ('{two.ours}', '{two.ours}'), ('{two.theirs}', '{two.theirs}');"
        "alter table scratch enable row level security; alter table scratch force row level security;"
        "create policy p on scratch using (org_id = scratch_org()); grant select on scratch to chartwire_app"
    )
    statement = await app.prepare("select org_id from scratch where id <> $1")
    for _ in range(7):
        async with app.transaction():
            await set_org(app, two.ours)
            await statement.fetch(uuid7())
    async with app.transaction():
        await set_org(app, two.theirs)
        leaked = [row["org_id"] for row in await statement.fetch(uuid7())]
    assert leaked == [two.ours]


async def test_no_policy_of_ours_depends_on_a_function(admin):
    used = await admin.fetchval(
        "select count(*) from pg_depend where classid = 'pg_policy'::regclass and refclassid = 'pg_proc'::regclass"
        " and refobjid >= 16384"
    )
    assert used == 0


async def test_a_setting_left_on_the_session_passes_to_the_next_borrower(app, two):
    await set_org(app, two.theirs, local=False)
    assert await app.fetchval("select org_id from source") == two.theirs


async def test_our_pool_leaves_no_setting_on_the_session(pool, two):
    for _ in range(10):
        async with pool.transaction(two.theirs) as tx:
            assert await tx.fetchval("select org_id from source") == two.theirs
        async with pool.connection() as connection:
            assert not await connection.fetchval("select current_setting('chartwire.org_id', true)")


async def test_after_the_transaction_the_empty_setting_shows_nothing_and_raises_nothing(app, two):
    async with app.transaction():
        await set_org(app, two.ours)
    assert await app.fetchval("select current_setting('chartwire.org_id', true)") == ""
    assert await app.fetchval("select count(*) from source") == 0


async def test_a_malformed_organisation_is_an_error_and_shows_nothing(app, two):
    with pytest.raises(asyncpg.DataError):
        async with app.transaction():
            await set_org(app, "1' or true --")
            await app.fetch("select * from source")


async def test_text_in_place_of_an_organisation_never_reaches_the_server(pool):
    with pytest.raises(AttributeError):
        async with pool.transaction("0' , true); select pg_sleep(0); --"):
            pass
    assert pool.lent == 0


async def test_a_function_with_its_callers_rights_sees_one_organisation(admin, pool, two):
    await admin.execute(
        "create function scratch_count() returns bigint language sql stable as 'select count(*) from public.source';"
    )
    async with pool.transaction(two.ours) as tx:
        assert await tx.fetchval("select scratch_count()") == 1


async def test_a_security_definer_function_of_a_superuser_leaks(admin, pool, two):
    await admin.execute(
        "create function scratch_count() returns bigint language sql stable security definer"
        " as 'select count(*) from public.source'"
    )
    async with pool.transaction(two.ours) as tx:
        assert await tx.fetchval("select scratch_count()") == 2


async def test_the_one_security_definer_function_answers_for_a_known_hash_only(app, admin, two):
    await admin.execute(
        "insert into credential (key_hash, credential_id, org_id, scopes, last_four) values ($1, $2, $3, '{*}', 'abcd')",
        b"h" * 32,
        uuid7(),
        two.ours,
    )
    assert await app.fetchval("select org_id from authenticate($1)", b"h" * 32) == two.ours
    assert await app.fetch("select * from authenticate($1)", b"x" * 32) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.fetch("select key_hash from credential")


async def test_a_leakproof_function_shows_every_row_by_notice(admin, app, two):
    await admin.execute(
        "create function scratch_peek(text) returns boolean language plpgsql cost 0.0000001 leakproof"
        " as $$ begin raise notice 'saw %', $1; return true; end $$"
    )
    await admin.execute("update source set name = case when org_id = $1 then 'ours' else 'theirs' end", two.ours)
    seen = []
    app.add_log_listener(lambda _, message: seen.append(message.message))
    async with app.transaction():
        await set_org(app, two.ours)
        await app.execute(
            "set local enable_seqscan = on; set local enable_indexscan = off; set local enable_bitmapscan = off"
        )
        await app.fetch("select * from source where scratch_peek(name)")
    assert "saw theirs" in seen


async def test_an_ordinary_function_sees_only_rows_that_the_policy_passed(admin, app, two):
    await admin.execute(
        "create function scratch_peek(text) returns boolean language plpgsql cost 0.0000001"
        " as $$ begin raise notice 'saw %', $1; return true; end $$"
    )
    await admin.execute("update source set name = case when org_id = $1 then 'ours' else 'theirs' end", two.ours)
    seen = []
    app.add_log_listener(lambda _, message: seen.append(message.message))
    async with app.transaction():
        await set_org(app, two.ours)
        await app.execute(
            "set local enable_seqscan = on; set local enable_indexscan = off; set local enable_bitmapscan = off"
        )
        await app.fetch("select * from source where scratch_peek(name)")
    assert seen == ["saw ours"]


async def test_the_app_cannot_make_a_function_leakproof(app):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("alter function texticlike(text, text) leakproof")


# Views and partitions -----------------------------------------------------------------------------------------------


async def test_a_view_of_a_superuser_leaks_and_security_invoker_does_not(admin, app, two):
    await admin.execute(
        "create view scratch_leaky as select * from source;"
        "create view scratch_bound with (security_invoker = true) as select * from source;"
        "grant select on scratch_leaky, scratch_bound to chartwire_app"
    )
    async with app.transaction():
        await set_org(app, two.ours)
        assert await app.fetchval("select count(*) from scratch_leaky") == 2
        assert await app.fetchval("select count(*) from scratch_bound") == 1


async def test_a_materialized_view_holds_every_organisation(admin, app, two):
    await admin.execute(
        "create materialized view scratch_copy as select * from source; grant select on scratch_copy to chartwire_app"
    )
    async with app.transaction():
        await set_org(app, two.ours)
        assert await app.fetchval("select count(*) from scratch_copy") == 2


async def test_no_partition_can_be_read_or_written_directly(admin, app, engine_pool, two):
    partitions = [
        row["name"]
        for row in await admin.fetch(
            "select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid"
            " where c.relkind in ('r', 'p')"
        )
    ]
    assert len(partitions) > 20
    for partition in partitions:
        for statement in (f"select * from {partition}", f"delete from {partition}", f"truncate {partition}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await app.execute(statement)
        with pytest.raises(AuthError):
            async with engine_pool.connection() as connection:
                await connection.fetch(f"select * from {partition}")


async def test_a_granted_partition_shows_every_organisation(admin, app, two):
    partition = await admin.fetchval("select tableoid::regclass::text from message limit 1")
    await admin.execute(f"grant select on {partition} to chartwire_app")
    async with app.transaction():
        await set_org(app, two.ours)
        assert await app.fetchval("select count(*) from message") == 1
        assert await app.fetchval(f"select count(*) from {partition}") == 2


# Keys ---------------------------------------------------------------------------------------------------------------


async def test_the_same_name_is_a_conflict_in_one_organisation_and_none_in_two(pool, two):
    with pytest.raises(ConflictError):
        async with pool.transaction(two.ours) as tx:
            await tx.execute(INSERT_SOURCE, two.ours, uuid7(), "feed")
    for org in (two.ours, two.theirs):
        async with pool.transaction(org) as tx:
            assert await tx.fetchval("select count(*) from source where name = 'feed'") == 1


async def test_an_id_of_another_organisation_is_free_here(pool, two):
    async with pool.transaction(two.ours) as tx:
        await tx.execute(INSERT_SOURCE, two.ours, two.their_source, "another")
        await tx.execute(INSERT_MESSAGE, two.ours, two.their_message)
        assert await tx.fetchval("select count(*) from message where id = $1", two.their_message) == 1


async def test_a_unique_key_without_the_organisation_tells_that_another_has_the_value(admin, pool, two):
    await admin.execute("update source set name = 'secret' where org_id = $1", two.theirs)
    await admin.execute("create unique index scratch_unique on source (name)")
    with pytest.raises(ConflictError):
        async with pool.transaction(two.ours) as tx:
            await tx.execute(INSERT_SOURCE, two.ours, uuid7(), "secret")


async def test_a_foreign_key_by_id_alone_tells_what_exists_and_a_composite_one_does_not(admin, pool, two):
    await admin.execute(
        "create unique index scratch_id on source (id);"
        "create table scratch_oracle (org_id uuid not null, source_id uuid references source (id));"
        "create table scratch_paired (org_id uuid not null, source_id uuid,"
        " foreign key (org_id, source_id) references source (org_id, id));"
        "grant insert on scratch_oracle, scratch_paired to chartwire_app"
    )
    outcomes = {}
    for table in ("scratch_oracle", "scratch_paired"):
        for which, target in (("theirs", two.their_source), ("nobody's", uuid7())):
            try:
                async with pool.transaction(two.ours) as tx:
                    await tx.execute(f"insert into {table} values ($1, $2)", two.ours, target)
                outcomes[table, which] = "stored"
            except ConflictError as error:
                outcomes[table, which] = error.code
    assert outcomes["scratch_oracle", "theirs"] != outcomes["scratch_oracle", "nobody's"]
    assert outcomes["scratch_paired", "theirs"] == outcomes["scratch_paired", "nobody's"] == "sql_23503"


async def test_a_cascade_by_id_alone_deletes_rows_of_another_organisation(admin, pool, two):
    await admin.execute(
        "create table scratch_parent (org_id uuid not null, id integer primary key);"
        "create table scratch_child (org_id uuid not null, parent integer references scratch_parent on delete cascade);"
        f"insert into scratch_parent values ('{two.theirs}', 1); insert into scratch_child values ('{two.ours}', 1);"
    )
    for table in ("scratch_parent", "scratch_child"):
        await admin.execute(
            f"alter table {table} enable row level security; alter table {table} force row level security;"
            f"create policy p on {table} {POLICY}; grant select, delete on {table} to chartwire_app"
        )
    async with pool.transaction(two.theirs) as tx:
        await tx.execute("delete from scratch_parent")
    assert await admin.fetchval("select count(*) from scratch_child") == 0


async def test_no_foreign_key_of_ours_leaves_the_organisation(admin):
    assert (
        await admin.fetchval(
            "select count(*) from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace"
            " and cardinality(conkey) < 2"
        )
        == 0
    )


# What row-level security does not cover -----------------------------------------------------------------------------


async def test_nothing_can_be_truncated(admin, app, engine_pool):
    for row in await admin.fetch(TENANT_TABLES):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(f"truncate {row['relname']}")
    with pytest.raises(AuthError):
        async with engine_pool.connection() as connection:
            await connection.execute("truncate lane")


async def test_statistics_of_tenant_tables_are_hidden(admin, app, two):
    await admin.execute("analyze source; analyze message")
    assert await admin.fetchval("select count(*) from pg_stats where tablename = 'source'") > 0
    async with app.transaction():
        await set_org(app, two.ours)
        assert await app.fetchval("select count(*) from pg_stats where tablename in ('source', 'message')") == 0


async def test_the_app_cannot_copy_into_a_tenant_table(app, two):
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await app.copy_records_to_table(
            "source", records=[(two.theirs, uuid7(), "x", "{}")], columns=["org_id", "id", "name", "settings"]
        )


async def test_the_app_cannot_change_the_schema(pool):
    for statement in (
        "create table planted (id integer)",
        "alter table resource disable row level security",
        "drop policy organisation_only on resource",
        "create policy second on resource using (true)",
    ):
        with pytest.raises((AuthError, StoreError)):
            async with pool.connection() as connection:
                await connection.execute(statement)
    async with pool.connection() as connection:
        assert (
            await connection.fetchval("select has_table_privilege('chartwire_engine', 'resource', 'select')") is False
        )
