"""What the supervisor promises: what dies comes back, nothing outlives it, and the next start finds everything."""

import json
import os
import signal
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import COMMAND, Installation, eventually, registration

# One installation serves the whole module: it runs in one test process.
pytestmark = pytest.mark.xdist_group("supervisor")


@pytest.fixture(scope="module")
def shared() -> Iterator[Installation]:
    made = Installation()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def installation(shared: Installation) -> Installation:
    """A running sandbox: the one that the test before left, or a new start on its data."""
    return shared if shared.process is not None else shared.start()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def roles(installation: Installation) -> dict[str, int]:
    """The children that write metrics, by name."""
    return {name: pid for name, pid in installation.children().items() if name != "up"}


def stored(installation: Installation, mrn: str) -> bool:
    return bool(installation.listed(f"/api/v1/patients?mrn={mrn}"))


def test_a_large_bundle_is_carried_by_a_process_of_its_own_that_dies_with_its_api(installation: Installation) -> None:
    entry = {
        "resource": {"resourceType": "Basic", "code": {"text": "x"}},
        "request": {"method": "POST", "url": "Basic"},
    }
    api = installation.children()["api-0"]
    before = children_of(api)
    status, body = installation.post(
        "/fhir/R4", {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 250}
    )
    assert status == 200, body
    assert [told["response"]["status"] for told in json.loads(body)["entry"]] == ["201 Created"] * 250
    carriers = children_of(api) - before
    assert carriers
    os.kill(api, signal.SIGKILL)
    eventually(lambda: not any(lives(pid) for pid in carriers))
    eventually(lambda: lives(installation.children()["api-0"]))


def children_of(pid: int) -> set[int]:
    """Process ids of the processes that a process started."""
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.timeout(240)
def test_every_process_that_is_killed_comes_back_and_no_acknowledged_message_is_lost(
    installation: Installation,
) -> None:
    sent = []
    for number, role in enumerate(("worker-0", "listener-0", "api-0", "sink-0", "postgres")):
        before = installation.children()
        victim = before.get(role) or _child_named(installation, role)
        os.kill(victim, signal.SIGKILL)

        def accepted(mrn: str = f"KILL-{number}") -> bool:
            port = installation.sandbox["mllp_port"]
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
            done = installation.cli("hl7", "send", str(_file(installation, mrn)), "--port", str(port), "--json")
            return '"AA"' in done.stdout

        eventually(accepted, within_s=60)
        sent.append(f"KILL-{number}")
        eventually(lambda mrn=f"KILL-{number}": stored(installation, mrn), within_s=60)
        if role in before:
            eventually(lambda role=role, pid=before[role]: installation.children().get(role, pid) != pid)
    assert all(stored(installation, mrn) for mrn in sent)
    told = 'chartwire_process_restarts_total{name="worker-0",process="up"}'
    eventually(lambda: told in installation.get("/metrics")[1])
    eventually(lambda: 'chartwire_postgres_restarts_total{process="up"} 1.0' in installation.get("/metrics")[1])


@pytest.mark.timeout(240)
def test_after_the_supervisor_is_killed_nothing_outlives_it_and_the_next_start_works(
    installation: Installation,
) -> None:
    before = installation.sandbox
    count = len(installation.listed("/api/v1/hl7/messages?limit=100"))
    children = [*roles(installation).values(), _child_named(installation, "sink-0")]
    assert installation.process is not None
    installation.process.kill()
    installation.process.wait()
    eventually(lambda: not any(map(lives, children)), within_s=10)
    again = installation.start().sandbox
    kept = ("org_id", "api_key", "second_org", "webhook_sink_url")
    assert {name: again[name] for name in kept} == {name: before[name] for name in kept}
    assert len(installation.listed("/api/v1/hl7/messages?limit=100")) == count
    assert installation.send(registration("AGAIN-1", "Again", control_id="again-1"))["code"] == "AA"


def test_a_second_start_on_the_same_data_is_refused_and_sigterm_ends_everything(installation: Installation) -> None:
    second = installation.cli("up", "--sandbox", "--data-dir", str(installation.data_dir), "--port", "0")
    assert second.returncode == 1
    assert "another `chartwire up` runs" in second.stderr
    children = [*roles(installation).values(), _child_named(installation, "sink-0")]
    assert installation.stop(signal.SIGTERM) == 0
    assert not any(map(lives, children))
    told = installation.output.read_text(encoding="utf-8")
    order = ["stopping listener-0", "stopping worker-0", "stopping api-0", "stopping sink-0", "stopping PostgreSQL"]
    places = [told.index(line) for line in order]
    assert places == sorted(places)
    assert not list((installation.data_dir / "run").iterdir())
    assert installation.cli("org", "list").returncode == 1


def test_a_second_ctrl_c_does_not_wait_for_what_hangs(installation: Installation) -> None:
    children = roles(installation)
    os.kill(children["worker-0"], signal.SIGSTOP)
    assert installation.process is not None
    installation.process.send_signal(signal.SIGINT)
    eventually(lambda: "stopping worker-0" in installation.output.read_text(encoding="utf-8"))
    assert lives(children["worker-0"])
    began = time.monotonic()
    assert installation.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 15
    assert not any(map(lives, children.values()))


def test_a_port_that_is_taken_is_named_with_the_option_that_mends_it(installation: Installation) -> None:
    port = installation.sandbox["mllp_port"]
    other = Installation()
    try:
        done = other.cli("up", "--data-dir", str(other.data_dir), "--port", "0", "--mllp-port", str(port))
        assert done.returncode == 1
        assert f"port {port}" in done.stderr
        assert "--mllp-port" in done.stderr
    finally:
        other.remove()


def test_without_a_sandbox_up_tells_as_json_where_it_is_and_keeps_the_data_private() -> None:
    plain = Installation()
    try:
        words = ["up", "--json", "--data-dir", str(plain.data_dir), "--port", "0", "--mllp-port", "0"]
        with subprocess.Popen(
            [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=plain.environment()
        ) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            with urllib.request.urlopen(told["base_url"] + "/health/ready") as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGHUP)
            assert process.wait(60) == 0
        assert set(told) == {"base_url", "mllp_port", "armed"}
        assert stat.S_IMODE(plain.data_dir.stat().st_mode) == 0o700
        assert not (plain.data_dir / "sandbox.json").exists()
    finally:
        plain.remove()


def _file(installation: Installation, mrn: str) -> str:
    path = installation.home / f"{mrn}.hl7"
    if not path.exists():
        path.write_bytes(registration(mrn, "Survivor", control_id=mrn))
    return str(path)


def _child_named(installation: Installation, name: str) -> int:
    """A child by what only it does: the sink listens on its port, PostgreSQL is told of in its pid file."""
    if name == "postgres":
        marker = installation.data_dir / "postgres" / "cluster-elsewhere"
        home = marker.read_text(encoding="utf-8").strip() if marker.exists() else None
        cluster = f"{home}/cluster" if home else f"{installation.data_dir}/postgres/postgresql/cluster"
        return int(Path(cluster, "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    assert installation.process is not None
    known = set(roles(installation).values())
    supervisor = installation.process.pid
    listing = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    pids = [int(pid) for pid in listing.read_text(encoding="utf-8").split()]
    (sink,) = [pid for pid in pids if pid not in known and _runs_python(pid)]
    return sink


def _runs_python(pid: int) -> bool:
    return b"chartwire.app.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
