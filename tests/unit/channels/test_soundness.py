"""What a message became: structural errors are faults, all else that R4 says against it is told of."""

import copy

import pytest
from tests.integration.feed import hl7, pid
from tests.mapping_soundness import source

from chartwire.channels.reading import Job, read
from chartwire.channels.soundness import Examiner, Soundness
from chartwire.core.ids import uuid7
from chartwire.formats import hl7v2
from chartwire.mapping import load_maps

VISIT = "PV1|1|I|W3^312^A^HOSP||||0148^Addison^James^^^^^^HOSP||||||||||||V1^^^HOSP^VN"
ADMISSION = hl7("ADT^A01", "EVN||20260301120000", pid("1001"), VISIT)


@pytest.fixture
def resources():
    return copy.deepcopy(load_maps().convert(hl7v2.parse(ADMISSION), source()).resources)


def one(resources, kind):
    return next(mapped for mapped in resources if mapped.type == kind)


def test_what_the_maps_make_is_sound(resources):
    assert len(resources) > 3
    assert Examiner().examine(resources) == Soundness()


@pytest.mark.parametrize(
    ("kind", "member", "value", "rule"),
    [
        ("Patient", "birthdate", "1980", "unknown-element"),
        ("Patient", "birthDate", "1980-02-30", "bad-form"),
        ("Patient", "name", {}, "not-an-array"),
        ("Encounter", "subject", {"reference": "Location/1"}, "reference-type"),
        ("Practitioner", "active", "yes", "not-a-value"),
    ],
)
def test_a_structural_error_is_a_fault_with_its_rule(resources, kind, member, value, rule):
    one(resources, kind).body[member] = value
    assert Examiner().examine(resources).fault.rule == rule


def test_codes_invariants_and_extensions_are_told_of(resources):
    patient = one(resources, "Patient").body
    patient["gender"] = "femail"
    patient["contact"] = [{"gender": "female"}]
    patient["extension"] = [
        {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueString": "F"}
    ]
    sound = Examiner().examine(resources)
    assert sound.fault is None
    assert set(sound.flagged) >= {
        ("code-required", "Patient.gender"),
        ("pat-1", "Patient.contact[0]"),
        ("type-not-allowed", "Patient.extension[0].valueString"),
    }


@pytest.mark.parametrize("kind", ["Practitioner", "Patient"])
def test_what_was_sound_is_looked_at_again_when_it_changes(resources, kind):
    examiner = Examiner()
    assert examiner.examine(resources).fault is None
    one(resources, kind).body["gender"] = "x"
    for _ in range(2):
        assert ("code-required", f"{kind}.gender") in examiner.examine(resources).flagged


def test_a_message_of_which_a_map_makes_no_fhir_is_a_dead_letter_with_place_and_rule():
    class Slip:
        """A map with a fault of its own."""

        def convert(self, document, told):
            conversion = load_maps().convert(document, told)
            conversion.resources[0].body["nmae"] = "Secret"
            return conversion

    feed = source()
    reading = read(Job(uuid7(), 1, uuid7(), (), feed.id, "live", ADMISSION), feed, Slip())
    assert (reading.spoken, reading.fault.code) == (None, "fhir_invalid")
    assert reading.fault.location.endswith(".nmae")
    assert "unknown-element" in reading.fault.text
    assert "Secret" not in reading.fault.text
