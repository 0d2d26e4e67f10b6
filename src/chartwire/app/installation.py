"""Whether this installation may speak: a restored or copied one is disarmed until `chartwire arm`.

What it was armed for is a fingerprint: the cluster's system identifier, the database's number in it and, with the
embedded database, the machine's id (/etc/machine-id, where there is one) and the inode of the data directory. A copied
data directory has another inode, a restored database another number or cluster; a renamed host or directory, another
address, a container that is started again keep theirs. Where an inode does not stay (some network file systems), or
several machines are to count as one, the setting `installation_fingerprint` takes the place of machine and inode. A
physical copy of a database server of your own keeps its identifier: start such a copy with another
`installation_fingerprint`.
"""

import asyncio
import contextlib
import hashlib
from pathlib import Path

import structlog

from chartwire.app.knobs import Settings
from chartwire.core.errors import ChartwireError
from chartwire.core.telemetry import Gauge
from chartwire.store import installation
from chartwire.store.background import Background
from chartwire.store.installation import Installation
from chartwire.store.pool import Pool

REFRESH_S = 2.0
_MACHINE_ID = Path("/etc/machine-id")
_log = structlog.get_logger(__name__)
_armed = Gauge("chartwire_armed", "Whether this installation may open outward connections (1) or is disarmed (0).")


def machine_identity(settings: Settings) -> str:
    """What the embedded database's fingerprint takes from the machine: by setting, else its id and the inode."""
    if settings.installation_fingerprint:
        return settings.installation_fingerprint
    machine = ""
    with contextlib.suppress(OSError):
        machine = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip()
    return f"{machine}:{settings.data_dir.stat().st_ino}"


def is_embedded(settings: Settings) -> bool:
    """Whether these settings lead to the embedded database."""
    return not settings.database_url and not settings.database_app_url


def machine_part(settings: Settings) -> str:
    """`machine_identity` for the embedded database; for a server of the operator's the setting alone, since several
    machines may work on it."""
    return machine_identity(settings) if is_embedded(settings) else settings.installation_fingerprint


def fingerprint(database: str, machine: str) -> str:
    """SHA-256 over both, in hex: an id, and no way back to what it was made from."""
    return hashlib.sha256(f"{database}\0{machine}".encode()).hexdigest()


class Gate:
    """Tells whether outward connections may be opened, within REFRESH_S seconds of a change; not before the first look.

    `machine` is what `machine_identity` gave, or the setting alone for a database of the operator's.
    """

    def __init__(self, pool: Pool, machine: str) -> None:
        self._pool, self._machine = pool, machine
        self._fingerprint = ""
        self._open = False
        self._background = Background(self._keep_looking)

    def __call__(self) -> bool:
        """Whether it may speak now."""
        return self._open

    async def start(self) -> Installation:
        """Look for the first time and go on looking. Raises TransientError."""
        self._fingerprint = fingerprint(await installation.identity(self._pool), self._machine)
        found = await installation.settle(self._pool, self._fingerprint)
        self._take(found)
        self._background.start()
        return found

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    def _take(self, found: Installation) -> None:
        was, self._open = self._open, found.armed and found.fingerprint == self._fingerprint
        _armed.set(int(self._open))
        if was and not self._open:
            _log.error("installation_disarmed", reason=found.reason)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            with contextlib.suppress(ChartwireError):
                if found := await installation.read(self._pool):
                    self._take(found)


async def settle(app_dsn: str, machine: str) -> Installation:
    """`Gate.start` for a process that opens no connection outward: `up`, which tells the operator."""
    pool = Pool(app_dsn, size=1)
    try:
        ours = fingerprint(await installation.identity(pool), machine)
        return await installation.settle(pool, ours)
    finally:
        await pool.close()
