"""Invariants of the definitions: those that every resource meets by hand, all others by FHIRPath."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from chartwire.formats.fhir.definitions import children, is_primitive
from chartwire.formats.fhir.narrative import narrative_fault
from chartwire.formats.fhir.validate.by_hand import BY_HAND, VALUES, Holds
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.run import Check, Json, Run
from chartwire.formats.fhirpath import FhirPathError, Path, compile_path

ELSEWHERE: Final = frozenset({"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"})
"""Those that the walk itself checks: shapes.py, references.py."""
BEST_PRACTICE: Final = frozenset({"dom-6"})
"""What R4 calls best practice (elementdefinition-bestpractice): not told of, or every resource would have an issue."""
MENDED: Final = {
    "operator = 'exists' implies (answer is Boolean)": "operator = 'exists' implies (answer is boolean)",
    "telecom or endpoint": "telecom.exists() or endpoint.exists()",
}
"""What the definitions misspell: `Boolean` is FHIRPath's own type, and answers are FHIR's; `or` takes no lists."""
_BROKEN: Final = [False]
"""What an invariant that does not hold gives. An empty answer breaks nothing: bdl-8 of an entry without fullUrl."""
_UNFIT: Final = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What evaluation over values of a wrong kind ends in, which are errors of their own."""
_LOOKS_ELSEWHERE: Final = ("%", "$this", "descendants", "children", "hasValue", "resolve", "repeat", "ofType")
_QUOTED: Final = re.compile(r"'(?:\\.|[^'\\])*'")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def check_narrative(held: Json, place: Place, run: Run) -> None:
    """txt-1 and txt-2."""
    div = held.get("div")
    if type(div) is str and (fault := narrative_fault(div)):
        run.findings.add("narrative", (place, "div", -1), fault=fault)


def check_extension(held: Json, place: Place, run: Run) -> None:
    """ext-1: a value or extensions, one of them."""
    has_value = any(name.startswith(VALUES) for name in held)
    if has_value == ("extension" in held):
        run.findings.add("extension-both" if has_value else "extension-neither", place)


def invariants_of(
    told: Sequence[Mapping[str, Any]], type_name: str, known: frozenset[str] = frozenset()
) -> list[Check]:
    """The checks for an element's `constraint`, without those whose keys are `known` to be checked elsewhere."""
    left = known | ELSEWHERE | BEST_PRACTICE
    return [
        _invariant(one["key"], one["severity"], one["human"], one["expression"], type_name)
        for one in told
        if one["key"] not in left and "expression" in one
    ]


@cache
def _invariant(key: str, severity: str, human: str, expression: str, type_name: str) -> Check:
    if key in BY_HAND:
        return _by_hand(BY_HAND[key], key, severity, human)
    path = compile_path(MENDED.get(expression, expression), type_name=type_name)
    idle_without = _idle_without(path, type_name)

    def check_path(held: Any, _: Json, place: Place, run: Run) -> None:
        if idle_without is not None and idle_without.isdisjoint(held):
            return
        try:
            values = path.evaluate(run.resource, held, run.variables)
        except (FhirPathError, *_UNFIT):
            run.findings.add("invariant-not-checked", place, key=key, human=human)
            return
        if values == _BROKEN:
            run.findings.add_invariant(key, severity, human, place)

    return check_path


def _idle_without(path: Path, type_name: str) -> frozenset[str] | None:
    """The members without any of which an invariant holds, since they are all that it looks at; None where it looks
    elsewhere, too, or where it asks for one of them."""
    if is_primitive(type_name) or any(word in path.text for word in _LOOKS_ELSEWHERE):
        return None
    if path.evaluate({"resourceType": "Basic"}, {}) == _BROKEN:
        return None
    words = {*_WORD.findall(_QUOTED.sub("", path.text))}
    known = {*children(type_name).items()}
    return frozenset(form for name, child in known if child.element in words for form in (name, f"_{name}"))


def _by_hand(holds: Holds, key: str, severity: str, human: str) -> Check:
    def check(held: Any, _: Json, place: Place, run: Run) -> None:
        if not holds(held):
            run.findings.add_invariant(key, severity, human, place)

    return check
