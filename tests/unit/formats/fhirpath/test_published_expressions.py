"""What the published expressions find has the types that they mean, and their invariants hold or do not."""

from decimal import Decimal

import pytest

from chartwire.formats.fhir.definitions import search_parameters, structure
from chartwire.formats.fhirpath import compile_path

OBSERVATION = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
    "subject": {"reference": "Patient/1"},
    "effectivePeriod": {"start": "2026-01-01"},
    "component": [
        {"code": {"text": "systolic"}, "valueQuantity": {"value": Decimal(120), "unit": "mm[Hg]"}},
        {"code": {"text": "comment"}, "valueString": "sitting"},
    ],
}


@pytest.mark.parametrize(
    ("code", "types"),
    [
        ("combo-code", ["CodeableConcept"] * 3),
        ("combo-value-quantity", ["Quantity"]),
        ("component-value-quantity", ["Quantity"]),
        ("date", ["Period"]),
        ("patient", ["Reference"]),
        ("value-string", []),
        ("encounter", []),
    ],
)
def test_a_search_parameter_finds_values_with_their_types(code, types):
    path = compile_path(search_parameters("Observation")[code].expression)
    assert [node.type for node in path.typed(OBSERVATION)] == types


def test_an_invariant_holds_or_not():
    body = {"resourceType": "Patient", "contact": [{"gender": "male"}, {"name": {"text": "A. Weber"}}]}
    pat_1 = "name.exists() or telecom.exists() or address.exists() or organization.exists()"
    path = compile_path(pat_1, type_name="Patient.contact")
    assert [path.holds(body, contact) for contact in body["contact"]] == [False, True]
    dangling = {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "o1"}]}
    told = structure("Patient")["snapshot"]["element"][0]["constraint"]
    dom_3 = next(one["expression"] for one in told if one["key"] == "dom-3")
    assert not compile_path(dom_3).holds(dangling)
    assert compile_path(dom_3).holds({**dangling, "managingOrganization": {"reference": "#o1"}})
