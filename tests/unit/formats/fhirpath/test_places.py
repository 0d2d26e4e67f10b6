"""Where the values that a path selects stand in JSON."""

import pytest

from chartwire.formats.fhirpath import FhirPathError, compile_path
from chartwire.formats.fhirpath.places import names_on_the_way, places

PATIENT = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Weber", "given": ["Anna", "Maria"]}, {"use": "usual", "given": ["Anni"]}],
    "birthDate": "1980-01-02",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1980-01-02T03:04:05Z"}]},
    "multipleBirthInteger": 2,
    "contained": [{"resourceType": "Organization", "id": "o1", "name": "Acme"}],
    "_language": {"id": "unknown"},
}

SELECTIONS = [
    "Patient",
    "Patient.name",
    "name.given",
    "name[0].given[1]",
    "name.where(use = 'usual').given",
    "name.tail().given.first()",
    "name.last().given.single()",
    "multipleBirth.ofType(integer)",
    "(Patient.multipleBirth as integer)",
    "birthDate.extension('urn:time').value",
    "contained.ofType(Organization).name",
    "gender",
    "name[7].given",
    "$this.name.where($this.family.exists()).family",
]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_place_leads_to_the_value_that_the_expression_finds(selection):
    found = places(selection, PATIENT)
    assert [place.node.value for place in found] == compile_path(selection).evaluate(PATIENT)
    for place in found:
        held = PATIENT
        for step in place.path:
            held = held[step]
        assert held == place.node.value
        if place.slot is not None:
            stands = place.parent[place.slot.name]
            assert (stands if place.index is None else stands[place.index]) is held


def test_an_element_without_a_value_has_a_place_too():
    [place] = places("Patient.language", PATIENT)
    assert (place.node.value, place.parent is PATIENT, place.slot.other_half) == (None, True, "_language")


@pytest.mark.parametrize(
    "text", ["name.count()", "name | name", "1", "name.given & 'x'", "name.select(given)", "name.given.substring(1)"]
)
def test_what_computes_has_no_place(text):
    with pytest.raises(FhirPathError):
        places(text, PATIENT)


def test_the_elements_on_the_way_are_told_without_type_indexes_and_conditions():
    assert names_on_the_way("Patient.name[0].where(use = 'official').given.first()") == ["name", "given"]
    assert names_on_the_way("(Observation.value as Quantity)") == ["value"]
