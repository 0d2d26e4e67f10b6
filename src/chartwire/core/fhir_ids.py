"""FHIR logical ids and the UUIDs under which the store keeps resources: one pure function, no table.

A client's own id (`example`) stays in the body; everything that looks a resource up, or compares references, goes by
the UUID. Reading an id out of a stored resource is therefore always reading its body.
"""

import re
from functools import lru_cache
from uuid import UUID, uuid5

from chartwire.core.errors import NotFoundError

FHIR_ID_NAMESPACE = UUID("0d5a3c1e-7b64-5f0a-9c39-2f7f8c1d4e52")
_LEGAL = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_fhir_id(text: str) -> bool:
    """Whether the text is a legal FHIR id (R4 datatypes, `id`: `[A-Za-z0-9\\-\\.]{1,64}`)."""
    return _LEGAL.fullmatch(text) is not None


@lru_cache(maxsize=65_536)
def store_id(fhir_id: str) -> UUID:
    """The store's key of a FHIR logical id: a canonical lower-case UUID is itself, any other legal id its uuid5 here.

    Case counts (`A` and `a` are two resources). Raises NotFoundError (`unknown_id`) for what is no legal id: nothing
    can be stored under it.
    """
    if _CANONICAL_UUID.fullmatch(fhir_id):
        return UUID(fhir_id)
    if not is_fhir_id(fhir_id):
        raise NotFoundError("no resource has this id", code="unknown_id")
    return uuid5(FHIR_ID_NAMESPACE, fhir_id)


@lru_cache(maxsize=65_536)
def local_reference(reference: str) -> tuple[str, UUID] | None:
    """Resource type and store's key that a relative reference leads to (`Patient/example`, with or without a version);
    None for anything else: absolute, `urn:`, contained (`#x`)."""
    found = _RELATIVE.fullmatch(reference)
    return None if found is None else (found[1], store_id(found[2]))
