"""JSON schemas as tables for people."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from chartwire.api.portal.page import told

Json = dict[str, Any]
_DEPTH_MAX = 4
_REFERENCE = "#/components/schemas/"


def table(schema: Json, components: Mapping[str, Json]) -> str:
    """The members of an object schema, those of members under them; empty for what has none."""
    rows = "".join(_row(*one) for one in _members(schema, components, "", 0, ()))
    return f'<table class="members"><tbody>{rows}</tbody></table>' if rows else ""


def kind(schema: Json, components: Mapping[str, Json]) -> str:
    """The type of a value in a few words."""
    if "$ref" in schema:
        return kind(resolved(schema, components), components)
    if "enum" in schema:
        return "one of " + ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return f"always {schema['const']}"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(one, components) for one in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}), components)}"
    word = str(schema.get("format") or schema.get("type") or "any value")
    bounds = [f"{name} {schema[key]}" for key, name in _BOUNDS.items() if key in schema]
    return f"{word} ({', '.join(bounds)})" if bounds else word


def resolved(schema: Json, components: Mapping[str, Json]) -> Json:
    """A schema with its reference followed, and the object among several kinds chosen."""
    if "$ref" in schema:
        return components[schema["$ref"].removeprefix(_REFERENCE)]
    if "anyOf" in schema:
        objects = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return resolved(objects[0], components) if len(objects) == 1 else schema
    return schema


_BOUNDS = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most", "maxItems": "at most"}
Member = tuple[str, str, str, bool, int]


def _members(
    schema: Json, components: Mapping[str, Json], prefix: str, depth: int, above: tuple[int, ...]
) -> Iterator[Member]:
    """Name, type, description, whether required, depth of each member; a type within itself is not told again."""
    whole = resolved(schema, components)
    if whole.get("type") == "array":
        whole = resolved(whole.get("items", {}), components)
    if id(whole) in above or depth >= _DEPTH_MAX:
        return
    required = set(whole.get("required", ()))
    for name, member in whole.get("properties", {}).items():
        inner = resolved(member, components)
        description = member.get("description") or inner.get("description", "")
        yield f"{prefix}{name}", kind(member, components), description, name in required, depth
        yield from _members(member, components, f"{prefix}{name}.", depth + 1, (*above, id(whole)))


def _row(name: str, word: str, description: str, required: bool, depth: int) -> str:
    mark = '<span class="required">required</span>' if required else ""
    head, _, last = name.rpartition(".")
    shown = f"<span>{escape(head)}.</span>{escape(last)}" if head else escape(last)
    return (
        f'<tr class="depth{depth}"><td><code>{shown}</code>{mark}</td>'
        f"<td><em>{escape(word)}</em><p>{told(description)}</p></td></tr>"
    )
