"""Bytes of FHIR JSON -> a resource, strictly: what two readers could read differently is refused, with its place.

RFC 8259 leaves open what duplicate keys mean and how deep or long things may be; R4 (2.6.2, 2.24.0.1) forbids duplicate
keys and control characters. Numbers come as int, others as Decimal with their text (`numerals.py`).

The way of a good resource is short: msgspec reads it, msgspec writes it again, and the colons are counted. A member
that is gone was there twice. Only where something looks odd, the slow readers below look for the place.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, DecimalException
from typing import Any, Final

import msgspec

from chartwire.core.errors import ParseError
from chartwire.core.limits import FHIR_DEPTH_MAX, HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.numerals import encode_number, read_number

Json = dict[str, Any]

_DIGITS_MAX: Final = 64
_EXPONENT_MAX: Final = 400
_BOM: Final = b"\xef\xbb\xbf"
_ESCAPED_COLONS: Final = (b"\\u003a", b"\\u003A")
_CONTROLS: Final = (b"\\u00", b"\\b", b"\\f")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_POSITION: Final = re.compile(r" \(byte (\d+)\)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class _NumberError(ValueError):
    pass


def _number(literal: str) -> Decimal:
    """A number with a fraction or an exponent; none that takes a computer long to write out."""
    try:
        value = read_number(literal)
    except DecimalException:
        raise _NumberError from None
    if len(literal) > _DIGITS_MAX or abs(value.adjusted()) > _EXPONENT_MAX:
        raise _NumberError
    return value


_decoder: Final = msgspec.json.Decoder(Json, float_hook=_number)
_encoder: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=encode_number)


def read_resource(data: bytes, *, bytes_max: int = HTTP_BODY_BYTES_MAX) -> Json:
    """The resource that `data` holds: an object with a `resourceType`, whatever else is in it.

    Raises ParseError: `body_too_large`, `body_malformed` (no JSON object in UTF-8; `position` in bytes),
    `json_duplicate_key`, `json_control_character`, `json_number`, `json_too_deep` (`location` like `Patient.name[0]`)
    and `resource_type_missing`.
    """
    resource = read_object(data, bytes_max=bytes_max)
    if not isinstance(resource.get("resourceType"), str):
        raise ParseError(
            "the resource does not say what it is: `resourceType` is needed, a string",
            code="resource_type_missing",
            location="resourceType",
        )
    return resource


def read_object(data: bytes, *, bytes_max: int = HTTP_BODY_BYTES_MAX) -> Json:
    """The JSON object that `data` holds, read as strictly as a resource. Raises ParseError as `read_resource` does."""
    if len(data) > bytes_max:
        raise ParseError(f"a resource has at most {bytes_max} bytes here", code="body_too_large")
    if data.startswith(_BOM):
        raise ParseError("the JSON begins with a byte order mark: send it without", code="body_malformed")
    resource = _decoded(data)
    written = _encoder.encode(resource)
    if data.count(b"{") + data.count(b"[") > FHIR_DEPTH_MAX:
        _check_depth(resource)
    escapes = b"\\" in data
    if data.count(b":") != written.count(b":") or (escapes and any(colon in data for colon in _ESCAPED_COLONS)):
        _check_keys(data)
    if escapes and any(control in written for control in _CONTROLS):
        _check_text(resource)
    return resource


def _decoded(data: bytes) -> Json:
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise _too_deep("") from None
    except UnicodeDecodeError:
        raise ParseError("the body is not UTF-8", code="body_malformed", position=_bad_utf8(data)) from None
    except msgspec.ValidationError as error:
        if "Expected `object`" in str(error):
            raise ParseError("a resource is a JSON object", code="body_malformed") from None
        raise ParseError(
            f"a number is too long: at most {_DIGITS_MAX} digits and exponents to {_EXPONENT_MAX}", code="json_number"
        ) from None
    except msgspec.DecodeError as error:
        raise _malformed(data, str(error)) from None


def _malformed(data: bytes, told: str) -> ParseError:
    """What msgspec says (never a value), with its position; half a surrogate pair it does not name."""
    if (half := _lone_surrogate(data)) is not None:
        text = "a text holds half a surrogate pair (\\ud800 to \\udfff without its other half)"
        return ParseError(text, code="body_malformed", position=half)
    found = _POSITION.search(told)
    if found is None:
        text = "the JSON ends before it is complete" if data.strip() else "the body is empty: send JSON"
        return ParseError(text, code="body_malformed", position=len(data))
    position = int(found[1])
    return ParseError(f"{_POSITION.sub('', told)}, at byte {position}", code="body_malformed", position=position)


_SURROGATES: Final = re.compile(
    rb"(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)


def _lone_surrogate(data: bytes) -> int | None:
    return next((found.start(1) for found in _SURROGATES.finditer(data) if found[1]), None)


def _bad_utf8(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _too_deep(location: str) -> ParseError:
    return ParseError(
        f"the JSON is nested more than {FHIR_DEPTH_MAX} levels deep", code="json_too_deep", location=location
    )


def _check_depth(resource: Json) -> None:
    level: list[Any] = [resource]
    for _ in range(FHIR_DEPTH_MAX):
        level = [
            held
            for container in level
            for held in (container.values() if type(container) is dict else container)
            if type(held) is dict or type(held) is list
        ]
        if not level:
            return
    raise _too_deep("")


def _check_keys(data: bytes) -> None:
    """Read the slow way and look for an object that has a key twice."""
    doubled: dict[int, tuple[Json, str]] = {}

    def remember(pairs: list[tuple[str, Any]]) -> Json:
        members = dict(pairs)
        if len(members) != len(pairs):
            [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
            doubled[id(members)] = members, name
        return members

    resource = json.loads(data, object_pairs_hook=remember, parse_float=str)
    for location, held in _places(resource):
        if id(held) in doubled:
            place = f"{location}.{_shown(doubled[id(held)][1])}"
            raise ParseError(
                f"`{place}` stands twice in one object: which one counts cannot be told",
                code="json_duplicate_key",
                location=place,
            )
    if doubled:  # in a member that a later one of the same name hides
        raise ParseError("a member stands twice in one object", code="json_duplicate_key")


def _check_text(resource: Json) -> None:
    for location, held in _places(resource):
        if type(held) is dict:
            texts = [text for pair in held.items() for text in pair if type(text) is str]
        else:
            texts = [text for text in held if type(text) is str]
        if any(_CONTROL.search(text) for text in texts):
            raise ParseError(
                f"a text in `{location}` holds a control character: only tab, line feed and carriage return may be",
                code="json_control_character",
                location=location,
            )


def _places(resource: Json) -> Iterator[tuple[str, Any]]:
    """Every object and array with its location, outermost first."""
    kind = resource.get("resourceType")
    waiting: list[tuple[str, Any]] = [(_shown(kind) if isinstance(kind, str) else "Resource", resource)]
    while waiting:
        location, held = waiting.pop()
        yield location, held
        if type(held) is dict:
            steps = [(f"{location}.{_shown(key)}", value) for key, value in held.items()]
        else:
            steps = [(f"{location}[{index}]", value) for index, value in enumerate(held)]
        waiting += [(place, value) for place, value in reversed(steps) if type(value) is dict or type(value) is list]


def _shown(name: str) -> str:
    """A member's name where it is one that FHIR could have; others may be anything, a patient's too."""
    return name if _NAME.fullmatch(name) else "(a name that is no FHIR element)"
