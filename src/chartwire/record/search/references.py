"""Reference and uri values (R4 3.1.1.4.11, 3.1.1.4.14)."""

from chartwire.core.fhir_ids import is_fhir_id, local_reference
from chartwire.record.fhir_index.references import reference_token
from chartwire.record.fhir_index.values import token_text
from chartwire.record.search import tokens
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError
from chartwire.record.search.parameters import Parameter
from chartwire.record.search.strings import beginning
from chartwire.record.search.values import AFTER_SLASH, unescaped
from chartwire.store.fhir_search.conditions import Comparison, Condition, Rank, Rows


def condition(parameter: Parameter, modifier: str, values: list[str], context: Context) -> Condition:
    """The condition of a reference; its modifier may be the name of a type. Raises InvalidValueError."""
    if modifier == "identifier":
        keys = parameter.under("identifier")
        return Rows("token", keys, tokens.equal([tokens.form(value) for value in values]), rank=Rank.ADDRESS)
    if modifier == "text":
        return beginning(parameter.under("text"), values)
    targets = (modifier,) if modifier else parameter.targets
    forms = [form for value in values for form in forms_of(unescaped(value), targets, context)]
    prefix = parameter.place.prefix if parameter.place else ""
    kept = [form for form in forms if form.startswith(prefix)]
    return Rows("token", parameter.under(), tokens.equal(list(dict.fromkeys(kept))), rank=Rank.REFERENCE)


def forms_of(value: str, targets: tuple[str, ...], context: Context) -> list[str]:
    """What stands in the index for a reference as it is asked for: `id`, `Type/id`, or an address.

    Raises InvalidValueError.
    """
    if is_fhir_id(value):
        if not targets:
            raise InvalidValueError("the reference is asked for as `Type/id`")
        return [_local(f"{target}/{value}", context) for target in targets]
    for base in context.bases:
        if value.startswith(base):
            value = value.removeprefix(base)
            break
    if not value or value.startswith("#"):
        raise InvalidValueError("a reference is `id`, `Type/id` or an address")
    return [_local(value, context)]


def uri(parameter: Parameter, modifier: str, values: list[str], _: Context) -> Condition:
    """The condition of a uri, whatever its modifier. Raises InvalidValueError."""
    addresses = [unescaped(value) for value in values]
    if not all(addresses):
        raise InvalidValueError("an address is needed")
    if modifier == "above":
        addresses = [above for address in addresses for above in _above(address)]
    exact = tokens.equal([token_text(address) for address in addresses])
    if modifier != "below":
        return Rows("token", parameter.under(), exact, rank=Rank.ADDRESS)
    stems = [address.rstrip("/") for address in addresses]
    below = tuple(
        (Comparison("value", ">=", f"{stem}/"), Comparison("value", "<", stem + AFTER_SLASH)) for stem in stems
    )
    return Rows("token", parameter.under(), (*exact, *below), rank=Rank.CODE)


def _local(reference: str, context: Context) -> str:
    local = local_reference(reference)
    if local and local[0] == "Patient":
        context.people.add(local[1])
    return reference_token(reference)


def _above(address: str) -> list[str]:
    """An address and all that it lies below."""
    head, mark, path = address.partition("://")
    steps = path.rstrip("/").split("/")
    stems = [head + mark + "/".join(steps[:count]) for count in range(1, len(steps) + 1)]
    return [address, *stems, *(f"{stem}/" for stem in stems)]
