"""What a saved change is called: from old and new body to event types, by events.yaml. Pure."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chartwire.formats.fhir.definitions import served_types
from chartwire.mapping.conversion import Json
from chartwire.record.status import practice_status

_CAPITAL = re.compile(r"(?<=.)(?=[A-Z])")


@cache
def _table() -> dict[str, Json]:
    table: dict[str, Json] = yaml.safe_load(files("chartwire.record").joinpath("events.yaml").read_text("utf-8"))
    return table


def event_types(resource_type: str, old: Json | None, new: Json, trigger: str = "") -> list[str]:
    """The events of one change, most telling first: `appointment.rescheduled`; never empty.

    `old` is None for a new resource. A change of status and of start are two events. `trigger` is the message event.
    """
    rules = _rules(resource_type)
    words = _words_of_change(rules, resource_type, old, new)
    undone = rules.get("undone", {}).get(trigger)
    if undone and old is not None and words and new.get("status") != "cancelled":
        words = [undone]
    if not words or (old is None and resource_type != "Appointment"):
        plain = "created" if old is None else "updated"
        words = [rules.get("words", {}).get(plain, plain), *words]
    types = [f"{rules['name']}.{word}" for word in words]
    types.extend(rules["also"][word] for word in words if word in rules.get("also", ()))
    return types


def deletion_type(resource_type: str) -> str:
    """The event of a deletion."""
    rules = _rules(resource_type)
    return f"{rules['name']}.{rules.get('words', {}).get('deleted', 'deleted')}"


def _rules(resource_type: str) -> dict[str, Any]:
    """What events.yaml says of a type; a plain name (`care_plan`) for one that it does not name."""
    return _table().get(resource_type) or {"name": _CAPITAL.sub("_", resource_type).lower()}


def _words_of_change(rules: dict[str, Any], resource_type: str, old: Json | None, new: Json) -> list[str]:
    by_status = _by_status(rules, resource_type, old, new)
    by_place = [] if by_status else _by_place(rules, old, new)
    return [*by_status, *_by_start(rules, old, new), *by_place, *_by_activity(rules, old, new)]


def _by_status(rules: dict[str, Any], resource_type: str, old: Json | None, new: Json) -> list[str]:
    told = rules.get("status")
    if not told:
        return []
    before, after = _status(resource_type, old), _status(resource_type, new)
    if before == after or (old is None and after == "final"):
        return []
    return [told[after]] if after in told else []


def _by_start(rules: dict[str, Any], old: Json | None, new: Json) -> list[str]:
    if "start" not in rules or old is None or not old.get("start") or old["start"] == new.get("start"):
        return []
    return [rules["start"]]


def _by_place(rules: dict[str, Any], old: Json | None, new: Json) -> list[str]:
    if "place" not in rules or old is None:
        return []
    before, after = _active_place(old), _active_place(new)
    return [rules["place"]] if after is not None and after != before else []


def _by_activity(rules: dict[str, Any], old: Json | None, new: Json) -> list[str]:
    ended = old is not None and old.get("active") is not False and new.get("active") is False
    return [rules["inactive"]] if ended and "inactive" in rules else []


def _active_place(body: Json) -> Any:
    return next((item["location"] for item in body.get("location", ()) if item.get("status") == "active"), None)


def _status(resource_type: str, body: Json | None) -> str | None:
    if body is None:
        return None
    return practice_status(body) if resource_type == "Appointment" else body.get("status")


def event_words() -> list[tuple[str, str, list[str]]]:
    """What each resource type's changes can be called: (type, first word of its events, all second words)."""
    named = [(resource_type, _rules(resource_type)) for resource_type in dict.fromkeys((*_table(), *served_types()))]
    return [(resource_type, rules["name"], _words(rules)) for resource_type, rules in named]


def _words(rules: dict[str, Any]) -> list[str]:
    plain = [rules.get("words", {}).get(word, word) for word in ("created", "updated", "deleted")]
    single = [rules[name] for name in ("start", "place", "inactive") if name in rules]
    told = [*plain, *rules.get("status", {}).values(), *single, *rules.get("undone", {}).values()]
    return list(dict.fromkeys(told))
