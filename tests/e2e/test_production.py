"""An installation for real patients: made by `init`, run by `up` as systemd would, ended under load without loss."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.e2e.authority import Authority
from tests.e2e.harness import COMMAND, eventually, registration

from chartwire.app.embedded import EmbeddedPostgres
from chartwire.app.ports import Wanted, choose
from chartwire.formats.hl7v2 import frame

pytestmark = pytest.mark.xdist_group("production")
DELAY_S = 3
HOST = "127.0.0.1"


class Production:
    """One installation in a directory of its own, with a service manager that listens."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="chartwire-production-"))
        self.home.chmod(0o711)
        self.data_dir = self.home / "data"
        self.config = self.data_dir / "chartwire.toml"
        ports = choose([Wanted("http", HOST, 0), Wanted("mllp", HOST, 0)])
        self.http_port, self.mllp_port = ports["http"], ports["mllp"]
        authority = Authority(self.home)
        stem = authority.issue("hub.example.org")
        self.certificate, self.key = Path(f"{stem}.pem"), Path(f"{stem}.key")
        self.key.chmod(0o600)
        self.trusting = ssl.create_default_context(cafile=authority.path)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.home / "notify"))
        self.manager.settimeout(60)
        self.process: subprocess.Popen[bytes] | None = None

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.home
        )

    def init(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.cli(
            "init", "--json", "--data-dir", str(self.data_dir), "--public-url", "https://hub.example.org",
            "--port", str(self.http_port), "--mllp-port", str(self.mllp_port), "--http-tls-cert", str(self.certificate),
            "--http-tls-key", str(self.key), "--drain-delay", str(DELAY_S), *more,
        )  # fmt: skip

    def up(self) -> None:
        environ = {**os.environ, "NOTIFY_SOCKET": self.manager.getsockname(), "WATCHDOG_USEC": "3000000"}
        with (self.home / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--config", str(self.config)], stdout=output, stderr=output, env=environ, cwd=self.home
            )

    def heard(self, wanted: str) -> None:
        """Listen until the service manager is told `wanted`."""
        while wanted not in self.manager.recv(1000).decode():
            pass

    def https(self) -> http.client.HTTPSConnection:
        """A connection to the API by its public name, wherever that name leads."""
        connection = http.client.HTTPSConnection("hub.example.org", self.http_port, timeout=10)
        raw = socket.create_connection((HOST, self.http_port), timeout=10)
        connection.sock = self.trusting.wrap_socket(raw, server_hostname="hub.example.org")
        return connection

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.manager.close()
        EmbeddedPostgres(self.data_dir / "postgres").remove()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="module")
def production() -> Iterator[Production]:
    made = Production()
    try:
        yield made
    finally:
        made.remove()


class Caller(threading.Thread):
    """Asks over one kept connection until it is told that the connection closes, as a balancer's pool does."""

    def __init__(self, production: Production, key: str) -> None:
        super().__init__()
        self.connection = production.https()
        self.key, self.answered, self.told_to_leave = key, 0, False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.told_to_leave:
                self.connection.request("GET", "/api/v1/patients", headers={"Authorization": f"Bearer {self.key}"})
                answer = self.connection.getresponse()
                assert answer.status == 200, answer.status
                json.loads(answer.read())
                self.answered += 1
                self.told_to_leave = answer.getheader("connection") == "close"
        except BaseException as error:
            self.failure = error


class Sender(threading.Thread):
    """Sends messages without waiting for answers, and reads until the other side closes."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__()
        self.name = name
        self.connection = socket.create_connection((HOST, port), timeout=30)
        self.received = b""

    def run(self) -> None:
        pushing = threading.Thread(target=self._push)
        pushing.start()
        while data := self.connection.recv(65_536):
            self.received += data
        self.connection.shutdown(socket.SHUT_RDWR)
        pushing.join()
        self.connection.close()

    def _push(self) -> None:
        number = 0
        try:
            while True:
                number += 1
                text = registration(f"{self.name}-{number}", "Load", control_id=f"{self.name}-{number}")
                self.connection.sendall(frame(text))
        except OSError:
            return

    @property
    def acknowledged(self) -> list[str]:
        acks = self.received.split(b"\x1c\r")[:-1]
        return [ack.partition(b"MSA|AA|")[2].partition(b"\r")[0].partition(b"|")[0].decode() for ack in acks]


def control_ids(data_dir: Path) -> set[str]:
    """Of every message that is stored, read from the database that nothing else uses."""

    async def read(dsn: str) -> set[str]:
        connection = await asyncpg.connect(dsn)
        try:
            return {row["control_id"] for row in await connection.fetch("select control_id from message")}
        finally:
            await connection.close()

    with EmbeddedPostgres(data_dir / "postgres") as server:
        return asyncio.run(read(server.dsn()))


@pytest.mark.timeout(240)
def test_init_makes_what_up_runs_from_and_sigterm_under_load_loses_nothing(production: Production) -> None:
    first_feed = ("--source", "adt", "--authority", "TESTCLINIC")
    made = production.init("--organisation", "Lindenhof clinic", *first_feed)
    assert made.returncode == 0, made.stderr
    steps = json.loads(made.stdout)["steps"]
    assert all(step["made"] for step in steps.values())
    key = steps["owner key"]["value"]
    assert (production.data_dir.stat().st_mode & 0o777, production.config.stat().st_mode & 0o777) == (0o700, 0o600)

    again = json.loads(production.init("--organisation", "Lindenhof clinic", *first_feed).stdout)["steps"]
    assert not any(step["made"] for step in again.values())
    assert key not in json.dumps(again)
    assert again["organisation"]["value"] == steps["organisation"]["value"]

    production.up()
    production.heard("READY=1")
    production.heard("WATCHDOG=1")
    assert production.cli("health", "--config", str(production.config)).returncode == 0
    busy = production.init()
    assert (busy.returncode, json.loads(busy.stdout)["error"]["code"]) == (1, "already_running")

    callers = [Caller(production, key) for _ in range(2)]
    senders = [Sender(production.mllp_port, f"S{number}") for number in range(2)]
    for one in (*callers, *senders):
        one.start()
    eventually(lambda: all(len(sender.acknowledged) > 20 for sender in senders))
    balancer = production.https()
    assert production.process is not None
    production.process.send_signal(signal.SIGTERM)
    began = time.monotonic()

    def leaving() -> bool:
        balancer.request("GET", "/health/ready")
        answer = balancer.getresponse()
        answer.read()
        return answer.status == 503

    eventually(leaving, within_s=DELAY_S)
    production.heard("STOPPING=1")
    counted = [len(sender.acknowledged) for sender in senders]
    eventually(lambda: all(len(s.acknowledged) > n for s, n in zip(senders, counted, strict=True)), within_s=DELAY_S)

    assert production.process.wait(60) == 0
    assert time.monotonic() - began >= DELAY_S
    for one in (*callers, *senders):
        one.join(30)
        assert not one.is_alive()
    assert [caller.failure for caller in callers] == [None, None]
    assert all(caller.told_to_leave and caller.answered for caller in callers)
    for sender in senders:
        assert sender.received.endswith(b"\x1c\r")
        assert all(sender.acknowledged)
        assert len(set(sender.acknowledged)) == len(sender.acknowledged)
    stored = control_ids(production.data_dir)
    assert stored >= {control_id for sender in senders for control_id in sender.acknowledged}
