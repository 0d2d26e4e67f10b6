"""Configuration files: what they may look like, variables, secret references."""

from pathlib import Path
from typing import Any

import pytest

from chartwire.app.configuration.custom_fields import CustomFieldKind
from chartwire.app.configuration.fhir import FhirKind
from chartwire.app.configuration.files import Resolver, Sections, read_file, write_text
from chartwire.app.configuration.sources import SourceKind
from chartwire.core.errors import ValidationError

KINDS = (SourceKind(("plain",)), CustomFieldKind(), FhirKind())


def read(path: Path, content: str, **overrides: str) -> Sections:
    path.write_text(content, encoding="utf-8")
    return read_file(path, overrides, KINDS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("chartwire: 2\n", "/chartwire"),
        ("- chartwire\n", "not a mapping"),
        ("chartwire: 1\nsorces: []\n", "the nearest is sources"),
        ("chartwire: 1\nsources: {}\n", "a list of mappings"),
        ("chartwire: 1\nfhir: []\n", "`/fhir` is a mapping"),
        ("chartwire: 1\nsources: [\n", "not YAML at line 3"),
        ("chartwire: 1\nvars: {a: 1}\n", "maps names to texts"),
        ("chartwire: 1\nsources: [{name: '${clinic}'}]\n", "`/sources/0/name` names the variable clinic"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_where(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("$", ".")):
        read(tmp_path / "a.yaml", content)


def test_an_override_of_a_variable_that_the_file_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="does not name facilty"):
        read(tmp_path / "a.yaml", "chartwire: 1\nvars: {facility: N}\n", facilty="S")


TOML = """chartwire = 1
[vars]
clinic = "NORTH"
zone = "UTC"
[[sources]]
name = "${clinic} of ${zone}, $${kept}"
rank = 3
sending = [{ field = "MSH-4", pattern = "${clinic}*" }]
"""


def test_toml_and_yaml_read_alike_and_variables_stand_in_any_text(tmp_path: Path) -> None:
    sections = read(tmp_path / "a.toml", TOML, clinic="SOUTH")
    sending: list[Any] = [{"field": "MSH-4", "pattern": "SOUTH*"}]
    assert sections == {"sources": [{"name": "SOUTH of UTC, ${kept}", "rank": 3, "sending": sending}]}
    sections["sources"][0]["name"] = "north"
    assert read(tmp_path / "b.yaml", write_text(sections)) == sections


def test_a_secret_is_found_by_reference_only(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(" word \n")
    resolve = Resolver(tmp_path, {"NAME": "other"})
    assert [resolve(one) for one in ("file:s", "env:NAME", "env:NONE", "file:none")] == ["word", "other", None, None]
    with pytest.raises(ValidationError, match="env:NAME or file:PATH") as caught:
        resolve("whsec_abc")
    assert "abc" not in str(caught.value)
