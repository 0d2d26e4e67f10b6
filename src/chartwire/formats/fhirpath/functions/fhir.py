"""What FHIR adds (http://hl7.org/fhir/R4/fhirpath.html), and the utility functions (N1, 5.9)."""

import re
from datetime import UTC, datetime
from typing import Any

from chartwire.formats.fhir import definitions
from chartwire.formats.fhir.narrative import narrative_fault
from chartwire.formats.fhirpath import nodes, quantities
from chartwire.formats.fhirpath.comparing import quantity_of
from chartwire.formats.fhirpath.functions.registry import Function, each, exactly, on_items, text_of
from chartwire.formats.fhirpath.nodes import Json, Node, boolean, only
from chartwire.formats.fhirpath.surroundings import Env, Step

_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def _extension(env: Env, this: Node, items: list[Node], address: Step) -> list[Node]:
    wanted = text_of(address, this, env, "`extension()`")
    found = (extension for item in items for extension in nodes.members(item, "extension"))
    return [extension for extension in found if extension.value.get("url") == wanted]


def _has_extension(env: Env, this: Node, items: list[Node], address: Step) -> list[Node]:
    return boolean(bool(_extension(env, this, items, address)))


def _resolve(env: Env, _this: Node, items: list[Node]) -> list[Node]:
    """What references point to. Without an answer of the hook, a target whose type is written counts as an empty
    resource of that type, so that `resolve() is Patient` can be told."""
    return [found for item in items if (found := _target(env, item)) is not None]


def _target(env: Env, item: Node) -> Node | None:
    text = item.value.get("reference") if type(item.value) is dict else item.value
    if type(text) is not str:
        return _typed_stub(item.value.get("type") if type(item.value) is dict else None)
    if text.startswith("#"):
        return _contained(env.root, text[1:])
    resource = None if env.hooks.resolve is None else env.hooks.resolve(text)
    if resource is not None:
        return nodes.root(resource)
    match = _REFERENCE.fullmatch(text)
    named = match[1] if match else item.value.get("type") if type(item.value) is dict else None
    return _typed_stub(named)


def _typed_stub(type_name: Any) -> Node | None:
    return Node({}, type_name) if type(type_name) is str and definitions.is_resource(type_name) else None


def _contained(root: Node, wanted: str) -> Node | None:
    if not wanted:
        return root
    return next((one for one in nodes.members(root, "contained") if one.value.get("id") == wanted), None)


def _member_of(env: Env, this: Node, items: list[Node], address: Step) -> list[Node]:
    item, wanted = only(items, "`memberOf()`"), text_of(address, this, env, "`memberOf()`")
    if item is None or wanted is None or env.hooks.member_of is None:
        return []
    return boolean(env.hooks.member_of(item, wanted))


def _conforms_to(env: Env, this: Node, items: list[Node], address: Step) -> list[Node]:
    """The hook's answer; of the types of R4 themselves it is known without."""
    item, wanted = only(items, "`conformsTo()`"), text_of(address, this, env, "`conformsTo()`")
    if item is None or wanted is None:
        return []
    name = wanted.removeprefix(_STRUCTURES)
    if name != wanted and nodes.is_known(name):
        return boolean(nodes.is_kind_of(item.type, name))
    return [] if env.hooks.conforms is None else boolean(env.hooks.conforms(item, wanted))


def _trace(env: Env, this: Node, items: list[Node], name: Step, projection: Step | None = None) -> list[Node]:
    if env.hooks.trace is not None:
        shown = items
        if projection is not None:
            shown = [found for at, item in enumerate(items) for found in each(projection, item, at, env)]
        env.hooks.trace(text_of(name, this, env, "`trace()`") or "", shown)
    return items


def _now(env: Env) -> str:
    if not env.now:
        env.now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return env.now


def _comparable(env: Env, this: Node, items: list[Node], other: Step) -> list[Node]:
    left, right = only(items, "`comparable()`"), only(other(this, env), "`comparable()`")
    ours, theirs = (None if item is None else quantity_of(item) for item in (left, right))
    return [] if ours is None or theirs is None else boolean(quantities.comparable(ours.unit, theirs.unit))


def _type(items: list[Node]) -> list[Node]:
    return [Node(_type_info(item.type), nodes.TYPE_INFO) for item in items]


def _type_info(name: str) -> Json:
    system, _, plain = name.rpartition(".") if name.startswith("System.") else ("FHIR", "", name)
    return {"namespace": system, "name": plain}


def _html_checks(items: list[Node]) -> list[Node]:
    """Whether a text may be the `div` of a narrative (txt-1, txt-2)."""
    item = only(items, "`htmlChecks()`")
    if item is None or type(item.value) is not str:
        return []
    return boolean(narrative_fault(item.value) is None)


FHIR: dict[str, Function] = {
    "extension": exactly(_extension, 1),
    "hasExtension": exactly(_has_extension, 1),
    "resolve": Function(_resolve),
    "memberOf": exactly(_member_of, 1),
    "conformsTo": exactly(_conforms_to, 1),
    "trace": Function(_trace, 1, 2),
    "now": Function(lambda env, _this, _items: [Node(_now(env), "System.DateTime")]),
    "today": Function(lambda env, _this, _items: [Node(_now(env)[:10], "System.Date")]),
    "timeOfDay": Function(lambda env, _this, _items: [Node(_now(env)[11:23], "System.Time")]),
    "comparable": exactly(_comparable, 1),
    "type": on_items(_type),
    "htmlChecks": on_items(_html_checks),
}
