"""Which resource types this door serves: all of R4 but those that served.yaml leaves out, with its reasons."""

from functools import cache

from chartwire.api.problem import ApiError
from chartwire.formats.fhir.definitions import served_types

BINARY = "Binary"
"""Kept, but not searched: it has a door of its own (binary.py)."""


@cache
def served() -> frozenset[str]:
    """Names of the types that are kept here."""
    return frozenset(served_types())


def known(name: str) -> str:
    """The name of a type that is served. Raises ApiError (404 `not_found`)."""
    if name not in served():
        raise ApiError(
            _UNKNOWN_OPERATION if name[:1] in "$_" else _UNKNOWN_TYPE, code="not_found", error_class="not_found"
        )
    return name


def writable(name: str, method: str) -> str:
    """The name of a type that an entry of a transaction may write so. A Binary is not patched."""
    return name if name == BINARY and method != "patch" else known(name)


_UNKNOWN_TYPE = "this resource type is not served here: /fhir/R4/metadata lists those that are, written as `Patient` is"
_UNKNOWN_OPERATION = "there is no such operation here: /fhir/R4/metadata lists those of each type"
