"""`POST /fhir/R4`: batch and transaction Bundles (R4 3.1.0.11), answered with one entry for each entry, in their order.

A batch is its entries one by one, each as if it came alone. A transaction is all or nothing, and one transaction of the
database.
"""

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import orjson

from chartwire.api.fhir.inner import BASE, Inner
from chartwire.api.handling import refusal
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.limits import BATCH_ITEMS_PER_UNIT
from chartwire.api.problem import ApiError
from chartwire.api.routes import Route, Router
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.errors import FaultsError
from chartwire.core.limits import BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX
from chartwire.formats.fhir.bundles import Entry, Kind, read_entries, read_kind
from chartwire.record.bodies import read_json

_MEDIA = ("application/fhir+json", "application/json")


async def carry(router: Router, request: Request, services: Services) -> Answer:
    """Carry a Bundle. Raises ApiError or FaultsError for what is none, and for a transaction that cannot be."""
    bundle = read_json((await request.content()).decode())
    kind = read_kind(bundle)
    entries = read_entries(bundle, (f"{services.base_url}{BASE}",), BUNDLE_ENTRIES_MAX)
    request.told += services.limits.charge(request.access, "batch", len(entries) / BATCH_ITEMS_PER_UNIT)
    inner = Inner(router, request, services)
    if kind == "batch":
        return answer_of(kind, [await _alone(inner, entry) for entry in entries])
    raise ApiError("transactions are not carried yet", code="method_not_allowed")


async def _alone(inner: Inner, entry: Entry | FaultsError) -> Answer:
    return refusal(inner.outer, entry) if isinstance(entry, FaultsError) else await inner.answer(entry)


def answer_of(kind: Kind, answers: Sequence[Answer]) -> Answer:
    """The Bundle that tells of every entry."""
    head = b'{"resourceType":"Bundle","type":"%s-response","entry":[' % kind.encode()
    patients = {patient for answer in answers for patient in answer.patients}
    body = head + b",".join(map(_told, answers)) + b"]}"
    return Answer(body, 200, FHIR_JSON, count=sum(answer.count for answer in answers), patients=sorted(patients))


def _told(answer: Answer) -> bytes:
    response = {"status": f"{answer.status} {HTTPStatus(answer.status).phrase}"}
    headers = dict(answer.headers)
    if etag := headers.get(b"etag"):
        response["etag"] = etag.decode("latin-1")
    if location := headers.get(b"location"):
        response["location"] = location.decode("latin-1")
    if modified := headers.get(b"last-modified"):
        response["lastModified"] = instant(parsedate_to_datetime(modified.decode("latin-1")))
    told = orjson.dumps(response)
    if not answer.body:
        return b'{"response":%s}' % told
    if answer.body.startswith(b'{"resourceType":"OperationOutcome"'):
        return b'{"response":%s,"outcome":%s}}' % (told[:-1], answer.body)
    return b'{"resource":%s,"response":%s}' % (answer.body, told)


def routes(fhir: Sequence[Route]) -> tuple[Route, ...]:
    """The route of Bundles, whose entries go to the routes `fhir`."""
    router = Router(fhir)

    async def handle(request: Request, services: Services) -> Answer:
        return await carry(router, request, services)

    return (
        Route(
            "POST",
            BASE,
            handle,
            "Carry a batch or transaction Bundle",
            "fhir.read fhir.write",
            "Bundle",
            "update",
            media=_MEDIA[0],
            tag="FHIR R4",
            body_bytes_max=BUNDLE_BYTES_MAX,
            body_media=_MEDIA,
            batch=True,
        ),
    )
