"""`chartwire fhir load` loads files into a running server, once each, and says what was refused."""

import gzip
import json

import pytest
from tests.integration.api.fhir.bundles import PATIENT, a_patient, an_observation, post, transaction
from tests.integration.api.server_process import server
from tests.integration.clients.conftest import key_of

from chartwire.app.cli import main


@pytest.fixture
def load(database, tmp_path, monkeypatch, capsys):
    """Runs the command against a server; answers its exit code and what it told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(key_of(database.app_dsn) + "\n")
    with server(database.app_dsn) as (_, base):

        def run(*words):
            capsys.readouterr()
            code = main(["fhir", "load", *map(str, words), "--url", f"{base}/fhir/R4", "--key-file", "key", "--json"])
            return code, json.loads(capsys.readouterr().out)

        yield run


def write(path, *resources):
    text = "".join(json.dumps(one) + "\n" for one in resources).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def errors(tmp_path):
    lines = (tmp_path / "fhir-load.errors.ndjson").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    return {one["extension"][-1]["valueString"]: one["issue"][0]["code"] for one in told}


def test_bundles_single_resources_and_lines_of_plain_and_zipped_files_are_loaded_once(load, tmp_path):
    write(tmp_path / "in" / "a.json", transaction(post(a_patient(), PATIENT), post(an_observation())))
    collected = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": a_patient("M-2", id="two")}]}
    write(tmp_path / "in" / "deep" / "b.json", collected)
    write(tmp_path / "in" / "Patient.ndjson.gz", *(a_patient(f"N-{n}", id=f"n{n}") for n in range(5)))
    write(tmp_path / "one.json", an_observation("Patient/two"))
    code, told = load("in", "one.json", "--batch", "2")
    assert (code, told["files"], told["loaded"], told["refused"]) == (0, 4, 9, 0)
    code, told = load("in", "one.json", "--batch", "2")
    assert (code, told["loaded"], told["before"]) == (0, 0, 9)


def test_what_is_refused_is_told_with_its_place_and_the_rest_goes_on(load, tmp_path):
    bad = an_observation("Patient/x", status="unknowable")
    write(
        tmp_path / "Observation.ndjson", an_observation("Patient/x", id="o1"), bad, an_observation("Patient/x", id="o3")
    )
    write(tmp_path / "t.json", transaction(post(a_patient(), PATIENT), post(bad)))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "double.ndjson").write_text(
        '{"resourceType":"Patient","id":"p1","id":"p1"}\n{"resourceType":"Patient","id":"p2"}\n'
    )
    code, told = load("Observation.ndjson", "t.json", "broken.json", "double.ndjson")
    assert (code, told["loaded"], told["refused"]) == (1, 3, 5)
    assert errors(tmp_path) == {
        "Observation.ndjson:2": "code-invalid",
        "t.json": "code-invalid",
        "broken.json": "structure",
        "double.ndjson:1": "invalid",
    }
    write(tmp_path / "t.json", transaction(post(a_patient(), PATIENT), post(an_observation())))
    code, told = load("t.json")
    assert (code, told["loaded"]) == (0, 2)


def test_directory_files_come_before_what_refers_to_them(load, tmp_path):
    practitioner = {"resourceType": "Practitioner", "identifier": [{"system": "urn:x:npi", "value": "7"}]}
    seen_by = an_observation(performer=[{"reference": "Practitioner?identifier=urn:x:npi|7"}])
    write(tmp_path / "in" / "Aleta.json", transaction(post(a_patient(), PATIENT), post(seen_by)))
    write(tmp_path / "in" / "practitionerInformation1.json", transaction(post(practitioner)))
    assert load("in")[0] == 0


def test_a_key_that_does_not_serve_ends_the_load(load, tmp_path, capsys):
    write(tmp_path / "a.json", a_patient(id="one"))
    (tmp_path / "key").write_text("cw_test_nothing")
    code, told = load("a.json")
    assert (code, told["error"]["code"]) == (1, "credential_invalid")
