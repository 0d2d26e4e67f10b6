"""A batch or transaction Bundle as entries, checked for what can be told without a server (R4 3.1.0.11).

A fault names a place (`Bundle.entry[3].request.url`) and a rule, never a value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import unquote

from chartwire.core.errors import FaultsError

Json = dict[str, Any]
Kind = Literal["batch", "transaction"]
METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
CONDITIONS = ("ifMatch", "ifNoneMatch", "ifModifiedSince", "ifNoneExist")
"""Members of Bundle.entry.request that say what a header says of a request by itself."""
_WITH_RESOURCE = frozenset({"POST", "PUT", "PATCH"})
_OPERATION = re.compile(r"(?:^|/)[$_]")
"""What is POSTed to an operation or a search may have no body."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `path` is decoded, without base and leading slash; `query` is as it was written."""

    index: int
    method: str
    path: str
    query: str
    full_url: str = ""
    resource: Json | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """`Bundle.entry[3]`."""
        return place_of(self.index)


def place_of(index: int) -> str:
    """The FHIRPath of an entry."""
    return f"Bundle.entry[{index}]"


def read_kind(bundle: Json) -> Kind:
    """Which of the two it is. Raises FaultsError for a Bundle of another type, and for what is no Bundle."""
    kind = bundle.get("type")
    if bundle.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise refused("Bundle.type", "is `batch` or `transaction`: no other resource is taken here")
    return cast("Kind", kind)


def read_entries(bundle: Json, bases: Sequence[str], entries_max: int) -> list[Entry | FaultsError]:
    """Every entry in order, or what is wrong with it. `bases` are the beginnings of URLs that lead to this server.

    Raises FaultsError where the entries are no list, or too many.
    """
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise refused("Bundle.entry", "is a list")
    if len(entries) > entries_max:
        raise refused("Bundle.entry", f"has at most {entries_max} entries: send several Bundles")
    return [_read_or_fault(index, entry, bases) for index, entry in enumerate(entries)]


def refused(place: str, rule: str) -> FaultsError:
    """What is wrong at one place of a Bundle."""
    return FaultsError(f"{place} {rule}", code="invalid_bundle", faults=[(place, "invalid_bundle", rule)])


def _read_or_fault(index: int, entry: Any, bases: Sequence[str]) -> Entry | FaultsError:
    try:
        return _read(index, entry, bases)
    except FaultsError as fault:
        return fault


def _read(index: int, entry: Any, bases: Sequence[str]) -> Entry:
    place = place_of(index)
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise refused(f"{place}.request", "is needed: it says what is to be done with the entry")
    request: Json = entry["request"]
    method, url, full_url = request.get("method"), request.get("url"), entry.get("fullUrl", "")
    if method not in METHODS:
        raise refused(f"{place}.request.method", f"is one of {', '.join(METHODS)}")
    if not isinstance(url, str) or not url:
        raise refused(f"{place}.request.url", "is a URL relative to this server, such as `Patient/123`")
    if not isinstance(full_url, str):
        raise refused(f"{place}.fullUrl", "is a URL")
    resource = entry.get("resource") if method in _WITH_RESOURCE else None
    if method in _WITH_RESOURCE and not isinstance(resource, dict) and (resource or not _OPERATION.search(url)):
        raise refused(f"{place}.resource", f"is needed where the method is {method}")
    path, _, query = relative(url, bases).partition("?")
    return Entry(index, method, unquote(path), query, full_url, resource, _conditions(request, place))


def _conditions(request: Json, place: str) -> dict[str, str]:
    told = {name: request[name] for name in CONDITIONS if name in request}
    for name, value in told.items():
        if not isinstance(value, str) or not value.isprintable():
            raise refused(f"{place}.request.{name}", "is text")
    return told


def relative(url: str, bases: Sequence[str]) -> str:
    """A URL without the base of this server, and without a leading slash."""
    for base in bases:
        if url.startswith(base):
            return url[len(base) :].lstrip("/")
    return url.lstrip("/")
