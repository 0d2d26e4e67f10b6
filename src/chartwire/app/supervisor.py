"""`chartwire up`: everything on one machine, in order, kept running, ended without loss.

Start: lock the data directory, PostgreSQL (embedded, or the one of CHARTWIRE_DATABASE_URL), migrations and partitions,
then the roles as child processes, then the sandbox. End, by Ctrl-C or SIGTERM: `/health/ready` says no for
`drain_delay_s` while everything still works; then listeners stop (what they acknowledged is stored), then workers, the
API, the webhook sink, PostgreSQL last. A second Ctrl-C kills. Data stays. A service manager is told of all this.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from chartwire.app.backup.contents import UNFINISHED_NAME
from chartwire.app.backup.keys import read_server_key
from chartwire.app.backup.slot import drop_idle_slot
from chartwire.app.child import Order
from chartwire.app.daily import once_a_day
from chartwire.app.database import hold_data_dir, prepare_database, start_database
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.installation import machine_part
from chartwire.app.knobs import ListenerSettings, Settings
from chartwire.app.notify import ServiceManager
from chartwire.app.ports import Wanted, choose
from chartwire.app.processes import KeptProcess, stop_in_order
from chartwire.app.sandbox import SECOND_LISTENER, Sandbox
from chartwire.app.services import (
    DatabaseAddress,
    base_url_of,
    forget_address,
    master_key,
    tell_address,
)
from chartwire.app.settings import to_values
from chartwire.app.snapshots import keep_writing
from chartwire.core.clock import now
from chartwire.core.errors import ChartwireError, ConflictError, TransientError
from chartwire.core.telemetry import Counter
from chartwire.store.installation import Installation
from chartwire.store.partitions import ensure_partitions

_POSTGRES_LOOK_EVERY_S = 0.25
_PARTITIONS_EVERY_S = 3600.0
_FIRST_DAY_AFTER_S = 60.0
_CORES_FOR_MORE = 8
_WORKERS_MAX = 8
_ENDING_ORDER = ("listener", "worker", "api", "sink", "backup")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_log = structlog.get_logger(__name__)
_postgres_restarts = Counter("chartwire_postgres_restarts_total", "Times the embedded server died and was started.")


@dataclass(frozen=True, slots=True)
class Signals:
    """`stop` ends in order, `force` at once."""

    stop: asyncio.Event
    force: asyncio.Event


class Supervisor:
    """One run of `chartwire up`. `tell` gets progress, `announce` once how to reach it, as data and text."""

    def __init__(
        self,
        settings: Settings,
        *,
        sandbox: bool,
        tell: Callable[[str], None],
        announce: Callable[[dict[str, Any], str], None],
    ) -> None:
        self.settings = replace(settings, data_dir=settings.data_dir.absolute())
        self._wants_sandbox = sandbox
        self._manager = ServiceManager()
        self._tell_person = tell
        self._announce = announce
        self._postgres: EmbeddedPostgres | None = None
        self._groups: dict[str, list[KeptProcess]] = {name: [] for name in _ENDING_ORDER}
        self._installation: Installation | None = None
        self._lock: int | None = None

    def _tell(self, line: str) -> None:
        self._tell_person(line)
        self._manager.status(line)

    def run(self) -> None:
        """Everything, until a signal. Raises ChartwireError when it cannot start."""
        self.settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = hold_data_dir(self.settings.data_dir)
        if (self.settings.data_dir / UNFINISHED_NAME).exists():
            raise ConflictError(
                f"a restore into {self.settings.data_dir} did not finish: delete it and restore again",
                code="restore_unfinished",
            )
        for number in _ENDING:
            signal.signal(number, _interrupt)
        try:
            address, self._postgres = start_database(self.settings, self._tell)
            asyncio.run(self._serve(address))
        finally:
            self._stop_database()
            if self._lock is not None:
                os.close(self._lock)

    def _stop_database(self) -> None:
        forget_address(self.settings.run_dir)
        if self._postgres is not None:
            for number in _ENDING:
                signal.signal(number, signal.SIG_IGN)  # half a shutdown helps nobody, and a whole one is short
            self._tell("stopping PostgreSQL")
            self._postgres.stop()

    async def _serve(self, address: DatabaseAddress) -> None:
        signals = _take_signals()
        await self._prepare(address)
        tell_address(self.settings.run_dir, address)
        ports = choose(self._ports())
        settings = self._resolved(address, ports)
        sandbox = Sandbox(settings, ports, self._tell) if self._wants_sandbox else None
        background = [
            asyncio.create_task(self._keep_partitions(address)),
            asyncio.create_task(self._keep_days(address)),
            asyncio.create_task(keep_writing(self.settings.run_dir, "up")),
            asyncio.create_task(self._manager.keep_beating()),
        ]
        if self._postgres is not None:
            background.append(asyncio.create_task(self._keep_postgres(self._postgres)))
        try:
            await _unless(signals.stop, self._start(settings, address.admin, sandbox))
            if not signals.stop.is_set():
                self._announce(*_reached(settings, sandbox, self._installation))
                self._manager.ready(f"serving {base_url_of(settings)}/")
                await signals.stop.wait()
                await self._leave(signals)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._end(signals)

    async def _prepare(self, address: DatabaseAddress) -> None:
        embedded = self._postgres is not None
        self._installation = await prepare_database(self.settings, address, embedded=embedded, tell=self._tell)
        if not self._installation.armed:
            _log.warning("installation_disarmed", reason=self._installation.reason)

    def _ports(self) -> list[Wanted]:
        settings = self.settings
        wanted = [
            Wanted("the HTTP API", settings.http_host, settings.http_port, "--port"),
            Wanted("the MLLP listener", settings.mllp_host, settings.mllp_port, "--mllp-port"),
        ]
        if self._wants_sandbox:
            second = settings.mllp_port + 5 if settings.mllp_port else 0
            wanted += [
                Wanted(SECOND_LISTENER, settings.mllp_host, 0, preferred=second),
                Wanted("sink", "127.0.0.1", 0, preferred=Sandbox.known_sink_port(settings.data_dir)),
            ]
        return wanted

    def _resolved(self, address: DatabaseAddress, ports: dict[str, int]) -> Settings:
        """The settings as children get them: addresses, ports and the key decided."""
        listeners = self.settings.listeners
        if self._wants_sandbox:
            listeners += (ListenerSettings(SECOND_LISTENER, ports[SECOND_LISTENER], self.settings.mllp_host),)
        return replace(
            self.settings,
            database_url="",
            database_app_url=address.app,
            database_engine_url=address.engine,
            master_key=master_key(self.settings).hex(),
            installation_fingerprint=machine_part(self.settings),
            http_port=ports["the HTTP API"],
            mllp_port=ports["the MLLP listener"],
            listeners=listeners,
        )

    async def _start(self, settings: Settings, admin_dsn: str, sandbox: Sandbox | None) -> None:
        if sandbox:
            await sandbox.configure()
        counts = process_counts(settings)
        if sandbox:
            self._add("sink", 1, settings, sandbox.sink_extras())
        await self._start_backup(settings, admin_dsn)
        self._tell("starting the processes")
        for role in ("api", "worker", "listener"):
            self._add(role, counts[role], settings, {"processes": counts[role]})
        serving = [kept for name, group in self._groups.items() if name != "backup" for kept in group]
        await asyncio.gather(*(kept.wait_ready() for kept in serving))
        if sandbox:
            await sandbox.fill()
            sandbox.write()

    async def _start_backup(self, settings: Settings, admin_dsn: str) -> None:
        """The backup first where nothing may be acknowledged without it; else its failure bars nobody."""
        if self._postgres is None:
            return
        if not settings.backup_dir:
            await drop_idle_slot(admin_dsn)
            return
        read_server_key(settings.data_dir)
        self._add("backup", 1, settings, {"admin_dsn": admin_dsn})
        if settings.backup_synchronous:
            self._tell("waiting until the backup receives the log")
            await self._groups["backup"][0].wait_ready()

    def _add(self, role: str, count: int, settings: Settings, extras: dict[str, Any]) -> None:
        logs = settings.data_dir / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        for number in range(count):
            name = f"{role}-{number}"
            order = Order(role, name, os.getpid(), to_values(settings), extras)
            kept = KeptProcess(order, logs / f"{name}.log")
            kept.start()
            self._groups[role].append(kept)

    async def _leave(self, signals: Signals) -> None:
        """Let balancers see that it ends, while everything still works."""
        self._manager.stopping()
        delay_s = self.settings.drain_delay_s
        if not delay_s:
            return
        self._tell(f"leaving in {delay_s:g} s; Ctrl-C again to kill")
        for kept in self._groups["api"]:
            if kept.ready.is_set():
                kept.signal(signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.force.wait(), delay_s)

    async def _end(self, signals: Signals) -> None:
        self._tell("stopping; Ctrl-C again to kill")
        groups = [self._groups[role] for role in _ENDING_ORDER]
        orderly = asyncio.create_task(stop_in_order(groups, self.settings.stop_timeout_s, self._tell))
        forced = asyncio.create_task(signals.force.wait())
        await asyncio.wait({orderly, forced}, return_when=asyncio.FIRST_COMPLETED)
        if not orderly.done():
            for group in groups:
                for kept in group:
                    kept.kill()
        forced.cancel()
        await orderly

    async def _keep_postgres(self, postgres: EmbeddedPostgres) -> None:
        """Start the embedded server again when it died; it recovers what was committed."""
        while True:
            await asyncio.sleep(_POSTGRES_LOOK_EVERY_S)
            if postgres.pid is not None:
                continue
            _log.error("postgres_ended")
            _postgres_restarts.add(1)
            try:
                await asyncio.to_thread(_restart, postgres)
            except ChartwireError as error:
                _log.error("postgres_not_restarted", code=error.code)
                await asyncio.sleep(1)

    async def _keep_partitions(self, address: DatabaseAddress) -> None:
        while address.admin:
            await asyncio.sleep(_PARTITIONS_EVERY_S)
            try:
                await ensure_partitions(address.admin, now())
            except TransientError as error:
                _log.warning("partitions_not_ensured", code=error.code)

    async def _keep_days(self, address: DatabaseAddress) -> None:
        await asyncio.sleep(_FIRST_DAY_AFTER_S)
        while address.admin:
            try:
                await once_a_day(self.settings, address)
            except ChartwireError as error:
                _log.error("daily_work_failed", code=error.code)
            await asyncio.sleep(_PARTITIONS_EVERY_S)


def process_counts(settings: Settings) -> dict[str, int]:
    """How many processes of each role: as set, else by the cores of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    doors = 1 + (cores >= _CORES_FOR_MORE)
    return {
        "api": settings.api_processes or doors,
        "listener": settings.listener_processes or doors,
        "worker": settings.worker_processes or max(2, min(cores // 2, _WORKERS_MAX)),
    }


def _take_signals() -> Signals:
    signals = Signals(asyncio.Event(), asyncio.Event())

    def heard() -> None:
        (signals.force if signals.stop.is_set() else signals.stop).set()

    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, heard)
    return signals


async def _unless(stop: asyncio.Event, work: Any) -> None:
    """Do `work` unless `stop` comes first. Raises what the work raises."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
    else:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _restart(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    postgres.start()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _reached(
    settings: Settings, sandbox: Sandbox | None, installation: Installation | None
) -> tuple[dict[str, Any], str]:
    """How to reach what runs now, as data and as text."""
    if sandbox is not None:
        return sandbox.content(), sandbox.banner()
    base_url = base_url_of(settings)
    text = f"Chartwire is up: {base_url}/, HL7 v2 on {settings.mllp_host}:{settings.mllp_port}. Ctrl-C stops it."
    armed = installation is None or installation.armed
    if not armed:
        text += "\nDISARMED: nothing leaves until `chartwire arm`, since this is a restored or copied installation."
    return {"base_url": base_url, "mllp_port": settings.mllp_port, "armed": armed}, text
