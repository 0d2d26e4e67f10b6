"""Brings a database to the present schema: roles first, then every migration file in order, each exactly once.

Files are `migrations/NNNN_{pre,post}_name.sql`. `pre` runs before the new release starts and leaves the old release
working; `post` runs when no old release is left. Each file is one transaction, run as `chartwire_owner` and recorded
with its SHA-256 in `chartwire_migration`; a file that changed after it was applied is refused.

The user of `admin_dsn` must be a superuser, or own the database's schema `public` and hold CREATEROLE. Where policy
allows neither, an administrator makes the roles by hand (the error says how), and `migrate` with both passwords None
finds everything in place.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncpg

from chartwire.core.clock import now
from chartwire.core.errors import AuthError, ConflictError
from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.partitions import OWNER, make_partitions

MIGRATIONS_DIRECTORY = Path(__file__).parent / "migrations"
APP, ENGINE = "chartwire_app", "chartwire_engine"
Phase = Literal["pre", "post"]

# What a session of each role starts with; the lint and the tests hold the roles to `attributes`.
_SERVING_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "15s",
    # Shorter than lock_timeout and than a lease: who stands still in a transaction holds its lock for nobody else long.
    "idle_in_transaction_session_timeout": "10s",
    "client_connection_check_interval": "5s",
    "jit": "off",
    "search_path": "public",
    # Every statement of the serving roles is an index look-up. A plan that was made while a table was small must not
    # stay a scan when it has grown, before autovacuum has counted it.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
ROLES: dict[str, dict[str, str]] = {
    OWNER: {"search_path": "public", "jit": "off"},
    APP: _SERVING_SETTINGS,
    ENGINE: _SERVING_SETTINGS,
}
_PLAIN_ATTRIBUTES = "nosuperuser nocreatedb nocreaterole noreplication nobypassrls"

_FILE_NAME = re.compile(r"(\d{4})_(pre|post)_([a-z0-9_]+)\.sql")
_ADVISORY_LOCK = 0x43_48_41_52_54  # "CHART"
_ROLE_ATTEMPTS_MAX = 8

_SETTING_STATEMENTS = [
    f"alter role {role} set {name} = '{value}'" for role, settings in ROLES.items() for name, value in settings.items()
]
_RIGHTS_STATEMENTS = [
    "revoke all on schema public from public",
    f"grant usage, create on schema public to {OWNER} with grant option",
    f"grant usage on schema public to {APP}, {ENGINE}",
]
_STATEMENTS_BY_HAND = [
    f"create role {OWNER} nologin",
    f"create role {APP} login password '...'",
    f"create role {ENGINE} login password '...'",
    *_SETTING_STATEMENTS,
    f"grant {ENGINE} to {OWNER}",
    f"grant {OWNER}, {ENGINE} to INSTALLER",
    *_RIGHTS_STATEMENTS,
]
_BY_HAND = (
    "this database user may not manage roles: let an administrator run what follows, with this user in place of "
    "INSTALLER, and start again without passwords for the roles:\n" + ";\n".join(_STATEMENTS_BY_HAND)
)

_CREATE_LEDGER = """
create table if not exists chartwire_migration (
  name text primary key,
  sha256 text not null,
  applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file: its name without suffix, phase and SQL."""

    name: str
    phase: Phase
    sql: str

    @property
    def sha256(self) -> str:
        """Hex digest of the SQL as UTF-8."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path = MIGRATIONS_DIRECTORY) -> list[Migration]:
    """The migrations of a directory in order. Raises ConflictError for a malformed name or a number used twice."""
    migrations: list[Migration] = []
    numbers: set[str] = set()
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise ConflictError(
                f"migration {path.name}: the name is not NNNN_{{pre,post}}_name.sql", code="migration_name"
            )
        if match.group(1) in numbers:
            raise ConflictError(f"migration {path.name}: number {match.group(1)} is used twice", code="migration_name")
        numbers.add(match.group(1))
        phase: Phase = "pre" if match.group(2) == "pre" else "post"
        migrations.append(Migration(path.stem, phase, path.read_text(encoding="utf-8")))
    return migrations


async def migrate(
    admin_dsn: str,
    *,
    app_password: str | None = None,
    engine_password: str | None = None,
    directory: Path = MIGRATIONS_DIRECTORY,
    phases: Iterable[Phase] = ("pre", "post"),
) -> list[str]:
    """Create the roles, set the passwords given, apply what is not applied yet, make the next months' partitions.

    A `pre` migration leaves the release before able to run, a `post` one does not: with `phases` of `pre` alone the
    newest `post` ones wait, so that one can still go back. A `pre` of a newer release is therefore no obstacle. The
    answer is the names applied now, in order. Safe to run at every start and from several processes at once.
    Raises ConflictError (`migration_changed`, `migration_missing`, `migration_failed`, `migration_name`) and
    TransientError when the server is not reachable; AuthError (`roles_missing`) with what an administrator is to run.
    """
    migrations = read_migrations(directory)
    connection = await connect(admin_dsn)
    try:
        await connection.execute(f"select pg_advisory_lock({_ADVISORY_LOCK})")
        await _ensure_roles(connection, {APP: app_password, ENGINE: engine_password})
        applied = await _apply(connection, migrations, frozenset(phases))
        await connection.execute("reset role")
        await make_partitions(connection, now())
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    else:
        return applied
    finally:
        await connection.close()


async def _apply(connection: RawConnection, migrations: list[Migration], phases: frozenset[Phase]) -> list[str]:
    await connection.execute(f"set role {OWNER}")
    await connection.execute(_CREATE_LEDGER)
    rows = await connection.fetch("select name, sha256 from chartwire_migration order by name")
    applied = {row["name"]: row["sha256"] for row in rows}
    _refuse_rewritten_history(applied, migrations)
    done: list[str] = []
    for migration in _due([each for each in migrations if each.name not in applied], phases):
        await _apply_one(connection, migration)
        done.append(migration.name)
    return done


def _due(pending: list[Migration], phases: frozenset[Phase]) -> list[Migration]:
    """Without `post` those at the end wait; one before a `pre` belongs to an earlier release that nobody runs."""
    if "post" in phases:
        return [migration for migration in pending if migration.phase in phases]
    last = max((number for number, migration in enumerate(pending, 1) if migration.phase == "pre"), default=0)
    return pending[:last]


def _refuse_rewritten_history(applied: dict[str, str], migrations: list[Migration]) -> None:
    known = {migration.name: migration for migration in migrations}
    for name, sha256 in applied.items():
        if name not in known and "_post_" in name:
            raise ConflictError(
                f"the database holds migration {name} of a newer release, which took away what this one needs: run "
                "that release, or restore the backup from before",
                code="migration_missing",
            )
        if name in known and known[name].sha256 != sha256:
            raise ConflictError(
                f"migration {name} was changed after it was applied: write a new migration instead",
                code="migration_changed",
            )


async def _apply_one(connection: RawConnection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into chartwire_migration (name, sha256) values ($1, $2)", migration.name, migration.sha256
            )
    except asyncpg.PostgresError as error:
        line = _line_of(migration.sql, error)
        reason = f"migration {migration.name} failed{line}: {error.sqlstate} {error.args[0]}"
        raise ConflictError(reason, code="migration_failed") from None


def _line_of(sql: str, error: asyncpg.PostgresError) -> str:
    position = error.as_dict().get("position")
    return f" at line {sql.count(chr(10), 0, int(position)) + 1}" if position else ""


async def _ensure_roles(connection: RawConnection, passwords: dict[str, str | None]) -> None:
    """Roles belong to the whole cluster, the advisory lock to one database: so collisions are retried."""
    for attempt in range(_ROLE_ATTEMPTS_MAX):
        try:
            async with connection.transaction():
                await _create_roles(connection, passwords)
        except asyncpg.InsufficientPrivilegeError:
            raise AuthError(_BY_HAND, code="roles_missing") from None
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            if attempt + 1 == _ROLE_ATTEMPTS_MAX:
                raise
            await asyncio.sleep(0.05 * 2**attempt)
        else:
            return


async def _create_roles(connection: RawConnection, passwords: dict[str, str | None]) -> None:
    rows = await connection.fetch("select rolname, rolconfig from pg_roles where rolname = any($1)", list(ROLES))
    present = {row["rolname"]: set(row["rolconfig"] or ()) for row in rows}
    for role, settings in ROLES.items():
        if role not in present:
            await connection.execute(f"create role {role} nologin {_PLAIN_ATTRIBUTES}")
        for setting, value in settings.items():
            if f"{setting}={value}" not in present.get(role, ()):
                await connection.execute(f"alter role {role} set {setting} = '{value}'")
        password = passwords.get(role)
        if password is not None:
            literal = await connection.fetchval("select quote_literal($1::text)", password)
            await connection.execute(f"alter role {role} login password {literal}")
    if OWNER not in present:
        # The owner hands functions to the engine role, which needs the right to become it.
        await connection.execute(f"grant {ENGINE} to {OWNER}")
        await connection.execute(f"grant {OWNER}, {ENGINE} to current_user")
    if not await connection.fetchval(f"select has_schema_privilege('{OWNER}', 'public', 'create with grant option')"):
        await connection.execute("; ".join(_RIGHTS_STATEMENTS))
