"""One hub under fire: a durable PostgreSQL, the roles as processes of their own, and how they are killed."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Self
from uuid import UUID

import asyncpg
from tests.chaos.receiver import Receiver
from tests.conftest import Database

from chartwire.app.child import Order
from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.knobs import Settings
from chartwire.app.settings import to_values
from chartwire.channels.sources import create_organisation, create_source, ensure_installation
from chartwire.core.access import Access
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source
from chartwire.delivery import destinations
from chartwire.delivery.signature import new_secret
from chartwire.store.pool import Pool
from chartwire.trust.credentials import Credentials
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

READY_S = 60.0
LONG = os.environ.get("CHARTWIRE_CHAOS") == "long"
_KEY = "6b" * 32
_ANY_NUMBER = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"))


@dataclass(slots=True)
class Server:
    """The durable server of the chaos tests, which may be killed with all its processes."""

    embedded: EmbeddedPostgres
    recoveries_s: list[float]

    def kill(self) -> None:
        """kill -9 the postmaster and every process that it started."""
        postmaster = self.embedded.pid
        assert postmaster is not None
        os.kill(postmaster, signal.SIGSTOP)  # so that it starts no process that is not counted
        for pid in [*children(postmaster), postmaster]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def start_again(self) -> None:
        """Recover; returns when it takes connections."""
        began = perf_counter()
        await asyncio.to_thread(self.embedded.stop)
        await asyncio.to_thread(self.embedded.start)
        self.recoveries_s.append(perf_counter() - began)


class Process:
    """One role as a process of its own, started through the product's child entry; respawned by the test only."""

    def __init__(self, role: str, name: str, settings: Settings, log: Path, processes: int = 1) -> None:
        self.name = name
        self.deaths = 0
        self._role = role
        self._settings = settings
        self._log = log
        self._processes = processes
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the present or last incarnation."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it is there (standing still counts)."""
        return self._process is not None and self._process.returncode is None

    async def start(self, crashpoint: str = "") -> None:
        """Start and wait until it says that it answers; a crash point may end it before."""
        order = Order(self._role, self.name, os.getpid(), to_values(self._settings), {"processes": self._processes})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARTWIRE_")}
        environment["CHARTWIRE_CRASHPOINT"] = crashpoint
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chartwire.app.child",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await stdin.drain()
        async with asyncio.timeout(READY_S):
            line = await stdout.readline()
        assert line or crashpoint, f"{self.name} ended before it answered: {self.last_words()}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process and no other."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """kill -9."""
        if self.runs:
            self.signal(signal.SIGKILL)
        await self.died()

    async def died(self, within_s: float = READY_S) -> None:
        """Wait until it is dead by SIGKILL: at a crash point, or by `kill`."""
        assert self._process is not None
        async with asyncio.timeout(within_s):
            code = await self._process.wait()
        assert code == -signal.SIGKILL, f"{self.name} ended by itself ({code}): {self.last_words()}"
        self.deaths += 1
        self._let_go()

    async def stop(self) -> None:
        """An orderly end, whatever it stood in."""
        if not self.runs:
            return
        assert self._process is not None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(30):
                code = await self._process.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()
            raise AssertionError(f"{self.name} did not end on SIGTERM: {self.last_words()}") from None
        finally:
            self._let_go()
        assert code == 0, f"{self.name} ended with {code}: {self.last_words()}"

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def _let_go(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()


class Hub:
    """An organisation with one feed and one webhook endpoint, and the processes that serve it."""

    def __init__(
        self, server: Server, database: Database, directory: Path, *, intake_lease_s: float = 30.0, apis: int = 1
    ) -> None:
        self.server = server
        self.database = database
        self.org = uuid7()
        self.source = Source(self.org, uuid7(), "feed", "HOSP", timezone="Europe/Berlin", identifiers=_ANY_NUMBER)
        self.receiver = Receiver(secret := new_secret())
        self._secret = secret
        self.api_key = ""
        self.mllp_port, self.http_port = _free_port(), _free_port()
        self._directory = directory
        self._apis = apis
        self._settings = Settings(
            data_dir=directory,
            database_app_url=database.app_dsn,
            database_engine_url=database.engine_dsn,
            database_pool_size=6,
            master_key=_KEY,
            http_port=self.http_port,
            mllp_port=self.mllp_port,
            stop_timeout_s=20.0,
            intake_lease_s=intake_lease_s,
        )
        self.processes: dict[str, Process] = {}

    @property
    def listener(self) -> Process:
        return self.processes["listener-0"]

    @property
    def workers(self) -> list[Process]:
        return [process for name, process in self.processes.items() if name.startswith("worker")]

    async def __aenter__(self) -> Self:
        await self._configure()
        return self

    async def __aexit__(self, *exception: object) -> None:
        ended = await asyncio.gather(*(process.stop() for process in self.processes.values()), return_exceptions=True)
        await self.receiver.close()
        faults = [fault for fault in ended if isinstance(fault, BaseException)]
        if faults and exception[0] is None:
            raise faults[0]

    async def start(self, *roles: str, crashpoints: dict[str, str] | None = None) -> None:
        """Start processes by name, such as `worker-1`, all at once."""
        points = crashpoints or {}
        await asyncio.gather(*(self.add(name).start(points.get(name, "")) for name in roles))

    def add(self, name: str) -> Process:
        """A process by its name, which the caller starts."""
        if name not in self.processes:
            log = self._directory / f"{name}.log"
            role = name.partition("-")[0]
            processes = self._apis if role == "api" else 1
            self.processes[name] = Process(role, name, self._settings, log, processes)
        return self.processes[name]

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of the database, as its superuser sees them."""
        connection = await asyncpg.connect(self.database.admin_dsn)
        try:
            return [dict(row) for row in await connection.fetch(sql, *args)]
        finally:
            await connection.close()

    async def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row; None when there is none."""
        rows = await self.rows(sql, *args)
        return next(iter(rows[0].values())) if rows else None

    def metric(self, process: str, name: str, *labels: str) -> float:
        """A counter of a running process as it last wrote it, at most a second ago."""
        told = json.loads((self._directory / "run" / f"{process}.metrics.json").read_text(encoding="utf-8"))
        values: list[Any] = next(row["values"] for row in told["metrics"] if row["name"] == name)
        return sum(value for found, value in values if found == list(labels))

    async def _configure(self) -> None:
        pool = Pool(self.database.app_dsn, size=2)
        door = Outbound()
        try:
            await self.receiver.serve()
            await ensure_installation(pool)
            await create_organisation(pool, "Chaos clinic", "sandbox", org=self.org)
            await create_source(pool, self.source, "plain")
            access = operator(self.org)
            draft = destinations.Draft("all", f"{self.receiver.url}/hook")
            sealer = Sealer(bytes.fromhex(_KEY))
            await destinations.create(pool, access, door, sealer, draft, secret=self._secret)
            self.api_key = (await Credentials(pool).create(access, name="chaos", scopes=["*"])).token
        finally:
            await door.close()
            await pool.close()


def operator(org: UUID) -> Access:
    """The tests' own access to an organisation."""
    return Access(org, "test:chaos", "HOPERAT", frozenset({"*"}))


@contextlib.asynccontextmanager
async def standing_still(process: Process) -> AsyncIterator[None]:
    """Wait until a process stands still (SIGSTOP at a crash point); let it go on at the end."""
    async with asyncio.timeout(READY_S):
        while _state(process.pid) != "T":
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def children(parent: int) -> list[int]:
    """Process ids of the processes that a process started, dead ones that were not reaped included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(entry.parent.name))
    return found


def command(pid: int) -> bytes:
    """The command line of a process; nothing when it is gone or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
