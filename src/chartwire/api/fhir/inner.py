"""One entry of a Bundle as a request of its own: by the same route, scope check and handler as if it came alone."""

import base64
import hashlib
import string
from dataclasses import dataclass, replace
from urllib.parse import quote

import msgspec

from chartwire.api.fhir.assembling import BASE
from chartwire.api.handling import handled, refusal, served
from chartwire.api.http import FHIR_JSON, Answer, Request
from chartwire.api.problem import ApiError
from chartwire.api.routes import Route, Router
from chartwire.api.services import Services
from chartwire.core.errors import ChartwireError
from chartwire.formats.fhir.bundles import Entry, refused
from chartwire.formats.fhir.numerals import encode_number
from chartwire.store.pool import Connection
from chartwire.store.within import Within

_HEADERS = {
    "ifMatch": b"if-match",
    "ifNoneMatch": b"if-none-match",
    "ifModifiedSince": b"if-modified-since",
    "ifNoneExist": b"if-none-exist",
}
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PATCHES = frozenset({"application/json-patch+json", "application/merge-patch+json"})
_ASCII = string.digits + string.ascii_letters + string.punctuation + " "
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number)


@dataclass(frozen=True, slots=True)
class Inner:
    """The routes of the FHIR door, asked in the name of an outer request."""

    router: Router
    outer: Request
    services: Services

    async def answer(self, entry: Entry) -> Answer:
        """What the entry is answered. A refusal, and a fault of ours, is an answer too: it spoils no other entry."""
        try:
            request, route = self._routed(entry)
        except ChartwireError as error:
            return refusal(self.outer, error)
        return _sent(entry, await handled(request, route, self.services, _escaped(entry.query)))

    async def ask(self, entry: Entry, tx: Connection) -> Answer:
        """What the entry is answered as an open transaction sees it. Raises ChartwireError where it is refused."""
        request, route, access = *self._routed(entry), self.outer.access
        within = Within(tx, access.org, access.credential_id)
        services = replace(self.services, pool=within, codes_pool=self.services.pool)
        return _sent(entry, await served(request, route, services, _escaped(entry.query)))

    def request(self, entry: Entry) -> Request:
        """The entry as a request without its body: address, conditions, preferences, and who asks."""
        outer = self.outer
        headers = [(b"accept", FHIR_JSON), (b"prefer", _preferred(outer)), (b"host", outer.headers.get(b"host", b""))]
        if (key := outer.headers.get(b"idempotency-key")) is not None and entry.method in _CHANGING:
            headers.append((b"idempotency-key", _key_of(key, entry.index)))
        headers += [(_HEADERS[name], _escaped(value)) for name, value in entry.conditions.items()]
        path = f"{BASE}/{entry.path}".removesuffix("/")
        request = Request({"method": entry.method, "path": path, "headers": headers}, outer.receive)
        request.request_id, request.trace_id, request.client = outer.request_id, outer.trace_id, outer.client
        request.access, request.body_bytes_max = outer.access, outer.body_bytes_max
        request.fill(b"", FHIR_JSON)
        return request

    def filled(self, entry: Entry) -> Request:
        """The entry as a request with its body."""
        request = self.request(entry)
        request.fill(*_content(entry))
        return request

    def _routed(self, entry: Entry) -> tuple[Request, Route]:
        request = self.filled(entry)
        found = self.router.find(request.path)
        if found is None:
            raise ApiError("there is nothing at this address", code="not_found", error_class="not_found")
        methods, request.parts = found
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            raise ApiError("this address does not do that in a Bundle", code="method_not_allowed")
        request.route = route.path
        return request, route


def _escaped(text: str) -> bytes:
    """Part of a URL as HTTP has it; a Bundle may have letters as they are."""
    return quote(text, safe=_ASCII).encode()


def _sent(entry: Entry, answer: Answer) -> Answer:
    return replace(answer, body=b"") if entry.method == "HEAD" else answer


def _key_of(key: bytes, index: int) -> bytes:
    """The Idempotency-Key of an entry that a batch carries by itself: what went well is not done again by a retry."""
    return hashlib.sha256(key + b"\x00%d" % index).hexdigest().encode()


def _preferred(outer: Request) -> bytes:
    """The outer request's preferences; without a word about it, writes in a Bundle give back no resource."""
    told = outer.headers.get(b"prefer", b"")
    return told if b"return=" in told else b"return=minimal, " + told if told else b"return=minimal"


def _content(entry: Entry) -> tuple[bytes, bytes]:
    """The body and its type; the patch in a Binary is the body itself (R4 3.1.0.11.6)."""
    if entry.resource is None:
        return b"", FHIR_JSON
    media = entry.resource.get("contentType")
    if entry.method == "PATCH" and entry.resource.get("resourceType") == "Binary" and str(media) in _PATCHES:
        try:
            return base64.b64decode(entry.resource.get("data", "")), str(media).encode()
        except (ValueError, TypeError):
            raise refused(f"{entry.place}.resource.data", "is base64") from None
    return _encoder.encode(entry.resource), FHIR_JSON
