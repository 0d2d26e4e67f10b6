"""`_include` and `_revinclude` as they are written: `Type:parameter`, `Type:parameter:Target`, `Type:*`, `*`."""

from collections.abc import Iterable

from chartwire.api.fhir.types import served
from chartwire.api.problem import bad_parameter
from chartwire.core.limits import FHIR_INCLUDE_RULES_MAX
from chartwire.record.linked import ANY, Rule, reference_parameters

NAMES = ("_include", "_revinclude")
_ITERATE = frozenset({"iterate", "recurse"})
"""`recurse` is what `iterate` was called before R4."""


def is_inclusion(name: str) -> bool:
    """Whether a parameter asks for further resources, with or without a modifier."""
    return name.partition(":")[0] in NAMES


def inclusions(pairs: Iterable[tuple[str, str]]) -> tuple[Rule, ...]:
    """The rules that `pairs` (of inclusions only) ask for. Raises ApiError (`invalid_parameter`) with the place."""
    rules = tuple(rule for name, value in pairs for rule in _rules(name, value))
    if len(rules) > FHIR_INCLUDE_RULES_MAX:
        raise bad_parameter("_include", f"comes at most {FHIR_INCLUDE_RULES_MAX} times, with _revinclude")
    return rules


def _rules(name: str, value: str) -> list[Rule]:
    base, _, modifier = name.partition(":")
    if modifier and modifier not in _ITERATE:
        raise bad_parameter(base, "has the modifier :iterate only")
    return [_rule(base, one.strip(), bool(modifier)) for one in value.split(",")]


def _rule(base: str, text: str, iterate: bool) -> Rule:
    reverse = base == "_revinclude"
    if text == ANY:
        return Rule(ANY, ANY, "", reverse, iterate)
    source, code, target, *more = [*text.split(":"), "", ""]
    if source not in served() or any(more):
        raise bad_parameter(base, "is Type:parameter, Type:parameter:Target, Type:* or *")
    known = reference_parameters(source)
    if code != ANY and code not in known:
        raise bad_parameter(base, f"names a reference parameter of {source}: {', '.join(known) or 'it has none'}")
    targets = served() if code == ANY else known[code].targets
    if target and target not in targets:
        shown = "a type that is served here" if code == ANY else f"one of {', '.join(targets)}"
        raise bad_parameter(base, f"names as target {shown}")
    return Rule(source, code, target, reverse, iterate)
