"""The body of a PATCH: which of the three formats it is, and what it makes of what stands (R4 3.1.0.6)."""

from collections.abc import Callable
from typing import Any

from chartwire.api.fhir.judging import Judge, make_relative, refuse_conditions
from chartwire.api.fhir.negotiation import body_media
from chartwire.api.http import FHIR_JSON, JSON, Request
from chartwire.api.problem import ApiError
from chartwire.core.errors import ParseError
from chartwire.formats.fhir.patching import fhirpath_patch, json_patch, merge_patch
from chartwire.formats.fhir.reading import read_object, read_resource
from chartwire.mapping.conversion import Json

JSON_PATCH, MERGE_PATCH = b"application/json-patch+json", b"application/merge-patch+json"
_OTHERS = "a JSON Patch is application/json-patch+json, a merge patch application/merge-patch+json"
MEDIA = ("application/json-patch+json", "application/merge-patch+json", "application/fhir+json", "application/json")
Change = Callable[[Json], Json]


async def sent_patch(request: Request, base: str, judge: Judge) -> Change:
    """What the patch makes of a resource: a valid one, or InvalidResourceError; FaultsError where it does not fit.
    What it says of this server (below `base`) becomes relative.

    Plain JSON is a JSON Patch where it is a list, a FHIRPath Patch where it is Parameters, else a merge patch. Raises
    ParseError (400), ApiError (415).
    """
    media = body_media(request, JSON_PATCH, MERGE_PATCH, FHIR_JSON, JSON)
    content = await request.content()
    if media == FHIR_JSON:
        patch: Any = read_resource(content, bytes_max=request.body_bytes_max)
        if patch["resourceType"] != "Parameters":
            raise ApiError(
                f"what is sent as application/fhir+json is a FHIRPath Patch, a Parameters resource; {_OTHERS}",
                code="type_mismatch",
            )
    else:
        patch = _read(content, request.body_bytes_max)
    apply, names_us = _format(media, patch), base.encode() in content

    def change(standing: Json) -> Json:
        made = apply(standing, patch)
        if names_us:
            make_relative(made, base)
        if b"?" in content:
            refuse_conditions(made)
        judge.judge(made, standing)
        return made

    return change


def _read(content: bytes, bytes_max: int) -> Any:
    """A JSON object, or a list of operations."""
    if not content.lstrip().startswith(b"["):
        return read_object(content, bytes_max=bytes_max)
    holder = read_object(b'{"patch":%s}' % content, bytes_max=bytes_max)
    if len(holder) > 1:
        raise ParseError("a patch is one JSON value", code="body_malformed")
    return holder["patch"]


def _format(media: bytes, patch: Any) -> Callable[[Json, Any], Json]:
    if isinstance(patch, list):
        if media == MERGE_PATCH:
            raise ParseError("a merge patch is a JSON object", code="body_malformed")
        return json_patch
    if media == JSON_PATCH:
        raise ParseError("a JSON Patch is a list of operations", code="body_malformed")
    if media != MERGE_PATCH and patch.get("resourceType") == "Parameters":
        return fhirpath_patch
    return merge_patch
