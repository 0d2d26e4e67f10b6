"""The same roles as services of their own against a PostgreSQL of the operator's, and several processes on one port."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.e2e.authority import Authority
from tests.e2e.harness import COMMAND, Installation, eventually, registration

from chartwire.app.embedded import EmbeddedPostgres

# One installation serves the whole module: it runs in one test process.
pytestmark = pytest.mark.xdist_group("many-processes")


@pytest.fixture(scope="module")
def external_server() -> Iterator[EmbeddedPostgres]:
    """A server that Chartwire did not start. It has roles of its own, so the shared test server will not do."""
    home = Path(tempfile.mkdtemp(prefix="chartwire-external-"))
    home.chmod(0o711)
    server = EmbeddedPostgres(home / "pg", settings={"fsync": "off"})
    server.start()
    try:
        yield server
    finally:
        server.remove()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
async def external_database(external_server: EmbeddedPostgres) -> str:
    """The administrator's DSN of an empty database of its own."""
    name = f"operators_{time.monotonic_ns()}"
    connection = await asyncpg.connect(external_server.dsn(database="postgres"))
    try:
        await connection.execute(f"create database {name} template template0")
    finally:
        await connection.close()
    return external_server.dsn(database=name)


class Node(Installation):
    """A machine without a database of its own: roles are started one by one."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.data_dir.mkdir(mode=0o700)
        self._services: list[subprocess.Popen[str]] = []
        with socket.socket() as http, socket.socket() as mllp:
            http.bind(("127.0.0.1", 0))
            mllp.bind(("127.0.0.1", 0))
            self.http_port, self.mllp_port = http.getsockname()[1], mllp.getsockname()[1]
        secret = self.home / "database-url"
        secret.write_text(database_url, encoding="utf-8")
        self._settings = {
            "CHARTWIRE_DATABASE_URL_FILE": str(secret),
            "CHARTWIRE_HTTP_PORT": str(self.http_port),
            "CHARTWIRE_MLLP_PORT": str(self.mllp_port),
        }

    def environment(self) -> dict[str, str]:
        return super().environment() | self._settings

    def set_up(self, **settings: str) -> None:
        """Further settings for what is started from now on."""
        self._settings |= settings

    def serve(self, role: str, *options: str) -> "subprocess.Popen[str]":
        """Start one role and wait until it says that it is ready."""
        service = subprocess.Popen(
            [*COMMAND, "serve", "--role", role, *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment(), cwd=self.home,
        )  # fmt: skip
        self._services.append(service)
        assert service.stdout is not None
        assert "is ready" in service.stdout.readline()
        return service

    def end_services(self) -> list[int]:
        """SIGTERM to all roles; their exit codes."""
        for service in self._services:
            service.send_signal(signal.SIGTERM)
        codes = [service.wait(40) for service in self._services]
        for service in self._services:
            assert service.stdout is not None
            service.stdout.close()
        self._services = []
        return codes

    def remove(self) -> None:
        self.end_services()
        super().remove()


@pytest.fixture
def node(external_database: str) -> Iterator[Node]:
    made = Node(external_database)
    try:
        yield made
    finally:
        made.remove()


def test_roles_run_one_by_one_against_the_operators_database(node: Node) -> None:
    assert node.cli_json("migrate")["migrations"]
    assert node.cli_json("migrate") == {"migrations": [], "partitions": [], "to_index": 0}
    org = node.cli_json("org", "create", "Own Server Clinic")["org_id"]
    node.cli_json("source", "create", "feed", "--org", org, "--authority", "TESTCLINIC")
    key = node.cli_json("key", "create", "--org", org, "--name", "reader", "--scope", "patients.read")["key"]
    for role in ("worker", "listener", "api"):
        node.serve(role)
    told = {"base_url": f"http://127.0.0.1:{node.http_port}", "api_key": key, "mllp_port": node.mllp_port}
    (node.data_dir / "sandbox.json").write_text(json.dumps(told), encoding="utf-8")
    assert node.send(registration("OWN-1", "Own", control_id="own-1"))["code"] == "AA"
    assert eventually(lambda: node.listed("/api/v1/patients?mrn=OWN-1"))
    assert node.end_services() == [0, 0, 0]


def test_several_processes_share_one_port(node: Node) -> None:
    node.cli_json("migrate")
    for number in (1, 2):
        for role in ("listener", "api"):
            node.serve(role, "--shared-ports", "--name", f"{role}-{number}")
    (node.data_dir / "sandbox.json").write_text(
        json.dumps({"base_url": f"http://127.0.0.1:{node.http_port}", "api_key": "none"}), encoding="utf-8"
    )
    for _ in range(10):
        assert node.get("/health/live")[0] == 200
    assert set(node.children()) == {"listener-1", "listener-2", "api-1", "api-2"}


def test_up_uses_the_operators_database_where_one_is_named(node: Node) -> None:
    node.start()
    assert node.send(registration("UP-1", "External", control_id="up-1"))["code"] == "AA"
    assert eventually(lambda: node.listed("/api/v1/patients?mrn=UP-1"))
    assert not (node.data_dir / "postgres").exists()
    assert node.stop() == 0


def test_the_tls_listener_takes_only_senders_with_a_certificate_of_the_named_authority(node: Node) -> None:
    node.cli_json("migrate")
    org = node.cli_json("org", "create", "Certified Clinic")["org_id"]
    options = ("--listener", "tls", "--authority", "TESTCLINIC", "--peer", "cn:sender.example.org")
    node.cli_json("source", "create", "feed", "--org", org, *options)
    authority = Authority(node.home)
    server, client = authority.issue("localhost"), authority.issue("sender.example.org")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node.set_up(
        CHARTWIRE_MLLP_TLS_PORT=str(port),
        CHARTWIRE_MLLP_TLS_CERT=f"{server}.pem",
        CHARTWIRE_MLLP_TLS_KEY=f"{server}.key",
        CHARTWIRE_MLLP_TLS_CLIENT_CA=str(authority.path),
    )
    node.serve("listener")
    file = node.home / "tls.hl7"
    file.write_bytes(registration("TLS-1", "Sealed", control_id="tls-1"))
    send = ("hl7", "send", str(file), "--host", "localhost", "--port", str(port), "--ca", str(authority.path))
    (answer,) = node.cli_json(*send, "--cert", f"{client}.pem", "--key", f"{client}.key")
    assert answer["code"] == "AA"
    assert node.cli(*send).returncode == 1
    assert "certificate" in node.cli(*(word for word in send[:-2]), "--tls").stderr


def test_a_role_without_a_database_says_what_is_missing() -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--role", "worker"], capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "CHARTWIRE_DATA_DIR": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "CHARTWIRE_DATABASE_URL" in done.stderr
