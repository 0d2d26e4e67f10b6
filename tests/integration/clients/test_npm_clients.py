"""The npm packages fhir-kit-client and fhirclient against a running server, driven by the scripts of tests/clients."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "tests" / "clients"
pytestmark = pytest.mark.xdist_group("npm")  # one install at a time


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A folder with the scripts and what they need, by the lock beside them; kept between runs."""
    if shutil.which("npm") is None:
        pytest.skip("node and npm are missing: fhir-kit-client and fhirclient of npm are not driven")
    folder = ROOT / ".tools" / "npm-clients"
    lock = (SCRIPTS / "package-lock.json").read_bytes()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SCRIPTS / name, folder / name)
        subprocess.run(["npm", "ci", "--no-progress"], cwd=folder, check=True, timeout=100, capture_output=True)
        stamp.write_bytes(lock)
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder / script.name)
    return folder


def seen_by(script, packages, hub):
    command = ["node", str(packages / script), *hub]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout)


def test_fhir_kit_client_sees_what_a_fhir_server_does(packages, hub):
    assert seen_by("fhir-kit-client.mjs", packages, hub) == {
        "version": "4.0.1",
        "read": [True, "other", "3"],
        "vread": "female",
        "history": 3,
        "typeHistory": "history",
        "conditional": 1,
        "pages": [3, 3, 1],
        "transaction": ["201", "201"],
        "batch": ["200", "404"],
        "included": [["Condition", "match"], ["Patient", "include"]],
        "resolved": "9",
        "compartment": 1,
        "deleted": {"status": 410, "type": "OperationOutcome"},
        "unknown": {"status": 404, "type": "OperationOutcome"},
        "invalid": {"status": 422, "type": "OperationOutcome"},
        "stale": {"status": 412, "type": "OperationOutcome"},
    }


def test_fhirclient_sees_what_a_fhir_server_does(packages, hub):
    assert seen_by("fhirclient.mjs", packages, hub) == {
        "version": "4.0.1",
        "release": 4,
        "read": [True, "female", "3"],
        "vread": "1",
        "history": "history",
        "walked": 5,
        "resolved": "1",
        "counted": 5,
        "included": 1,
        "transaction": ["201", "201"],
        "batch": ["200", "204"],
        "deleted": 410,
        "unknown": 404,
        "invalid": 422,
    }
