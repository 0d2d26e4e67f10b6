"""The members of a written object: which an order sets, what they come to, and the FHIR body that they make. Pure."""

from collections.abc import Iterable
from typing import Any

from chartwire.api.problem import ApiError
from chartwire.api.rest.checks import Anything, Check, Faults, ListOf, Moment, merge_patch, plain
from chartwire.api.rest.fields import Noun
from chartwire.api.rest.lenses import Json
from chartwire.api.rest.ordering import Order
from chartwire.api.rest.settling import Values

_CLEANED_OTHERWISE = (Moment, Anything)
"""Checks whose cleaned value is of another form than the one that is shown."""


def refuse(faults: Faults) -> None:
    """Raises ApiError (`invalid_body`) with every fault, where there is one."""
    if faults:
        places = ", ".join(dict.fromkeys(f"`{fault.pointer}`" for fault in faults))
        raise ApiError(f"the body breaks a rule at {places}", code="invalid_body", faults=faults)


def without_aliases(noun: Noun, data: dict[str, Any], faults: Faults) -> dict[str, Any]:
    """The members of a body that can be set; a fault for what is named twice."""
    for alias in noun.aliases:
        if alias.name in data and alias.field in data:
            faults.add(f"/{alias.name}", "given_twice", f"`{alias.field}` names it already")
    return {name: value for name, value in data.items() if name in noun.by_name}


def aliased(noun: Noun, data: dict[str, Any]) -> dict[str, Any]:
    """The members that a body names by an alias."""
    return {alias.field: True for alias in noun.aliases if data.get(alias.name) is not None}


def values_of(order: Order, body: Json, data: dict[str, Any], faults: Faults) -> Values:
    """The members that an order sets over `body`, each cleaned; None clears."""
    noun = order.noun
    names = list(noun.by_name) if order.op == "replace" else [name for name in noun.by_name if name in data]
    return {name: _value(noun, name, data, body, order, faults) for name in names if _is_set(noun, name, data)}


def _is_set(noun: Noun, name: str, data: dict[str, Any]) -> bool:
    """Whether an order that is a PUT, or names the member, says something of it.

    A PUT that leaves a member out clears it; but a status moves only when it is named, a view says nothing where it is
    left out (what it shows stands elsewhere), and neither does what a view that is named shows a part of.
    """
    views = {one.name for one in noun.fields if one.view_of == name}
    return name in data or not (noun.by_name[name].view_of or name == "status" or views & data.keys())


def _value(noun: Noun, name: str, data: dict[str, Any], body: Json, order: Order, faults: Faults) -> Any:
    """One member's value as it would stand, cleaned; None clears."""
    sent, field_ = data.get(name), noun.by_name[name]
    if sent is None:
        return None
    shown = field_.lens.read(body)
    if order.op != "replace" and isinstance(sent, dict):
        sent = merge_patch(plain(shown), sent)
    if isinstance(field_.check, _CLEANED_OTHERWISE) or name in noun.target:
        return field_.check.check(sent, f"/{name}", faults)
    return _cleaned(field_.check, shown, sent, f"/{name}", faults)


def _cleaned(check: Check, shown: Any, sent: Any, pointer: str, faults: Faults) -> Any:
    """A value after its check. What stands there already passes: a feed may have said what a caller may not."""
    if plain(shown) == sent:
        return shown
    if not (isinstance(check, ListOf) and isinstance(sent, list) and len(sent) <= check.max):
        return check.check(sent, pointer, faults)
    standing = [(plain(one), one) for one in shown]
    return [
        next((held for told, held in standing if told == one), None)
        or check.item.check(one, f"{pointer}/{number}", faults)
        for number, one in enumerate(sent)
    ]


def check_needed(noun: Noun, values: Values, named: Iterable[str], faults: Faults) -> None:
    """A fault for each of the `named` members that an object cannot do without and does not have."""
    for name in noun.needed:
        if name in named and values.get(name) is None and not any(fault.pointer == f"/{name}" for fault in faults):
            faults.add(f"/{name}", "required", "is needed")


def written_body(noun: Noun, body: Json, values: Values) -> tuple[Json, dict[str, str]]:
    """The body with these values, and which pointers changed each of its members."""
    wanted, pointers = dict(body), dict[str, str]()
    for field_ in noun.fields:
        if field_.name not in values:
            continue
        members = field_.lens.members
        before = [wanted.get(member) for member in members]
        field_.lens.write(wanted, values[field_.name])
        for member, old in zip(members, before, strict=True):
            if wanted.get(member) != old:
                pointers[member] = f"{pointers[member]} /{field_.name}" if member in pointers else f"/{field_.name}"
    return wanted, pointers
