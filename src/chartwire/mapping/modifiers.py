"""What may stand beside an expression: table, require, fill, default, finding, when, let, within."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chartwire.mapping.context import Context
from chartwire.mapping.groups import Frame
from chartwire.mapping.labels import Labels
from chartwire.mapping.language import MapError, Rule, suggest
from chartwire.mapping.scope import Fn, Scope
from chartwire.mapping.tables import Coding, Table
from chartwire.mapping.transforms import look_up


def translated(fn: Fn, rule: Rule, scope: Scope, label: str) -> Fn:
    """Values through a code table: text becomes a code, a CodeableConcept or Coding gets the table's coding."""
    table = scope.library.tables.get(rule.table, rule.mark)
    otherwise = rule.otherwise or None

    def translate(context: Context, place: Any) -> Any:
        value = fn(context, place)
        if value is None:
            return None
        if type(value) is list:
            return [_translated(context, table, item, label, otherwise) for item in value]
        return _translated(context, table, value, label, otherwise)

    return translate


def _translated(context: Context, table: Table, value: Any, label: str, otherwise: str | None) -> Any:
    if type(value) is str:
        return look_up(context, table, value, label, otherwise)
    if type(value) is not dict:
        return value
    if "coding" in value:
        return {**value, "coding": _codings(context, table, value["coding"], label)}
    if "code" in value:
        return _codings(context, table, [value], label)[0]
    return value


def _codings(context: Context, table: Table, codings: list[dict[str, Any]], label: str) -> list[dict[str, Any]]:
    """The table's coding in place of the first original that it maps; the other originals stay behind it."""
    for position, original in enumerate(codings):
        code = original.get("code")
        system = original.get("system")
        if code is None or system not in {None, table.v2_system, _system_of(table, code)}:
            continue
        found = table.find(code)
        if found is not None:
            return [_as_coding(found), *codings[:position], *codings[position + 1 :]]
    if any("code" in coding for coding in codings):
        context.find(
            "code_unmapped", label, f"a value that table {table.name} does not map; kept as sent", "information"
        )
    return codings


def _system_of(table: Table, code: str) -> str | None:
    found = table.find(code)
    return found.system if found else None


def _as_coding(found: Coding) -> dict[str, Any]:
    coding = {"system": found.system, "code": found.code}
    if found.display:
        coding["display"] = found.display
    return coding


def required(fn: Fn, names: tuple[str, ...]) -> Fn:
    """Nothing where one of these elements is missing from the object."""

    def require(context: Context, place: Any) -> Any:
        value = fn(context, place)
        return value if value is not None and all(name in value for name in names) else None

    return require


def filled(fn: Fn, fill: list[tuple[str, Fn]]) -> Fn:
    """Elements that every object takes where it lacks them."""

    def complete(context: Context, place: Any) -> Any:
        value = fn(context, place)
        for item in value if type(value) is list else [value]:
            if type(item) is dict:
                for name, content in fill:
                    if name not in item and (given := content(context, place)) is not None:
                        item[name] = given
        return value

    return complete


def defaulted(fn: Fn, default: Fn) -> Fn:
    """Another expression where the first gives nothing."""

    def otherwise(context: Context, place: Any) -> Any:
        value = fn(context, place)
        return default(context, place) if value is None else value

    return otherwise


def reported(fn: Fn, rule: Rule, label: str) -> Fn:
    """A finding where the expression gives nothing."""
    code, _, message = rule.finding.partition(": ")

    def report(context: Context, place: Any) -> Any:
        value = fn(context, place)
        if value is None:
            context.find(code, label, message)
        return value

    return report


def guarded(fn: Fn, test: Callable[[Context, Any], bool]) -> Fn:
    """The expression only where its `when` holds."""
    return lambda context, place: fn(context, place) if test(context, place) else None


def with_let(fn: Fn, lets: list[tuple[str, Fn, Labels | None]]) -> Fn:
    """Named values set on the frame before the expression is evaluated."""

    def evaluate(context: Context, frame: Frame) -> Any:
        set_variables(context, frame, lets)
        return fn(context, frame)

    return evaluate


def set_variables(context: Context, frame: Frame, lets: list[tuple[str, Fn, Labels | None]]) -> None:
    """Evaluate named expressions in order and keep their values on the frame."""
    for name, fn, labels in lets:
        frame.variables[name] = fn(context, frame)
        frame.origins[name] = context.trace if labels is None else labels


def within(group: str, rule: Rule, scope: Scope) -> tuple[Scope, Callable[[Fn], Fn]]:
    """The scope of a group further in, and a wrapper that takes the first value found in its frames."""
    groups = scope.structure.groups if scope.structure else {}
    if group not in groups:
        raise MapError(f"no group {group} here{suggest(group, groups)}", rule.mark)

    def wrap(fn: Fn) -> Fn:
        def search(context: Context, frame: Frame) -> Any:
            return next(_values(fn, context, frame.inside(group)), None)

        return search

    return scope.inside(groups[group]), wrap


def _values(fn: Fn, context: Context, frames: Iterable[Frame]) -> Iterator[Any]:
    for frame in frames:
        value = fn(context, frame)
        if value is not None:
            yield value
