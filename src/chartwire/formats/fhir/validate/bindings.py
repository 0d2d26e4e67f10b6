"""Codes against value sets. What cannot be decided from what is here is said to be unchecked, never to be right."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from chartwire.formats.fhir.definitions import value_set
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.run import Check, Json, Run

_CHECKED: Final = ("required", "extensible", "maximum")
_BROKEN: Final = {
    "required": "code-required",
    "extensible": "code-extensible",
    "maximum": "code-beyond-maximum",
}
_WITH_SYSTEM: Final = frozenset({"Coding", "Quantity", "Age", "Distance", "Duration"})
_CODES_TOLD_MAX: Final = 12


class Binding:
    """One value set at one strength: `required`, `extensible`, or `maximum` (required of what is beyond extensible)."""

    __slots__ = ("codes", "complete", "members", "name", "strength", "url")

    def __init__(self, strength: str, url: str) -> None:
        known = value_set(url)
        self.strength = strength
        self.url = url
        self.name = url.partition("|")[0].rpartition("/")[2]
        self.members = known.codes if known else frozenset()
        self.codes = frozenset(code for _, code in self.members)
        self.complete = known is not None and known.complete

    def check_code(self, value: Any, _: Json, place: Place, run: Run) -> None:
        """A plain code, whose system only the value set knows. `place` is its own."""
        if type(value) is not str or value in self.codes:
            return
        verdict = False if self.complete else run.terminology.contains(self.url, None, value)
        self._tell(verdict, place, run)

    def check_coding(self, value: Any, _: Json, place: Place, run: Run) -> None:
        """A Coding, or a Quantity, which has its unit's system and code in the same members."""
        if type(value) is dict and ("code" in value or self.strength == "required"):
            self._tell(self._verdict(value, run), place, run)

    def check_concept(self, value: Any, _: Json, place: Place, run: Run) -> None:
        """A CodeableConcept: one of its codings is enough, text alone is not where the binding is required."""
        if type(value) is not dict:
            return
        codings = value.get("coding")
        if type(codings) is not list or not codings:
            if self.strength == "required":
                run.findings.add("code-missing", place, value_set=self.name)
            return
        verdicts = {self._verdict(coding, run) for coding in codings if type(coding) is dict}
        if True not in verdicts:
            self._tell(None if None in verdicts else False, place, run)

    def _verdict(self, coding: Mapping[str, Any], run: Run) -> bool | None:
        system, code = coding.get("system"), coding.get("code")
        if type(system) is not str or type(code) is not str:
            return False
        if (system, code) in self.members:
            return True
        return False if self.complete else run.terminology.contains(self.url, system, code)

    def _tell(self, verdict: bool | None, place: Place, run: Run) -> None:
        if verdict is None:
            run.findings.add("code-not-checked", place, value_set=self.name, strength=self.strength)
        elif not verdict:
            few = sorted(self.codes) if len(self.codes) <= _CODES_TOLD_MAX else ()
            run.findings.add(
                _BROKEN[self.strength], place, value_set=self.name, codes=f": {', '.join(few)}" if few else ""
            )


@cache
def binding_of(strength: str, url: str) -> Binding:
    """The one Binding of a value set at a strength."""
    return Binding(strength, url)


def bindings_of(told: Mapping[str, Any] | None) -> list[Binding]:
    """What an element's `binding` asks for: () for what is only preferred or an example."""
    if not told:
        return []
    found = []
    if told.get("strength") in _CHECKED and "valueSet" in told:
        found.append(binding_of(told["strength"], told["valueSet"]))
    if "maxValueSet" in told:
        found.append(binding_of("maximum", told["maxValueSet"]))
    return found


def binding_check(binding: Binding, type_name: str) -> Check | None:
    """How values of a type are checked against a binding; None for types that have no codes."""
    if type_name in {"code", "string", "uri"}:
        return binding.check_code
    if type_name in _WITH_SYSTEM:
        return binding.check_coding
    return binding.check_concept if type_name == "CodeableConcept" else None
