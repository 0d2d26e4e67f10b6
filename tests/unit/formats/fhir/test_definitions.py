import sys

import pytest

from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.links import find_links
from chartwire.formats.fhir.terminology import TERMINOLOGY
from chartwire.formats.fhir.validate import check
from chartwire.formats.fhirpath import compile_path

OFFICIAL_PARAMETERS_OF_TYPES = 1697
"""Pairs of a resource type and one of the 1,375 parameters of search-parameters.json, without the nine common ones."""


def test_every_concrete_resource_type_of_r4_is_known_and_only_what_has_its_own_door_is_not_served():
    assert len(definitions.resource_types()) == 146
    assert {*definitions.resource_types()} - {*definitions.served_types()} == {
        "Binary",
        "Bundle",
        "CapabilityStatement",
        "OperationOutcome",
        "Parameters",
        "Subscription",
        "TerminologyCapabilities",
    }


@pytest.mark.parametrize(
    ("type_name", "name", "type_of_it", "many", "targets"),
    [
        ("Observation", "valueQuantity", "Quantity", False, ()),
        ("Observation", "component", "Observation.component", True, ()),
        ("Observation.component", "referenceRange", "Observation.referenceRange", True, ()),
        ("Patient", "id", "id", False, ()),
        ("Patient", "contained", "Resource", True, ()),
        ("Patient", "managingOrganization", "Reference", False, ("Organization",)),
        ("Age", "value", "decimal", False, ()),
        ("Timing", "repeat", "Timing.repeat", False, ()),
        ("Narrative", "div", "xhtml", False, ()),
        ("Extension", "valueMarkdown", "markdown", False, ()),
        ("Extension", "url", "uri", False, ()),
    ],
)
def test_a_property_has_the_type_that_the_specification_gives_it(type_name, name, type_of_it, many, targets):
    child = definitions.children(type_name)[name]
    assert (child.type, child.many, child.targets) == (type_of_it, many, targets)


def test_a_choice_element_lists_one_property_for_each_of_its_types():
    names = [child.name for child in definitions.choices("Patient", "deceased")]
    assert names == ["deceasedBoolean", "deceasedDateTime"]
    assert definitions.choices("Patient", "deceasedBoolean") == ()
    assert definitions.choices("Patient", "gender")[0].name == "gender"


def test_every_type_of_a_property_is_a_type_that_is_known_itself():
    waiting, seen = [*definitions.resource_types()], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            assert definitions.children(name) or definitions.is_primitive(name), name
            waiting.extend(child.type for child in definitions.children(name).values())
    assert {"Dosage", "Bundle.entry.search", "instant", "SampledData"} <= seen


@pytest.mark.parametrize(
    ("type_name", "base"),
    [("Age", "Quantity"), ("url", "uri"), ("Patient.contact", "BackboneElement"), ("Timing.repeat", "Element")],
)
def test_a_type_knows_what_it_specialises(type_name, base):
    assert definitions.base_of(type_name) == base


def test_search_parameters_are_those_of_the_specification_and_seven_of_us_core():
    everything = [
        parameter for name in definitions.resource_types() for parameter in definitions.search_parameters(name).values()
    ]
    assert sum(parameter.source == "r4" for parameter in everything) == OFFICIAL_PARAMETERS_OF_TYPES
    assert {parameter.code for parameter in everything if parameter.source == "us-core"} == {
        "asserted-date",
        "description",
        "discharge-disposition",
        "ethnicity",
        "gender-identity",
        "race",
        "role",
    }
    assert {*definitions.common_parameters()} == {
        "_content",
        "_id",
        "_lastUpdated",
        "_profile",
        "_query",
        "_security",
        "_source",
        "_tag",
        "_text",
    }


@pytest.mark.parametrize(
    ("type_name", "code", "expression"),
    [
        ("AllergyIntolerance", "code", "AllergyIntolerance.code | AllergyIntolerance.reaction.substance"),
        ("Condition", "code", "Condition.code"),
        ("DeviceRequest", "code", "(DeviceRequest.code as CodeableConcept)"),
        ("RiskAssessment", "date", "(RiskAssessment.occurrence as dateTime)"),
        ("Person", "email", "Person.telecom.where(system='email')"),
        ("Observation", "combo-code-value-concept", "Observation | Observation.component"),
        ("InsurancePlan", "name", "InsurancePlan.name | InsurancePlan.alias"),
    ],
)
def test_a_parameter_of_many_types_keeps_only_the_part_of_its_expression_for_this_one(type_name, code, expression):
    assert definitions.search_parameters(type_name)[code].expression == expression


def test_a_parameter_for_patients_alone_points_to_patients_alone():
    assert definitions.search_parameters("Observation")["patient"].targets == ("Patient",)
    assert "Group" in definitions.search_parameters("Observation")["subject"].targets


def test_us_core_adds_comparators_to_a_parameter_of_the_specification_and_leaves_the_rest():
    parameter = definitions.search_parameters("Encounter")["date"]
    assert (parameter.source, parameter.expression) == ("r4", "Encounter.period")
    assert {"ge", "gt", "le", "lt"} <= {*parameter.comparators}


