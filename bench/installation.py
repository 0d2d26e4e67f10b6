"""The product as `chartwire up --sandbox` runs it, for measurements from outside: its doors, processes and database."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.processes import server_pids
from chartwire.formats import hl7v2
from chartwire.store.pool import Pool

_START_TIMEOUT_S = 120.0
_PROBE = (
    "MSH|^~\\&|HARBOR|PORTALDER|CHARTWIRE|HUB|{stamp}||ADT^A04^ADT_A01|{id}|P|2.5.1\r"
    "EVN|A04|{stamp}\rPID|1||BENCH-PROBE^^^PORTALDER^MR||Probe^Ada||19700101|F\rPV1|1|O\r"
)


@dataclass(slots=True)
class Installation:
    """One running installation. `first_ack_s` and `up_s` are seconds from the command to each."""

    data_dir: Path
    process: "subprocess.Popen[str]"
    first_ack_s: float = 0.0
    up_s: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def org(self) -> UUID:
        """The organisation behind `mllp_port`."""
        return UUID(self.told["org_id"])

    @property
    def mllp_port(self) -> int:
        """Where its feed goes."""
        return int(self.told["mllp_port"])

    @property
    def postmaster(self) -> int:
        """Process id of the embedded PostgreSQL."""
        for pid in server_pids(self.process.pid)[1:]:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
            if command.endswith(b"postgres"):
                return pid
        raise AssertionError("no PostgreSQL under the supervisor")

    def roles(self) -> dict[str, int]:
        """Process ids by name (`worker-0`), the supervisor's (`up`) and the sink's too."""
        found = {"up": self.process.pid}
        for path in (self.data_dir / "run").glob("*.metrics.json"):
            told = json.loads(path.read_text())
            found[told["process"]] = told["pid"]
        others = set(server_pids(self.process.pid)[1:]) - set(found.values()) - {self.postmaster}
        if len(others) == 1:
            found["sink-0"] = others.pop()  # keeps no metrics
        return found

    def admin(self) -> Pool:
        """A pool of the database's superuser, who sees every organisation."""
        address = json.loads((self.data_dir / "run" / "database.json").read_text())
        return Pool(address["admin"], size=1)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request to the practice API; its JSON answer, None where there is none."""
        request = urllib.request.Request(
            self.told["base_url"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.told['api_key']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def only_endpoint(self, url: str) -> str:
        """Let this URL be the only webhook endpoint; answers its secret."""
        path = "/api/v1/webhooks/endpoints"
        for one in self.call("GET", path)["data"]:
            if one["state"] == "enabled":
                self.call("DELETE", f"{path}/{one['id']}")
        return str(self.call("POST", path, {"url": url, "name": "bench"})["secret"])


@contextlib.contextmanager
def installation() -> Iterator[Installation]:
    """Start on a fresh data directory, wait until everything answers, stop and remove at the end."""
    home = Path(tempfile.mkdtemp(prefix="chartwire-bench-"))
    home.chmod(0o711)
    port = _free_port()
    command = [sys.executable, "-m", "chartwire.app.cli", "up", "--sandbox", "--json", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARTWIRE_")}
    began = time.perf_counter()
    with (home / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [*command, "--mllp-port", str(port), "--data-dir", str(home / "data")],
            stdout=subprocess.PIPE, stderr=output, text=True, cwd=home, env=environment, start_new_session=True,
        )  # fmt: skip
    running = Installation(home / "data", process)
    try:
        running.first_ack_s = _first_ack(port, began)
        assert process.stdout is not None
        running.told = json.loads(process.stdout.readline() or "{}")
        assert "base_url" in running.told, "it did not start: " + (home / "output.txt").read_text()[-2000:]
        running.up_s = time.perf_counter() - began
        yield running
    finally:
        process.terminate()
        process.communicate(timeout=120)
        _remove(home)


def _first_ack(port: int, began: float) -> float:
    while time.perf_counter() - began < _START_TIMEOUT_S:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            link.sendall(hl7v2.frame(_PROBE.format(stamp="20261120081500", id=f"PROBE{began}").encode()))
            if b"\rMSA|AA|" in link.recv(65_536):
                return time.perf_counter() - began
        time.sleep(0.02)
    raise AssertionError("no ACK in time")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _remove(home: Path) -> None:
    marker = home / "data" / "postgres" / "cluster-elsewhere"
    if marker.exists():
        shutil.rmtree(marker.read_text().strip(), ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


async def open_messages(admin: Pool, org: UUID) -> int:
    """Messages that wait for their processing."""
    async with admin.connection() as connection:
        return int(await connection.fetchval("select count(*) from job where org_id = $1", org))


async def analyze(admin: Pool) -> None:
    """Fresh statistics, as autovacuum makes them after a while; needs a superuser."""
    async with admin.connection() as connection:
        await connection.execute("analyze")


async def counts(admin: Pool, org: UUID) -> dict[str, int]:
    """Messages by state, reviews, resource versions, events and deliveries by state of one organisation."""
    wanted = {
        "message": "select state, count(*) from message where org_id = $1 group by 1",
        "delivery": "select state, count(*) from delivery where org_id = $1 group by 1",
        "review": "select kind, count(*) from review where org_id = $1 group by 1",
        "version": "select 'all', count(*) from (select 1 from resource where org_id = $1 "
        "union all select 1 from resource_history where org_id = $1) v",
        "event": "select 'all', count(*) from event where org_id = $1",
    }
    found: dict[str, int] = {}
    async with admin.connection() as connection:
        for name, query in wanted.items():
            for state, count in await connection.fetch(query, org):
                found[f"{name} {state}"] = count
    return found
