"""Expressions that name what was made or said elsewhere: $variables, references, keys, calls."""

from typing import Any

from chartwire.mapping.calls import CALLS
from chartwire.mapping.context import Context
from chartwire.mapping.groups import Frame
from chartwire.mapping.language import MapError, Rule, suggest
from chartwire.mapping.scope import Fn, Scope


def variable(rule: Rule, scope: Scope) -> Fn:
    """A value that `let` named on this frame or one around it."""
    name = rule.name
    if name not in scope.variables:
        raise MapError(f"nothing is called ${name} here{suggest(name, scope.variables)}", rule.mark)

    def read(context: Context, frame: Frame | None) -> Any:
        while frame is not None:
            if name in frame.variables:
                context.trace = frame.origins[name]
                return frame.variables[name]
            frame = frame.parent
        return None

    return read


def reference(rule: Rule, _scope: Scope) -> Fn:
    """A Reference to the nearest thing that a resource map made: here, in a frame around, or in one beside those."""
    name = rule.name

    def refer(_context: Context, frame: Frame | None) -> Any:
        while frame is not None:
            found = frame.made.get(name) or frame.below.get(name)
            if found is not None:
                return {"reference": f"{found.type}/{found.body['id']}"}
            frame = frame.parent
        return None

    return refer


def references(rule: Rule, _scope: Scope) -> Fn:
    """References to everything that a resource map made of this frame and those inside."""
    name = rule.name

    def collect(frame: Frame, found: list[Any]) -> None:
        made = frame.made.get(name)
        if made is not None:
            found.append({"reference": f"{made.type}/{made.body['id']}"})
        for child in frame.children:
            collect(child, found)

    def refer(_context: Context, frame: Frame) -> Any:
        found: list[Any] = []
        collect(frame, found)
        return found or None

    return refer


def key_of(rule: Rule, _scope: Scope) -> Fn:
    """The source key of what a resource map made of this frame or one around it."""
    name = rule.name

    def read(_context: Context, frame: Frame | None) -> Any:
        while frame is not None:
            found = frame.made.get(name)
            if found is not None:
                return found.key
            frame = frame.parent
        return None

    return read


def call(rule: Rule, _scope: Scope) -> Fn:
    """A named function (calls.py)."""
    call = CALLS.get(rule.name)
    if call is None:
        raise MapError(f"no function {rule.name}{suggest(rule.name, CALLS)}", rule.mark)
    return call
