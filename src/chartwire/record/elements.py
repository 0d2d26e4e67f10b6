"""How each type's elements merge, read once from elements.yaml."""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

Json = dict[str, Any]
_OUTSIDE = frozenset({"resourceType", "id"})
_SPLIT = frozenset({"meta"})
"""Of every type: tags, labels and profiles are said by different people."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The merge rules of one resource type."""

    split: frozenset[str] = _SPLIT
    union: frozenset[str] = frozenset()
    accumulate: frozenset[str] = frozenset()
    choice: tuple[tuple[str, frozenset[str]], ...] = ()
    inactive: Json = field(default_factory=dict)
    active: Json = field(default_factory=dict)

    def path_of(self, key: str) -> str:
        """The element path of a member of the body: `valueQuantity` -> `value[x]`, `_status` -> `status`."""
        name = key.removeprefix("_")
        for prefix, also in self.choice:
            if name in also or (name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper()):
                return f"{prefix}[x]"
        return name

    def told(self, body: Json) -> dict[str, Any]:
        """The body by element path. A path that stands for several members holds them as a dict under `*`."""
        told: dict[str, Any] = {}
        for key, value in body.items():
            if key in _OUTSIDE:
                continue
            path = self.path_of(key)
            if path in self.split and isinstance(value, dict):
                told.update({f"{path}.{child}": held for child, held in value.items()})
            elif path == key and f"_{key}" not in body:
                told[path] = value
            else:
                told.setdefault(path, Members())[key] = value
        return told

    def body(self, told: dict[str, Any]) -> Json:
        """The body that `told` tells; the inverse of the method of that name."""
        body: Json = {}
        for path, value in told.items():
            if isinstance(value, Members):
                body.update(value)
            elif "." in path:
                parent, child = path.split(".", 1)
                body.setdefault(parent, {})[child] = value
            else:
                body[path] = value
        return body


class Members(dict[str, Any]):
    """Several members of a body that stand or fall together: `valueQuantity`, `birthDate` with `_birthDate`."""


@cache
def shape_of(resource_type: str) -> Shape:
    """The merge rules of a type; the plain ones (every element is one value) where elements.yaml does not name it."""
    return _shapes().get(resource_type, Shape())


@cache
def _shapes() -> dict[str, Shape]:
    text = files("chartwire.record").joinpath("elements.yaml").read_text(encoding="utf-8")
    return {name: _shape(rules) for name, rules in yaml.safe_load(text).items()}


def _shape(rules: Json) -> Shape:
    return Shape(
        split=_SPLIT | frozenset(rules.get("split", ())),
        union=frozenset(rules.get("union", ())),
        accumulate=frozenset(rules.get("accumulate", ())),
        choice=tuple((prefix, frozenset(more.get("also", ()))) for prefix, more in rules.get("choice", {}).items()),
        inactive=rules.get("inactive", {}),
        active=rules.get("active", {}),
    )
