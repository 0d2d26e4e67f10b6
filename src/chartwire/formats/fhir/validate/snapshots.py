"""The elements of a snapshot as a tree, slices beside the element that they slice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Node:
    """One element: its definition, those within it by name, and its slices by name."""

    name: str
    element: Mapping[str, Any]
    children: dict[str, "Node"] = field(default_factory=dict)
    slices: dict[str, "Node"] = field(default_factory=dict)

    @property
    def maximum(self) -> str:
        """How often at most, as the definition writes it."""
        return str(self.element["max"])

    @property
    def bound(self) -> int | None:
        """How often at most; None for any number of times."""
        return None if self.maximum == "*" else int(self.maximum)

    def at(self, name: str) -> "Node | None":
        """An element within this one, a choice by its plain name too."""
        return self.children.get(name) or self.children.get(f"{name}[x]")


def tree_of(structure: Mapping[str, Any]) -> Node:
    """The root of a structure's snapshot. Elements come after those around them, as the specification orders them."""
    first, *others = structure["snapshot"]["element"]
    nodes = {first["id"]: Node(first["id"], first)}
    for element in others:
        parent_id, _, last = element["id"].rpartition(".")
        name, _, slice_name = last.partition(":")
        node = nodes[element["id"]] = Node(name, element)
        if slice_name:
            nodes[f"{parent_id}.{name}"].slices[slice_name] = node
        else:
            nodes[parent_id].children[name] = node
    return nodes[first["id"]]
