"""Loaded code systems: invented concepts under the URLs of real systems."""

import pytest

from chartwire.core.errors import ConflictError, ValidationError
from chartwire.formats.codes import Concept
from chartwire.formats.fhir.definitions.codes import Part, ValueSet, value_set_definition
from chartwire.formats.fhir.terminology import TERMINOLOGY
from chartwire.record import terminology
from chartwire.record.terminology import Terminologies
from chartwire.store import terminology as store
from chartwire.store.queries import q

SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
CONDITIONS = "http://hl7.org/fhir/us/core/ValueSet/us-core-condition-code|6.1.0"
NOTES = "http://hl7.org/fhir/us/core/ValueSet/us-core-documentreference-type|3.1.1"
FINDING = "404684003"
FINDINGS = [
    Concept("138875005", "Everything"),
    Concept(FINDING, "Finding", ("138875005",)),
    Concept("91", "Blue finding", (FINDING,)),
    Concept("92", "Light blue finding", ("91", FINDING)),
    Concept("93", "Tree", ("138875005",)),
]
TERMS = [
    Concept("99901-1", "Starlight note", (), {"SCALE_TYP": "Doc", "CLASSTYPE": "2"}),
    Concept("99902-9", "Moonlight in Serum", (), {"SCALE_TYP": "Qn", "CLASSTYPE": "1"}),
]


@pytest.fixture
async def loaded(pool):
    await store.replace(pool, SNOMED, "20300101", FINDINGS)
    await store.replace(pool, LOINC, "2.99", TERMS)
    return Terminologies(pool)


def condition(*codes):
    return {"resourceType": "Condition", "code": {"coding": [{"system": SNOMED, "code": code} for code in codes]}}


async def test_without_anything_loaded_the_packages_answer_and_say_what_they_cannot_know(pool):
    assert await Terminologies(pool).for_resource(condition("92")) is TERMINOLOGY
    assert TERMINOLOGY.contains(CONDITIONS, SNOMED, "92") is None


async def test_a_loaded_code_is_in_a_value_set_by_all_its_generations(loaded):
    told = await loaded.for_resource(condition("92", "93", "94"))
    assert told.contains(CONDITIONS, SNOMED, "92") is True
    assert told.contains(CONDITIONS, SNOMED, "93") is False
    assert told.contains(CONDITIONS, SNOMED, "94") is False
    assert told.contains(CONDITIONS, SNOMED, "95") is None, "nobody asked about 95"
    assert told.contains("http://hl7.org/fhir/ValueSet/administrative-gender", "", "male") is True


async def test_a_filter_on_a_property_counts_in_any_case(loaded):
    told = await loaded.for_codings({(LOINC, "99901-1"), (LOINC, "99902-9")})
    assert told.contains(NOTES, LOINC, "99901-1") is True
    assert told.contains(NOTES, LOINC, "99902-9") is False


async def test_value_sets_over_loaded_systems_are_listed_with_displays_and_by_words(loaded):
    listed, complete = await loaded.listed(value_set_definition(NOTES))
    assert complete
    assert listed[LOINC, "99901-1"] == "Starlight note"
    assert {code for system, code in listed if system == LOINC} == {"99901-1"}
    blue, _ = await loaded.listed(
        ValueSet("x", include=(Part(SNOMED, filters=(("concept", "is-a", FINDING),)),)), ["BLUE"]
    )
    assert {*blue.values()} == {"Blue finding", "Light blue finding"}
    without, _ = await loaded.listed(
        ValueSet(
            "x",
            include=(Part(SNOMED, filters=(("concept", "descendent-of", FINDING),)),),
            exclude=(Part(SNOMED, concepts={"91": ""}),),
        )
    )
    assert {*without} == {(SNOMED, "92")}


async def test_a_word_is_text_and_no_pattern(loaded):
    everything = ValueSet("x", include=(Part(SNOMED),))
    assert (await loaded.listed(everything, ["%"]))[0] == {}
    assert (await loaded.listed(everything, ["_"]))[0] == {}


