"""What an operation is, as data: where it is called, by which methods, and the definition that /metadata names."""

from dataclasses import dataclass
from typing import Literal

from chartwire.api.routes import ANY_RESOURCE, Action, Handler, Route
from chartwire.core.limits import API_BODY_BYTES_MAX

Level = Literal["system", "type", "instance"]

_PATHS = {"system": "/fhir/R4/${code}", "type": "/fhir/R4/{type}/${code}", "instance": "/fhir/R4/{type}/{id}/${code}"}
_MEDIA = ("application/fhir+json", "application/json")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, by its name without `$`.

    `definition` is the canonical URL of its OperationDefinition. `types` are those on which it is called, empty for
    any: then the type is the first part of `request.parts`, else there is only the id. One that `changes` something
    is called by POST alone; any other by GET, too, unless only POST can say what it needs (`post_only`). The handler
    judges the query.
    """

    code: str
    definition: str
    summary: str
    handle: Handler
    levels: tuple[Level, ...]
    types: tuple[str, ...] = ()
    scope: str = "fhir.read"
    changes: bool = False
    post_only: bool = False
    body_bytes_max: int = API_BODY_BYTES_MAX

    def routes(self) -> tuple[Route, ...]:
        """The addresses of this operation."""
        methods = ("POST",) if self.changes or self.post_only else ("GET", "POST")
        return tuple(
            self._route(method, level, name)
            for level in self.levels
            for name in (self.types if level != "system" and self.types else ("",))
            for method in methods
        )

    def _route(self, method: str, level: Level, type_name: str) -> Route:
        path = _PATHS[level].replace("${code}", f"${self.code}")
        resource_type = type_name or (self.types[0] if self.types else "")
        if type_name:
            path = path.replace("{type}", type_name)
        elif level != "system":
            resource_type = ANY_RESOURCE
        action: Action = "update" if self.changes else "search"
        return Route(
            method,
            path,
            self.handle,
            self.summary,
            self.scope,
            resource_type,
            action,
            media=_MEDIA[0],
            tag="FHIR R4",
            open_query=True,
            body_bytes_max=self.body_bytes_max,
            body_media=_MEDIA,
            body_optional=True,
        )
