"""`POST /fhir/R4`: batch and transaction Bundles (R4 3.1.0.11), answered with one entry for each entry, in their order.

A batch is its entries one by one, each as if it came alone. A transaction is all or nothing, and one transaction of the
database. Large ones of both kinds go to a process of their own (`carriers.py`).
"""

from collections.abc import Sequence
from functools import partial

from chartwire.api.fhir.assembling import BASE, base_of
from chartwire.api.fhir.carriers import Carry, is_large
from chartwire.api.fhir.inner import Inner
from chartwire.api.fhir.negotiation import body_media
from chartwire.api.fhir.responding import Response, bundle_answer
from chartwire.api.fhir.transaction import carry_transaction
from chartwire.api.handling import handled, refusal
from chartwire.api.http import Answer, Request
from chartwire.api.limits import BATCH_ITEMS_PER_UNIT
from chartwire.api.routes import Handler, Route, Router
from chartwire.api.services import Services
from chartwire.core.errors import FaultsError
from chartwire.core.limits import BUNDLE_BYTES_MAX, BUNDLE_ENTRIES_MAX
from chartwire.formats.fhir.bundles import Entry, read_entries, read_kind
from chartwire.formats.fhir.reading import read_resource

_ENTRY = b'"request"'
_MEDIA = ("application/fhir+json", "application/json")


async def carry(router: Router, request: Request, services: Services) -> Answer:
    """Carry a Bundle in this process. Raises ChartwireError for what is none, and for a transaction that cannot be."""
    bundle = read_resource(await request.content(), bytes_max=request.body_bytes_max)
    kind = read_kind(bundle)
    entries = read_entries(bundle, (base_of(request, services), BASE), BUNDLE_ENTRIES_MAX)
    inner = Inner(router, request, services)
    if kind == "transaction":
        return await carry_transaction(inner, entries)
    return bundle_answer(kind, [Response.of(await _alone(inner, entry)) for entry in entries])


async def _alone(inner: Inner, entry: Entry | FaultsError) -> Answer:
    return refusal(inner.outer, entry) if isinstance(entry, FaultsError) else await inner.answer(entry)


async def _take(router: Router, request: Request, services: Services) -> Answer:
    """Charge a Bundle by its entries, and let a process of its own carry a large one."""
    body_media(request)
    content = await request.content()
    entries = content.count(_ENTRY)
    request.told += services.limits.charge(request.access, "batch", entries / BATCH_ITEMS_PER_UNIT)
    if services.carriers is not None and is_large(content, entries):
        answer = await services.carriers.carry(request)
        services.wake()
        return answer
    return await carry(router, request, services)


def routes(fhir: Sequence[Route]) -> tuple[Route, ...]:
    """The route of Bundles, whose entries go to the routes `fhir`."""
    return (_route(partial(_take, Router(fhir))),)


def carrying(fhir: Sequence[Route], services: Services) -> Carry:
    """How a carrier answers Bundles, in its own process."""
    route = _route(partial(carry, Router(fhir)))

    async def answer(request: Request) -> Answer:
        return await handled(request, route, services, b"")

    return answer


def _route(handle: Handler) -> Route:
    return Route(
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
    )
