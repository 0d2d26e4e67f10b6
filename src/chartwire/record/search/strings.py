"""String values (R4 3.1.1.4.8): blind to case and accents, from the beginning; `:exact`; `:contains` by trigrams."""

from chartwire.core.limits import FHIR_CONTAINS_CHARACTERS_MAX, FHIR_CONTAINS_CHARACTERS_MIN
from chartwire.record.fhir_index.strings import trigrams_of
from chartwire.record.fhir_index.values import STRING_CHARACTERS_MAX, string_text
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter
from chartwire.record.search.values import unescaped
from chartwire.store.fhir_search.conditions import AllOf, Alternative, AnyOf, Comparison, Condition, Rank, Rows

_LAST_LETTER = "\U0010ffff"
_TELLING_CHARACTERS = 3
_TRIGRAMS_MAX = 6
"""How many trigrams of a text are looked up; then the text itself is looked for."""


def condition(parameter: Parameter, modifier: str, values: list[str], _: Context) -> Condition:
    """The condition of a string parameter, whatever its modifier. Raises InvalidValueError."""
    match modifier:
        case "exact":
            return _exact(parameter, [unescaped(value) for value in values])
        case "contains":
            ways = tuple(_contains(parameter, _text(value)) for value in values)
            return ways[0] if len(ways) == 1 else AnyOf(ways, max(way.rank for way in ways))
    return beginning(parameter.under(), values, named=bool(parameter.trigrams))


def beginning(keys: tuple[int, ...], values: list[str], *, named: bool = False) -> Rows:
    """That a folded text begins with one of the values; `named`: few texts begin alike."""
    alternatives = tuple(begins(value) for value in values)
    telling = named and all(len(str(one[0].value)) >= _TELLING_CHARACTERS for one in alternatives)
    return Rows("string", keys, alternatives, rank=Rank.NAME if telling else Rank.CODE)


def begins(value: str, before: str = "") -> Alternative:
    """That a row's value begins with `before` and the folded value. Raises InvalidValueError for nothing."""
    text = before + _text(value)
    return (Comparison("value", ">=", text), Comparison("value", "<", text + _LAST_LETTER))


def _text(value: str) -> str:
    text = string_text(unescaped(value))
    if not text:
        raise InvalidValueError("a text is needed")
    return text


def _exact(parameter: Parameter, texts: list[str]) -> Rows:
    values = tuple(text[:STRING_CHARACTERS_MAX] for text in texts)
    rank = Rank.NAME if parameter.trigrams else Rank.CODE
    return Rows("string", parameter.under("exact"), ((Comparison("value", "=", values),),), rank=rank)


def _contains(parameter: Parameter, text: str) -> Condition:
    """Candidates by trigrams, where they are indexed, then the text itself: trigrams may come from several values."""
    if not FHIR_CONTAINS_CHARACTERS_MIN <= len(text) <= FHIR_CONTAINS_CHARACTERS_MAX:
        raise InvalidValueError(
            f"`:contains` looks for {FHIR_CONTAINS_CHARACTERS_MIN} to {FHIR_CONTAINS_CHARACTERS_MAX} characters"
        )
    whole = Rows("string", parameter.under(), ((Comparison("value", "contains", text),),), rank=Rank.EVERYTHING)
    if not parameter.trigrams:
        return whole
    trigrams = sorted(trigrams_of(text))[:_TRIGRAMS_MAX]
    found = [
        Rows("string", parameter.trigrams, ((Comparison("value", "=", trigram),),), rank=Rank.SELECTIVE)
        for trigram in trigrams
    ]
    return AllOf((*found, whole), Rank.SELECTIVE)
