"""The form of FHIR requests and answers: `_format`, `_pretty`, Accept, Content-Type, Prefer, CORS (R4 3.1.0).

JSON is spoken, XML and Turtle are answered 406 (docs/decisions).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from chartwire.api.http import ANY, FHIR_JSON, JSON, TEXT_JSON, Answer, Header, Request, accepts
from chartwire.api.problem import ApiError, bad_parameter

Returning = Literal["minimal", "representation", "OperationOutcome"]

_FORMATS = frozenset({"json", "application/json", "application/fhir+json", "text/json"})
_FORM = frozenset({"_format", "_pretty"})
"""Parameters that every address takes, and that say nothing about what is asked for."""
_TRUTH = {"true": True, "false": False}
_CHARSET = re.compile(rb'charset\s*=\s*"?([\w-]+)', re.IGNORECASE)
_FHIR_VERSION = re.compile(rb'fhirversion\s*=\s*"?([\w.]+)', re.IGNORECASE)
_R4 = frozenset({b"4.0", b"4.0.1"})
_PREFERENCE = re.compile(r'\s*([\w-]+)\s*=\s*"?([\w-]+)"?\s*')
_RETURNING: Mapping[str, Returning] = {
    "minimal": "minimal",
    "representation": "representation",
    "operationoutcome": "OperationOutcome",
}
_TOLD_TO_PAGES = (
    b"ETag, Location, Content-Location, Last-Modified, X-Request-Id, X-Security-Context, Retry-After, RateLimit, "
    b"RateLimit-Policy"
)
_CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _TOLD_TO_PAGES),
)
"""Any origin: keys come in a header that the caller sets, never in a cookie, so an origin gains nothing by asking."""
_ASKED_WITH = (
    b"Authorization, X-API-Key, Accept, Content-Type, Prefer, If-Match, If-None-Match, If-None-Exist, "
    b"If-Modified-Since, Idempotency-Key, X-Request-Id, X-Security-Context, Traceparent"
)
_PREFLIGHT: tuple[Header, ...] = (
    *_CORS,
    (b"access-control-allow-headers", _ASKED_WITH),
    (b"access-control-max-age", b"86400"),
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """The Prefer header: what a write gives back (None: nothing was said), and whether what is not known is refused."""

    returning: Returning | None = None
    strict: bool = False


def without_form(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters that say what is asked for."""
    return [pair for pair in pairs if pair[0] not in _FORM]


def agree(request: Request, media: str) -> bool:
    """Settle the form of the answer of an address that gives `media`; whether it is drawn for people (`_pretty`).

    Takes `_format` and `_pretty` out of the query; a `_format` overrides the Accept header. Raises ApiError
    (`not_acceptable`, `invalid_parameter`).
    """
    wanted, pretty = request.query.get("_format"), request.query.get("_pretty", "false")
    if pretty not in _TRUTH:
        raise bad_parameter("_pretty", "is `true` or `false`")
    if wanted is not None:
        if wanted.partition(";")[0].strip().lower().replace(" ", "+") not in _FORMATS:
            raise _not_json()
        request.headers[b"accept"] = FHIR_JSON
    if request.query.keys() & _FORM:
        request.pairs = without_form(request.pairs)
        request.query = dict(request.pairs)
    if media.encode() != ANY and not accepts(request.headers.get(b"accept"), FHIR_JSON, JSON, TEXT_JSON):
        raise _not_json()
    if _is_of_another_version(request.headers.get(b"accept", b"")):
        raise ApiError("this server speaks FHIR 4.0: accept `fhirVersion=4.0`, or none", code="not_acceptable")
    return _TRUTH[pretty]


def drawn(answer: Answer) -> Answer:
    """The answer with its JSON indented; number literals stay as they were written."""
    if answer.media != FHIR_JSON or not answer.body:
        return answer
    return replace(answer, body=msgspec.json.format(answer.body, indent=2))


def body_media(request: Request, *allowed: bytes) -> bytes:
    """The media type of the body, one of `allowed` (by default JSON in its three names), in UTF-8, as it is, of R4.

    Raises ApiError (415 `media_type_unsupported`) for any other, and for a body without type.
    """
    if request.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise ApiError("the body is sent as it is, without Content-Encoding", code="media_type_unsupported")
    known = allowed or (FHIR_JSON, JSON, TEXT_JSON)
    header = request.headers.get(b"content-type", b"")
    media = header.partition(b";")[0].strip().lower()
    charset = _CHARSET.search(header)
    if media not in known or (charset is not None and charset[1].lower() not in {b"utf-8", b"utf8"}):
        names = b", ".join(known).decode()
        raise ApiError(f"the body is sent in UTF-8, its Content-Type one of: {names}", code="media_type_unsupported")
    if _is_of_another_version(header):
        raise ApiError("this server speaks FHIR 4.0: send `fhirVersion=4.0`, or none", code="media_type_unsupported")
    return media


def _is_of_another_version(header: bytes) -> bool:
    """Whether a Content-Type or Accept header names versions of FHIR, and R4 is none of them (R4 3.1.0.1.11)."""
    named = set(_FHIR_VERSION.findall(header))
    return bool(named) and named.isdisjoint(_R4)


def preferences(request: Request) -> Preferences:
    """The Prefer header (RFC 7240; R4 3.1.0.1.4); what is not known in it is ignored, as is `respond-async`.

    A key that may not read gets no resource back: a patch that changes nothing would read it.
    """
    told: dict[str, str] = {}
    for part in re.split("[,;]", request.headers.get(b"prefer", b"").decode("latin-1")):
        if (found := _PREFERENCE.fullmatch(part)) is not None:
            told.setdefault(found[1].lower(), found[2].lower())
    returning = _RETURNING.get(told.get("return", ""))
    if returning != "OperationOutcome" and not request.access.allows("fhir.read"):
        returning = "minimal"
    return Preferences(returning, told.get("handling") == "strict")


def cors(request: Request) -> tuple[Header, ...]:
    """Headers that let a page of another origin read the answer; none where no page asks."""
    return _CORS if b"origin" in request.headers else ()


def preflight(request: Request, methods: str) -> tuple[Header, ...]:
    """Headers of the answer to OPTIONS, where a page asks whether it may send one of `methods`."""
    if b"origin" not in request.headers or b"access-control-request-method" not in request.headers:
        return ()
    return (*_PREFLIGHT, (b"access-control-allow-methods", methods.encode()))


def _not_json() -> ApiError:
    return ApiError(
        "this server speaks JSON only: accept application/fhir+json, or leave `_format` out", code="not_acceptable"
    )
