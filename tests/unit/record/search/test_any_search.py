"""Searches of any text: a Query whose SQL can be made, or a SearchError; never anything else."""

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from chartwire.core.ids import uuid7
from chartwire.formats.fhir.definitions import common_parameters, search_parameters, served_types
from chartwire.record.search import SearchError, parse
from chartwire.store.fhir_search.pages import counting, page, parts

TYPES = st.sampled_from(
    ["Patient", "Observation", "Encounter", "MedicationRequest", "ValueSet", "Location", "ChargeItem"]
)
COMMON = ["_sort", "_count", "_total", "_type", "_id", "_lastUpdated", "_has", "_include", *sorted(common_parameters())]
MODIFIERS = st.sampled_from(
    [
        "exact",
        "contains",
        "text",
        "not",
        "missing",
        "in",
        "not-in",
        "below",
        "above",
        "identifier",
        "of-type",
        "Patient",
    ]
)
JUNK = st.text(max_size=8)
SIGNS = st.sampled_from("|,$\\:-\x00\x1fǅé")
DATES = st.sampled_from(["2026-02-30", "2026-02", "0001", "9999", "9999-12-31T23:59:59Z", "2026-02-03T04:05+14:00"])
NUMBERS = st.sampled_from(["1e400", "1e-400", "-1e308", "-0.00", "1.50", "99999999999999999999"])
WORDS = st.sampled_from(
    ["eq", "ap", "ne", "sb", "true", "male", "Patient/1", "urn:x", "http://loinc.org", "mg", "1|2|3|km"]
)
VALUES = st.one_of(DATES, NUMBERS, st.lists(WORDS | DATES | NUMBERS | SIGNS, max_size=6).map("".join), JUNK)


def codes(kind):
    """Names of parameters, most of them those of a type."""
    return st.sampled_from(sorted(search_parameters(kind))) | st.sampled_from(COMMON)


def names(kind):
    """What may stand before `=` in a search of a type."""
    own, other = codes(kind), TYPES.flatmap(codes)
    return st.one_of(
        own,
        st.tuples(own, MODIFIERS).map(":".join),
        st.tuples(own, other).map(".".join),
        st.tuples(own, TYPES, other).map(lambda told: "{}:{}.{}".format(*told)),
        st.tuples(TYPES, other, other).map(lambda told: "_has:{}:{}:{}".format(*told)),
        JUNK,
    )


def searches(kind):
    """A type and the parameters of a search."""
    pairs = st.lists(st.tuples(names(kind or "Patient"), VALUES), max_size=4)
    return st.tuples(st.just(kind), pairs)


@given((TYPES | st.none()).flatmap(searches), st.booleans())
@example(("Patient", [("birthdate", "9999")]), False)
def test_any_search_is_made_into_sql_or_refused(asked, strict):
    kind, pairs = asked
    with contextlib.suppress(SearchError):
        query = parse(kind, pairs, strict=strict)
        assert set(query.search.types) <= set(served_types())
        for part in parts(query.search):
            made = page(uuid7(), uuid7(), query.search, part)
            assert f"${len(made.args)}" in made.sql
        counting(uuid7(), None, query.search, 100)
