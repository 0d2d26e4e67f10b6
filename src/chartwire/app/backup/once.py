"""A base backup on demand, with the log that makes it whole: `chartwire backup run`, by cron or before an upgrade."""

import asyncio
import os
from pathlib import Path

from chartwire.app.backup.base import cluster_address, take_base
from chartwire.app.backup.contents import installation_files
from chartwire.app.backup.keys import read_server_key
from chartwire.app.backup.repository import Base, Repository
from chartwire.app.backup.wal import Log, held_end, receive
from chartwire.app.knobs import Settings
from chartwire.core.clock import monotonic
from chartwire.core.errors import TransientError
from chartwire.store.standby import applied_migrations

_LOG_TIMEOUT_S = 60.0


async def once(settings: Settings, admin_dsn: str, directory: Path) -> Base:
    """One base backup into `directory`, with the log that it needs; of older ones `backup_keep` stay. Raises
    ChartwireError, OSError.

    Where a keeper receives the log into the same directory, this waits for it in place of receiving.
    """
    address, key, repository = cluster_address(admin_dsn), read_server_key(settings.data_dir), Repository(directory)
    slot = f"chartwire_once_{os.getpid()}"
    async with await address.connect() as session, await address.connect() as other:
        identity, segment_bytes = await session.identify(), await session.segment_bytes()
        repository.adopt(identity.system)
        with repository.lock("wal") as ours:
            receiving = None
            if ours:
                start = identity.flushed // segment_bytes * segment_bytes
                await session.make_slot(slot, temporary=True)
                await session.start(slot, start, identity.timeline)
                log = Log(repository, key, identity.timeline, segment_bytes, start)
                receiving = asyncio.create_task(receive(session, log, _heedless))
            try:
                migrations, files = await applied_migrations(admin_dsn), installation_files(settings)
                base = await take_base(other, repository, key, migrations, files)
                await _await_log(repository, base, receiving)
            finally:
                if receiving is not None:
                    receiving.cancel()
                    await asyncio.gather(receiving, return_exceptions=True)
    await asyncio.to_thread(repository.expire, settings.backup_keep, key)
    return base


async def _await_log(repository: Repository, base: Base, receiving: "asyncio.Task[None] | None") -> None:
    deadline = monotonic() + _LOG_TIMEOUT_S
    while held_end(repository, base.timeline) < base.end:
        if receiving is not None and receiving.done():
            await receiving
        if monotonic() > deadline:
            raise TransientError("the log of the base backup does not arrive", code="backup_log_late")
        await asyncio.sleep(0.05)


def _heedless(_lsn: int) -> None:
    """Nobody waits for the log to come so far."""
