"""FHIR R4 Binary: the content of a document, as it is or as a resource (R4 2.36: by the Accept header)."""

from base64 import b64encode

import orjson

from chartwire.api.content import content_answer
from chartwire.api.http import ANY, FHIR_JSON, JSON, Answer, Request
from chartwire.api.problem import not_found
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.fhir_ids import store_id
from chartwire.record.documents import read_content


async def read(request: Request, services: Services) -> Answer:
    """`GET /fhir/R4/Binary/{id}`: the bytes with their media type; a Binary for who accepts FHIR JSON by name."""
    wanted = store_id(request.parts[0])
    content = await read_content(services.pool, request.access, wanted)
    if content is None:
        raise not_found()
    if not _wants_resource(request.headers.get(b"accept", b"")):
        return content_answer(request, wanted, content)
    body = {
        "resourceType": "Binary",
        "id": str(wanted),
        "contentType": content["media_type"],
        "data": b64encode(content["data"]).decode("ascii"),
    }
    return Answer(orjson.dumps(body), 200, FHIR_JSON, (), 1, tuple(content["patients"]))


def _wants_resource(accept: bytes) -> bool:
    first = accept.partition(b",")[0].partition(b";")[0].strip().lower()
    return first in (FHIR_JSON, JSON)


ROUTES = (
    Route(
        "GET",
        "/fhir/R4/Binary/{id}",
        read,
        "Read the content of a document",
        "fhir.read",
        "Binary",
        media=ANY.decode(),
        tag="FHIR R4",
    ),
)