def test_every_search_expression_and_every_component_compiles():
    count = 0
    for name in (*definitions.resource_types(), "Resource"):
        for parameter in definitions.search_parameters(name).values():
            parts = [parameter.expression, *(component.expression for component in parameter.components)]
            for expression in filter(None, parts):
                compile_path(expression, type_name=name)
                count += 1
    assert count > OFFICIAL_PARAMETERS_OF_TYPES


def test_a_component_of_a_composite_names_a_parameter_of_the_same_type():
    for name in definitions.resource_types():
        parameters = definitions.search_parameters(name)
        for parameter in parameters.values():
            assert (parameter.kind == "composite") == bool(parameter.components)
            assert {component.code for component in parameter.components} <= {*parameters}, (name, parameter.code)


def test_compartments_place_a_resource_by_parameters_that_its_type_has():
    compartments = definitions.compartments()
    assert {*compartments} == {"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"}
    assert compartments["Patient"]["Patient"] == ("{def}", "link")
    assert compartments["Patient"]["Observation"] == ("subject", "performer")
    for types in compartments.values():
        for name, codes in types.items():
            assert {*codes} - {"{def}"} <= {*definitions.search_parameters(name)}, name


def test_a_structure_is_found_by_type_by_canonical_and_by_version():
    us_core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    assert definitions.structure("Patient")["url"] == "http://hl7.org/fhir/StructureDefinition/Patient"
    assert definitions.structure(f"{us_core}|3.1.1")["version"] == "3.1.1"
    assert definitions.structure(us_core)["version"] == "6.1.0"
    assert definitions.structure(f"{us_core}|9.9.9") is None
    assert definitions.structure("http://example.org/unknown") is None
    assert definitions.profiles_of("Patient") == tuple(
        f"{us_core}|{version}" for version in ("3.1.1", "6.1.0", "7.0.0")
    )


def test_an_element_of_a_structure_has_what_validation_needs_and_no_prose():
    elements = {element["id"]: element for element in definitions.structure("Observation")["snapshot"]["element"]}
    assert elements["Observation"]["constraint"][-1]["key"] == "obs-7"
    assert elements["Observation.status"]["binding"] == {
        "strength": "required",
        "valueSet": "http://hl7.org/fhir/ValueSet/observation-status|4.0.1",
    }
    assert elements["Observation.component.referenceRange"]["contentReference"] == "#Observation.referenceRange"
    assert not {"definition", "comment", "short", "mapping"} & {key for element in elements.values() for key in element}
    value = next(
        element
        for element in definitions.structure("positiveInt")["snapshot"]["element"]
        if element["id"] == "positiveInt.value"
    )
    assert value["regex"] == "[1-9][0-9]*"
    assert definitions.structure("Patient")["snapshot"]["element"][1]["type"] == [{"code": "id"}]


def test_every_invariant_of_every_structure_compiles():
    expressions = {
        constraint["expression"]
        for canonical in definitions.structure_canonicals()
        for element in definitions.structure(canonical)["snapshot"]["element"]
        for constraint in element.get("constraint", ())
        if "expression" in constraint
    }
    assert len(expressions) > 240
    for expression in expressions:
        compile_path(expression)


def _kept_without_bound() -> int:
    """What all caches without a bound hold in the modules that know FHIR."""
    rooms = [module for name, module in sys.modules.items() if name.startswith("chartwire.formats.fhir")]
    caches = {id(held): held for room in rooms for held in vars(room).values() if hasattr(held, "cache_info")}
    return sum(held.cache_info().currsize for held in caches.values() if held.cache_info().maxsize is None)


def _ask_about(name: str) -> None:
    """Name something that no definition knows in each place where a caller may."""
    url = f"http://example.org/{name}"
    for ask in (definitions.children, definitions.structure, definitions.search_parameters, definitions.base_of):
        assert not ask(name)
    for ask in (definitions.code_system, definitions.value_set, definitions.structure):
        assert ask(url) is None
    assert definitions.choices(name, name) == ()
    assert definitions.code_system(f"http://hl7.org/fhir/administrative-gender|{name}") is not None
    assert definitions.value_set(f"http://hl7.org/fhir/ValueSet/administrative-gender|{name}") is not None
    assert TERMINOLOGY.descendants(url, name) is None
    body = {
        "resourceType": "Basic",
        "meta": {"profile": [url]},
        "code": {"coding": [{"system": url, "code": name}]},
        "extension": [{"url": url, "valueCode": name}],
        "contained": [{"resourceType": name, "id": "a"}],
        "subject": {"reference": f"{name}/1", "type": name},
    }
    assert check(body)
    assert find_links(body, {name})
    compile_path("Basic.descendants().ofType(Reference).resolve()").evaluate(body)


def test_what_callers_name_is_not_kept_where_no_definition_knows_it():
    _ask_about("Warm")
    before = _kept_without_bound()
    for number in range(20):
        _ask_about(f"Unknown{number}")
    assert _kept_without_bound() == before
