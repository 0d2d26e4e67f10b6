"""All parameters of a type as one tree, for one walk over a body: each element that is there is visited once.

A node stands for an element; it has the emitters of values that end there, the elements that the walk goes on to, and
conditions that open further nodes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from chartwire.formats.fhir.definitions import Child, base_of, choices
from chartwire.formats.fhirpath import FhirPathError, compile_path
from chartwire.record.fhir_index import composites, dates, numbers, references, strings, tokens
from chartwire.record.fhir_index.expressions import Chain, Step
from chartwire.record.fhir_index.names import has_trigrams
from chartwire.record.fhir_index.places import Alternative, keys_of_kind, rooted, stored
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit

_SYSTEM_TYPES = {"System.Boolean": "boolean", "System.Integer": "integer", "System.String": "string"}
_EMITTERS: dict[str, Callable[[str, str, str], Emit | None]] = {
    "token": tokens.emitter,
    "string": strings.emitter,
    "reference": references.emitter,
    "uri": references.emitter,
    "date": dates.emitter,
    "number": numbers.emitter,
    "quantity": numbers.emitter,
}


@dataclass(slots=True)
class Node:
    """One element, for all parameters that pass or end there."""

    emits: list[Emit] = field(default_factory=list)
    children: dict[str, "Node"] = field(default_factory=dict)
    conditions: dict[Step, tuple[Callable[[Any], bool], "Node"]] = field(default_factory=dict)

    def visit(self, value: Any, rows: IndexRows) -> None:
        """Add the rows of a value, or of each in a list."""
        if type(value) is list:
            for item in value:
                if type(item) is not list:
                    self.visit(item, rows)
            return
        for emit in self.emits:
            emit(value, rows)
        for holds, node in self.conditions.values():
            if holds(value):
                node.visit(value, rows)
        if self.children and type(value) is dict:
            for name, child in self.children.items():
                if (inner := value.get(name)) is not None:
                    child.visit(inner, rows)


@dataclass(slots=True)
class Root(Node):
    """The resource itself.

    `readers` are the elements that can make rows under a key. `wholes` add rows of the body as a whole, each with the
    elements that it looks at.
    """

    readers: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    wholes: list[tuple[frozenset[str], Emit]] = field(default_factory=list)


@cache
def root_of(resource_type: str) -> Root:
    """The tree of all parameters of a type."""
    root = Root()
    for code, told in stored(resource_type).items():
        for alternative in told:
            _plant(root, resource_type, code, alternative)
    return root


def _plant(root: Root, resource_type: str, code: str, alternative: Alternative) -> None:
    if alternative.chain is None:
        names = re.findall(rf"\b{resource_type}\.(\w+)", alternative.text)
        reads = _properties(resource_type, [(Step("member", name),) for name in names])
        root.wholes.append((reads, _evaluated(resource_type, code, alternative)))
        return
    chain = rooted(resource_type, alternative.chain)
    if not chain:
        reads = _properties(resource_type, [part for _, parts in alternative.components for part in parts])
        root.wholes.append((reads, _composite(resource_type, resource_type, code, alternative)))
        return
    for name in _properties(resource_type, [chain]):
        for _, key in keys_of_kind(alternative.kind, resource_type, code):
            root.readers[key].add(name)
    if alternative.target:
        chain = (*chain, Step("resolves", alternative.target))

    def leaf(node: Node, type_name: str) -> None:
        if alternative.kind == "composite":
            node.emits.append(_composite(type_name, resource_type, code, alternative))
            return
        _value(node, alternative.kind, type_name, resource_type, code)
        trigrams = strings.trigram_emitter(type_name, resource_type, code)
        if trigrams and has_trigrams(resource_type, alternative):
            node.emits.append(trigrams)

    _grow(root, resource_type, chain, leaf)


def _properties(resource_type: str, chains: Iterable[Chain]) -> frozenset[str]:
    """The JSON properties of a resource that chains begin with."""
    firsts = [chain[0].word if chain[0].kind == "member" else "extension" for chain in chains]
    return frozenset(child.name for first in firsts for child in choices(resource_type, first))


def _evaluated(resource_type: str, code: str, alternative: Alternative) -> Emit:
    """What adds the rows of an expression that is no chain."""
    path = compile_path(alternative.text)
    emitter = cache(_EMITTERS[alternative.kind])

    def emit(body: Any, rows: IndexRows) -> None:
        try:
            found = path.typed(body)
        except FhirPathError:
            return
        for node in found:
            if add := emitter(_SYSTEM_TYPES.get(node.type, node.type), resource_type, code):
                add(node.value, rows)

    return emit


def _value(node: Node, kind: str, type_name: str, resource_type: str, code: str) -> None:
    if type_name == "Extension":
        for child in choices("Extension", "value"):
            _value(node.children.setdefault(child.name, Node()), kind, child.type, resource_type, code)
    elif emit := _EMITTERS[kind](type_name, resource_type, code):
        node.emits.append(emit)


def _composite(type_name: str, resource_type: str, code: str, alternative: Alternative) -> Emit:
    """What adds the rows of a composite at a node of a type."""
    first, second = (_part(type_name, kind, chains) for kind, chains in alternative.components)
    return composites.emitter(first, second, resource_type, code)


def _part(type_name: str, kind: str, chains: tuple[Chain, ...]) -> Emit:
    """What adds the rows of one part of a composite, from the composite's node on."""

    def leaf(node: Node, leaf_type: str) -> None:
        _value(node, kind, leaf_type, *composites.PART)

    root = Node()
    for chain in chains:
        _grow(root, type_name, chain, leaf)
    return root.visit


Leaf = Callable[[Node, str], None]


def _grow(node: Node, type_name: str, chain: Chain, leaf: Leaf) -> None:
    """Go along the chain from a node of a type, and give each node at its end to `leaf`, with its type."""
    if not chain:
        leaf(node, type_name)
        return
    step, rest = chain[0], chain[1:]
    match step.kind:
        case "member":
            for child in _choices(type_name, step.word, rest):
                _grow(node.children.setdefault(child.name, Node()), child.type, rest, leaf)
        case "type":
            if _is(type_name, step.word):
                _grow(node, type_name, rest, leaf)
        case "extension":
            extensions = node.children.setdefault("extension", Node())
            _grow(_conditional(extensions, Step("equals", "url", step.word)), "Extension", rest, leaf)
        case _:
            _grow(_conditional(node, step), type_name, rest, leaf)


def _choices(type_name: str, element: str, rest: Chain) -> list[Child]:
    found = choices(type_name, element)
    wanted = rest[0].word if rest and rest[0].kind == "type" else ""
    return [child for child in found if not wanted or _is(child.type, wanted)]


def _is(type_name: str | None, wanted: str) -> bool:
    """Whether a type is one named so (`DateTime` and `Uri` stand for dateTime and uri) or specialises it."""
    while type_name:
        if type_name.lower() == wanted.lower():
            return True
        type_name = base_of(type_name)
    return False


def _conditional(node: Node, step: Step) -> Node:
    if step not in node.conditions:
        node.conditions[step] = (_condition(step), Node())
    return node.conditions[step][1]


def _condition(step: Step) -> Callable[[Any], bool]:
    word, wanted = step.word, step.value
    match step.kind:
        case "equals":
            return lambda value: type(value) is dict and value.get(word) == wanted
        case "has-extension":
            return lambda value: (
                type(value) is dict
                and any(type(one) is dict and one.get("url") == word for one in value.get("extension", ()))
            )
        case _:
            return lambda value: references.reference_type(value) == word
