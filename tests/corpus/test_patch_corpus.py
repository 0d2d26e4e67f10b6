"""The patch suites of fhir-test-cases: every case that has an outcome in JSON comes out as it says."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chartwire.core.errors import FaultsError
from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.patching import fhirpath_patch, json_patch

SUITES = Path(__file__).parents[3] / "shared/corpora/fhir-test-cases/r4/patch"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not SUITES.is_dir(), reason="../shared/corpora is absent"),
]


def test_json_patch_does_what_the_suite_says():
    cases = json.loads(SUITES.joinpath("json-patch-tests.json").read_text())
    for case in cases:
        if "error" in case:
            with pytest.raises(FaultsError):
                json_patch(case["doc"], case["patch"])
        else:
            assert json_patch(case["doc"], case["patch"]) == case["expected"], case["comment"]
    assert len(cases) > 15


def test_fhirpath_patch_does_what_the_suite_says():
    cases = ElementTree.fromstring(without_namespaces(SUITES.joinpath("fhir-patch-tests.xml").read_text()))
    for case in cases:
        before, patch = (as_json(case.find(part)[0]) for part in ("input", "diff"))
        if case.find("error") is not None:
            with pytest.raises(FaultsError):
                fhirpath_patch(before, patch)
        else:
            assert fhirpath_patch(before, patch) == as_json(case.find("output")[0]), case.get("name")
    assert len(cases) == 33


def without_namespaces(xml: str) -> str:
    return re.sub(r""" xmlns=("[^"]*"|'[^']*')""", "", xml)


def as_json(element: ElementTree.Element) -> dict:
    return {"resourceType": element.tag} | object_of(element, element.tag)


def object_of(element: ElementTree.Element, type_name: str) -> dict:
    """The JSON of an XML element, by the definitions: what repeats is a list, extensions of primitives stand apart."""
    made = {}
    for child in element:
        told = definitions.children(type_name)[child.tag]
        primitive = definitions.is_primitive(told.type)
        value = primitive_of(child, told.type) if primitive else object_of(child, told.type)
        put(made, child.tag, value, many=told.many)
        if primitive and len(child) and child.tag != "div":
            put(made, f"_{child.tag}", object_of(child, "Element"), many=told.many)
    if "url" in element.attrib:
        made["url"] = element.attrib["url"]
    return made


def put(made: dict, name: str, value: object, *, many: bool) -> None:
    if many:
        made.setdefault(name, []).append(value)
    else:
        made[name] = value


def primitive_of(element: ElementTree.Element, type_name: str) -> object:
    if element.tag == "div":
        text = ElementTree.tostring(element, encoding="unicode").strip()
        return text.replace("<div>", '<div xmlns="http://www.w3.org/1999/xhtml">', 1)
    text = element.get("value")
    return json.loads(text) if type_name in ("boolean", "integer", "decimal", "positiveInt", "unsignedInt") else text
