"""A whole installation as a person starts it: `chartwire up --sandbox`, its files, its doors, its command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from chartwire.formats.hl7v2 import message
from simulators.segments import Profile, header, segment

T = TypeVar("T")
START_TIMEOUT_S = 90.0
COMMAND_TIMEOUT_S = 60.0
COMMAND = [sys.executable, "-m", "chartwire.app.cli"]


def eventually(probe: Callable[[], T | None], *, within_s: float = 20.0) -> T:
    """The first thing that `probe` gives which is true; an exception of a door that is away counts as nothing yet."""
    until = time.monotonic() + within_s
    while True:
        try:
            found = probe()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            found = None
        if found:
            return found
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


class Installation:
    """One data directory and what runs on it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="chartwire-e2e-"))
        self.home.chmod(0o711)
        self.data_dir = self.home / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self.output = self.home / "output.txt"

    def start(self) -> "Installation":
        """Start, and wait for the banner."""
        told = self.data_dir / "sandbox.json"
        before = told.stat().st_mtime_ns if told.exists() else 0
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--sandbox", "--data-dir", str(self.data_dir), "--port", "0", "--mllp-port", "0"],
                stdout=output,
                stderr=output,
                cwd=self.home,
                env=self.environment(),
                start_new_session=True,
            )

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.output.read_text(encoding="utf-8")
            return told.exists() and told.stat().st_mtime_ns != before and "Try it" in self.output.read_text("utf-8")

        eventually(answers, within_s=START_TIMEOUT_S)
        return self

    def environment(self) -> dict[str, str]:
        """The surroundings of a command that is to find this installation."""
        return {**os.environ, "CHARTWIRE_DATA_DIR": str(self.data_dir)}

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the supervisor and wait for its end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process = None
        return code

    def remove(self) -> None:
        """End what still runs; delete the data, wherever the database put them."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGTERM)
        marker = self.data_dir / "postgres" / "cluster-elsewhere"
        if marker.exists():
            shutil.rmtree(marker.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def sandbox(self) -> dict[str, Any]:
        """sandbox.json."""
        found: dict[str, Any] = json.loads((self.data_dir / "sandbox.json").read_text(encoding="utf-8"))
        return found

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command against this installation."""
        return subprocess.run(
            [*COMMAND, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            env=self.environment(),
            timeout=COMMAND_TIMEOUT_S,
        )

    def cli_json(self, *words: str) -> Any:
        """The JSON answer of a command that must succeed."""
        done = self.cli(*words, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def get(self, path: str, key: str | None = None) -> tuple[int, str]:
        """Status and body of a GET on the HTTP API."""
        return self._ask(path, key, None)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        """Status and body of a POST on the HTTP API."""
        return self._ask(path, None, json.dumps(body).encode())

    def _ask(self, path: str, key: str | None, body: bytes | None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key or self.sandbox['api_key']}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.sandbox["base_url"] + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def listed(self, path: str, key: str | None = None) -> list[dict[str, Any]]:
        """The objects of a list."""
        status, body = self.get(path, key)
        assert status == 200, body
        data: list[dict[str, Any]] = json.loads(body)["data"]
        return data

    def received(self) -> list[dict[str, Any]]:
        """What the webhook sink has, newest first."""
        with urllib.request.urlopen(self.sandbox["webhook_sink_url"] + "received", timeout=10) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["received"]
            return found

    def send(self, data: bytes, port: int | None = None) -> dict[str, Any]:
        """Send one message by `hl7 send`; what was answered."""
        file = self.home / f"message-{time.monotonic_ns()}.hl7"
        file.write_bytes(data)
        done = self.cli("hl7", "send", str(file), "--port", str(port or self.sandbox["mllp_port"]), "--json")
        file.unlink()
        assert done.stdout.startswith("["), done.stderr
        (answer,) = json.loads(done.stdout)
        return dict(answer)

    def children(self) -> dict[str, int]:
        """Process ids of the running roles by name, as their metrics files tell."""
        found = {}
        for path in (self.data_dir / "run").glob("*.metrics.json"):
            told = json.loads(path.read_text(encoding="utf-8"))
            found[told["process"]] = told["pid"]
        return found


def registration(mrn: str, family: str, *, control_id: str, phone: str = "2065550100", at: str = "") -> bytes:
    """An ADT^A04 of a made-up patient."""
    from datetime import UTC, datetime

    now = datetime.fromisoformat(at) if at else datetime.now(UTC)
    profile = Profile("E2E", "TESTCLINIC", "TESTCLINIC")
    patient = {
        1: "1",
        3: (mrn, None, None, "TESTCLINIC", "MR"),
        5: (family, "Ida"),
        7: "19700101",
        8: "F",
        13: (f"({phone[:3]}) {phone[3:6]}-{phone[6:]}", "PRN", "PH"),
    }
    stamp = now.strftime("%Y%m%d%H%M%S%z")
    return message(
        [
            header(profile, "ADT^A04", control_id, now),
            segment("EVN", {1: "A04", 2: stamp}),
            segment("PID", patient),
            segment("PV1", {1: "1", 2: "O"}),
        ]
    )
