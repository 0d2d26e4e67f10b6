"""Who may set what: the shipped table (authority.yaml) under each source's own."""

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chartwire.core.source import Source


@cache
def _table() -> dict[str, Any]:
    text = files("chartwire.record").joinpath("authority.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


@cache
def rank(source: Source, event: str, resource_type: str) -> int:
    """The weight with which this source's event speaks of a type; 0 where it may only find what stands."""
    setters = _table()["sets"].get(resource_type)
    if setters is not None and event not in setters:
        return 0
    return dict(source.may_set).get(resource_type, source.rank)


def provisional_rank() -> int:
    """The weight of what an event says about a resource that it may only find, when there is none yet."""
    return int(_table()["provisional_rank"])


def api_rank() -> int:
    """The weight of a write through the API."""
    return int(_table()["api"]["rank"])


@cache
def api_identifies(resource_type: str) -> frozenset[str]:
    """Types of identifiers (HL7 table 0203) of a written resource by which feeds know it too."""
    return frozenset(_table()["api"]["identifies"].get(resource_type, ()))


@cache
def only(event: str, resource_type: str) -> frozenset[str] | None:
    """All element paths of a standing resource that this event may change; None where it may change each of them."""
    paths = _table()["only"].get(event, {}).get(resource_type)
    return None if paths is None else frozenset(paths)


@cache
def never_late(event: str, resource_type: str) -> frozenset[str]:
    """Element paths that this event sets though later words stand there."""
    only: dict[str, list[str]] = _table()["never_late"].get(resource_type, {})
    return frozenset(path for path, events in only.items() if event in events)


def directory_types() -> frozenset[str]:
    """Types shared by all patients, which are saved apart from the patients' batch."""
    return frozenset(_table()["directory"])
