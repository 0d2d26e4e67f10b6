"""Token values (R4 3.1.1.4.10): `code`, `system|code`, `|code`, `system|`; and codes that a terminology lists."""

from chartwire.record.fhir_index.values import token_text
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter
from chartwire.record.search.strings import beginning
from chartwire.record.search.values import split, unescaped
from chartwire.store.fhir_search.conditions import Alternative, Comparison, Condition, Rank, Rows

_CODES_MAX = 20_000
_BEHIND_BAR = "}"
"""The character after `|`: where the values of a system end."""


def condition(parameter: Parameter, modifier: str, values: list[str], context: Context) -> Condition:
    """The condition of a token parameter, whatever its modifier. Raises InvalidValueError."""
    match modifier:
        case "text":
            return beginning(parameter.under("text"), values)
        case "of-type":
            return _equal(parameter.under("of-type"), [_of_type(value) for value in values], Rank.IDENTIFIER)
        case "in" | "not-in":
            codes = [code for value in values for code in _codes_of(unescaped(value), context)]
            return _equal(parameter.under(), codes, Rank.CODE, negated=modifier == "not-in")
        case "below" | "above":
            codes = [code for value in values for code in _related(value, modifier, context)]
            return _equal(parameter.under(), codes, Rank.CODE)
    context.names_records |= identifies(parameter) and not modifier
    rank = Rank.IDENTIFIER if identifies(parameter) else Rank.CODE
    return _matching(parameter.under(), values, rank, negated=modifier == "not")


def identifies(parameter: Parameter) -> bool:
    """Whether its values are Identifiers."""
    return "of-type" in parameter.modifiers


def form(value: str) -> str:
    """The index value of a token that is not just a system. Raises InvalidValueError."""
    parts = split(value, "|")
    if len(parts) > 2 or not parts[-1]:
        raise InvalidValueError("a token is `code`, `system|code` or `|code`")
    return token_text("|".join(unescaped(part) for part in parts))


def _matching(keys: tuple[int, ...], values: list[str], rank: Rank, *, negated: bool) -> Rows:
    systems = [value for value in values if len(split(value, "|")) == 2 and value.endswith("|") and value != "|"]
    codes = [form(value) for value in values if value not in systems]
    whole: list[Alternative] = []
    for system in systems:
        name = unescaped(split(system, "|")[0])
        whole.append((Comparison("value", ">=", f"{name}|"), Comparison("value", "<", name + _BEHIND_BAR)))
    if systems:
        rank = Rank.CODE
    if negated:
        rank = Rank.EVERYTHING
    return Rows("token", keys, (*equal(codes), *whole), negated, rank)


def equal(values: list[str]) -> tuple[Alternative, ...]:
    """That a row has one of these values."""
    if not values:
        return ()
    return ((Comparison("value", "=", values[0] if len(values) == 1 else tuple(values)),),)


def _equal(keys: tuple[int, ...], values: list[str], rank: Rank, *, negated: bool = False) -> Rows:
    return Rows("token", keys, equal(values), negated, Rank.EVERYTHING if negated else rank)


def _of_type(value: str) -> str:
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts[1:]):
        raise InvalidValueError("`:of-type` is asked for as `system|code|value`")
    return token_text("|".join(parts))


def _codes_of(value_set: str, context: Context) -> list[str]:
    codes = context.terminology.codes_of(value_set)
    if codes is None:
        raise InvalidValueError("the value set is not known here in full: `chartwire terminology load`")
    if len(codes) > _CODES_MAX:
        raise InvalidValueError(f"a value set of more than {_CODES_MAX} codes cannot be searched by")
    return sorted(f"{system}|{code}" for system, code in codes)


def _related(value: str, modifier: str, context: Context) -> list[str]:
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) != 2 or not all(parts):
        raise InvalidValueError(f"`:{modifier}` needs `system|code`")
    system, code = parts
    if modifier == "above":
        raise InvalidValueError("the system's hierarchy is not known here upwards")
    codes = context.terminology.descendants(system, code)
    if codes is None:
        raise InvalidValueError("the code system is not known here in full: `chartwire terminology load`")
    if len(codes) > _CODES_MAX:
        raise InvalidValueError(f"more than {_CODES_MAX} codes are below it")
    return sorted(f"{system}|{one}" for one in codes)
