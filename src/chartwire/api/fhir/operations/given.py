"""What an operation is given: parameters of the address, or a Parameters resource in the body (R4 3.2.0.1)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from chartwire.api.fhir.negotiation import body_media
from chartwire.api.fhir.paging import PAGE
from chartwire.api.http import Request
from chartwire.api.problem import ApiError, bad_parameter
from chartwire.formats.fhir.reading import read_resource
from chartwire.record.fhir_index.dates import moments

Given = Mapping[str, Sequence[Any]]
"""Values by parameter, in their order: text of the address, JSON of the body."""
_TRUTH = {"true": True, "false": False}


async def given(request: Request, known: Collection[str] | None, *, bare: str = "") -> Given:
    """What `request` gives, of the parameters `known` (None: any). A body that is no Parameters is the value of `bare`.

    Raises ApiError (`unknown_parameter`, `invalid_parameter`, `type_mismatch`, `media_type_unsupported`), ParseError.
    """
    found: dict[str, list[Any]] = {}
    for name, value in [*request.pairs, *await _of_body(request, bare)]:
        if known is not None and name not in known:
            raise ApiError(f"a parameter is not known; known are: {', '.join(known)}", code="unknown_parameter")
        found.setdefault(name, []).append(value)
    request.asked = () if known is None else found.keys()
    return found


async def texts(request: Request, known: Collection[str] | None = None) -> list[tuple[str, str]]:
    """`given` as pairs of text, for operations that are all told by primitive values; `_page` is known, too."""
    found = await given(request, None if known is None else (*known, PAGE))
    return [(name, _text(name, value)) for name, values in found.items() for value in values]


def single(found: Given, name: str) -> Any:
    """The value of a parameter that is given once, or None. Raises ApiError."""
    values = found.get(name, ())
    if len(values) > 1:
        raise bad_parameter(name, "is given once")
    return values[0] if values else None


def text(found: Given, name: str) -> str:
    """The value of a parameter that is a text, "" where it is not given. Raises ApiError."""
    value = single(found, name)
    return "" if value is None else _plain_text(name, value)


def all_texts(found: Given, name: str) -> list[str]:
    """The values of a parameter that is a text and may be given several times. Raises ApiError."""
    return [_plain_text(name, value) for value in found.get(name, ())]


def number(found: Given, name: str) -> int | None:
    """The value of a parameter that is a whole number, 0 or more; None where it is not given. Raises ApiError."""
    value = single(found, name)
    if value is None:
        return None
    shown = str(value)
    if isinstance(value, bool) or not (shown.isascii() and shown.isdigit()):
        raise bad_parameter(name, "is a whole number, 0 or more")
    return int(shown[:9])


def truth(found: Given, name: str) -> bool:
    """The value of a parameter that is true or false, False where it is not given. Raises ApiError."""
    value = single(found, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if not isinstance(value, str) or value not in _TRUTH:
        raise bad_parameter(name, "is true or false")
    return _TRUTH[value]


def moment(told: Mapping[str, str], name: str, *, end: bool = False) -> datetime | None:
    """The beginning of a date or instant, or its `end`; None where it is not given. Raises ApiError."""
    if name not in told:
        return None
    found = moments(told[name].replace(" ", "+"))
    if found is None:
        raise bad_parameter(name, "is a date or an instant such as 2026-11-20T08:15:30Z")
    return found[1] if end else found[0]


def _plain_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad_parameter(name, "is a text")
    return value


def _text(name: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise bad_parameter(name, "is a primitive value")
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _of_body(request: Request, bare: str) -> list[tuple[str, Any]]:
    if request.method != "POST" or request.has_no_body:
        return []
    body_media(request)
    body = read_resource(await request.content(), bytes_max=request.body_bytes_max)
    if body["resourceType"] == "Parameters":
        listed = body.get("parameter", [])
        if not isinstance(listed, list):
            raise bad_parameter("parameter", "is a list")
        return [_parameter(told) for told in listed]
    if not bare:
        raise ApiError("this operation takes a Parameters resource", code="type_mismatch")
    return [(bare, body)]


def _parameter(told: Any) -> tuple[str, Any]:
    """Name and value of one parameter. Raises ApiError for what has neither value nor resource."""
    if not isinstance(told, dict):
        raise bad_parameter("parameter", "has objects with `name` and a value or a resource")
    value = told.get("resource", next((held for name, held in told.items() if name.startswith("value")), None))
    if not isinstance(told.get("name"), str) or value is None:
        raise ApiError("each `parameter` has a name, and a value or a resource", code="invalid_parameter")
    return told["name"], value
