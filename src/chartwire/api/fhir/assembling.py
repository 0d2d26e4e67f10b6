"""Bundles of stored resources, put together as text: no body is decoded on the way out."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

from chartwire.api.http import Request
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.record.read import Stored

BASE = "/fhir/R4"
_HEAD = re.compile(r'\{"resourceType":"[A-Za-z]+","id":"([A-Za-z0-9\-.]{1,64})"')
Links = Sequence[tuple[str, str]]


def base_of(request: Request, services: Services) -> str:
    """The absolute address of this FHIR door: the configured one, else that by which the caller reached it."""
    if services.base_url:
        return services.base_url + BASE
    host = request.headers.get(b"host", b"localhost").decode("latin-1")
    return f"http://{host}{BASE}"


def logical_id(stored: Stored) -> str:
    """The id by which FHIR callers know a resource: what its body says (record/bodies.write_body writes it first)."""
    found = _HEAD.match(stored.body)
    return found[1] if found else str(stored.id)


def entry(base: str, resource_type: str, logical_id: str, body: str, rest: str = "") -> str:
    """One entry. `rest` is JSON text of its further members, with a comma before."""
    return f'{{"fullUrl":"{base}/{resource_type}/{logical_id}","resource":{body}{rest}}}'


def bundle(
    kind: str, entries: Iterable[str], links: Links, *, total: int | None = None, updated: datetime | None = None
) -> bytes:
    """A Bundle as JSON text in UTF-8: entries in their order, `links` as (relation, absolute address)."""
    parts = [f'{{"resourceType":"Bundle","type":"{kind}"']
    if updated is not None:
        parts.append(f',"meta":{{"lastUpdated":"{instant(updated)}"}}')
    if total is not None:
        parts.append(f',"total":{total}')
    told = orjson.dumps([{"relation": relation, "url": url} for relation, url in links]).decode()
    parts.append(f',"link":{told}')
    if joined := ",".join(entries):
        parts.append(f',"entry":[{joined}]')
    parts.append("}")
    return "".join(parts).encode()
