"""`GET /fhir/R4/metadata`: the CapabilityStatement, for everyone, made once in a process."""

import asyncio
import hashlib
from collections.abc import Sequence

import orjson

from chartwire.api.fhir.assembling import BASE
from chartwire.api.fhir.capabilities import statement
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.http import FHIR_JSON, Answer, Header, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.routes import Parameter, Route
from chartwire.api.services import Services

_MODES = ("full", "normative")


def routes(fhir: Sequence[Route], operations: Sequence[Operation]) -> tuple[Route, ...]:
    """The route of the statement about the routes `fhir`."""
    made: dict[str, bytes] = {}
    making = asyncio.Lock()

    async def handle(request: Request, services: Services) -> Answer:
        if request.query.get("mode", "full") not in _MODES:
            raise bad_parameter("mode", f"is one of {', '.join(_MODES)}")
        url = f"{services.base_url}{BASE}" if services.base_url else ""
        async with making:
            if url not in made:
                # A second of work at first: all search parameters of R4 are read.
                told = await asyncio.to_thread(statement, fhir, operations, services.version, url)
                made[url] = orjson.dumps(told)
        return _answer(request, made[url])

    return (
        Route(
            "GET",
            f"{BASE}/metadata",
            handle,
            "The CapabilityStatement",
            None,
            parameters=(Parameter("mode", "What to tell", values=_MODES),),
            media="application/fhir+json",
            tag="FHIR R4",
        ),
    )


def _answer(request: Request, body: bytes) -> Answer:
    etag = b'W/"%s"' % hashlib.sha256(body).hexdigest()[:16].encode()
    headers: list[Header] = [(b"etag", etag)]
    if request.headers.get(b"if-none-match") == etag:
        return Answer(b"", 304, FHIR_JSON, headers, cache=b"no-cache")
    return Answer(body, 200, FHIR_JSON, headers, cache=b"no-cache")
