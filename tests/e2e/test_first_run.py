"""The first hour with Chartwire: start it, send a message, see it in the API and in a signed webhook."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Installation, eventually, registration

# One installation serves the whole module: it runs in one test process.
pytestmark = pytest.mark.xdist_group("first-run")


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    installation = Installation()
    try:
        yield installation.start()
    finally:
        installation.remove()


def test_sandbox_json_has_the_promised_shape_and_only_its_owner_may_read_it(running: Installation) -> None:
    told = running.sandbox
    assert set(told) == {
        "base_url", "mllp_port", "org_id", "api_key", "oauth", "console", "second_org", "sources",
        "webhook_sink_url", "simulators",
    }  # fmt: skip
    assert set(told["second_org"]) == {"org_id", "api_key"}
    assert {frozenset(source) for source in told["sources"]} == {
        frozenset({"org_id", "name", "mllp_port", "sending_application", "sending_facility", "timezone"})
    }
    assert [source["org_id"] for source in told["sources"]] == [told["org_id"], told["second_org"]["org_id"]]
    assert told["sources"][0]["mllp_port"] == told["mllp_port"]
    assert stat.S_IMODE((running.data_dir / "sandbox.json").stat().st_mode) == 0o600


def test_a_message_becomes_a_patient_and_a_verified_webhook_with_one_correlation_id(running: Installation) -> None:
    answer = running.send(registration("E2E-1", "Correlated", control_id="corr-1"))
    assert (answer["code"], answer["control_id"]) == ("AA", "corr-1")
    (patient,) = eventually(lambda: running.listed("/api/v1/patients?mrn=E2E-1"))
    assert patient["name"]["family"] == "Correlated"
    assert patient["phones"][0]["number"].endswith("555-0100")

    def told() -> dict[str, object] | None:
        return next((one for one in running.received() if patient["id"] in one["body"]), None)

    webhook = eventually(told)
    assert webhook["type"] == "patient.created"
    assert webhook["verified"] is True
    assert webhook["correlation"] == patient["source"]["message_id"]
    assert str(webhook["correlation"]).removeprefix("msg_")[:20] == answer["ack_control_id"]
    assert "Correlated" not in str(webhook["body"])


def test_the_sample_data_are_a_clinic_s_morning_with_lineage(running: Installation) -> None:
    for resource in ("patients", "appointments", "providers", "locations"):
        assert running.listed(f"/api/v1/{resource}"), resource
        assert running.listed(f"/api/v1/{resource}", running.sandbox["second_org"]["api_key"]), resource
    patient = running.listed("/api/v1/patients")[0]
    message_id = patient["source"]["message_id"]
    status, body = running.get(f"/api/v1/hl7/messages/{message_id}")
    assert status == 200
    assert json.loads(body)["state"] == "processed"


def test_the_tour_of_the_readme_works(running: Installation) -> None:
    done = running.cli("hl7", "send", "data/samples/adt_a04.hl7", "--port", str(running.sandbox["mllp_port"]))
    assert (done.returncode, done.stdout.strip()) == (0, "data/samples/adt_a04.hl7 [1] SAMPLE1: AA")
    (patient,) = eventually(lambda: running.listed("/api/v1/patients?mrn=SAMPLE-1001"))
    told = {
        path: running.get(path)
        for path in (
            f"/api/v1/hl7/messages/{patient['source']['message_id']}",
            f"/api/v1/lineage/Patient/{patient['id']}",
            patient["links"]["fhir"],
        )
    }
    assert {path: status for path, (status, _) in told.items() if status != 200} == {}
    assert "PID-5" in told[f"/api/v1/lineage/Patient/{patient['id']}"][1]
    assert json.loads(told[patient["links"]["fhir"]][1])["birthDate"] == "1984-05-12"


def test_an_endpoint_that_a_person_registers_gets_the_events_it_asked_for(running: Installation) -> None:
    url = running.sandbox["webhook_sink_url"] + "front-desk"
    order = {"name": "front desk", "url": url, "event_types": ["patient.*"]}
    status, body = running.post("/api/v1/webhooks/endpoints", order)
    assert status == 201, body
    assert json.loads(body)["secret"].startswith("whsec_")
    running.send(registration("E2E-5", "Registered", control_id="endpoint-1"))
    mine = eventually(lambda: [one for one in running.received() if one["path"] == "/front-desk"])
    assert {one["type"].partition(".")[0] for one in mine} == {"patient"}
    refused, body = running.post("/api/v1/webhooks/endpoints", order | {"url": "http://10.0.0.1/hook"})
    assert refused in (400, 422), body


def test_the_second_organisation_sees_nothing_of_the_first(running: Installation) -> None:
    running.send(registration("E2E-2", "Private", control_id="private-1"))
    (patient,) = eventually(lambda: running.listed("/api/v1/patients?mrn=E2E-2"))
    other = running.sandbox["second_org"]["api_key"]
    assert running.listed("/api/v1/patients?mrn=E2E-2", other) == []
    assert running.get(f"/api/v1/patients/{patient['id']}", other)[0] == 404


def test_the_second_listener_belongs_to_the_second_organisation(running: Installation) -> None:
    port = running.sandbox["sources"][1]["mllp_port"]
    assert running.send(registration("E2E-3", "Elsewhere", control_id="second-1"), port)["code"] == "AA"
    other = running.sandbox["second_org"]["api_key"]
    assert eventually(lambda: running.listed("/api/v1/patients?mrn=E2E-3", other))
    assert running.listed("/api/v1/patients?mrn=E2E-3") == []


def test_a_simulated_morning_is_accepted_whole_and_leaves_nothing_dead_or_in_doubt(running: Installation) -> None:
    told = running.cli_json("sandbox", "feed", "--rate", "0", "--count", "150", "--seed", "42")
    assert (told["answered"], told["refused"]) == (150, 0)
    assert set(told["codes"]) == {"AA"}
    # messages of the next test files stay out: the counts below are about all that this installation ever got
    eventually(lambda: not running.listed("/api/v1/hl7/messages?state=received") or None)
    assert running.listed("/api/v1/hl7/messages?state=dead") == []
    assert running.listed("/api/v1/reviews") == []


def test_a_key_made_on_the_command_line_opens_the_door_until_it_is_revoked(running: Installation) -> None:
    org = running.sandbox["org_id"]
    made = running.cli_json("key", "create", "--org", org, "--name", "till", "--scope", "patients.read")
    assert running.get("/api/v1/patients", made["key"])[0] == 200
    assert running.get("/api/v1/appointments", made["key"])[0] == 403
    running.cli_json("key", "revoke", "--org", org, made["id"])
    assert running.get("/api/v1/patients", made["key"])[0] == 401
    (row,) = [row for row in running.cli_json("key", "list", "--org", org) if row["id"] == made["id"]]
    assert row["state"] == "revoked"
    assert made["key"] not in json.dumps(row)


def test_an_unknown_scope_or_organisation_is_refused_in_one_sentence(running: Installation) -> None:
    done = running.cli("key", "create", "--org", running.sandbox["org_id"], "--name", "x", "--scope", "everything")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    done = running.cli("key", "list", "--org", "harbor")
    assert done.returncode == 1
    assert "organisation id" in done.stderr


def test_an_organisation_with_a_feed_of_its_own_is_made_on_the_command_line(running: Installation) -> None:
    org = running.cli_json("org", "create", "Northgate Clinic", "--kind", "sandbox")["org_id"]
    assert org in {row["org_id"] for row in running.cli_json("org", "list")}
    options = ("--authority", "NORTH", "--sending", "MSH-4=NORTHGATE", "--timezone", "America/Chicago")
    made = running.cli_json("source", "create", "north", "--org", org, *options)
    assert [row["id"] for row in running.cli_json("source", "list", "--org", org)] == [made["id"]]
    file = running.home / "north.hl7"
    file.write_bytes(registration("N-1", "Routed", control_id="n-1").replace(b"|TESTCLINIC|", b"|NORTHGATE|", 1))
    (routed,) = running.cli_json("hl7", "route", str(file))
    assert routed["source"] == "north"
    assert any("MSH-4" in step for step in routed["steps"])


def test_replay_makes_a_child_that_tells_nobody(running: Installation) -> None:
    running.send(registration("E2E-4", "Replayed", control_id="replay-1"))
    (patient,) = eventually(lambda: running.listed("/api/v1/patients?mrn=E2E-4"))
    parent = patient["source"]["message_id"]
    child = running.cli_json("replay", parent)
    assert (child["mode"], child["parent_id"]) == ("record-only", parent)

    def settled() -> bool:
        status, body = running.get(f"/api/v1/hl7/messages/{child['message_id']}")
        return status == 200 and json.loads(body)["state"] == "processed"

    eventually(settled)
    assert not [one for one in running.received() if one["correlation"] == child["message_id"]]
    assert running.cli("replay", "msg_00000000000000000000000000").returncode == 1


def test_health_and_metrics_tell_of_every_process(running: Installation) -> None:
    status, body = running.get("/health/ready")
    assert (status, json.loads(body)["status"]) == (200, "ok")

    def text() -> str | None:
        found = running.get("/metrics")[1]
        roles = ("api-0", "listener-0", "worker-0")
        ready = all(f'process="{role}"' in found for role in roles) and "chartwire_database_up 1.0" in found
        return found if ready else None

    metrics = eventually(text)
    for name in (
        "chartwire_oldest_unprocessed_seconds",
        'chartwire_lane_age_seconds{kind="delivery"}',
        "chartwire_deliveries_open",
        "chartwire_http_request_seconds_bucket",
    ):
        assert name in metrics


def test_no_log_metric_or_terminal_line_holds_anything_of_a_patient(running: Installation) -> None:
    canaries = ("Qxzcanary", "CANARY-77431", "8085550177")
    good = registration(canaries[1], canaries[0], control_id="canary-1", phone=canaries[2])
    faulty = good.replace(b"canary-1", b"canary-2").replace(b"|19700101|", b"|Qxzcanary|")
    without_number = good.replace(b"canary-1", b"canary-3").replace(b"CANARY-77431^^^TESTCLINIC^MR", b"")
    broken = good.replace(b"canary-1", b"canary-4").replace(b"\rPV1|", b"\rpv$|")
    for data in (good, faulty, without_number, broken):
        running.send(data)
    eventually(lambda: running.listed(f"/api/v1/patients?mrn={canaries[1]}"))
    eventually(lambda: not running.listed("/api/v1/hl7/messages?state=received") or None)
    running.get(f"/api/v1/patients?family={canaries[0]}&nonsense={canaries[0]}")
    running.get(f"/api/v1/patients/{canaries[1]}")
    texts = {path.name: path.read_bytes() for path in _written(running.data_dir)}
    texts["metrics"] = running.get("/metrics")[1].encode()
    texts["terminal"] = running.output.read_bytes()
    assert {"up.log", "api-0.log", "worker-0.log", "listener-0.log", "server.log"} <= set(texts)
    for canary in (*canaries, "555-0177"):
        assert not [name for name, text in texts.items() if canary.encode() in text], canary


def _written(data_dir: Path) -> Iterator[Path]:
    yield from (data_dir / "logs").iterdir()
    yield from (data_dir / "run").glob("*.metrics.json")
    yield data_dir / "postgres" / "server.log"
