"""Reference and uri parameters (R4 3.1.1.4.11, 3.1.1.4.14).

A reference within the server makes `Type/<store uuid>`, whatever version it names; one to elsewhere (a URL, a urn)
stands as written, a canonical also without its version. One into the resource itself (`#x`) makes no row. Its
identifier stands under the variant `identifier`, its display under `text`.
"""

import re
from typing import Any

from chartwire.core.fhir_ids import local_reference
from chartwire.core.remembering import remembered
from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.tokens import add_text, add_token
from chartwire.record.fhir_index.values import Emit, token_text

_TYPE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_URIS = frozenset({"uri", "url", "oid", "uuid"})


@remembered(65_536)
def reference_token(reference: str) -> str:
    """What stands in the index for a reference; empty for one into the resource itself."""
    if found := local_reference(reference):
        return f"{found[0]}/{found[1]}"
    return "" if reference.startswith("#") else token_text(reference)


def reference_type(value: Any) -> str:
    """The resource type that a Reference points to as far as it says itself, else empty."""
    if type(value) is not dict:
        return ""
    reference, told = value.get("reference"), value.get("type")
    match = _TYPE.fullmatch(reference) if type(reference) is str else None
    return match[1] if match else told if type(told) is str else ""


def emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that point nowhere."""
    key = key_of(resource_type, code)
    if type_name == "Reference":
        return _reference(key, key_of(resource_type, code, "identifier"), key_of(resource_type, code, "text"))
    if type_name == "canonical":
        return _canonical(key)
    return _uri(key) if type_name in _URIS else None


def _reference(key: int, identified: int, text: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        reference = value.get("reference")
        if type(reference) is str and (token := reference_token(reference)):
            rows.tokens.add((key, token))
        identifier = value.get("identifier")
        if type(identifier) is dict:
            add_token(rows, identified, identifier.get("system"), identifier.get("value"))
        add_text(rows, text, value.get("display"))

    return emit


def _canonical(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is str and value:
            rows.tokens.add((key, token_text(value)))
            rows.tokens.add((key, token_text(value.partition("|")[0])))

    return emit


def _uri(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is str and value:
            rows.tokens.add((key, token_text(value)))

    return emit
