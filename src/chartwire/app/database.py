"""From a data directory to a database that is ready: what `up` and `init` do first."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.installation import machine_part, settle
from chartwire.app.knobs import Settings
from chartwire.app.services import APP, ENGINE, DatabaseAddress, database_address
from chartwire.core.clock import now
from chartwire.core.errors import ConflictError
from chartwire.store.installation import Installation
from chartwire.store.migrate import migrate
from chartwire.store.partitions import ensure_partitions
from chartwire.store.standby import wait_for_backup

Tell = Callable[[str], None]


def hold_data_dir(data_dir: Path) -> int:
    """Hold a data directory until the answered file descriptor is closed.

    Raises ConflictError (`already_running`) while another process does.
    """
    lock = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConflictError(
            f"another `chartwire up` runs in {data_dir}: stop it, or choose another --data-dir", code="already_running"
        ) from None
    return lock


def start_database(settings: Settings, tell: Tell) -> tuple[DatabaseAddress, EmbeddedPostgres | None]:
    """The database of the settings; the embedded one is started, and its stop is the caller's."""
    if settings.database_app_url or settings.database_url:
        return database_address(settings), None
    tell("starting PostgreSQL")
    postgres = EmbeddedPostgres(settings.data_dir / "postgres", progress=tell)
    postgres.start()
    address = DatabaseAddress(
        postgres.dsn(APP), postgres.dsn(ENGINE), postgres.dsn(), postgres.password(APP), postgres.password(ENGINE)
    )
    return address, postgres


async def prepare_database(settings: Settings, address: DatabaseAddress, *, embedded: bool, tell: Tell) -> Installation:
    """Bring schema and partitions up to date, where this process may; whether the installation may speak."""
    if embedded:
        await wait_for_backup(address.admin, wait=False)  # nothing receives yet, and migrations commit
    if address.admin:
        tell("bringing the database up to date")
        await migrate(
            address.admin,
            app_password=address.app_password,
            engine_password=address.engine_password,
            phases=("pre",),
        )
        await ensure_partitions(address.admin, now())
    return await settle(address.app, machine_part(settings))
