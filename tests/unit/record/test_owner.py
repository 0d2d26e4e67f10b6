"""Whose a resource is."""

import pytest

from chartwire.core.fhir_ids import store_id
from chartwire.formats.fhir.definitions import children, compartments
from chartwire.record.owner import owner_of, owner_paths

P, Q = {"reference": "Patient/p"}, {"reference": "Patient/q"}
SOMEBODY = {"reference": "Practitioner/x"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Observation", {"performer": [Q], "subject": P}),
        ("Observation", {"performer": [SOMEBODY, P], "subject": {"reference": "Device/d"}}),
        ("Coverage", {"policyHolder": Q, "beneficiary": P}),
        ("Appointment", {"participant": [{"actor": SOMEBODY}, {"actor": {"reference": "Patient/p/_history/2"}}]}),
        ("AuditEvent", {"entity": [{"what": P}]}),
        ("MedicationRequest", {"subject": P}),
    ],
)
def test_a_resource_belongs_to_whom_it_is_about_before_who_else_it_names(kind, body):
    assert owner_of(kind, body) == store_id("p")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Practitioner", {}),
        ("Group", {"member": [{"entity": P}]}),
        ("Patient", {"link": [{"other": P}]}),
        ("Observation", {"subject": {"reference": "http://elsewhere.example/Patient/p"}}),
        ("Observation", {"subject": {"reference": "#inside"}}),
        ("Observation", {"subject": {"display": "somebody"}}),
        ("Observation", {"subject": "broken"}),
    ],
)
def test_what_names_no_patient_of_its_own_here_is_nobody_s(kind, body):
    assert owner_of(kind, body) is None


@pytest.mark.parametrize("kind", sorted(compartments()["Patient"]))
def test_every_path_leads_along_elements_to_a_reference(kind):
    for path in owner_paths(kind):
        place = kind
        for name in path:
            place = children(place)[name].type
        assert place == "Reference"
