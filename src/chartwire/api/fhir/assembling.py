"""Bundles of stored resources, put together as text: no body is decoded on the way out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

from chartwire.api.http import Request
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.limits import FHIR_INCLUDED_MAX
from chartwire.record.read import Stored

BASE = "/fhir/R4"
_HEAD = re.compile(r'\{"resourceType":"[A-Za-z]+","id":"([A-Za-z0-9\-.]{1,64})"')
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
Links = Sequence[tuple[str, str]]

MATCH = ',"search":{"mode":"match"}'
INCLUDED = ',"search":{"mode":"include"}'
_OUTCOME = ',"search":{"mode":"outcome"}'
"""Why an entry is in a searchset, as the `rest` of `entry`."""


def base_of(request: Request, services: Services) -> str:
    """The absolute address of this FHIR door: the configured one, else that by which the caller reached it."""
    if services.base_url:
        return services.base_url + BASE
    return _base_at(request.headers.get(b"host", b""))


@lru_cache(maxsize=1024)
def _base_at(host: bytes) -> str:
    told = host.decode("latin-1")
    return f"http://{told if _HOST.fullmatch(told) else 'localhost'}{BASE}"


def logical_id(stored: Stored) -> str:
    """The id by which FHIR callers know a resource: what its body says (record/bodies.write_body writes it first)."""
    found = _HEAD.match(stored.body)
    return found[1] if found else str(stored.id)


def entry(base: str, resource_type: str, logical_id: str, body: str, rest: str = "") -> str:
    """One entry. `rest` is JSON text of its further members, with a comma before."""
    return f'{{"fullUrl":"{base}/{resource_type}/{logical_id}","resource":{body}{rest}}}'


class Warned(NamedTuple):
    """What the caller should know of an answer: an issue type of R4, the parameter that it is about, and words."""

    code: str
    parameter: str
    text: str


def too_many(parameter: str) -> Warned:
    """That not all could be included on a page."""
    text = f"more than {FHIR_INCLUDED_MAX} resources would be included on this page: ask for fewer by _count"
    return Warned("incomplete", parameter, text)


def warnings(told: Iterable[Warned]) -> Iterator[str]:
    """An entry of an OperationOutcome with these warnings; none without any (R4 3.1.1.1)."""
    issues = [
        {"severity": "warning", "code": one.code, "diagnostics": one.text, "expression": [one.parameter]}
        for one in told
    ]
    if issues:
        outcome = orjson.dumps({"resourceType": "OperationOutcome", "issue": issues}).decode()
        yield f'{{"resource":{outcome}{_OUTCOME}}}'


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
