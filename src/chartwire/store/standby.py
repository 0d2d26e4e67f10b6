"""What a backup asks of the server by plain SQL, as its administrator."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chartwire.store.connect import connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovered database holds: the time of its last commit (None where the log had none), its position, rows by
    table."""

    last_commit: datetime | None
    lsn: int
    rows: dict[str, int]


async def wait_for_backup(admin_dsn: str, *, wait: bool) -> None:
    """Whether commits wait until the receiver `chartwire_backup` has them on disk. Survives a restart of the server.

    While it is so and nothing receives, no commit ends. Raises TransientError, AuthError.
    """
    await _value(admin_dsn, q.commits_wait_for_backup if wait else q.commits_wait_for_nobody)
    await _value(admin_dsn, q.reload_configuration)


async def flushed(admin_dsn: str) -> int:
    """How far the server's log is on its disk, in bytes from its beginning."""
    return int(await _value(admin_dsn, q.log_flushed))


async def has_idle_slot(admin_dsn: str, name: str) -> bool:
    """Whether the server keeps its log for a receiver of this name that is not there."""
    return bool(await _value(admin_dsn, q.backup_slots, name))


async def applied_migrations(dsn: str) -> dict[str, str]:
    """Names and SHA-256 of the migrations that made this schema."""
    connection = await connect(dsn)
    try:
        rows = await connection.fetch(q.applied_migrations)
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()
    return {row["name"]: row["sha256"] for row in rows}


async def _value(dsn: str, sql: str, *args: object) -> Any:
    connection = await connect(dsn)
    try:
        return await connection.fetchval(sql, *args)
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()


async def recovered(admin_dsn: str) -> Recovered:
    """Look at a database after its recovery, as a superuser, who sees all organisations."""
    connection = await connect(admin_dsn)
    try:
        row = await connection.fetchrow(q.recovered_until)
        counts = await connection.fetchrow(q.recovered_rows)
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()
    assert row is not None
    assert counts is not None
    return Recovered(row["last_commit"], row["lsn"], dict(counts))
