"""Where the values that a FHIRPath finds stand in JSON, for expressions that select elements: members, indexes,
`where()`, `first()`, `ofType()`, `extension()` and the like. What computes a value has no place.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chartwire.formats.fhirpath import nodes, syntax
from chartwire.formats.fhirpath.meter import Limits, Meter
from chartwire.formats.fhirpath.nodes import Json, Node
from chartwire.formats.fhirpath.surroundings import NO_HOOKS, Env, Step, surroundings
from chartwire.formats.fhirpath.syntax import Expression, FhirPathError
from chartwire.formats.fhirpath.users import compile_user_steps, read_user_expression


@dataclass(frozen=True, slots=True)
class Place:
    """A value and where it stands: element `element` of `owner`, property `slot.name`, `index` where that is an array.

    `path` is the property names and indexes from the resource down. The resource itself has no owner and no slot.
    """

    node: Node
    owner: Node | None = None
    element: str = ""
    slot: nodes.Slot | None = None
    index: int | None = None
    path: tuple[str | int, ...] = ()

    @property
    def parent(self) -> Json | None:
        """The JSON object that holds the value; of extensions of a primitive its other half."""
        if self.owner is None:
            return None
        return self.owner.value if type(self.owner.value) is dict else self.owner.more


def places(text: str, body: Json, meter: Meter | None = None) -> list[Place]:
    """The places of what a user's expression selects, in order, within the limits of users' expressions; `meter` is
    what is left of them where several expressions or bodies share them.

    Raises FhirPathError for what is no expression, is not allowed, costs too much, or computes a value.
    """
    root = nodes.root(body)
    env = surroundings(root, root, {}, NO_HOOKS)
    env.meter = meter or Meter(Limits())
    return _Walk(env, Place(root)).at(read_user_expression(text))


def names_on_the_way(text: str) -> list[str]:
    """The elements that a path goes through, from the resource down; without its type, indexes and conditions."""
    names = _names(read_user_expression(text))
    return names[1:] if names and names[0][0].isupper() and nodes.is_known(names[0]) else names


def _names(expression: Expression) -> list[str]:
    match expression:
        case syntax.Member(name=name):
            return [name]
        case syntax.Invoke(left=left, right=right):
            return _names(left) + _names(right)
        case syntax.Indexer(left=inner) | syntax.TypeTest(operand=inner):
            return _names(inner)
    return []


def below(place: Place, element: str) -> list[Place]:
    """The places of one element of a value."""
    return [found for slot in nodes.slots(place.node.type).get(element, ()) for found in _items(place, element, slot)]


class _Walk:
    def __init__(self, env: Env, root: Place) -> None:
        self._env = env
        self._root = root

    def at(self, expression: Expression) -> list[Place]:
        if isinstance(expression, syntax.Invoke):
            return self._invoked(self.at(expression.left), expression.right)
        if isinstance(expression, syntax.Indexer):
            index = compile_user_steps(expression.index)(self._root.node, self._env)
            chosen = [item.value for item in index if type(item.value) is int and item.value >= 0]
            return [place for at in chosen[:1] for place in self.at(expression.left)[at : at + 1]]
        if isinstance(expression, syntax.TypeTest) and expression.operator == "as":
            return self._typed(self.at(expression.operand), expression.type)
        if isinstance(expression, syntax.Special) and expression.name == "$this":
            return [self._root]
        return self._invoked([self._root], expression, first=True)

    def _invoked(self, items: list[Place], expression: Expression, *, first: bool = False) -> list[Place]:
        if isinstance(expression, syntax.Member):
            if first and expression.name[0].isupper():
                return [item for item in items if nodes.is_kind_of(item.node.type, expression.name)]
            return [found for item in items for found in below(item, expression.name)]
        if isinstance(expression, syntax.Call) and expression.name in _SUBSETS and not expression.arguments:
            return _SUBSETS[expression.name](items)
        if isinstance(expression, syntax.Call) and len(expression.arguments) == 1:
            return self._called(items, expression.name, expression.arguments[0], expression.at)
        raise _computes(expression.at)

    def _called(self, items: list[Place], name: str, argument: Expression, at: int) -> list[Place]:
        if name in ("as", "ofType"):
            return self._typed(items, argument.name) if isinstance(argument, syntax.Member) else []
        if name == "where":
            return self._kept(items, compile_user_steps(argument))
        if name == "extension":
            wanted = [item.value for item in compile_user_steps(argument)(self._root.node, self._env)]
            found = [extension for item in items for extension in below(item, "extension")]
            return [extension for extension in found if extension.node.value.get("url") in wanted]
        raise _computes(at)

    def _kept(self, items: list[Place], criteria: Step) -> list[Place]:
        return [item for item in items if nodes.truth(criteria(item.node, self._env), "`where()`")]

    def _typed(self, items: list[Place], name: str) -> list[Place]:
        wanted = nodes.named_type(name)
        return [item for item in items if nodes.is_kind_of(item.node.type, wanted)]


def _items(owner: Place, element: str, slot: nodes.Slot) -> list[Place]:
    source, path = owner.node.value, owner.path
    if type(source) is not dict:
        source, path = owner.node.more, _other_half(path)
    if source is None:
        return []
    many = isinstance(source.get(slot.name), list) or isinstance(source.get(slot.other_half), list)
    return [
        Place(node, owner.node, element, slot, at, (*path, slot.name, at))
        if many
        else Place(node, owner.node, element, slot, None, (*path, slot.name))
        for at, node in enumerate(nodes.gathered(source, slot))
    ]


def _other_half(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The path of the object with the id and extensions of a primitive."""
    named = next(at for at in range(len(path) - 1, -1, -1) if isinstance(path[at], str))
    return (*path[:named], f"_{path[named]}", *path[named + 1 :])


def _computes(at: int) -> FhirPathError:
    return FhirPathError(
        "only members, indexes, types, `where()`, `extension()`, `first()`... lead to elements", position=at
    )


_SUBSETS: dict[str, Callable[[list[Place]], list[Place]]] = {
    "first": lambda items: items[:1],
    "last": lambda items: items[-1:],
    "tail": lambda items: items[1:],
    "single": lambda items: items,
}
