"""`Path`: a compiled expression and the ways to ask it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chartwire.formats.fhirpath import nodes
from chartwire.formats.fhirpath.compiler import compile_steps
from chartwire.formats.fhirpath.nodes import Json, Node, truth
from chartwire.formats.fhirpath.parser import parse
from chartwire.formats.fhirpath.surroundings import NO_HOOKS, Env, Hooks, Step, surroundings

_NO_VARIABLES: Mapping[str, Any] = {}


class Path:
    """A compiled expression. Thread-safe, keeps nothing between evaluations.

    `resource` is `%resource` (the contained resource itself where one is looked at); `context` is where the expression
    starts and `%context`: a node, or a value of the type that the path was compiled for; by default the resource.
    `variables` are further `%` names: nodes or JSON values; `rootResource` is one of them, by default the resource.
    Every call raises FhirPathError where the expression cannot work on these values.
    """

    __slots__ = ("_step", "_type", "text")

    def __init__(self, text: str, step: Step, type_name: str | None) -> None:
        self.text = text
        self._step = step
        self._type = type_name

    def evaluate(
        self,
        resource: Json,
        context: Any = None,
        variables: Mapping[str, Any] = _NO_VARIABLES,
        hooks: Hooks = NO_HOOKS,
    ) -> list[Any]:
        """The values found, as JSON has them (dates as text, System quantities as `Quantity`); without those that
        have only an id or extensions."""
        return [node.value for node in self.nodes(resource, context, variables, hooks) if node.value is not None]

    def typed(self, resource: Json, context: Any = None, hooks: Hooks = NO_HOOKS) -> list[Node]:
        """The values found with their types as the definitions name them; for indexing."""
        return [node for node in self.nodes(resource, context, _NO_VARIABLES, hooks) if node.value is not None]

    def holds(
        self,
        resource: Json,
        context: Any = None,
        variables: Mapping[str, Any] = _NO_VARIABLES,
        hooks: Hooks = NO_HOOKS,
    ) -> bool:
        """Whether the expression is true: false counts as no, and so does nothing."""
        return bool(truth(self.nodes(resource, context, variables, hooks), "the expression"))

    def nodes(self, resource: Json, context: Any, variables: Mapping[str, Any], hooks: Hooks) -> list[Node]:
        """What `evaluate` finds, with types and with the other half of primitives."""
        whole = nodes.root(resource)
        start = whole if context is None else self._node(context)
        return self._step(start, self.surroundings(whole, start, variables, hooks))

    def surroundings(self, resource: Node, context: Node, variables: Mapping[str, Any], hooks: Hooks) -> Env:
        """What one evaluation knows."""
        return surroundings(resource, context, variables, hooks)

    def _node(self, context: Any) -> Node:
        if isinstance(context, Node):
            return context
        return Node(context, self._type) if self._type else nodes.root(context)


@lru_cache(maxsize=8192)
def compile_path(text: str, *, type_name: str | None = None) -> Path:
    """A path ready to evaluate, cached. `type_name` is that of the context, for contexts that are no resources.

    Raises FhirPathError with the position of what is wrong. For expressions of definitions and of our own; those of
    users go through `compile_user_path`.
    """
    return Path(text, compile_steps(parse(text)), type_name)
