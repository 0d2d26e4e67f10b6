"""`chartwire terminology load | list | remove` with files as publishers make them, and invented rows."""

import zipfile

import pytest
from tests.integration.app.shell import Shell

CVX = "998|Invented|Invented vaccine|a note|Active|False|2030/01/01\n03|Old|Old vaccine||Inactive|False|2030/01/01\n"
ICD = (
    f"00001 Z99     0 {'Invented states':<60} Invented states\n00002 Z991    1 {'Invented state':<60} Invented state\n"
)


@pytest.fixture
def run(database, monkeypatch, capsys):
    monkeypatch.setenv("CHARTWIRE_DATABASE_APP_URL", database.app_dsn)
    monkeypatch.setenv("CHARTWIRE_DATABASE_ENGINE_URL", database.engine_dsn)
    return Shell(capsys)


def test_systems_are_found_in_folders_and_archives_listed_and_removed(run, tmp_path):
    (tmp_path / "vaccines").mkdir()
    (tmp_path / "vaccines" / "cvx.txt").write_text(CVX, "utf-8")
    (tmp_path / "vaccines" / "readme.md").write_text("nothing", "utf-8")
    with zipfile.ZipFile(tmp_path / "codes.zip", "w") as archive:
        archive.writestr("icd10cm/icd10cm_order_2030.txt", ICD)
    loaded = run("terminology", "load", str(tmp_path / "vaccines"), str(tmp_path / "codes.zip"))
    assert loaded == [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "version": "2030", "concepts": 2},
        {"system": "http://hl7.org/fhir/sid/cvx", "version": "", "concepts": 2},
    ]
    assert [one["system"] for one in run("terminology", "list")] == [
        "http://hl7.org/fhir/sid/cvx",
        "http://hl7.org/fhir/sid/icd-10-cm",
    ]
    run("terminology", "remove", "http://hl7.org/fhir/sid/cvx")
    assert [one["concepts"] for one in run("terminology", "list")] == [2]
    refused = run("terminology", "remove", "http://hl7.org/fhir/sid/cvx", code=1)
    assert refused["error"]["code"] == "not_loaded"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("notes.txt", b"hello", "no_code_system"),
        ("cvx.txt", b"998|caf\xe9|x\n", "code_text"),
        ("cvx.txt", b"998|x\n", "code_table"),
        ("codes.zip", b"no archive", "code_archive"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_words_and_nothing_is_loaded(run, tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    assert run("terminology", "load", str(tmp_path / name), code=1)["error"]["code"] == code
    assert run("terminology", "list") == []
