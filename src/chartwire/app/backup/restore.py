"""From a backup to a running installation on an empty machine: check all, unseal, recover, check again, disarm.

Until the end a file `restore-unfinished` stands in the data directory, and `chartwire up` refuses it.
"""

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, cast

from chartwire.app.backup.base import CLUSTER, INSTALLATION, MANIFEST
from chartwire.app.backup.checking import Plan, Until, open_segment
from chartwire.app.backup.contents import UNFINISHED_NAME, put_back
from chartwire.app.backup.keys import RecoveryKey
from chartwire.app.backup.repository import Base, Repository
from chartwire.app.backup.sealing import SealedReader, frames
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.core.errors import ConflictError
from chartwire.store.installation import restored
from chartwire.store.lint import problems_of
from chartwire.store.migrate import read_migrations
from chartwire.store.replication import show_lsn
from chartwire.store.standby import recovered, wait_for_backup

Tell = Callable[[str], None]
_RECOVERY = {
    "restore_command": "false",  # the log lies in pg_wal already; the server wants a command all the same
    "recovery_target_timeline": "current",
    "recovery_target_action": "promote",
    "hot_standby": "off",
    "synchronous_standby_names": "",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was restored: the base backup, the last commit and position in it, and how many rows there are of what."""

    base: str
    last_commit: datetime | None
    lsn: str
    rows: dict[str, int]


def refuse_newer(base: Base) -> None:
    """Raises ConflictError (`backup_newer`) for a backup that a newer release made."""
    known = {migration.name for migration in read_migrations()}
    if unknown := sorted(set(base.migrations) - known):
        raise ConflictError(
            f"this backup was made by Chartwire {base.chartwire} with migration {unknown[-1]}, which this release does "
            "not know: install that release",
            code="backup_newer",
        )


def unseal(repository: Repository, key: RecoveryKey, plan: Plan, data_dir: Path, tell: Tell) -> None:
    """Put a checked backup into an empty or new data directory. Raises ConflictError (`data_dir_in_use`), OSError."""
    if (data_dir / UNFINISHED_NAME).exists():
        raise ConflictError(
            f"an earlier restore into {data_dir} did not finish: delete it, or name another", code="data_dir_in_use"
        )
    if data_dir.exists() and any(data_dir.iterdir()):
        raise ConflictError(
            f"{data_dir} is not empty: a restore goes into a new directory only", code="data_dir_in_use"
        )
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / UNFINISHED_NAME).touch(mode=0o600)
    unsealing = _Unsealing(repository, key, plan, tell)
    put_back(unsealing.installation(), data_dir)
    EmbeddedPostgres(data_dir / "postgres", progress=tell).adopt(unsealing.fill)


@dataclass(frozen=True, slots=True)
class _Unsealing:
    repository: Repository
    key: RecoveryKey
    plan: Plan
    tell: Tell

    def installation(self) -> dict[str, str]:
        """Keys, passwords and settings by their path."""
        found: dict[str, str] = json.loads(self._read(INSTALLATION))
        return found

    def fill(self, cluster: Path) -> None:
        """The cluster as the base backup has it, its log beside it, told to recover when it starts."""
        self.tell("unsealing the base backup")
        label = self.plan.base.label
        with self._path(CLUSTER).open("rb") as file:
            reader = SealedReader(file, self.key, self.repository.base_purpose(label, CLUSTER))
            with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r|gz") as archive:
                archive.extractall(cluster, filter="data")
        (cluster / MANIFEST).write_bytes(self._read(MANIFEST))
        self.tell("unsealing the log")
        size = self.plan.base.segment_bytes
        for segment in self.plan.segments:
            data, _ = open_segment(self.repository, self.key, segment, size)
            name = wal_file_name(segment.timeline, segment.start, size)
            (cluster / "pg_wal" / name).write_bytes(data.ljust(size, b"\0"))
        (cluster / "recovery.signal").touch()

    def _read(self, name: str) -> bytes:
        purpose = self.repository.base_purpose(self.plan.base.label, name)
        with self._path(name).open("rb") as file:
            return b"".join(frames(file, self.key, purpose))

    def _path(self, name: str) -> Path:
        return self.repository.base_directory(self.plan.base.label) / f"{name}.sealed"


async def recover(plan: Plan, until: Until, data_dir: Path, tell: Tell) -> Report:
    """Recover what `unseal` left, check it, disarm it and stop the server; the data directory is then complete.

    Raises ConflictError: `postgres_failed` with PostgreSQL's reason, `restore_unsound` when the database is not what a
    database of Chartwire must be.
    """
    settings = dict(_RECOVERY)
    if until.time is not None:
        settings["recovery_target_time"] = until.time.isoformat()
    if until.lsn is not None:
        settings["recovery_target_lsn"] = show_lsn(until.lsn)
    tell("recovering")
    with EmbeddedPostgres(data_dir / "postgres", settings=settings, progress=tell) as server:
        await wait_for_backup(server.dsn(), wait=False)
        found = await recovered(server.dsn())
        tell("checking")
        if problems := await problems_of(server.dsn()):
            raise ConflictError(
                f"the restored database is not sound: {'; '.join(problems[:5])}", code="restore_unsound"
            )
        await restored(server.dsn())
    (data_dir / UNFINISHED_NAME).unlink()
    return Report(plan.base.label, found.last_commit, show_lsn(found.lsn), found.rows)


def wal_file_name(timeline: int, start: int, segment_bytes: int) -> str:
    """PostgreSQL's name of the log file that begins at `start`: timeline, and the number in two halves."""
    per_half = (1 << 32) // segment_bytes
    high, low = divmod(start // segment_bytes, per_half)
    return f"{timeline:08X}{high:08X}{low:08X}"
