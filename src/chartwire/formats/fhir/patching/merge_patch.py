"""JSON merge patch (RFC 7396): members of the patch replace those of the body, null removes."""

from typing import Any

from chartwire.formats.fhir.patching.faults import invalid
from chartwire.formats.fhirpath.nodes import Json


def merge_patch(body: Json, patch: Json) -> Json:
    """The body after the patch. Raises FaultsError `patch_invalid` for a patch that is no object."""
    if not isinstance(patch, dict):
        raise invalid("", "must be a JSON object (RFC 7396)")
    return _merged(body, patch)


def _merged(body: Any, patch: Json) -> Json:
    merged = dict(body) if isinstance(body, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value) if isinstance(value, dict) else value
    return merged
