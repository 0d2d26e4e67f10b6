"""Which resource types this door serves: all of R4 but those that served.yaml leaves out, with its reasons."""

from functools import cache

from chartwire.api.problem import ApiError
from chartwire.formats.fhir.definitions import served_types

BINARY = "Binary"
"""Kept, but not searched: it has a door of its own (binary.py)."""


@cache
def served() -> frozenset[str]:
    """Names of the types that every interaction is about."""
    return frozenset(served_types())


def known(name: str) -> str:
    """The name of a type that is served. Raises ApiError (404 `not_found`)."""
    if name not in served():
        raise ApiError(_unknown(name), code="not_found", error_class="not_found")
    return name


def kept(name: str) -> str:
    """The name of a type of which there are resources: one that is served, or Binary. Raises ApiError as `known`."""
    return name if name == BINARY else known(name)


def writable(name: str, method: str) -> str:
    """The name of a type that an entry of a transaction may write so. A Binary is not patched."""
    return known(name) if method == "patch" else kept(name)


def _unknown(name: str) -> str:
    if name[:1] in "$_":
        return "there is no such operation here: /fhir/R4/metadata lists those of each type"
    if name == BINARY:
        return "a Binary is read, created, updated and deleted by its id, and nothing else"
    return "this resource type is not served here: /fhir/R4/metadata lists those that are, written as `Patient` is"
