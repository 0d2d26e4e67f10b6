"""The command line: exit codes, one-sentence errors, JSON, and what light commands must not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chartwire.app.cli import COMMANDS, main
from chartwire.app.reference import page

ADT = (
    b"MSH|^~\\&|APP|FAC|X|Y|20261120070005-0800||ADT^A04^ADT_A01|C1|P|2.5.1\r"
    b"EVN|A04|20261120070005-0800\r"
    b'PID|1||77^^^FAC^MR||O\'Hara^Jo\\T\\e^""||19810120|F\r'
    b"PV1|1|O\r"
    b"OBX|1|NM|1^x||5\rOBX|2|NM|1^x||6~7^8&9\r"
)
SIU = ADT.replace(b"ADT^A04^ADT_A01|C1", b"ADT^A08^ADT_A01|C2")


@pytest.fixture
def message(tmp_path: Path) -> Path:
    path = tmp_path / "day" / "north" / "adt.hl7"
    path.parent.mkdir(parents=True)
    path.write_bytes(ADT)
    return path


def test_each_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert f"chartwire {name}" in capsys.readouterr().out


def test_an_unknown_command_or_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hl8"]) == 2
    assert "did you mean hl7?" in capsys.readouterr().err
    assert main(["up", "--porto", "1"]) == 2
    assert main([]) == 2


def test_the_version_is_told_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chartwire ")
    assert main(["--version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"version"}


def test_config_check_exits_1_and_names_the_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["config", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["http_port"] == 8080
    monkeypatch.setenv("CHARTWIRE_HTTP_PORT", "ninety")
    assert main(["config", "check", "--json"]) == 1
    assert "HTTP_PORT" in json.loads(capsys.readouterr().out)["problems"][0]


def test_hl7_get_gives_unescaped_values_by_path_and_null_for_absent_ones(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ["PID-5.1", "PID-5.2", "PID-5.3", "OBX(2)-5(2).2.2", "OBX(3)-5", "PV1-2"]
    assert main(["hl7", "get", str(message), *paths]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found.values()) == ["O'Hara", "Jo&e", '""', "9", None, "O"]
    assert list(found) == paths


def test_hl7_get_names_the_message_by_number(message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message.write_bytes(ADT + SIU)
    assert main(["hl7", "get", str(message), "--message", "2", "MSH-10"]) == 0
    assert json.loads(capsys.readouterr().out) == {"MSH-10": "C2"}
    assert main(["hl7", "get", str(message), "--message", "3", "MSH-10"]) == 1
    assert "holds 2 message(s)" in capsys.readouterr().err


def test_hl7_get_refuses_a_bad_path_and_an_absent_file_in_one_sentence(
    message: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hl7", "get", str(message), "PID-"]) == 1
    assert main(["hl7", "get", str(tmp_path / "absent.hl7"), "PID-3"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "absent.hl7" in told[1]
    assert main(["hl7", "get", str(message)]) == 2


def test_hl7_get_batch_answers_one_line_a_line(message: Path) -> None:
    lines = [
        {"file": str(message), "message": 1, "paths": ["PID-3.1", "PID-19"]},
        {"file": str(message) + ".absent", "message": 1, "paths": ["PID-3.1"]},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "chartwire.app.cli", "hl7", "get", "--batch"],
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {
        "file": str(message), "message": 1, "messages_in_file": 1, "values": {"PID-3.1": "77", "PID-19": None}
    }  # fmt: skip
    assert set(second) == {"file", "error"}


def test_hl7_convert_names_bundles_by_path_and_lists_what_was_refused(message: Path, tmp_path: Path) -> None:
    folder, out = message.parents[1], tmp_path / "out"
    message.write_bytes(ADT + SIU)
    (folder / "note.txt").write_text("no HL7 here", encoding="utf-8")
    assert main(["hl7", "convert", str(folder), "--out", str(out)]) == 1
    assert {path.name for path in out.iterdir()} == {
        "north__adt.hl7.json", "north__adt.hl7.2.json", "refused.json"
    }  # fmt: skip
    (refused,) = json.loads((out / "refused.json").read_text(encoding="utf-8"))
    assert refused["file"] == "note.txt"
    assert refused["reason"]
    bundle = json.loads((out / "north__adt.hl7.json").read_text(encoding="utf-8"))
    assert bundle["resourceType"] == "Bundle"
    assert "Patient" in {entry["resource"]["resourceType"] for entry in bundle["entry"]}


def test_hl7_convert_gives_the_same_bytes_again_also_when_out_lies_inside_in(message: Path) -> None:
    folder = message.parents[1]
    out = folder / "bundles"
    assert main(["hl7", "convert", str(folder), "--out", str(out)]) == 0
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(["hl7", "convert", str(folder), "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert json.loads(first["refused.json"]) == []


def test_hl7_convert_takes_a_single_file(message: Path, tmp_path: Path) -> None:
    assert main(["hl7", "convert", str(message), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "adt.hl7.json").exists()


def test_hl7_send_to_a_closed_port_says_where_and_how_to_mend(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hl7", "send", str(message), "--port", "1", "--json"]) == 1
    told = capsys.readouterr()
    assert "127.0.0.1:1" in told.err
    assert "chartwire up" in told.err
    assert json.loads(told.out)["error"]["code"] == "connection_refused"


def test_commands_that_need_a_database_say_so_when_none_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARTWIRE_DATA_DIR", str(tmp_path))
    for words in (["org", "list"], ["migrate"], ["replay", "0190b0c6-0000-7000-8000-000000000000"]):
        assert main(words) == 1
        assert "start `chartwire up`" in capsys.readouterr().err
    assert main(["sandbox", "feed", "--count", "1"]) == 1
    assert "chartwire up --sandbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--version"], {"asyncio", "asyncpg", "yaml", "structlog", "ssl", "cryptography"}),
        (["hl7", "get", "{file}", "PID-3.1"], {"asyncio", "asyncpg", "yaml", "structlog", "ssl", "cryptography"}),
        (["config", "check"], {"asyncio", "asyncpg", "yaml", "structlog", "ssl", "cryptography"}),
        (["hl7", "convert", "{file}", "--out", "{file}.out"], {"asyncpg", "aiohttp", "prometheus_client"}),
    ],
)
def test_a_light_command_imports_nothing_heavy(words: list[str], heavy: set[str], message: Path) -> None:
    code = "import sys; from chartwire.app.cli import main; main(sys.argv[1:]); print('\\n', *sys.modules)"
    filled = [word.replace("{file}", str(message)) for word in words]
    done = subprocess.run([sys.executable, "-c", code, *filled], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.splitlines()[-1].split())


def test_the_reference_page_is_made_from_the_commands() -> None:
    made = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
    assert made.read_text(encoding="utf-8") == page(), "run: python -m chartwire.app.reference > docs/reference/cli.md"
