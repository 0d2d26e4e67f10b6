"""What the search language takes, and how it tells what it does not."""

from urllib.parse import parse_qsl

import pytest

from chartwire.core.limits import FHIR_SEARCH_TERMS_MAX, FHIR_SEARCH_VALUES_MAX
from chartwire.formats.fhir.definitions import search_parameters, served_types
from chartwire.record.search import Context, Query, SearchError, parse, supported
from chartwire.store.fhir_search.conditions import AnyOf, Chain


def read(resource_type: str | None, text: str, *, strict: bool = True) -> Query:
    return parse(resource_type, parse_qsl(text, keep_blank_values=True), strict=strict)


def refused(resource_type: str | None, text: str, *, strict: bool = True) -> SearchError:
    with pytest.raises(SearchError) as error:
        read(resource_type, text, strict=strict)
    return error.value


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "gender.name=x",
        "organization.colour=x",
        "_has:Observation:performer-of:code=x",
        "_has:Colour:patient:code=x",
        "_has:Observation:patient=x",
        "_sort=colour",
        "_sort=-_text",
        "_list=x",
        "_query=x",
    ],
)
def test_what_is_not_known_is_refused_under_strict_and_ignored_with_a_warning_otherwise(text: str) -> None:
    error = refused("Patient", text)
    assert error.code == "unknown_parameter"
    lenient = read("Patient", f"{text}&gender=male", strict=False)
    assert [warned.parameter for warned in lenient.warnings] == [text.partition("=")[0]]
    assert lenient.search == read("Patient", "gender=male").search
    assert lenient.pairs == (("gender", "male"),)


@pytest.mark.parametrize(
    "text",
    ["name:sounds=anna", "birthdate:exact=1980", "organization:Practitioner=1", "organization:Patient.name=x"],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_modifier_that_its_parameter_does_not_have_is_always_refused(text: str, strict: bool) -> None:
    assert refused("Patient", text, strict=strict).code == "unknown_parameter"


def test_a_refusal_says_what_is_known_instead() -> None:
    assert "birthdate" in refused("Patient", "colour=red").message
    assert ":exact" in refused("Patient", "name:sounds=anna").message
    assert "Organization" in refused("Patient", "organization:Patient.name=x").message


@pytest.mark.parametrize(
    ("resource_type", "text"),
    [
        ("Patient", "birthdate=1980-02-30"),
        ("Patient", "birthdate=xx1980"),
        ("Patient", "birthdate=today"),
        ("Patient", "active:missing=yes"),
        ("Patient", "name=%20"),
        ("Patient", "name:contains=ab"),
        ("Patient", "gender=a|b|c"),
        ("Patient", "identifier=|"),
        ("Patient", "identifier:of-type=a|b"),
        ("Patient", r"name=a\b"),
        ("Patient", "_id=a_b"),
        ("Patient", "_count=-1"),
        ("Patient", "_count=ten"),
        ("Patient", "_total=all"),
        ("Patient", "_lastUpdated=never"),
        ("Observation", "value-quantity=five"),
        ("Observation", "value-quantity=5|mg"),
        ("Observation", "value-quantity=1e999"),
        ("Observation", "value-quantity=NaN"),
        ("Observation", "code-value-quantity=x"),
        ("Location", "near=91|0"),
        ("Location", "near=1|0|x"),
        ("Location", "near=1|0|5|parsec"),
        ("Location", "near=NaN|0|5"),
        ("Observation", "code:in=http://nowhere.example/set"),
        ("Observation", "code:below=x"),
        ("Observation", "subject=#contained"),
        (None, "_type=Patient,Colour"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_value_that_its_parameter_cannot_have_is_always_refused(
    resource_type: str | None, text: str, strict: bool
) -> None:
    assert refused(resource_type, text, strict=strict).code == "invalid_parameter"


def test_no_refusal_repeats_a_value() -> None:
    for text in ("birthdate=Anna-Weber", "Anna Weber=1", "name:Anna=1", "Anna.name=x", "_sort=Anna"):
        error = refused("Patient", text)
        assert "Weber" not in repr((error.message, error.faults)), text


@pytest.mark.parametrize(
    "text",
    [
        "&".join(["gender=male"] * (FHIR_SEARCH_TERMS_MAX + 1)),
        "_id=" + ",".join(["a"] * (FHIR_SEARCH_VALUES_MAX + 1)),
        "link:Patient." * 6 + "name=x",
        "_has:Patient:link:" * 6 + "name=x",
        "link." * 2_000 + "name=x",
        "_content=" + "a " * 100,
        "_sort=name,-name,gender,-gender,birthdate",
        "_has:Provenance:target:target._tag=x",
        "&".join(["general-practitioner.name=x"] * 31),
    ],
)
def test_what_has_no_bound_is_refused(text: str) -> None:
    assert refused("Patient", text).code == "search_too_complex"


def test_an_untyped_chain_goes_on_from_the_types_that_know_what_follows() -> None:
    [chain] = read("Observation", "subject.organization.name=x").search.conditions
    assert isinstance(chain, AnyOf)
    assert {one.type for one in chain.conditions if isinstance(one, Chain)} == {"Device", "Location", "Patient"}
    [chain] = read("Observation", "subject.general-practitioner.family=x").search.conditions
    assert isinstance(chain, Chain)
    assert chain.type == "Patient"


def test_what_several_types_share_is_asked_of_all_of_them() -> None:
    assert read(None, "_type=Patient,Practitioner&name=anna&active:missing=true&_sort=family").types == (
        "Patient",
        "Practitioner",
    )
    assert refused(None, "_type=Patient,Observation&name=anna").code == "unknown_parameter"


def test_escaped_separators_belong_to_the_value() -> None:
    plain = read("Patient", "name=a b").search
    assert read("Patient", r"identifier=a\,b").search != read("Patient", "identifier=a,b").search
    assert "urn:a|x|y" in repr(read("Patient", r"identifier=urn:a|x\|y").search)
    assert read("Patient", "name=A%20%20B").search == plain


def test_an_empty_value_counts_as_not_given() -> None:
    assert read("Patient", "name=&gender=male") == read("Patient", "gender=male")


def test_a_reference_is_the_same_by_id_type_and_address() -> None:
    context = Context(bases=("https://example.org/fhir/R4/",))
    forms = ("anna", "Patient/anna", "https://example.org/fhir/R4/Patient/anna", "Patient/anna/_history/3")
    searches = {parse("Observation", [("patient", form)], context=context).search for form in forms}
    assert len(searches) == 1


def test_a_plus_that_became_a_blank_is_read_as_the_zone_that_it_was() -> None:
    lost = read("Observation", "date=2026-03-01T10:00:00+01:00").search
    assert lost == read("Observation", "date=2026-03-01T09:00:00Z").search


def test_every_parameter_of_the_definitions_is_supported_or_refused() -> None:
    for kind in served_types():
        known = supported(kind)
        for code in search_parameters(kind):
            if code not in known:
                assert refused(kind, f"{code}=x").code == "unknown_parameter"


def test_what_is_not_supported_is_a_short_list() -> None:
    missing = {f"{kind}.{code}" for kind in served_types() for code in search_parameters(kind).keys() - supported(kind)}
    assert missing == {
        "MolecularSequence.chromosome-variant-coordinate",
        "MolecularSequence.chromosome-window-coordinate",
        "MolecularSequence.referenceseqid-variant-coordinate",
        "MolecularSequence.referenceseqid-window-coordinate",
    }
