"""Where an expression stands, and what it may name there; used while maps are compiled, not afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chartwire.mapping.context import Context
from chartwire.mapping.conversion import Contribution
from chartwire.mapping.groups import Group, Structure
from chartwire.mapping.language import MapError, Mark, Path, Rule
from chartwire.mapping.tables import Tables

Fn = Callable[[Context, Any], Any]
"""A compiled expression: (context, place) -> value; a place is a Frame, or the parts of a composite (list[str])."""

Maker = Callable[[str], Fn]
"""By source field (for lineage and findings): the closure (context, parts) -> Reference, display only, or None."""


@dataclass(slots=True)
class Library:
    """What every map may name: code tables, fragments (by name) and makers of resources from composites."""

    tables: Tables
    fragments: dict[str, Rule] = field(default_factory=dict)
    makers: dict[str, Maker] = field(default_factory=dict)
    compiled: dict[str, Fn] = field(default_factory=dict)
    in_progress: set[str] = field(default_factory=set)
    key_labels: dict[str, tuple[Contribution, ...]] = field(default_factory=dict)

    def once(self, key: str, mark: Mark, build: Callable[[], Fn]) -> Fn:
        """The closure of that key, built at its first use. Raises MapError for one that needs itself."""
        if key not in self.compiled:
            if key in self.in_progress:
                raise MapError(f"{key} makes itself", mark)
            self.in_progress.add(key)
            self.compiled[key] = build()
            self.in_progress.discard(key)
        return self.compiled[key]


@dataclass(slots=True)
class Scope:
    """A group of a message structure, or (group None) the inside of a composite, whose field `label` names."""

    library: Library
    structure: Structure | None = None
    group: Group | None = None
    label: str = ""
    variables: set[str] = field(default_factory=set)
    reads: dict[str, set[int]] = field(default_factory=dict)

    def composite(self, label: str) -> "Scope":
        """The scope inside a field's composite."""
        return Scope(self.library, None, None, label, set(), self.reads)

    def inside(self, group: Group) -> "Scope":
        """The scope of a group further in."""
        return Scope(self.library, self.structure, group, self.label, self.variables, self.reads)

    def climb(self, path: Path, mark: Mark) -> int:
        """How many frames up the path's segment stands; notes that the field is read. Raises MapError."""
        if self.structure is None or self.group is None:
            raise MapError(f"{path.label} cannot be read inside a composite; use .1, .2 ...", mark)
        up = self.structure.climb(self.group, path.segment)
        if up is None:
            raise MapError(f"no {path.segment} in group {self.group.name} of {self.structure.name}", mark)
        self.reads.setdefault(path.segment, set()).add(path.field)
        return up
