"""`chartwire fhir validate`: what it reads, what it says, and its exit codes."""

import gzip
import io
import json
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from chartwire.app.cli import main

GOOD = {"resourceType": "Patient", "id": "good", "gender": "female"}
BAD = {"resourceType": "Patient", "id": "bad", "gender": "Secret"}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    (place / "day").mkdir(parents=True)
    (place / "good.json").write_text(json.dumps(GOOD, indent=2))
    (place / "day" / "Patient.ndjson.gz").write_bytes(
        gzip.compress(f"{json.dumps(GOOD)}\n\n{json.dumps(BAD)}\n".encode())
    )
    (place / "readme.txt").write_text("no resource")
    return place


def validated(capsys, *words):
    code = main(["fhir", "validate", *map(str, words)])
    return code, capsys.readouterr()


def test_folders_are_walked_and_ndjson_is_judged_line_by_line(capsys, folder):
    code, said = validated(capsys, folder, "--json")
    told = json.loads(said.out)
    assert (code, told["summary"]["resources"], told["summary"]["failed"]) == (1, 3, 1)
    [bad] = [row for row in told["resources"] if row["failed"]]
    assert bad["file"] == f"{folder}/day/Patient.ndjson.gz:3"
    assert [(issue["location"], issue["rule"]) for issue in bad["issues"]] == [("Patient.gender", "code-required")]


def test_text_names_place_rule_and_remedy_and_no_value(capsys, folder):
    code, said = validated(capsys, folder)
    assert code == 1
    assert "`Patient.gender` is not in administrative-gender (required)" in said.out
    assert "3 resources, 1 failed" in said.out
    assert "Secret" not in said.out


def test_what_cannot_be_read_fails_with_its_reason(capsys, tmp_path):
    (tmp_path / "twice.json").write_text('{"resourceType":"Patient","id":"a","id":"b"}')
    code, said = validated(capsys, tmp_path)
    assert code == 1
    assert "json_duplicate_key" in said.out


def test_profiles_that_are_asked_for_are_checked_and_unknown_ones_fail_where_strict(capsys, folder):
    one = folder / "good.json"
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|7.0.0"
    code, said = validated(capsys, one, "--profile", profile)
    assert (code, f"[{profile}]" in said.out) == (1, True)
    assert validated(capsys, one, "--profile", "http://example.org/mine")[0] == 0
    assert validated(capsys, one, "--profile", "http://example.org/mine", "--fail-on", "warning")[0] == 1
    assert validated(capsys, one, "--profile", "http://example.org/mine", "--strict")[0] == 1


def test_junit_has_a_case_for_each_resource(capsys, folder, tmp_path):
    validated(capsys, folder, "--junit", tmp_path / "out.xml")
    suite = ElementTree.fromstring((tmp_path / "out.xml").read_bytes())[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")


def test_standard_input_is_one_resource(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(GOOD).encode())))
    assert validated(capsys, "-")[0] == 0


def test_a_run_that_looks_at_nothing_has_not_passed(capsys, tmp_path):
    assert validated(capsys, tmp_path)[0] == 1
    assert validated(capsys, tmp_path / "gone.json")[0] == 1
    assert validated(capsys)[0] == 2
