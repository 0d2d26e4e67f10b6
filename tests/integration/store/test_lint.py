"""The catalog lint finds every planted violation of its rules, and nothing in the schema as it is."""

import subprocess
import sys

import asyncpg
import pytest

from chartwire.store.lint import RULES, problems, problems_of

TENANT = "create table planted (org_id uuid not null, id uuid not null, primary key (org_id, id));"
SHUT = """
alter table planted enable row level security;
alter table planted force row level security;
create policy organisation_only on planted for all
  using (org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid);
"""
OTHER_POLICY = TENANT + SHUT + "drop policy organisation_only on planted; create policy p on planted "
EXPRESSION = "(org_id = nullif(current_setting('chartwire.org_id', true), '')::uuid)"

PLANTED = {
    "tenant_table_without_forced_rls": [
        TENANT,
        "alter table resource no force row level security",
        "alter table message disable row level security",
    ],
    "table_without_org_id": [
        "create table planted (id uuid primary key)",
        "create table planted (org_id text not null)",
    ],
    "declared_table_missing": ["drop table schedule"],
    "declared_table_with_text_of_tenants": [
        "alter table lane add column detail text",
        "alter table route add column extra jsonb",
        "alter table schedule add column payload bytea",
    ],
    "policy_not_the_one": [
        OTHER_POLICY + "using (true)",
        OTHER_POLICY + f"using ({EXPRESSION}) with check (true)",
        OTHER_POLICY + f"for select using ({EXPRESSION})",
        OTHER_POLICY + f"to chartwire_app using ({EXPRESSION})",
        OTHER_POLICY + f"as restrictive using ({EXPRESSION})",
        OTHER_POLICY + "using (org_id = current_setting('chartwire.org_id')::uuid)",
        OTHER_POLICY + "using (org_id = nullif(current_setting('chartwire.org', true), '')::uuid)",
    ],
    "policy_count": [
        "drop policy organisation_only on resource",
        f"create policy second on resource using ({EXPRESSION})",
    ],
    "serving_role_attributes": [
        "alter role chartwire_app bypassrls",
        "alter role chartwire_engine superuser",
        "alter role chartwire_app createrole",
    ],
    "serving_role_membership": [
        "grant chartwire_owner to chartwire_app",
        "grant pg_read_all_data to chartwire_engine",
    ],
    "serving_role_owns": [
        "alter table source owner to chartwire_app",
        "alter schema public owner to chartwire_engine",
        (
            "create function planted() returns integer language sql as 'select 1';"
            "alter function planted() owner to chartwire_engine"
        ),
    ],
    "serving_role_creates": [
        "grant create on schema public to chartwire_app",
        "grant create on schema public to public",
    ],
    "grant_on_partition": [
        "grant select on message_default to chartwire_app",
        "grant select (id) on event_default to chartwire_engine",
        "grant select on message_body_raw to chartwire_app",
        "grant select on message_body_raw_default to public",
    ],
    "grant_to_public": ["grant select on resource to public"],
    "grant_too_strong": ["grant truncate on resource to chartwire_app", "grant references on lane to chartwire_engine"],
    "engine_reads_tenant_table": [
        "grant select on message to chartwire_engine",
        "grant select (org_id) on resource to chartwire_engine",
    ],
    "unique_key_across_organisations": [
        "create unique index planted on source (name)",
        "create unique index planted on source (name, org_id)",
        "create unique index planted on source (lower(name), org_id)",
    ],
    "exclusion_across_organisations": [
        "alter table source add constraint planted exclude using btree (name with =)",
    ],
    "foreign_key_across_organisations": [
        (
            "create unique index planted on source (id);"
            "alter table review add constraint planted foreign key (id) references source (id)"
        ),
        (
            "alter table review add column other uuid;"
            "alter table review add constraint planted foreign key (other, id) references source (org_id, id)"
        ),
    ],
    "foreign_key_into_partitions": [
        "alter table review add constraint planted foreign key (org_id, message_id) references message (org_id, id)",
        "alter table review add constraint planted foreign key (org_id, message_id) references message_default",
    ],
    "materialized_view": ["create materialized view planted as select 1"],
    "view_with_rights_of_its_owner": [
        "create view planted as select * from resource",
        "create view planted with (security_invoker = false) as select * from resource",
    ],
    "rewrite_rule": ["create rule planted as on insert to source do also select 1"],
    "security_definer": [
        (
            "create function planted() returns integer language sql security definer set search_path = pg_catalog"
            " as 'select 1'"
        ),
        (
            "create function planted() returns integer language sql security definer as 'select 1';"
            "grant create on schema public to chartwire_engine; alter function planted() owner to chartwire_engine"
        ),
    ],
    "security_definer_for_public": ["grant execute on function authenticate(bytea) to public"],
    "leakproof_function": ["create function planted() returns integer language sql leakproof as 'select 1'"],
    "leakproof_builtin": ["alter function texticlike(text, text) leakproof"],
    "function_in_policy": [
        (
            "create function planted() returns uuid language sql immutable"
            " as $$ select nullif(current_setting('chartwire.org_id', true), '')::uuid $$;"
            "create policy planted on resource using (org_id = planted())"
        ),
    ],
    "immutable_reader_of_settings": [
        (
            "create function planted() returns text language sql immutable"
            " as $$ select current_setting('chartwire.org_id', true) $$"
        ),
        (
            "create function planted() returns text language sql immutable"
            " return current_setting('chartwire.org_id', true)"
        ),
    ],
    "organisation_set_in_advance": [
        "alter role chartwire_app set chartwire.org_id = '00000000-0000-0000-0000-000000000001'",
        "create function planted() returns integer language sql set chartwire.org_id = 'x' as 'select 1'",
    ],
}


@pytest.fixture
async def admin(database):
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def test_the_schema_as_it_is_has_no_problems(database):
    assert await problems_of(database.admin_dsn) == []


async def test_every_planted_violation_is_found_by_its_rule(admin):
    missed = []
    for rule, statements in PLANTED.items():
        for statement in statements:
            planted = admin.transaction()
            await planted.start()
            await admin.execute(statement)
            found = await problems(admin)
            await planted.rollback()
            if not any(problem.startswith(f"{rule}: ") for problem in found):
                missed.append((rule, statement, found))
    assert missed == []
    assert await problems(admin) == []


async def test_a_tenant_table_that_keeps_every_rule_is_no_problem(admin):
    planted = admin.transaction()
    await planted.start()
    await admin.execute(TENANT + SHUT + "grant select, insert on planted to chartwire_app")
    assert await problems(admin) == []
    await planted.rollback()


def test_every_rule_has_a_planted_violation():
    assert set(RULES) == set(PLANTED)


def test_the_command_prints_problems_and_fails(database, postgres_server):
    command = [sys.executable, "-m", "chartwire.store.lint"]
    clean = subprocess.run([*command, database.admin_dsn], capture_output=True, text=True, check=False)
    assert (clean.returncode, clean.stdout) == (0, "")
    empty = postgres_server.create(migrated=False)
    broken = subprocess.run([*command, empty.admin_dsn], capture_output=True, text=True, check=False)
    postgres_server.drop(empty)
    assert broken.returncode == 1
    assert "declared_table_missing: table credential" in broken.stdout
    assert subprocess.run(command, capture_output=True, check=False, env={}).returncode == 2
