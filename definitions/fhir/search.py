"""Search parameters by resource type, each with only that part of its expression which concerns the type."""

import re
from typing import Any

from definitions.fhir.packages import Package, Resource

_COMMON = {"Resource", "DomainResource"}
_ONE_TARGET = re.compile(r"\.where\(resolve\(\) is (\w+)\)$")
_US_CORE_SOURCE = "us-core"
_KEPT = ("comparator", "modifier")
_SLIPS = {
    "value.as(DateTime) | value.as(Period)": "value.as(dateTime) | value.as(Period)",
    "name | alias": "InsurancePlan.name | InsurancePlan.alias",
}
"""What the definitions of R4 misspell: there is no type DateTime, and an expression begins with its type."""

Parameters = dict[str, dict[str, dict[str, Any]]]


def search_parameters(base: Package, guides: list[Package]) -> Parameters:
    """By type and code. What a guide adds is taken from its newest version; what it redefines keeps R4's expression."""
    official = base.search_parameters()
    expressions = {one["url"]: one for one in official}
    found: Parameters = {}
    for one in official:
        for name in one["base"]:
            found.setdefault(name, {})[one["code"]] = _parameter(one, name, expressions)
    for guide in guides:
        for one in guide.search_parameters():
            for name in one["base"]:
                _add(found[name], one, name, found["Resource"])
    return {name: dict(sorted(codes.items())) for name, codes in sorted(found.items())}


def _add(codes: dict[str, dict[str, Any]], told: Resource, name: str, common: dict[str, Any]) -> None:
    code = told["code"]
    known = codes.get(code) or common.get(code)
    if known is None or known.get("source") == _US_CORE_SOURCE:
        codes[code] = _parameter(told, name, {}) | {"source": _US_CORE_SOURCE}
        return
    for key in _KEPT:
        words = {*known.get(key, ()), *told.get(key, ())}
        if words and code in codes:
            known[key] = sorted(words)


def _parameter(told: Resource, name: str, others: dict[str, Resource]) -> dict[str, Any]:
    expression = _own_part(_mended(told.get("expression", "")), name)
    kept: dict[str, Any] = {"url": told["url"], "kind": told["type"]}
    if expression:
        kept["expression"] = expression
    if targets := _targets(told, expression):
        kept["targets"] = targets
    if "component" in told:
        kept["components"] = [_component(part, others) for part in told["component"]]
    return kept | {key: sorted(told[key]) for key in _KEPT if key in told}


def _component(part: Resource, others: dict[str, Resource]) -> list[str]:
    return [others[part["definition"]]["code"], _mended(part["expression"])]


def _mended(expression: str) -> str:
    return _SLIPS.get(expression, expression)


def _targets(told: Resource, expression: str) -> list[str]:
    ends = [_ONE_TARGET.search(part) for part in alternatives(expression)]
    if ends and all(ends):
        return sorted({end[1] for end in ends if end})
    return sorted(told.get("target", ()))


def _own_part(expression: str, name: str) -> str:
    if not expression or name in _COMMON:
        return expression
    own = [part for part in alternatives(expression) if _concerns(part, name)]
    assert own, (name, expression)
    return " | ".join(own)


def _concerns(part: str, name: str) -> bool:
    return re.match(rf"\(*{name}\b", part) is not None


def alternatives(expression: str) -> list[str]:
    """The parts of a union, split where no bracket or quotation is open."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if character == "|" and not depth:
                parts.append(expression[start:place])
                start = place + 1
    return [part.strip() for part in [*parts, expression[start:]]]


def compartments(base: Package) -> dict[str, dict[str, list[str]]]:
    """The parameters that place a resource in a compartment, by compartment and type; `{def}` is the resource."""
    found = {}
    for one in base.resources["CompartmentDefinition"]:
        if not one.get("experimental") or "example" not in one["url"]:
            rows = {told["code"]: told["param"] for told in one["resource"] if "param" in told}
            rows.setdefault(one["code"], []).insert(0, "{def}")
            found[one["code"]] = {name: [*dict.fromkeys(codes)] for name, codes in sorted(rows.items())}
    return found
