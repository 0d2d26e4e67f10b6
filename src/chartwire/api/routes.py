"""The route table: every address as data, found by a walk over its parts."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Literal

from chartwire.api.http import Answer, Header, Request
from chartwire.api.limits import LimitClass
from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.limits import API_BODY_BYTES_MAX

Handler = Callable[[Request, Services], Awaitable[Answer]]
ParameterKind = Literal["string", "integer", "boolean", "date", "instant"]
ANY_RESOURCE = "Resource"
"""The resource type of a route whose first variable part names the type."""

_DEPRECATIONS = b'</docs/deprecations>; rel="deprecation"'

Action = Literal["read", "search", "create", "update", "delete", "replay", "resolve"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter, as the documentation tells it. `values` are those allowed, where they can be listed."""

    name: str
    description: str
    kind: ParameterKind = "string"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One address and method. A GET also answers HEAD.

    `scope` is what the key needs (of several, one); None is for everyone, without audit row. `resource_type` and
    `action` go into the audit row. `checked` promises that the handler reads through record.read calls that check the
    credential, so that the door may recall the key from memory. `answer` and `body` are the msgspec types of the
    documentation, `media` what the answer is, `also` further statuses that are no refusal, with their types.
    `body_media` are the types that a body may have, `body_bytes_max` bounds it, and one that is `body_optional` may be
    left out. `families` are beginnings of parameters whose names are the organisation's own (`custom.`); the handler
    judges those, and all of a route with an `open_query`, which takes any parameter any number of times. A `batch` is
    charged by its items, in the handler. A `conditional` route takes If-Match. From `deprecated` on answers warn (RFC
    9745), and tell the day of `sunset` (RFC 8594), after which it may be gone.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    scope: str | None
    resource_type: str = ""
    action: Action = "read"
    checked: bool = False
    parameters: tuple[Parameter, ...] = ()
    answer: Any = None
    body: Any = None
    status: int = 200
    media: str = "application/json"
    tag: str = ""
    body_bytes_max: int = API_BODY_BYTES_MAX
    families: tuple[str, ...] = ()
    open_query: bool = False
    batch: bool = False
    also: Mapping[int, Any] = field(default_factory=dict)
    conditional: bool = False
    body_optional: bool = False
    body_media: tuple[str, ...] = ("application/json",)
    deprecated: date | None = None
    sunset: date | None = None
    limit: LimitClass = field(init=False)
    notices: tuple[Header, ...] = field(init=False)
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", frozenset(parameter.name for parameter in self.parameters))
        object.__setattr__(self, "limit", self._limit())
        object.__setattr__(self, "notices", self._notices())

    def admits(self, access: Access) -> bool:
        """Whether a key may ask this."""
        return self.scope is None or access.allows(self.scope) or any(map(access.allows, self.scope.split()))

    @property
    def scopes_told(self) -> str:
        """The scope that a key needs, for people."""
        return " or ".join(f"`{scope}`" for scope in (self.scope or "").split())

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Those of the names of query parameters that this route does not know."""
        if self.open_query:
            return set()
        return {name for name in names if name not in self.known and not name.startswith(self.families)}

    @property
    def changes(self) -> bool:
        """Whether it changes something: then it takes an Idempotency-Key."""
        return self.method != "GET" and self.action not in {"read", "search"}

    def _limit(self) -> LimitClass:
        if self.batch:
            return "batch"
        if self.changes:
            return "write"
        return "search" if self.action == "search" else "read"

    def _notices(self) -> tuple[Header, ...]:
        if self.deprecated is None:
            return ()
        first = datetime.combine(self.deprecated, time(), UTC)
        told: list[Header] = [(b"deprecation", b"@%d" % first.timestamp()), (b"link", _DEPRECATIONS)]
        if self.sunset is not None:
            told.append((b"sunset", format_datetime(datetime.combine(self.sunset, time(), UTC), usegmt=True).encode()))
        return tuple(told)


class _Node:
    __slots__ = ("children", "methods", "variable")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.variable: _Node | None = None
        self.methods: dict[str, Route] = {}


def _walk(
    node: _Node, path: list[str], at: int, taken: tuple[str, ...]
) -> tuple[dict[str, Route], tuple[str, ...]] | None:
    """The node of `path[at:]` below `node`, where it has routes, with the variable parts on the way."""
    if at == len(path):
        return (node.methods, taken) if node.methods else None
    part = path[at]
    fixed = node.children.get(part)
    found = None if fixed is None else _walk(fixed, path, at + 1, taken)
    if found is None and node.variable is not None and part:
        return _walk(node.variable, path, at + 1, (*taken, part))
    return found


class Router:
    """Finds the routes of a path in time that grows with its parts, not with the number of routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            self._add(route)

    def find(self, path: str) -> tuple[dict[str, Route], tuple[str, ...]] | None:
        """The routes of a path by method, and its variable parts. A fixed part wins over a variable one, unless
        nothing stands behind it for the rest of the path."""
        return _walk(self._root, path.split("/"), 0, ())

    def _add(self, route: Route) -> None:
        node = self._root
        for part in route.path.split("/"):
            if part.startswith("{"):
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.children.setdefault(part, _Node())
        assert route.method not in node.methods, f"{route.method} {route.path} stands twice in the route table"
        node.methods[route.method] = route
