"""What a function of FHIRPath is for the compiler."""

from collections.abc import Callable
from typing import NamedTuple

from chartwire.formats.fhirpath.nodes import Node, only
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import FhirPathError

Run = Callable[..., list[Node]]
"""`run(env, this, items, *arguments)`: arguments are steps, evaluated on `this` (values) or on each item (criteria)."""


class Function(NamedTuple):
    """A function and the least and greatest number of its arguments."""

    run: Run
    least: int = 0
    most: int = 0


def exactly(run: Run, arguments: int) -> Function:
    """A function with a fixed number of arguments."""
    return Function(run, arguments, arguments)


def on_items(run: Callable[[list[Node]], list[Node]]) -> Function:
    """A function without arguments that looks at its collection only."""
    return Function(lambda _env, _this, items: run(items))


def each(step: Step, item: Node, index: int, env: Env) -> list[Node]:
    """A criterion or projection on one item, with its `$index`; that of the outer loop is kept."""
    outer, env.index = env.index, index
    found = step(item, env)
    env.index = outer
    return found


def text_of(step: Step, this: Node, env: Env, where: str) -> str | None:
    """An argument as text; None where it is empty. Raises FhirPathError for other types."""
    item = only(step(this, env), where)
    if item is None or item.value is None:
        return None
    if type(item.value) is not str:
        raise FhirPathError(f"{where} needs a text", code="fhirpath_types")
    return item.value


def whole_of(step: Step, this: Node, env: Env, where: str) -> int | None:
    """An argument as a whole number; None where it is empty. Raises FhirPathError for other types."""
    item = only(step(this, env), where)
    if item is None or item.value is None:
        return None
    if type(item.value) is not int:
        raise FhirPathError(f"{where} needs a whole number", code="fhirpath_types")
    return item.value
