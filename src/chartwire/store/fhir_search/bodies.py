"""Conditions that read a candidate's body: for those without index rows, among few candidates or few resources."""

from chartwire.store.fhir_search.candidate import Candidate
from chartwire.store.fhir_search.conditions import Near, Words
from chartwire.store.fhir_search.statement import Statement

_NARRATIVE = "lower(coalesce(w.body::json #>> '{text,div}', ''))"
_POSITION = (
    "radians(case json_typeof(w.body::json #> '{{position,{name}}}') when 'number'"
    " then (w.body::json #>> '{{position,{name}}}')::double precision end)"
)
_EARTH_RADIUS_M = "6371008.8"


def of_body(statement: Statement, condition: Words | Near, candidate: Candidate) -> str:
    """SQL that is true where the condition holds of the candidate."""
    test = _words(statement, condition) if isinstance(condition, Words) else _near(statement, condition)
    return (
        f"exists (select from resource w where w.org_id = {statement.org} and w.type = {candidate.type}"
        f" and w.id = {candidate.id} and not w.deleted and {test} offset 0)"
    )


def _words(statement: Statement, words: Words) -> str:
    text = _NARRATIVE if words.narrative else "lower(w.body)"
    return " and ".join(f"strpos({text}, {statement.parameter(word, 'text')}) > 0" for word in words.words)


def _near(statement: Statement, near: Near) -> str:
    """The haversine formula: exact enough for any distance, however small."""
    latitude, longitude = (_POSITION.format(name=name) for name in ("latitude", "longitude"))
    north = f"radians({statement.parameter(near.latitude, 'double precision')})"
    east = f"radians({statement.parameter(near.longitude, 'double precision')})"
    up = f"sin(({latitude} - {north}) / 2) ^ 2"
    across = f"cos({latitude}) * cos({north}) * sin(({longitude} - {east}) / 2) ^ 2"
    metres = f"2 * {_EARTH_RADIUS_M} * asin(least(1, sqrt({up} + {across})))"
    return f"{metres} <= {statement.parameter(near.metres, 'double precision')}"
