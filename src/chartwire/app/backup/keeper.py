"""The backup role: receives the log all the time and takes a base backup when one is due, while `up` runs.

What it does is told in `<data_dir>/run/backup.json` and by the metrics `chartwire_backup_*`. A failure is logged,
counted and tried again; with `backup_synchronous` no message is acknowledged meanwhile, since no commit ends.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from chartwire.app.backup.base import cluster_address, take_base
from chartwire.app.backup.contents import installation_files
from chartwire.app.backup.keys import ServerKey, read_server_key
from chartwire.app.backup.repository import Base, Repository
from chartwire.app.backup.slot import SLOT
from chartwire.app.backup.state import State, read_state, write_state
from chartwire.app.backup.wal import Log, Progress, receive, resume_at
from chartwire.app.knobs import Settings
from chartwire.core.clock import instant, monotonic, now
from chartwire.core.errors import ChartwireError, ConflictError, TransientError
from chartwire.core.telemetry import Counter, Gauge
from chartwire.store.replication import show_lsn
from chartwire.store.standby import applied_migrations, flushed, wait_for_backup

_STATE_EVERY_S = 1.0
_BASE_LOOK_EVERY_S, _BASE_RETRY_MAX_S = 5.0, 300.0
_RETRY_FIRST_S, _RETRY_MAX_S = 0.2, 10.0
_CATCH_UP_TIMEOUT_S = 10.0
_log = structlog.get_logger(__name__)
_age = Gauge("chartwire_backup_base_age_seconds", "Seconds since the newest base backup began.")
_lag = Gauge("chartwire_backup_log_lag_bytes", "Bytes of the log that are not in the backup yet.")
_receiving = Gauge("chartwire_backup_receiving", "Whether the log is being received (1) or not (0).")
_failures = Counter("chartwire_backup_failures_total", "Failures of the backup, by what failed.", ("what",))


class Keeper:
    """One per installation; `admin_dsn` is the embedded server's. Raises ValidationError without a backup key."""

    def __init__(self, settings: Settings, admin_dsn: str) -> None:
        self._settings, self._admin = settings, admin_dsn
        self._address = cluster_address(admin_dsn)
        self._key: ServerKey = read_server_key(settings.data_dir)
        self._repository = Repository(Path(settings.backup_dir))
        self._every = timedelta(seconds=settings.backup_every_s)
        self.state = State(settings.backup_dir, settings.backup_synchronous)
        self._progress = Progress()
        self._timeline = 0
        self._log_broken = False
        self._last: Base | None = None
        told = read_state(settings) or {}
        self._had_base = bool(told.get("base")) and told["directory"] == settings.backup_dir

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Keep the backup until `stop`; `ready` is called once the log is being received."""
        with self._repository_lock() as ours:
            if not ours:
                raise ConflictError(
                    f"another process writes the backup in {self._settings.backup_dir}", code="backup_running"
                )
            tasks = [
                asyncio.create_task(self._keep_receiving(ready)),
                asyncio.create_task(self._keep_bases()),
                asyncio.create_task(self._keep_telling()),
            ]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                await self._catch_up()
            finally:
                for task in (stopping, *tasks):
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            for failure in ended:
                if isinstance(failure, Exception):
                    raise failure

    def _repository_lock(self) -> contextlib.AbstractContextManager[bool]:
        self._repository.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._repository.lock("wal")

    async def _keep_receiving(self, ready: Callable[[], None]) -> None:
        wait_s = _RETRY_FIRST_S
        while True:
            began = monotonic()
            try:
                await self._receive(ready)
            except (ChartwireError, OSError) as error:
                # The server dropped what was not received: the next try begins anew, with a base backup at once.
                self._log_broken |= isinstance(error, ConflictError) and error.code.startswith(("sql_", "wal_"))
                self._failed("log", error)
            self._set_receiving(False)
            wait_s = _RETRY_FIRST_S if monotonic() - began > _RETRY_MAX_S else min(wait_s * 2, _RETRY_MAX_S)
            await asyncio.sleep(wait_s)

    async def _receive(self, ready: Callable[[], None]) -> None:
        async with await self._address.connect() as session:
            identity, segment_bytes = await session.identify(), await session.segment_bytes()
            self._check_mounted()
            self._repository.adopt(identity.system)
            has_slot = await session.has_slot(SLOT)
            if has_slot and self._log_broken:
                await session.drop_slot(SLOT)
            if not has_slot or self._log_broken:
                await session.make_slot(SLOT)
            start = identity.flushed // segment_bytes * segment_bytes
            if not self._log_broken:
                start = resume_at(self._repository, identity.timeline, segment_bytes, identity.flushed)
            await session.start(SLOT, start, identity.timeline)
            self._timeline = identity.timeline
            self._progress.move(start)
            log = Log(self._repository, self._key, identity.timeline, segment_bytes, start)
            receiving = asyncio.create_task(receive(session, log, self._confirm))
            try:
                await self._announce(receiving, ready)
                await receiving
            finally:
                receiving.cancel()
                with contextlib.suppress(asyncio.CancelledError, ChartwireError, OSError):
                    await receiving

    def _check_mounted(self) -> None:
        """A directory that held the backup and is empty now is a disk that is away: nothing is to go beneath it."""
        if self._had_base and not self._repository.is_there:
            raise ConflictError(
                f"{self._repository.directory} held the backup and is empty: mount its disk; to begin anew there, "
                f"delete {self._settings.run_dir / 'backup.json'} and restart",
                code="backup_dir_lost",
            )

    async def _announce(self, receiving: "asyncio.Task[None]", ready: Callable[[], None]) -> None:
        """Once what was written so far is here: commits wait for us from now on, by setting; then we are ready."""
        reaching = asyncio.create_task(self._progress.reach(await flushed(self._admin)))
        await asyncio.wait({reaching, receiving}, return_when=asyncio.FIRST_COMPLETED)
        reaching.cancel()
        if not receiving.done():
            await wait_for_backup(self._admin, wait=self._settings.backup_synchronous)
            if self._log_broken:
                self._log_broken, self._last = False, None
            self._set_receiving(True)
            self.state.error = None
            ready()

    def _set_receiving(self, whether: bool) -> None:
        self.state.receiving = whether
        _receiving.set(int(whether))

    def _confirm(self, lsn: int) -> None:
        self._progress.move(lsn)
        self.state.log_until, self.state.log_at = show_lsn(lsn), instant(now())

    async def _catch_up(self) -> None:
        """At the end: what is committed by now is received, if that is to be had.

        Commits go on waiting, by setting: whoever ends this process alone must not lose what is acknowledged meanwhile.
        """
        with contextlib.suppress(ChartwireError, TimeoutError):
            async with asyncio.timeout(_CATCH_UP_TIMEOUT_S):
                if self.state.receiving:
                    await self._progress.reach(await flushed(self._admin))

    async def _keep_bases(self) -> None:
        wait_s = look_every_s = min(_BASE_LOOK_EVERY_S, self._settings.backup_every_s)
        while True:
            if self.state.receiving:
                try:
                    await self._base_if_due()
                    wait_s = look_every_s
                except (ChartwireError, OSError) as error:
                    self._failed("base", error)
                    wait_s = min(wait_s * 2, _BASE_RETRY_MAX_S)
            await asyncio.sleep(wait_s if self.state.receiving else _RETRY_FIRST_S)

    async def _base_if_due(self) -> None:
        if self._last is None:
            ours = [base for base in self._repository.bases(self._key) if base.timeline == self._timeline]
            self._last = ours[-1] if ours and self._is_covered(ours[-1]) else None
            await self._expire()
        if self._last is not None:
            self._told(self._last)
            if abs(now() - self._last.began) < self._every:  # a clock that went back far makes one due, too
                return
            self._check_room(self._last.size)
        migrations = await applied_migrations(self._admin)
        async with await self._address.connect() as session:
            files = installation_files(self._settings)
            self._last = await take_base(session, self._repository, self._key, migrations, files)
        self._told(self._last)
        self.state.error = None
        gone = await self._expire()
        _log.info("backup_base_taken", name=self._last.label, bytes=self._last.size, count=len(gone))

    async def _expire(self) -> list[str]:
        return await asyncio.to_thread(self._repository.expire, self._settings.backup_keep, self._key)

    def _check_room(self, needed: int) -> None:
        """A base backup must not take the room of the log, for which commits may wait."""
        free = shutil.disk_usage(self._repository.directory).free
        if free < needed:
            raise TransientError(
                f"{free} bytes are free in {self._repository.directory}, and the last base backup took {needed}: make "
                "room, or lower backup_keep and restart",
                code="backup_disk_full",
            )

    def _is_covered(self, base: Base) -> bool:
        """Whether the log since a base backup is here without a gap, by the names of its files."""
        starts = [segment.start for segment in self._repository.segments(base.timeline)]
        first = base.start // base.segment_bytes * base.segment_bytes
        needed = range(first, max(starts, default=0) + 1, base.segment_bytes)
        return bool(starts) and starts[-1] >= first and set(needed) <= set(starts)

    def _told(self, base: Base) -> None:
        self._had_base = True
        self.state.base, self.state.base_at, self.state.base_bytes = base.label, base.started_at, base.size
        _age.set((now() - base.began).total_seconds())

    def _failed(self, what: str, error: ChartwireError | OSError) -> None:
        code, sentence = _words(error)
        self.state.error, self.state.error_at = f"{code}: {sentence}", instant(now())
        _failures.add(1, what)
        _log.error("backup_failed", kind=what, code=code, reason=sentence)

    async def _keep_telling(self) -> None:
        while True:
            with contextlib.suppress(ChartwireError):
                self.state.log_lag_bytes = max(0, await flushed(self._admin) - self._progress.lsn)
                _lag.set(self.state.log_lag_bytes)
            with contextlib.suppress(OSError):
                write_state(self._settings, self.state)
            await asyncio.sleep(_STATE_EVERY_S)


def _words(error: ChartwireError | OSError) -> tuple[str, str]:
    if isinstance(error, ChartwireError):
        return error.code, error.message
    return "system", error.strerror or type(error).__name__
