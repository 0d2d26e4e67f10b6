"""Filtering, projection, subsetting, combining, trees and aggregates (N1, 5.2 to 5.4, 5.8, 7)."""

from functools import cmp_to_key

from chartwire.formats.fhirpath import nodes
from chartwire.formats.fhirpath.comparing import compared, contains, distinct
from chartwire.formats.fhirpath.functions.registry import Function, each, exactly, on_items, whole_of
from chartwire.formats.fhirpath.nodes import Node, only, truth
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import FhirPathError

REPEATED_ITEMS_MAX = 100_000


def _where(env: Env, _this: Node, items: list[Node], criteria: Step) -> list[Node]:
    return [item for at, item in enumerate(items) if truth(each(criteria, item, at, env), "`where()`")]


def _select(env: Env, _this: Node, items: list[Node], projection: Step) -> list[Node]:
    return [found for at, item in enumerate(items) for found in each(projection, item, at, env)]


def _repeat(env: Env, _this: Node, items: list[Node], projection: Step) -> list[Node]:
    """Items found are looked at once: an item that equals an earlier one ends that branch (N1, 5.2.3)."""
    found: list[Node] = []
    queue = list(items)
    while queue:
        below = [child for at, item in enumerate(queue) for child in each(projection, item, at, env)]
        before = len(found)
        found = distinct(found + below)
        queue = found[before:]
        if len(found) > REPEATED_ITEMS_MAX:
            raise FhirPathError(f"`repeat()` found more than {REPEATED_ITEMS_MAX} items", code="fhirpath_too_costly")
    return found


def _aggregate(env: Env, this: Node, items: list[Node], step: Step, start: Step | None = None) -> list[Node]:
    outer = env.total
    env.total = [] if start is None else start(this, env)
    for at, item in enumerate(items):
        env.total = each(step, item, at, env)
    total, env.total = env.total, outer
    return total


def _single(items: list[Node]) -> list[Node]:
    only(items, "`single()`")
    return items


def _skip(env: Env, this: Node, items: list[Node], number: Step) -> list[Node]:
    return items[max(whole_of(number, this, env, "`skip()`") or 0, 0) :]


def _take(env: Env, this: Node, items: list[Node], number: Step) -> list[Node]:
    return items[: max(whole_of(number, this, env, "`take()`") or 0, 0)]


def _intersect(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    among = other(this, env)
    return distinct([item for item in items if contains(among, item)])


def _exclude(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    among = other(this, env)
    return [item for item in items if not contains(among, item)]


def _combine(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    return items + other(this, env)


def _union(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    return distinct(items + other(this, env))


def sort(env: Env, items: list[Node], keys: list[tuple[Step, bool]]) -> list[Node]:
    """The items in the order of their keys (a step, and whether it is descending), or of themselves without any.

    Items without a key come first, last where it is descending; items that cannot be told apart stay in their order.
    """

    def order(left: Node, right: Node) -> int:
        for key, descending in keys or [(_itself, False)]:
            ours, theirs = key(left, env), key(right, env)
            found = compared(ours, theirs, "sort()") if ours and theirs else len(ours) - len(theirs)
            if found:
                return -found if descending else found
        return 0

    return sorted(items, key=cmp_to_key(order))


def _itself(this: Node, _env: Env) -> list[Node]:
    return [this]


def _children(items: list[Node]) -> list[Node]:
    return [child for item in items for child in nodes.children(item)]


FILTERING = {
    "where": exactly(_where, 1),
    "select": exactly(_select, 1),
    "repeat": exactly(_repeat, 1),
    "aggregate": Function(_aggregate, 1, 2),
    "single": on_items(_single),
    "first": on_items(lambda items: items[:1]),
    "last": on_items(lambda items: items[-1:]),
    "tail": on_items(lambda items: items[1:]),
    "skip": exactly(_skip, 1),
    "take": exactly(_take, 1),
    "intersect": exactly(_intersect, 1),
    "exclude": exactly(_exclude, 1),
    "combine": exactly(_combine, 1),
    "union": exactly(_union, 1),
    "children": on_items(_children),
    "descendants": on_items(lambda items: list(nodes.descendants(items))),
}
