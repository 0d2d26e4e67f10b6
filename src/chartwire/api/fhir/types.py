"""Which resource types this door serves: all of R4 but those that served.yaml leaves out, with its reasons."""

from functools import cache

from chartwire.api.problem import ApiError
from chartwire.formats.fhir.definitions import served_types


@cache
def served() -> frozenset[str]:
    """Names of the types that are kept here."""
    return frozenset(served_types())


def known(name: str) -> str:
    """The name of a type that is served. Raises ApiError (404 `not_found`)."""
    if name not in served():
        raise ApiError("this resource type is not served here", code="not_found", error_class="not_found")
    return name
