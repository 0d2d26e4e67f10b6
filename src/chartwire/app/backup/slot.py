"""The replication slot by which the embedded server keeps its log until the backup has it."""

from chartwire.app.backup.base import cluster_address
from chartwire.store.standby import has_idle_slot

SLOT = "chartwire_backup"


async def drop_idle_slot(admin_dsn: str) -> None:
    """Let the server forget the log that it keeps for a backup which no setting asks for any more."""
    if await has_idle_slot(admin_dsn, SLOT):
        async with await cluster_address(admin_dsn).connect() as session:
            await session.drop_slot(SLOT)
