"""String values (R4 3.1.1.4.8): blind to case and accents, from the beginning; `:exact`; `:contains` by trigrams."""

from chartwire.record.fhir_index.values import string_text
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter, is_name_like
from chartwire.record.search.values import unescaped
from chartwire.store.fhir_search.conditions import Alternative, Comparison, Condition, Rank, Rows

_LAST_LETTER = "\U0010ffff"
_EXACT_CHARACTERS_MAX = 200
_TELLING_CHARACTERS = 3


def condition(parameter: Parameter, modifier: str, values: list[str], _: Context) -> Condition:
    """The condition of a string parameter, whatever its modifier. Raises InvalidValueError."""
    if modifier == "exact":
        return _exact(parameter, [unescaped(value) for value in values])
    return beginning(parameter.under(), values, is_name_like(parameter.type, parameter.code))


def beginning(keys: tuple[int, ...], values: list[str], named: bool = False) -> Rows:
    """That a folded text begins with one of the values."""
    alternatives = tuple(begins(value) for value in values)
    telling = named and all(len(str(one[0].value)) >= _TELLING_CHARACTERS for one in alternatives)
    return Rows("string", keys, alternatives, rank=Rank.NAME if telling else Rank.CODE)


def begins(value: str, before: str = "") -> Alternative:
    """That a row's value begins with `before` and the folded value. Raises InvalidValueError for nothing."""
    text = string_text(unescaped(value))
    if not text:
        raise InvalidValueError("a text is needed")
    return (Comparison("value", ">=", before + text), Comparison("value", "<", before + text + _LAST_LETTER))


def _exact(parameter: Parameter, texts: list[str]) -> Rows:
    values = tuple(text[:_EXACT_CHARACTERS_MAX] for text in texts)
    rank = Rank.NAME if is_name_like(parameter.type, parameter.code) else Rank.CODE
    return Rows("string", parameter.under("exact"), ((Comparison("value", "=", values),),), rank=rank)
