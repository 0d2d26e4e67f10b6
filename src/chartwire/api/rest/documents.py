"""Documents of patients: what is known of them, and their contents."""

from typing import Any, Literal
from uuid import UUID

import msgspec
import orjson

from chartwire.api.content import content_answer
from chartwire.api.http import ANY, Answer, Request
from chartwire.api.problem import bad_parameter, not_found
from chartwire.api.rest.ids import in_path, shown, shown_or_none
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services
from chartwire.record import documents
from chartwire.record.binaries import read_binary
from chartwire.record.contents import attachments, content_id
from chartwire.record.read import Stored, read_one

_KIND = "DocumentReference"
_PARTS_MAX = 1_000


class Part(msgspec.Struct, frozen=True):
    """One content of a document: `url` where this API has it, `pointer` where the sender only says where it is."""

    part: int
    media_type: str | None
    title: str | None
    size_bytes: int | None
    url: str | None
    pointer: str | None


class Document(msgspec.Struct, frozen=True):
    """A document about a patient. `status` says whether it may be used, `completion` how far it got."""

    id: str
    patient_id: str | None
    status: Literal["current", "superseded", "entered-in-error"]
    completion: str | None
    type: str | None
    title: str | None
    written_at: str | None
    authors: list[str]
    parts: list[Part]
    fhir: str
    object: Literal["document"] = "document"


class DocumentPage(Page, frozen=True, omit_defaults=True):
    """A page of documents, newest first."""

    data: list[Document]


async def of_patient(request: Request, services: Services) -> Answer:
    """`GET /api/v1/patients/{id}/documents`."""
    patient_id = in_path("Patient", request.parts[0])
    if await read_one(services.pool, request.access, "Patient", patient_id) is None:
        raise not_found()
    at = window(request, services, f"patients/{patient_id}/documents")
    found = await documents.documents_of_patient(services.pool, request.access, patient_id, at.before[0], at.limit + 1)
    data = [_document(stored) for stored in found[: at.limit]]
    return page(request, services, at, found, lambda stored: (stored.id,), data, [patient_id])


async def one(request: Request, services: Services) -> Answer:
    """`GET /api/v1/documents/{id}`."""
    stored = await _read(request, services)
    return Answer(msgspec.json.encode(_document(stored)), count=1, patients=_patients(stored))


async def content(request: Request, services: Services) -> Answer:
    """`GET /api/v1/documents/{id}/content?part=1`: the bytes, to be saved."""
    stored = await _read(request, services)
    text = request.query.get("part", "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _PARTS_MAX):
        raise bad_parameter("part", "is the number of a part, counted from 1")
    shown_parts = attachments(orjson.loads(stored.body))
    wanted = content_id(shown_parts[int(text) - 1]) if int(text) <= len(shown_parts) else None
    found = await read_binary(services.pool, request.access, wanted) if wanted else None
    if found is None:
        raise not_found()
    answer = content_answer(request, found)
    answer.patients = _patients(stored)
    return answer


async def _read(request: Request, services: Services) -> Stored:
    stored = await read_one(services.pool, request.access, _KIND, in_path(_KIND, request.parts[0]))
    if stored is None or stored.deleted:
        raise not_found()
    return stored


def _patients(stored: Stored) -> tuple[UUID, ...]:
    return (stored.patient_id,) if stored.patient_id else ()


def _document(stored: Stored) -> Document:
    body, name = orjson.loads(stored.body), shown(_KIND, stored.id)
    kind = body.get("type", {})
    words = [kind.get("text"), *(coding.get("display") or coding.get("code") for coding in kind.get("coding", ()))]
    return Document(
        id=name,
        patient_id=shown_or_none("Patient", stored.patient_id),
        status=body["status"],
        completion=body.get("docStatus"),
        type=next(filter(None, words), None),
        title=body.get("description"),
        written_at=body.get("date"),
        authors=[author["display"] for author in body.get("author", ()) if "display" in author],
        parts=[_part(name, number, each) for number, each in enumerate(attachments(body), 1)],
        fhir=f"/fhir/R4/{_KIND}/{stored.id}",
    )


def _part(document: str, number: int, attachment: dict[str, Any]) -> Part:
    here = content_id(attachment) is not None
    return Part(
        part=number,
        media_type=attachment.get("contentType"),
        title=attachment.get("title"),
        size_bytes=attachment.get("size"),
        url=f"/api/v1/documents/{document}/content?part={number}" if here else None,
        pointer=None if here else attachment.get("url"),
    )


_SCOPE, _TAG = "documents.read", "documents"
ROUTES = (
    Route(
        "GET",
        "/api/v1/patients/{id}/documents",
        of_patient,
        "List the documents of a patient",
        _SCOPE,
        _KIND,
        "search",
        parameters=(LIMIT, PAGE_TOKEN),
        answer=DocumentPage,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/api/v1/documents/{id}",
        one,
        "Read what is known of a document",
        _SCOPE,
        _KIND,
        checked=True,
        answer=Document,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/api/v1/documents/{id}/content",
        content,
        "Read the content of a document",
        _SCOPE,
        _KIND,
        parameters=(Parameter("part", "Which part, counted from 1; the first by default", "integer"),),
        media=ANY.decode(),
        tag=_TAG,
    ),
)
