"""Expressions written by users: only known elements and functions, counted steps, a deadline, patterns that end.

Nothing that a user writes may hold a process: the parser bounds length and depth, the meter steps, time and size, and
patterns.py allows only regular expressions that cannot backtrack without end.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from chartwire.formats.fhirpath import syntax
from chartwire.formats.fhirpath.compiler import compile_steps
from chartwire.formats.fhirpath.members import check_members
from chartwire.formats.fhirpath.meter import Limits, Meter
from chartwire.formats.fhirpath.nodes import Node
from chartwire.formats.fhirpath.parser import parse
from chartwire.formats.fhirpath.path import Path
from chartwire.formats.fhirpath.patterns import check_pattern
from chartwire.formats.fhirpath.surroundings import Env, Hooks, Step
from chartwire.formats.fhirpath.syntax import Expression, FhirPathError

_BARRED = frozenset({"memberOf", "conformsTo", "resolve"})
"""Functions that ask the caller's hooks: other resources, terminology, profiles."""
_PATTERNS = frozenset({"matches", "matchesFull", "replaceMatches"})


class UserPath(Path):
    """A path that stops with FhirPathError `fhirpath_too_costly` at its limits."""

    __slots__ = ("_limits",)

    def __init__(self, text: str, step: Step, type_name: str | None, limits: Limits) -> None:
        super().__init__(text, step, type_name)
        self._limits = limits

    def surroundings(self, resource: Node, context: Node, variables: Mapping[str, Any], hooks: Hooks) -> Env:
        """As of every path, with a meter."""
        env = super().surroundings(resource, context, variables, hooks)
        env.meter = Meter(self._limits)
        return env


def compile_user_path(text: str, limits: Limits | None = None, *, type_name: str | None = None) -> UserPath:
    """A user's expression, ready to evaluate within `limits`; with the type that it starts from, the names of elements
    are checked too. Raises FhirPathError, with the position, for what cannot be read or is not allowed.
    """
    expression = read_user_expression(text)
    if type_name is not None:
        check_members(expression, type_name)
    return UserPath(text, compile_user_steps(expression), type_name, limits or Limits())


@lru_cache(maxsize=512)
def read_user_expression(text: str) -> Expression:
    """The tree of a user's expression, with nothing in it that is not allowed. Raises FhirPathError."""
    expression = parse(text)
    for part in _parts(expression):
        if isinstance(part, syntax.Call):
            _check_call(part)
    return expression


@lru_cache(maxsize=512)
def compile_user_steps(expression: Expression) -> Step:
    """A closure that counts its steps by `env.meter`, which must be there."""
    return compile_steps(expression, _metered)


def _metered(step: Step) -> Step:
    def run(this: Node, env: Env) -> list[Node]:
        meter = env.meter
        assert meter is not None, "a user's path is evaluated by UserPath"
        meter.step()
        found = step(this, env)
        meter.items(len(found))
        if len(found) == 1 and type(found[0].value) is str:
            meter.text(len(found[0].value))
        return found

    return run


def _check_call(call: syntax.Call) -> None:
    if call.name in _BARRED:
        raise FhirPathError(f"`{call.name}()` is not for expressions of users", position=call.at)
    if call.name in _PATTERNS and call.arguments:
        argument = call.arguments[0]
        if not isinstance(argument, syntax.Literal) or argument.type != "System.String":
            raise FhirPathError("a pattern must be written out as a text", position=argument.at)
        check_pattern(argument.value, argument.at)


def _parts(expression: Expression) -> Iterator[Expression]:
    """An expression and everything in it."""
    yield expression
    for name in expression.__dataclass_fields__:
        value = getattr(expression, name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Expression):
                yield from _parts(one)
