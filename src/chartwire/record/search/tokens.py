"""Token values (R4 3.1.1.4.10): `code`, `system|code`, `|code`, `system|`; and codes that a terminology lists."""

from collections.abc import Collection

from chartwire.core.limits import EXPANSION_CODES_MAX
from chartwire.formats.fhir.definitions.codes import Coding
from chartwire.record.fhir_index.values import token_text
from chartwire.record.search.codes import implied
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter
from chartwire.record.search.strings import beginning
from chartwire.record.search.values import split, unescaped
from chartwire.store.fhir_search.conditions import Alternative, Comparison, Condition, Rank, Rows

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
            codings = [coding for value in values for coding in _codes_of(unescaped(value), context)]
            return _coded(parameter, codings, negated=modifier == "not-in")
        case "below" | "above":
            return _coded(parameter, [coding for value in values for coding in _related(value, modifier, context)])
    return _matching(parameter, values, negated=modifier == "not")


def identifies(parameter: Parameter) -> bool:
    """Whether its values are Identifiers."""
    return "of-type" in parameter.modifiers


def form(value: str) -> str:
    """The index value of a token that is not just a system. Raises InvalidValueError."""
    parts = split(value, "|")
    if len(parts) > 2 or not parts[-1]:
        raise InvalidValueError("a token is `code`, `system|code` or `|code`")
    return token_text("|".join(unescaped(part) for part in parts))


def _matching(parameter: Parameter, values: list[str], *, negated: bool) -> Rows:
    whole: list[Alternative] = []
    forms: list[str] = []
    for value in values:
        parts = split(value, "|")
        if len(parts) == 2 and parts[0] and not parts[1]:
            name = unescaped(parts[0])
            whole.append((Comparison("value", ">=", f"{name}|"), Comparison("value", "<", name + _BEHIND_BAR)))
        else:
            forms.append(_unsaid(parameter, parts) or form(value))
    rank = Rank.IDENTIFIER if identifies(parameter) and not whole else Rank.CODE
    if negated:
        rank = Rank.EVERYTHING
    return Rows("token", parameter.under(), (*equal(forms), *whole), negated, rank)


def _unsaid(parameter: Parameter, parts: list[str]) -> str:
    """The code of `system|code` where elements have only the code, and the system goes without saying; else empty."""
    if len(parts) != 2 or not parts[0]:
        return ""
    system, code = map(unescaped, parts)
    allowed = implied(parameter.type, parameter.code)
    return code if allowed is not None and (system, code) in allowed else ""


def equal(values: list[str]) -> tuple[Alternative, ...]:
    """That a row has one of these values."""
    if not values:
        return ()
    return ((Comparison("value", "=", values[0] if len(values) == 1 else tuple(values)),),)


def _equal(keys: tuple[int, ...], values: list[str], rank: Rank) -> Rows:
    return Rows("token", keys, equal(values), rank=rank)


def _coded(parameter: Parameter, codings: Collection[Coding], *, negated: bool = False) -> Rows:
    """That a value is one of many codes."""
    if len(codings) > EXPANSION_CODES_MAX:
        raise InvalidValueError(f"it stands for more than {EXPANSION_CODES_MAX} codes")
    allowed = implied(parameter.type, parameter.code)
    if allowed is None:
        values = sorted({token_text(f"{system}|{code}") for system, code in codings})
    else:
        values = sorted({code for system, code in codings if (system, code) in allowed})
    return Rows("token", parameter.under(), equal(values), negated, Rank.EVERYTHING if negated else Rank.CODE)


_LOAD = "whoever runs this server loads code systems by `chartwire terminology load`"


def _of_type(value: str) -> str:
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts[1:]):
        raise InvalidValueError("`:of-type` is asked for as `system|code|value`")
    return token_text("|".join(parts))


def _codes_of(value_set: str, context: Context) -> Collection[Coding]:
    codings = context.terminology.codes_of(value_set)
    if codings is None:
        raise InvalidValueError(f"not all codes of the value set are known here: {_LOAD}")
    return codings


def _related(value: str, modifier: str, context: Context) -> Collection[Coding]:
    parts = [unescaped(part) for part in split(value, "|")]
    if len(parts) != 2 or not all(parts):
        raise InvalidValueError(f"`:{modifier}` needs `system|code`")
    system, code = parts
    related = context.terminology.ancestors if modifier == "above" else context.terminology.descendants
    codes = related(system, code)
    if codes is None:
        raise InvalidValueError(f"the code is of no code system that is known here: {_LOAD}")
    return [(system, one) for one in codes]
