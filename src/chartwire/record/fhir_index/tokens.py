"""Token parameters: codes, codings, identifiers, contact points, booleans (R4 3.1.1.4.10).

A code without system makes `code` and `|code`, one with a system `code` and `system|code`. Identifiers with a type make
`system|code|value` under the variant `of-type`. Texts and displays stand as strings under the variant `text`.
"""

from typing import Any

from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit, token_text, word_starts

_PRIMITIVES = frozenset({"code", "string", "id", "uri", "url", "canonical", "oid", "uuid", "integer", "positiveInt"})


def emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that are no tokens."""
    key, text = key_of(resource_type, code), key_of(resource_type, code, "text")
    if type_name in _PRIMITIVES:
        return _primitive(key)
    match type_name:
        case "boolean":
            return _boolean(key)
        case "Coding":
            return _coding(key, text)
        case "CodeableConcept":
            return _concept(key, text)
        case "Identifier":
            return _identifier(key, text, key_of(resource_type, code, "of-type"))
        case "ContactPoint":
            return _contact_point(key)
    return None


def add_token(rows: IndexRows, key: int, system: Any, value: Any) -> None:
    """The rows of a value with or without a system."""
    if type(value) is not str or not value:
        return
    rows.tokens.add((key, token_text(value)))
    rows.tokens.add((key, token_text(f"{system}|{value}" if type(system) is str else f"|{value}")))


def add_text(rows: IndexRows, key: int, text: Any) -> None:
    """A text or display under the variant `text`."""
    if type(text) is str:
        for words in word_starts(text):
            rows.strings.add((key, words))


def _primitive(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is str and value:
            rows.tokens.add((key, token_text(value)))
        elif type(value) is int:
            rows.tokens.add((key, str(value)))

    return emit


def _boolean(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is bool:
            rows.tokens.add((key, "true" if value else "false"))

    return emit


def _coding(key: int, text: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is dict:
            add_token(rows, key, value.get("system"), value.get("code"))
            add_text(rows, text, value.get("display"))

    return emit


def _concept(key: int, text: int) -> Emit:
    coding = _coding(key, text)

    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is dict:
            codings = value.get("coding")
            if type(codings) is list:
                for one in codings:
                    coding(one, rows)
            add_text(rows, text, value.get("text"))

    return emit


def _identifier(key: int, text: int, of_type: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        number = value.get("value")
        add_token(rows, key, value.get("system"), number)
        kind = value.get("type")
        if type(kind) is not dict:
            return
        add_text(rows, text, kind.get("text"))
        codings = kind.get("coding")
        for one in codings if type(codings) is list and type(number) is str else ():
            if type(one) is dict and type(one.get("code")) is str:
                rows.tokens.add((of_type, token_text(f"{one.get('system', '')}|{one['code']}|{number}")))

    return emit


def _contact_point(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is dict:
            add_token(rows, key, value.get("system"), value.get("value"))

    return emit
