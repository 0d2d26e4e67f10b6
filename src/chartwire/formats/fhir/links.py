"""The links of a resource in a transaction, found once and then led elsewhere (R4 3.1.0.11.2).

A link is a reference, any other element of type uri, url, oid or uuid, and an `href` or `src` in a narrative. Elements
of type canonical are none.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from chartwire.formats.fhir.definitions import children

Json = dict[str, Any]
Lead = Callable[[str], str | None]
"""Where a link leads now; None for one that stays."""

_URIS = frozenset({"uri", "url", "oid", "uuid"})
_IN_NARRATIVE = re.compile(r"""(\b(?:href|src)\s*=\s*)("[^"<]*"|'[^'<]*')""")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")


@dataclass(frozen=True, slots=True)
class Link:
    """One link at its place: `holder[key]` is `value`."""

    holder: Any
    key: str | int
    value: str

    def lead(self, lead: Lead) -> None:
        """Put in its place where it leads now."""
        if self.key == "div":
            self.holder[self.key] = _IN_NARRATIVE.sub(lambda found: _led_in_narrative(found, lead), self.value)
        elif (target := lead(self.value)) is not None:
            self.holder[self.key] = target

    @property
    def condition(self) -> tuple[str, str] | None:
        """Type and query of a conditional reference (`Patient?identifier=...`)."""
        found = _CONDITIONAL.fullmatch(self.value) if self.key == "reference" else None
        return (found[1], found[2]) if found else None


def find_links(resource: Json, known: Collection[str]) -> list[Link]:
    """Every reference of a resource and of what it contains; other links only where their value is in `known`."""
    found: list[Link] = []
    others: list[Link] = []
    waiting: list[Any] = [resource]
    while waiting:
        holder = waiting.pop()
        for key, value in holder.items() if type(holder) is dict else enumerate(holder):
            if type(value) is dict or type(value) is list:
                waiting.append(value)
            elif type(value) is str:
                if key == "reference" or (key == "div" and ("href" in value or "src" in value)):
                    found.append(Link(holder, key, value))
                elif value in known:
                    others.append(Link(holder, key, value))
    if others:
        places = set(_uris(str(resource.get("resourceType")), resource))
        found += [link for link in others if (id(link.holder), link.key) in places]
    return found


def _uris(type_name: str, node: Json) -> Iterator[tuple[int, str | int]]:
    """The places of a typed node that hold a uri, as (id of the holder, key)."""
    for name, child in children(type_name).items():
        value = node.get(name)
        if value is None:
            continue
        if child.type in _URIS:
            yield id(node), name
            if isinstance(value, list):
                yield from ((id(value), index) for index in range(len(value)))
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _uris(str(one.get("resourceType", child.type)), one)


def _led_in_narrative(found: re.Match[str], lead: Lead) -> str:
    quoted = found[2]
    target = lead(quoted[1:-1])
    return found[0] if target is None else f"{found[1]}{quoted[0]}{target}{quoted[0]}"
