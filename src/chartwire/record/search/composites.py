"""Composite values (R4 3.1.1.4.12): `first$second`, the first a token, code or reference."""

from chartwire.record.fhir_index.values import token_text
from chartwire.record.search import ranges, references, strings, tokens
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import TABLES, Parameter, part_of
from chartwire.record.search.values import split, unescaped
from chartwire.store.fhir_search.conditions import Alternative, Comparison, Condition, Rows


def condition(parameter: Parameter, _: str, values: list[str], context: Context) -> Condition:
    """The condition of a composite. Raises InvalidValueError."""
    first, second = (part_of(parameter.type, parameter.told, place) for place in (0, 1))
    ways: list[Alternative] = []
    for value in values:
        parts = split(value, "$")
        if len(parts) != 2 or not all(parts):
            raise InvalidValueError("the two parts are joined by `$`")
        for code in _codes(first.kind, parts[0], first.targets, context):
            ways += _ways(second.kind, code, parts[1], second.targets, context)
    return Rows(TABLES[second.kind], parameter.under(), tuple(ways))


def _codes(kind: str, value: str, targets: tuple[str, ...], context: Context) -> list[str]:
    if kind == "reference":
        return references.forms_of(unescaped(value), targets, context)
    return [tokens.form(value)]


def _ways(kind: str, code: str, value: str, targets: tuple[str, ...], context: Context) -> tuple[Alternative, ...]:
    coded = Comparison("code", "=", code)
    match kind:
        case "date":
            return tuple((*way, coded) for way in ranges.date_ways(value, context))
        case "quantity":
            return tuple((*way, coded) for way in ranges.quantity_ways(value))
        case "number":
            return tuple((*way, coded) for way in ranges.number_ways(value))
        case "string":
            return (strings.begins(value, f"{code}$"),)
    return tokens.equal([token_text(f"{code}${other}") for other in _codes(kind, value, targets, context)])
