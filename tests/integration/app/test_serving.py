"""One role as a process that stands alone, as a service manager or an orchestrator runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Database
from tests.e2e.harness import eventually

from chartwire.app.ports import Wanted, choose

Serve = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    return choose([Wanted("http", "127.0.0.1", 0)])["http"]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


@pytest.fixture
def serve(database: Database, port: int, manager: socket.socket, tmp_path: Path) -> Iterator[Serve]:
    """Start `chartwire serve --role api` with a drain delay, and wait until the service manager knows that it answers."""
    started = []

    def start(delay_s: str) -> subprocess.Popen[bytes]:
        environ = {
            **os.environ,
            "CHARTWIRE_DATABASE_APP_URL": database.app_dsn,
            "CHARTWIRE_DATABASE_ENGINE_URL": database.engine_dsn,
            "CHARTWIRE_DATA_DIR": str(tmp_path / "data"),
            "CHARTWIRE_HTTP_PORT": str(port),
            "CHARTWIRE_DRAIN_DELAY_S": delay_s,
            "NOTIFY_SOCKET": manager.getsockname(),
        }
        command = [sys.executable, "-m", "chartwire.app.cli", "serve", "--role", "api", "--name", "api-1"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        assert manager.recv(500) == b"READY=1\nSTATUS=api-1 is ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_on_sigterm_it_tells_balancers_first_and_goes_when_they_have_had_the_time(
    serve: Serve, port: int, manager: socket.socket
) -> None:
    process = serve("2")
    assert status(port, "/health/ready") == 200
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert manager.recv(500) == b"STOPPING=1"
    eventually(lambda: status(port, "/health/ready") == 503, within_s=2)
    assert status(port, "/health/live") == 200
    assert process.wait(20) == 0
    assert time.monotonic() - began >= 2


def test_a_second_signal_does_not_wait(serve: Serve, manager: socket.socket) -> None:
    process = serve("600")
    process.send_signal(signal.SIGTERM)
    assert manager.recv(500) == b"STOPPING=1"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130
