"""What an expression knows besides the value that it looks at: variables, `$index` and `$total`, hooks, a meter."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chartwire.formats.fhirpath import nodes
from chartwire.formats.fhirpath.meter import Meter
from chartwire.formats.fhirpath.nodes import Json, Node

Step = Callable[[Node, "Env"], list[Node]]
"""A compiled part of an expression: `$this` and the surroundings in, a collection out (never changed by others)."""


class Env:
    """What one evaluation knows besides `$this`: `%` variables, `$index`, `$total`, the time, hooks, a user's meter."""

    __slots__ = ("hooks", "index", "meter", "now", "resource", "root", "total", "variables")

    def __init__(self, resource: Node, around: Node, variables: dict[str, list[Node]], hooks: "Hooks") -> None:
        self.resource = resource
        self.root = around
        self.variables = variables
        self.hooks = hooks
        self.now = ""
        self.meter: Meter | None = None
        self.index = 0
        self.total: list[Node] = []


class Hooks(msgspec.Struct, frozen=True):
    """What only the caller can answer; each may be absent, then the function that asks for it yields nothing.

    `resolve`: reference or canonical as written -> resource. `member_of`: value, value set -> yes, no or None for "not
    decidable here". `conforms`: value, profile -> the same. `trace`: name, values; nothing is ever printed.
    """

    resolve: Callable[[str], Json | None] | None = None
    member_of: Callable[[Node, str], bool | None] | None = None
    conforms: Callable[[Node, str], bool | None] | None = None
    trace: Callable[[str, list[Node]], None] | None = None


NO_HOOKS = Hooks()


def surroundings(resource: Node, context: Node, variables: Mapping[str, Any], hooks: Hooks) -> Env:
    """What one evaluation knows: the variables of the standard and those given."""
    known = {"resource": [resource], "rootResource": [resource], "context": [context]}
    for name, value in variables.items():
        known[name] = [_variable(one) for one in (value if isinstance(value, list) else [value])]
    return Env(resource, known["rootResource"][0], known, hooks)


_SYSTEM: tuple[tuple[type, str], ...] = ((bool, "System.Boolean"), (int, "System.Integer"), (str, "System.String"))


def _variable(value: Any) -> Node:
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        return nodes.root(value)
    return Node(value, next((name for kind, name in _SYSTEM if isinstance(value, kind)), "System.Decimal"))
