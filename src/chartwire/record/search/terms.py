"""One parameter of a search and its values, as conditions; chains and `_has` among them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from chartwire.core.errors import NotFoundError
from chartwire.core.fhir_ids import store_id
from chartwire.core.limits import (
    FHIR_CHAIN_LINKS_MAX,
    FHIR_CHAIN_TYPES_MAX,
    FHIR_SEARCH_VALUES_MAX,
    FHIR_SEARCH_WORDS_MAX,
)
from chartwire.formats.fhir.definitions import served_types
from chartwire.record.search import composites, near, ranges, references, strings, tokens
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError, SearchError
from chartwire.record.search.parameters import OF_THE_ROW, OF_THE_TEXT, TABLES, Parameter, part_of, supported
from chartwire.record.search.values import AFTER_SLASH, split, unescaped
from chartwire.store.fhir_search.conditions import (
    AllOf,
    Alternative,
    AnyOf,
    Chain,
    Comparison,
    Condition,
    Has,
    Ids,
    Rank,
    Rows,
    Words,
)

Read = Callable[[Parameter, str, list[str], Context], Condition]
_KINDS: Mapping[str, Read] = {
    "composite": composites.condition,
    "date": ranges.dates,
    "number": ranges.numbers,
    "quantity": ranges.quantities,
    "reference": references.condition,
    "special": near.condition,
    "string": strings.condition,
    "token": tokens.condition,
    "uri": references.uri,
}
_PRESENT: tuple[Alternative, ...] = ((),)
_LAST_DRIVEN = Rank.NAME
"""The least selective condition within a chain that a search still starts from."""


class UnknownError(Exception):
    """A parameter that is not known here; the text says what is."""


class UnknownModifierError(UnknownError):
    """A modifier that its parameter does not have: no server may pass over one (R4 3.1.1.4.4)."""


def condition_of(resource_type: str, name: str, value: str, context: Context, links: int = 0) -> Condition:
    """The condition that `name=value` puts on resources of a type.

    Raises UnknownError for a name that is not known, InvalidValueError for the value, SearchError for too many links.
    """
    if name.partition(":")[0] == "_has":
        return _has(resource_type, name, value, context, links)
    head, dot, rest = name.partition(".")
    if dot:
        return _chain(resource_type, head, rest, value, context, links)
    code, _, modifier = name.partition(":")
    parameter = known(resource_type, code)
    _check_modifier(parameter, modifier)
    if modifier == "missing":
        return _missing(parameter, value)
    if code in OF_THE_TEXT:
        return _words(name, value, narrative=code == "_text")
    values = split(value, ",")
    if len(values) > FHIR_SEARCH_VALUES_MAX:
        raise SearchError(name, f"at most {FHIR_SEARCH_VALUES_MAX} alternatives", code="search_too_complex")
    if code in OF_THE_ROW:
        return ranges.updated(values, context) if code == "_lastUpdated" else _ids(values)
    return _KINDS[parameter.kind](parameter, modifier, values, context)


def known(resource_type: str, code: str) -> Parameter:
    """The parameter of a type. Raises UnknownError."""
    parameter = supported(resource_type).get(code)
    if parameter is None:
        raise UnknownError(
            f"{resource_type} has no such search parameter; it has {', '.join(supported(resource_type))}"
        )
    return parameter


def _check_modifier(parameter: Parameter, modifier: str) -> None:
    allowed = parameter.modifiers
    if not modifier or (modifier in allowed and modifier != "type"):
        return
    if "type" in allowed and modifier in parameter.targets:
        return
    shown = ", ".join(f":{word}" if word != "type" else ":[type]" for word in allowed) or "none"
    raise UnknownModifierError(f"this modifier is not known here; those of {parameter.code} are {shown}")


def _ids(values: list[str]) -> Condition:
    try:
        return Ids(tuple(dict.fromkeys(store_id(unescaped(value)) for value in values)))
    except NotFoundError:
        raise InvalidValueError("an id has 1 to 64 letters, digits, `-` and `.`") from None


def _words(name: str, value: str, *, narrative: bool) -> Condition:
    words = tuple(word.lower() for word in unescaped(value).split())
    if not words:
        raise InvalidValueError("a text is needed")
    if len(words) > FHIR_SEARCH_WORDS_MAX:
        raise SearchError(name, f"at most {FHIR_SEARCH_WORDS_MAX} words", code="search_too_complex")
    return Words(words, narrative)


def _missing(parameter: Parameter, value: str) -> Condition:
    if value not in ("true", "false"):
        raise InvalidValueError("`:missing` is true or false")
    present = tuple(_present(parameter))
    if value == "true":
        return AllOf(tuple(replace(one, negated=True) for one in present), Rank.EVERYTHING)
    return AnyOf(present, Rank.EVERYTHING)


def _present(parameter: Parameter) -> Iterator[Rows]:
    """The rows by which a value shows: a concept may be text only, a reference an identifier only."""
    kind = parameter.kind
    if kind == "composite":
        kind = part_of(parameter.type, parameter.told, 1).kind
    prefix = parameter.place.prefix if parameter.place else ""
    if prefix:
        below = (Comparison("value", ">=", prefix), Comparison("value", "<", prefix.removesuffix("/") + AFTER_SLASH))
        yield Rows("token", parameter.under(), (below,), rank=Rank.EVERYTHING)
        return
    yield Rows(TABLES[kind], parameter.under(), _PRESENT, rank=Rank.EVERYTHING)
    if "identifier" in parameter.modifiers:
        yield Rows("token", parameter.under("identifier"), _PRESENT, rank=Rank.EVERYTHING)
    if "text" in parameter.modifiers:
        yield Rows("string", parameter.under("text"), _PRESENT, rank=Rank.EVERYTHING)


def _chain(resource_type: str, head: str, rest: str, value: str, context: Context, links: int) -> Condition:
    if links + rest.count(".") >= FHIR_CHAIN_LINKS_MAX:
        raise _too_long(head)
    code, _, wanted = head.partition(":")
    parameter = known(resource_type, code)
    if parameter.kind != "reference":
        raise UnknownError(f"{code} is no reference, so no chain goes on from it")
    if wanted and wanted not in parameter.targets:
        raise UnknownModifierError(f"{code} leads to {', '.join(parameter.targets)}")
    ways: list[Condition] = []
    for target in (wanted,) if wanted else parameter.targets:
        if wanted or _goes_on(target, rest):
            inner = _followed(head, target, rest, value, context, links)
            ways.append(Chain(parameter.under(), target, (inner,), _linked(inner.rank)))
    if not ways:
        raise UnknownError("no type that it may lead to is searched by what follows")
    return ways[0] if len(ways) == 1 else AnyOf(tuple(ways), max(way.rank for way in ways))


def _followed(head: str, resource_type: str, rest: str, value: str, context: Context, links: int) -> Condition:
    """The condition at the other end of a link. Raises SearchError where the chain, or all of them, go too far."""
    context.links += 1
    if links == FHIR_CHAIN_LINKS_MAX:
        raise _too_long(head)
    if context.links > FHIR_CHAIN_TYPES_MAX:
        detail = "too many types are led to: name the one that is meant, as in `subject:Patient`"
        raise SearchError(head, detail, code="search_too_complex")
    return condition_of(resource_type, rest, value, context, links + 1)


def _too_long(name: str) -> SearchError:
    return SearchError(name, f"a chain has at most {FHIR_CHAIN_LINKS_MAX} links", code="search_too_complex")


@lru_cache(maxsize=4096)
def _goes_on(target: str, rest: str) -> bool:
    """Whether the rest of a chain is known from this type on."""
    head, dot, further = rest.partition(".")
    code, _, wanted = head.partition(":")
    parameter = supported(target).get(code)
    if code == "_has" or parameter is None:
        return code == "_has"
    return not dot or any(_goes_on(one, further) for one in ((wanted,) if wanted else parameter.targets))


def _linked(rank: Rank) -> Rank:
    return max(Rank.REFERENCE, Rank(rank + 1)) if rank <= _LAST_DRIVEN else Rank.CODE


def _has(resource_type: str, name: str, value: str, context: Context, links: int) -> Condition:
    parts = name.split(":", 3)
    if len(parts) < 4 or parts[1] not in served_types():
        raise UnknownError("`_has` is asked for as `_has:Type:reference:parameter`")
    source, code, rest = parts[1:]
    parameter = known(source, code)
    if parameter.kind != "reference" or resource_type not in parameter.targets:
        raise UnknownError(f"{code} of {source} does not lead to {resource_type}")
    inner = _followed("_has", source, rest, value, context, links)
    return Has(source, parameter.under(), resource_type, (inner,), _linked(inner.rank))
