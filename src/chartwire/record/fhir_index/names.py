"""Which string parameters are name-like, so that `:contains` finds them by trigrams.

Names of people (HumanName) and what is called `name`, `title` or `alias` of a resource itself. The trigrams stand with
the parameter that reads the whole element: those of a family name with `name`. They lead to candidates, which then
are to be looked at: a trigram may come from another part of the name.
"""

from collections.abc import Mapping
from functools import cache

from chartwire.formats.fhir.definitions import choices
from chartwire.record.fhir_index.expressions import Chain
from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.places import Alternative, readings, rooted, stored

_WORDS = frozenset({"name", "title", "alias"})


def trigram_keys(resource_type: str, code: str) -> tuple[int, ...]:
    """Keys of the trigrams among which a parameter's are; () for one that is not name-like."""
    return _trigram_keys(resource_type).get(code, ())


def has_trigrams(resource_type: str, alternative: Alternative) -> bool:
    """Whether an alternative that is stored is an element whose trigrams are, too."""
    return alternative.kind == "string" and len(_name(resource_type, alternative)) == 1


@cache
def _trigram_keys(resource_type: str) -> Mapping[str, tuple[int, ...]]:
    holders = {
        _name(resource_type, alternative)[0]: code
        for code, own in stored(resource_type).items()
        for alternative in own
        if has_trigrams(resource_type, alternative)
    }
    found: dict[str, tuple[int, ...]] = {}
    for code, read in readings(resource_type).items():
        names = [_name(resource_type, alternative)[:1] for alternative in read if alternative.kind == "string"]
        elements = {name[0] for name in names if name}
        if elements and all(names) and elements <= holders.keys():
            codes = sorted({holders[element] for element in elements})
            found[code] = tuple(key_of(resource_type, holder, "contains") for holder in codes)
    return found


def _name(resource_type: str, alternative: Alternative) -> Chain:
    """The steps of an alternative that begins with a name-like element; () for any other."""
    chain = rooted(resource_type, alternative.chain or ())
    if not chain or chain[0].kind != "member":
        return ()
    types = {child.type for child in choices(resource_type, chain[0].word)}
    named = types == {"HumanName"} or (types == {"string"} and chain[0].word in _WORDS)
    return chain if named else ()
