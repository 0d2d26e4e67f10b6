"""What is stored where, for all types: from the definitions, once each, under keys of its own."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.record.fhir_index.told import VARIANTS, named

from chartwire.formats.fhir.definitions import children, is_primitive, search_parameters, served_types
from chartwire.record.fhir_index import (
    IndexRows,
    index_changes,
    index_rows,
    key_of,
    keys_of_type,
    place_of,
    trigram_keys,
)
from chartwire.record.fhir_index.expressions import Step, alternatives, chain_of
from chartwire.record.fhir_index.places import parameters

COORDINATES = "MolecularSequence"


def test_no_two_names_of_parameters_have_the_same_key() -> None:
    names = [(kind, code, variant) for kind in served_types() for code in parameters(kind) for variant in VARIANTS]
    assert len(names) > 10_000
    assert len({key_of(*name) for name in names}) == len(names)


def test_a_key_is_the_beginning_of_a_digest_so_that_rows_keep_their_meaning_from_release_to_release() -> None:
    assert key_of("Patient", "identifier") == -2733565854017648354
    assert key_of("Patient", "identifier", "of-type") == 6523345924355319258


def test_every_parameter_of_the_definitions_has_a_place_but_those_without_values_to_store() -> None:
    left_out = {
        (kind, code)
        for kind in served_types()
        for code, told in search_parameters(kind).items()
        if told.kind != "special" and told.expression and place_of(kind, code) is None
    }
    assert {kind for kind, _ in left_out} == {COORDINATES}
    assert place_of("Patient", "_id") is None
    assert place_of("Patient", "unknown") is None


@pytest.mark.parametrize(
    ("kind", "code", "codes", "prefix"),
    [
        ("Observation", "patient", ("subject",), "Patient/"),
        ("Observation", "combo-code", ("code", "component-code"), ""),
        ("Observation", "combo-value-quantity", ("component-value-quantity", "value-quantity"), ""),
        ("Observation", "combo-code-value-quantity", ("code-value-quantity", "component-code-value-quantity"), ""),
        ("Patient", "phonetic", ("name",), ""),
        ("Immunization", "patient", ("patient",), ""),
        ("Encounter", "practitioner", ("participant",), "Practitioner/"),
    ],
)
def test_what_another_parameter_stores_is_looked_up_there(
    kind: str, code: str, codes: tuple[str, ...], prefix: str
) -> None:
    place = place_of(kind, code)
    assert place is not None
    assert (place.codes, place.prefix) == (codes, prefix)
    assert place.keys("text") == tuple(key_of(kind, stands, "text") for stands in codes)


def test_parts_of_a_name_are_found_among_the_trigrams_of_the_whole() -> None:
    assert trigram_keys("Patient", "family") == (key_of("Patient", "name", "contains"),)
    assert trigram_keys("Location", "name") == (key_of("Location", "name", "contains"),)
    assert trigram_keys("Patient", "address") == trigram_keys("Patient", "birthdate") == ()


def test_an_expression_is_read_as_members_types_and_conditions() -> None:
    assert chain_of("(Observation.value as CodeableConcept).text") == (
        Step("member", "Observation"), Step("member", "value"), Step("type", "CodeableConcept"), Step("member", "text"),
    )  # fmt: skip
    assert chain_of("Patient.link.other.where(resolve() is Patient)") == (
        Step("member", "Patient"), Step("member", "link"), Step("member", "other"), Step("resolves", "Patient"),
    )  # fmt: skip
    assert chain_of("telecom.where(system = 'a.b|c')") == (Step("member", "telecom"), Step("equals", "system", "a.b|c"))
    assert alternatives("a.where(b='|') | (c as D)") == ["a.where(b='|')", "(c as D)"]
    assert chain_of("Patient.deceased.exists() and Patient.deceased != false") is None


SCALARS: tuple[Any, ...] = (
    "", "x", "2020-02-30", "2020-01", "9999", "0001-01-01T00:00:00+14:00", "Patient/a", "#a", "http://x/Patient/a|1",
    "\0", "a b  c", "é" * 900, True, False, None, 0, -1, 10**400, [], {}, [[]], [None], {"": {}},
)  # fmt: skip


def broken(chance: random.Random, kind: str, depth: int) -> Any:
    """A value of a type, some of whose parts are not what they should be."""
    if depth == 0 or chance.random() < 0.15:
        return chance.choice(SCALARS)
    if is_primitive(kind):
        return chance.choice(SCALARS[:17])
    told = children(kind)
    names = chance.sample(sorted(told), min(len(told), 6))
    values = {name: broken(chance, told[name].type, depth - 1) for name in names}
    return {name: [value, value] if told[name].many else value for name, value in values.items()}


def resource(chance: random.Random, kind: str) -> dict[str, Any]:
    """A resource of a type, broken here and there."""
    told = children(kind)
    return {name: broken(chance, told[name].type, 4) for name in chance.sample(sorted(told), min(len(told), 12))}


def all_rows(rows: IndexRows) -> set[Any]:
    return {*rows.tokens, *rows.strings, *rows.dates, *rows.numbers}


@given(chance=st.randoms(use_true_random=False), kind=st.sampled_from(served_types()))
def test_broken_values_make_no_rows_and_no_errors_and_changes_lead_from_one_body_to_the_next(
    chance: random.Random, kind: str
) -> None:
    stood, other = resource(chance, kind), resource(chance, kind)
    stands = {**stood, **dict(list(other.items())[:4])}
    before, after = index_rows(kind, stood), index_rows(kind, stands)
    gone, new = index_changes(kind, stood, stands)
    assert all_rows(gone) <= all_rows(before)
    assert not all_rows(new) & all_rows(before)
    assert (all_rows(before) - all_rows(gone)) | all_rows(new) == all_rows(after)
    keys = {key for _, key in keys_of_type(kind)}
    assert {row[0] for row in all_rows(after)} <= keys
    assert named(kind, after).keys() is not None
    assert all("\0" not in text and len(text.encode()) < 2600 for _, text in after.tokens | after.strings)
