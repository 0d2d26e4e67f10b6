"""The tables of the validator are what definitions/hl7v2.py makes of its sources, and fit each other."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from chartwire.app import fhir_validation_reference
from chartwire.app.validation_reference import page
from chartwire.formats.hl7v2.validate.dictionary import Version, version_of
from chartwire.formats.hl7v2.validate.structure import ANY, Structure

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "src" / "chartwire" / "formats" / "hl7v2" / "definitions"
CONTENT = gzip.decompress((FOLDER / "hl7v2.json.gz").read_bytes())
VERSIONS = sorted(json.loads(CONTENT)["versions"])


@pytest.mark.corpus
@pytest.mark.skipif(not (REPOSITORY.parent / "shared" / "corpora").is_dir(), reason="../shared/corpora is absent")
def test_the_tables_are_what_their_sources_give():
    pytest.importorskip("hl7apy", reason="hl7apy of the bench extra is not installed")
    from definitions.hl7v2 import content

    assert content() == CONTENT, "run: python -m definitions.hl7v2"


def test_the_note_beside_the_tables_names_their_hash():
    assert hashlib.sha256(CONTENT).hexdigest() in (FOLDER / "NOTICE.txt").read_text("utf-8")


@pytest.mark.parametrize("number", VERSIONS)
def test_every_segment_of_every_structure_has_fields_and_every_event_a_structure(number):
    version: Version = version_of(number)
    content = json.loads(CONTENT)["versions"][number]
    missing = {
        (name, segment)
        for name in content["structures"]
        for segment in Structure(name, version.structure(name)).segments
        if segment != ANY and version.segment(segment) is None
    }
    assert missing <= {("QBP_Q13", "QBP")}  # a slip of hl7apy in 2.4
    assert set(content["events"].values()) <= set(content["structures"])


@pytest.mark.parametrize("number", VERSIONS)
def test_every_data_type_of_a_field_is_known(number):
    simple = {"", "ST", "TX", "FT", "NM", "SI", "ID", "IS", "DT", "TM", "DTM", "TN", "GTS", "SNM", "CM"}
    version = version_of(number)
    content = json.loads(CONTENT)["versions"][number]
    types = {part.type for name in content["segments"] for part in version.segment(name) or ()}
    assert {name for name in types - simple if version.type(name) is None} <= {"CE", "TQ", "CNE", "CN", "TS"}


def test_the_reference_of_the_rules_is_made_from_them():
    told = (REPOSITORY / "docs" / "reference" / "hl7-validation.md").read_text("utf-8")
    assert told == page(), "run: python -m chartwire.app.validation_reference > the page"
    assert not re.search(r"\{\w+\}.*\{\w+\} \{", told)


def test_the_reference_of_the_fhir_rules_is_made_from_them():
    told = (REPOSITORY / "docs" / "reference" / "fhir-validation.md").read_text("utf-8")
    assert told == fhir_validation_reference.page(), "run: python -m chartwire.app.fhir_validation_reference > the page"
