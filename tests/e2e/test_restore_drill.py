"""The restore drill: a machine dies under its feed, and an empty one takes over with all that was acknowledged."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.e2e.harness import COMMAND, Installation, eventually, registration

from chartwire.formats.hl7v2.framing import frame

pytestmark = [pytest.mark.xdist_group("backup"), pytest.mark.timeout(240)]
BEFORE_THE_END = 60


class Clinic(Installation):
    """An installation that backs itself up synchronously, beside its data directory."""

    def __init__(self) -> None:
        super().__init__()
        self.backup = self.home / "backup"
        self.recovery_key = self.home / "recovery.key"

    def environment(self) -> dict[str, str]:
        told = {"CHARTWIRE_BACKUP_DIR": str(self.backup), "CHARTWIRE_BACKUP_SYNCHRONOUS": "true"}
        return super().environment() | told

    def cluster(self) -> Path:
        """Where the database lies."""
        marker = self.data_dir / "postgres" / "cluster-elsewhere"
        return Path(marker.read_text().strip()) if marker.exists() else self.data_dir / "postgres" / "postgresql"

    def die(self) -> None:
        """kill -9 everything, and the disk is gone."""
        assert self.process is not None
        cluster = self.cluster()
        self.process.kill()
        self.process.wait()
        for pid in [*self.children().values(), *_working_in(cluster / "cluster")]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process = None
        shutil.rmtree(cluster, ignore_errors=True)
        shutil.rmtree(self.data_dir)


def _working_in(directory: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Successor(Installation):
    """What was restored, run without a sandbox, asked with the keys of the one that died."""

    def __init__(self, clinic: Clinic) -> None:
        super().__init__()
        self.told = clinic.sandbox

    @property
    def sandbox(self) -> dict[str, Any]:
        return self.told

    def start(self) -> "Successor":
        ports = ["--port", "0", "--mllp-port", "0"]
        self.process = subprocess.Popen(
            [*COMMAND, "up", "--json", "--data-dir", str(self.data_dir), *ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.home,
            env=self.environment(),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.process.stdout.close()
        self.told = self.told | json.loads(line)
        return self


class Feed(threading.Thread):
    """Sends registrations one after the other, each after the last one's AA, until the connection breaks."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._port = port

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as peer:
            for number in range(100_000):
                name = f"DRILL-{number}"
                try:
                    peer.sendall(frame(registration(name, "Drill", control_id=name)))
                    answer = b""
                    while not answer.endswith(b"\x1c\r"):
                        piece = peer.recv(4096)
                        if not piece:
                            return
                        answer += piece
                except OSError:
                    return
                if b"MSA|AA|" in answer:
                    self.acknowledged.append(name)


class Listener(threading.Thread):
    """Answers 200 where the webhook sink was, and counts."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.calls = 0
        self._server = socket.create_server(("127.0.0.1", urlsplit(url).port or 0))

    def run(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with peer:
                peer.recv(65_536)
                self.calls += 1
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def clinic() -> Iterator[Clinic]:
    made = Clinic()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def successor(clinic: Clinic) -> Iterator[Successor]:
    clinic.cli("backup", "key", "--out", str(clinic.recovery_key))
    made = Successor(clinic.start())
    try:
        yield made
    finally:
        made.remove()


def test_every_acknowledged_message_is_there_and_the_same_questions_get_the_same_answers(clinic, successor):
    questions = ["/api/v1/appointments?limit=100", "/api/v1/providers", "/api/v1/locations"]
    before = [clinic.get(question) for question in questions]
    eventually(lambda: json.loads((clinic.data_dir / "run" / "backup.json").read_text())["base"], within_s=60)
    feed = Feed(clinic.sandbox["mllp_port"])
    feed.start()
    eventually(lambda: len(feed.acknowledged) >= BEFORE_THE_END, within_s=60)
    os.kill(clinic.children()["backup-0"], signal.SIGSTOP)  # what is acknowledged from now on would be lost
    time.sleep(1)
    clinic.die()
    feed.join()

    restored = successor.cli("restore", "--from", str(clinic.backup), "--key-file", str(clinic.recovery_key),
                             "--data-dir", str(successor.data_dir), "--json")  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["armed"] is False
    sink = Listener(successor.told["webhook_sink_url"])
    sink.start()
    try:
        successor.start()
        assert successor.told["armed"] is False
        assert [successor.get(question) for question in questions] == before
        for name in feed.acknowledged:
            assert eventually(lambda name=name: successor.listed(f"/api/v1/patients?mrn={name}")), name
        shown = successor.cli_json("arm", "--dry-run")
        assert (shown["armed"], shown["was"], sink.calls) == (False, "restored", 0)
        assert successor.cli_json("arm", "--resend")["armed"] is True
        eventually(lambda: sink.calls)
    finally:
        sink.close()
