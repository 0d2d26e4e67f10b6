"""`chartwire hl7 validate`: what it reads, what it says, and its exit codes."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from tests.integration.feed import hl7, pid

from chartwire.app.cli import main

GOOD = hl7("ADT^A01", "EVN||20260301120000", pid("100", "Doe^J"), "PV1|1|I", control_id="GOOD")
BAD = hl7("ADT^A01", "EVN||20260231", pid("200", "Secret^Name"), control_id="BAD")


@pytest.fixture
def feed(tmp_path):
    folder = tmp_path / "feed"
    (folder / "day").mkdir(parents=True)
    (folder / "good.hl7").write_bytes(GOOD)
    (folder / "day" / "two.hl7").write_bytes(GOOD + BAD)
    (folder / "readme.txt").write_text("not a message")
    return folder


def validated(capsys, *words):
    code = main(["hl7", "validate", *map(str, words)])
    return code, capsys.readouterr()


def test_a_folder_is_walked_and_what_is_no_message_passed_over(capsys, feed):
    code, said = validated(capsys, feed, "--json")
    told = json.loads(said.out)
    assert code == 1
    assert [(row["file"].removeprefix(f"{feed}/"), row["index"]) for row in told["messages"]] == [
        ("day/two.hl7", 1), ("day/two.hl7", 2), ("good.hl7", 1),
    ]  # fmt: skip
    assert told["summary"]["messages"] == 3
    assert told["summary"]["failed"] == 1


def test_an_input_without_any_message_is_a_failure(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("no message")
    assert main(["hl7", "validate", str(tmp_path)]) == 1
    assert f"there is no message in {tmp_path}" in capsys.readouterr().err


def test_good_messages_exit_with_0_and_wrong_usage_with_2(capsys, feed):
    assert validated(capsys, feed / "good.hl7")[0] == 0
    assert validated(capsys)[0] == 2
    assert validated(capsys, feed, "--fail-on", "never")[0] == 2
    code, said = validated(capsys, feed / "absent.hl7")
    assert code == 1
    assert "no such file" in said.err


def test_each_issue_is_said_with_its_place_its_rule_and_its_remedy(capsys, feed):
    _, said = validated(capsys, feed / "day")
    assert "date_impossible: EVN-2 " in said.out
    assert "segment_missing_at_end: PV1 must follow" in said.out
    assert "-> send PV1" in said.out
    assert "ACK AA (received)" in said.out
    assert "2 messages in 1 file, 1 failed; 2 errors" in said.out
    assert "Secret" not in said.out


def test_warnings_fail_where_that_is_asked(capsys, tmp_path):
    file = tmp_path / "warned.hl7"
    file.write_bytes(GOOD.replace(b"PV1|1|I", b"PV1|1|I\rPV2|||"))
    assert validated(capsys, file)[0] == 0
    assert validated(capsys, file, "--fail-on", "warning")[0] == 1


def test_a_refusal_at_the_door_fails_too(capsys, tmp_path):
    file = tmp_path / "version.hl7"
    file.write_bytes(GOOD.replace(b"2.5.1", b"7.7"))
    code, said = validated(capsys, file, "--json")
    assert code == 1
    assert json.loads(said.out)["messages"][0]["ack"]["code"] == "AR"


def test_standard_input_is_a_batch(capsys, monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"FHS|^~\\&\rBHS|^~\\&\r" + GOOD + BAD + b"BTS|2\rFTS|1\r"))
    )
    code, said = validated(capsys, "-", "--json")
    assert code == 1
    assert [row["control_id"] for row in json.loads(said.out)["messages"]] == ["GOOD", "BAD"]


def test_junit_has_a_case_for_each_message_and_a_failure_for_each_bad_one(capsys, feed, tmp_path):
    report = tmp_path / "report.xml"
    assert validated(capsys, feed, "--junit", report)[0] == 1
    suite = ElementTree.fromstring(report.read_bytes()).find("testsuite")
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures"), len(cases)) == ("3", "1", 3)
    (failure,) = [case.find("failure") for case in cases if case.find("failure") is not None]
    assert "date_impossible" in failure.text
    assert cases[1].get("name") == "message 2 ADT^A01"


def test_bundles_are_written_where_they_are_asked_for(capsys, feed, tmp_path):
    validated(capsys, feed / "day" / "two.hl7", "--bundles", tmp_path / "out")
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    assert json.loads(files[0].read_bytes())["resourceType"] == "Bundle"


@pytest.mark.parametrize("form", ["yaml", "toml", "json"])
def test_the_settings_of_a_source_count(capsys, feed, tmp_path, form):
    settings = tmp_path / f"source.{form}"
    settings.write_text({
        "yaml": "name: adt\nauthority: HOSP\nstrictness: [{rule: segment_missing_at_end, action: refuse}]\n",
        "json": '{"name": "adt", "authority": "HOSP", "strictness": [{"rule": "segment_missing_at_end", "action": "refuse"}]}',
        "toml": 'name = "adt"\nauthority = "HOSP"\nstrictness = [{rule = "segment_missing_at_end", action = "refuse"}]\n',
    }[form])  # fmt: skip
    _, said = validated(capsys, feed / "day" / "two.hl7", "--json", "--source-settings", settings)
    assert [row["ack"]["code"] for row in json.loads(said.out)["messages"]] == ["AA", "AE"]


def test_settings_that_are_none_are_refused_with_the_place(capsys, feed, tmp_path):
    settings = tmp_path / "source.yaml"
    settings.write_text("name: adt\nauthority: HOSP\ntimezone: Mars/Olympus\n")
    code, said = validated(capsys, feed, "--source-settings", settings)
    assert code == 1
    assert "timezone" in said.err
    settings.write_text("- just a list")
    assert "not a source" in validated(capsys, feed, "--source-settings", settings)[1].err


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    file = tmp_path / "many.hl7"
    file.write_bytes(GOOD * 3000)
    words = [sys.executable, "-m", "chartwire.app.cli", "hl7", "validate", str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"ADT^A01" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
