"""The FHIR validator over official and US Core examples: good ones pass, bad ones fail for a reason, defects are caught."""

import copy
import re
import tarfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from tests.corpus.fhir_defects import DEFECTS, places

from chartwire.formats.fhir.reading import read_resource
from chartwire.formats.fhir.validate import check

SHARED = Path(__file__).resolve().parents[3] / "shared"
R4 = SHARED / "corpora" / "fhir-r4-examples" / "fhir"
US_CORE = {"311": "3.1.1", "610": "6.1.0", "700": "7.0.0"}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not R4.is_dir(), reason="../shared/corpora is absent"),
]
RIGHTLY_WRONG = {
    "ActivityDefinition/blood-tubes-supply": "narrative",  # blanks and nothing else in the div (txt-2), as the others
    "ActivityDefinition/heart-valve-replacement": "narrative",
    "EventDefinition/example": "narrative",
    "Questionnaire/zika-virus-exposure-assessment": "narrative",
    "Bundle/b0a5e4277-83c4-4adb-87e2-e3efe3369b6f": "code-required",  # a media type with a blank in a parameter
    "DeviceMetric/example": "reference-type",  # parent is a DeviceDefinition, Device is allowed
    "DeviceUseStatement/example": "reference-type",  # a Procedure as reason
    "ImplementationGuide/fhir": "required",  # neither name nor status
    "MedicationRequest/medrx0301": "reference-type",  # a Practitioner dispenses, Organization is allowed
    "Observation/clinical-gender": "reference-type",  # an Encounter performs
    "Observation/example-genetics-brcapat": "not-allowed",  # US Core's ethnicity as it was before it had parts
    "Questionnaire/qs1": "required",  # items without linkId
}
"""Official examples that break R4, each with the rule that says so."""
RIGHTLY_WRONG_US_CORE = {
    "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2": "us-core-17",  # an NPI whose check digit is wrong
    "DiagnosticReport-cardiology-report": "bad-form",  # a hash that is no base64
    "Observation-satO2-fiO2": "code-required",  # L/min is not in the units that 3.1.1 requires; 6.1.0 mended that
}
"""Examples of US Core 3.1.1 that break their own profiles, R4, or the check digit of their identifiers."""
_NUMBERS = re.compile(rb'"(?:\\.|[^"\\])*"|(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)')


@pytest.fixture(scope="module")
def examples():
    """Official examples as they were written, by name."""
    return {path.stem: path.read_bytes() for path in sorted(R4.glob("*.json"))}


def errors(resource, profiles=()):
    return {issue.rule for issue in check(resource, profiles) if issue.severity == "error"}


def test_official_examples_pass_but_for_those_that_are_wrong(examples):
    assert len(examples) >= 280
    found = {}
    for data in examples.values():
        resource = read_resource(data)
        if wrong := errors(resource):
            found[f"{resource['resourceType']}/{resource['id']}"] = wrong
    assert {name: wrong for name, wrong in found.items() if RIGHTLY_WRONG.get(name) not in wrong} == {}


def test_numbers_of_official_examples_come_back_as_they_were_written(examples):
    encoder = msgspec.json.Encoder(decimal_format="number")
    for name, data in examples.items():
        assert numbers(data) == numbers(encoder.encode(read_resource(data))), name


def numbers(data):
    return [found[1] for found in _NUMBERS.finditer(data) if found[1]]


@pytest.mark.parametrize("package", US_CORE)
def test_us_core_examples_meet_their_own_profiles(package):
    found = {}
    for name, resource in us_core(package):
        wrong = errors(resource)
        if wrong and not (package == "311" and RIGHTLY_WRONG_US_CORE.get(name) in wrong):
            found[name] = wrong
    assert found == {}


def us_core(package):
    """Examples of a package, their profiles in its version."""
    with tarfile.open(SHARED / "definitions" / f"us-core-{package}.tgz") as archive:
        for member in archive:
            folder, _, file = member.name.rpartition("/")
            if folder.endswith("/example") and file.endswith(".json") and "-" in file:
                resource = read_resource(archive.extractfile(member).read())
                named = resource.get("meta", {}).get("profile")
                if named:
                    version = f"|{US_CORE[package]}"
                    resource["meta"]["profile"] = [
                        f"{one}{version}" if "/us/core/" in one and "|" not in one else one for one in named
                    ]
                yield file.removesuffix(".json"), resource


def test_every_defect_that_is_put_into_an_example_is_caught(examples):
    """libraries.md section 2 tells of 248 defects of 29 classes: fhir.resources caught 136, jsonschema-rs 152."""
    tried, missed = Counter(), []
    for name, data in examples.items():
        good = read_resource(data)
        if len(data) > 60_000 or errors(good):
            continue
        for defect, (fits, change) in DEFECTS.items():
            bad = copy.deepcopy(good)
            place = next((one for one in places(bad, bad["resourceType"]) if fits(one)), None)
            if place is None:
                continue
            tried[defect] += 1
            change(place)
            if not errors(bad):
                missed.append((defect, name, place.element["path"]))
    assert set(tried) == set(DEFECTS)
    assert sum(tried.values()) > 3000
    assert missed == []
