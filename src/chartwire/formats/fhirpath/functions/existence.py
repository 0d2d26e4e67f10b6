"""Existence (N1, 5.1)."""

from chartwire.formats.fhirpath.comparing import contains, distinct
from chartwire.formats.fhirpath.functions.registry import Function, each, exactly, on_items
from chartwire.formats.fhirpath.nodes import FALSE, KINDS, TRUE, Node, boolean, number, only, truth
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import FhirPathError


def _exists(env: Env, _this: Node, items: list[Node], criteria: Step | None = None) -> list[Node]:
    if criteria is None:
        return TRUE if items else FALSE
    return boolean(any(truth(each(criteria, item, at, env), "`exists()`") for at, item in enumerate(items)))


def _all(env: Env, _this: Node, items: list[Node], criteria: Step) -> list[Node]:
    return boolean(all(truth(each(criteria, item, at, env), "`all()`") for at, item in enumerate(items)))


def _not(items: list[Node]) -> list[Node]:
    value = truth(items, "`not()`")
    return [] if value is None else boolean(not value)


def _subset(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    among = other(this, env)
    return boolean(all(contains(among, item) for item in items))


def _superset(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    return boolean(all(contains(items, item) for item in other(this, env)))


def _booleans(items: list[Node], where: str) -> list[bool]:
    if any(KINDS[item.type] != "boolean" for item in items):
        raise FhirPathError(f"`{where}()` needs truth values", code="fhirpath_types")
    return [bool(item.value) for item in items]


def _has_value(items: list[Node]) -> list[Node]:
    return boolean(len(items) == 1 and items[0].value is not None and KINDS[items[0].type] != "object")


def _value(items: list[Node]) -> list[Node]:
    item = only(items, "`getValue()`")
    return [item] if item is not None and _has_value(items) is TRUE else []


EXISTENCE = {
    "empty": on_items(lambda items: FALSE if items else TRUE),
    "exists": Function(_exists, 0, 1),
    "all": exactly(_all, 1),
    "allTrue": on_items(lambda items: boolean(all(_booleans(items, "allTrue")))),
    "anyTrue": on_items(lambda items: boolean(any(_booleans(items, "anyTrue")))),
    "allFalse": on_items(lambda items: boolean(not any(_booleans(items, "allFalse")))),
    "anyFalse": on_items(lambda items: boolean(not all(_booleans(items, "anyFalse")))),
    "not": on_items(_not),
    "subsetOf": exactly(_subset, 1),
    "supersetOf": exactly(_superset, 1),
    "count": on_items(lambda items: number(len(items))),
    "distinct": on_items(distinct),
    "isDistinct": on_items(lambda items: boolean(len(distinct(items)) == len(items))),
    "hasValue": on_items(_has_value),
    "getValue": on_items(_value),
}