async def test_a_value_set_with_a_system_that_is_not_loaded_is_listed_and_said_to_be_incomplete(loaded):
    listed, complete = await loaded.listed(value_set_definition(CONDITIONS))
    assert not complete, "ICD-10-CM is not loaded"
    assert {code for system, code in listed if system == SNOMED} >= {FINDING, "91", "92"}


async def test_searches_get_the_descendants_and_value_sets_that_they_name(loaded):
    asked = [("code:below", f"{SNOMED}|91"), ("code:above", f"{SNOMED}|92"), ("type:in", NOTES), ("status", "x")]
    told = await loaded.for_search(asked)
    assert told.descendants(SNOMED, "91") == {"91", "92"}
    assert told.ancestors(SNOMED, "92") == {"92", "91", FINDING, "138875005"}
    assert (LOINC, "99901-1") in told.codes_of(NOTES)
    assert told.descendants("http://hl7.org/fhir/administrative-gender", "male") == {"male"}
    assert told.ancestors("http://hl7.org/fhir/administrative-gender", "male") == {"male"}
    assert told.ancestors("http://example.org", "x") is None


async def test_a_set_too_large_is_refused_with_what_to_do(loaded, monkeypatch):
    monkeypatch.setattr(terminology, "EXPANSION_CODES_MAX", 2)
    with pytest.raises(ValidationError, match="narrow them"):
        await loaded.listed(ValueSet("x", include=(Part(SNOMED),)))


async def test_a_new_edition_takes_the_place_of_the_old_one_and_nothing_of_it_stays(pool, loaded):
    assert await store.replace(pool, SNOMED, "20310101", FINDINGS[:3]) == 3
    assert (await store.systems(pool))[SNOMED].version == "20310101"
    assert {*await store.facts(pool, [(SNOMED, "91"), (SNOMED, "92")])} == {(SNOMED, "91")}
    async with pool.transaction(store.INSTALLATION) as tx:
        assert await tx.fetchval("select count(*) from terminology_concept") == 3 + len(TERMS)
        assert await tx.fetchval("select count(*) from terminology_parent") == 2


async def test_a_load_that_breaks_off_leaves_the_old_edition_in_force(pool, loaded):
    def broken():
        yield Concept("1", "new")
        raise ValidationError("a row is cut short", code="code_table")

    with pytest.raises(ValidationError):
        await store.replace(pool, SNOMED, "x", broken())
    assert (SNOMED, "92") in await store.facts(pool, [(SNOMED, "92"), (SNOMED, "1")])
    assert await store.forget(pool, LOINC)
    async with pool.transaction(store.INSTALLATION) as tx:
        assert await tx.fetchval("select count(*) from terminology_concept") == len(FINDINGS)


async def test_two_loads_at_a_time_are_refused(pool):
    async with pool.connection() as other:
        await other.fetchval("select pg_advisory_lock(hashtextextended('chartwire terminology', 0))")
        with pytest.raises(ConflictError, match="another load"):
            await store.replace(pool, SNOMED, "x", FINDINGS)
        await other.execute("select pg_advisory_unlock(hashtextextended('chartwire terminology', 0))")


async def test_steps_through_a_hierarchy_are_look_ups_by_key_before_there_are_statistics(pool, loaded):
    asked = (SNOMED, FINDING, True, [], [], 100, [])
    async with pool.transaction(store.INSTALLATION) as tx:
        plan = await tx.fetch(f"explain {q.terminology_listed}", store.INSTALLATION, *asked)
    conditions = [row[0] for row in plan if "Index Cond" in row[0]]
    assert any("(parent = down_1.code)" in condition for condition in conditions), conditions
    assert any("(code = down.code)" in condition for condition in conditions), conditions


async def test_organisations_see_none_of_the_tables_of_the_installation(pool, org_id, loaded):
    async with pool.transaction(org_id) as tx:
        assert await tx.fetchval("select count(*) from terminology_concept") == 0
