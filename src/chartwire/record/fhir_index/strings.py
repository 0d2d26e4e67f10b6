"""String parameters (R4 3.1.1.4.8): folded text, as written, and the trigrams of names."""

from typing import Any

from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import STRING_CHARACTERS_MAX, Emit, storable, string_text

_PRIMITIVES = frozenset({"string", "markdown", "code", "uri", "url", "id"})
_PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


def emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that are no text."""
    return _parts(type_name, _text(key_of(resource_type, code), key_of(resource_type, code, "exact")))


def trigram_emitter(type_name: str, resource_type: str, code: str) -> Emit | None:
    """What adds the trigrams of values of a FHIR type, under the variant `contains`."""
    return _parts(type_name, _trigrams(key_of(resource_type, code, "contains")))


def trigrams_of(folded: str) -> set[str]:
    """All runs of three characters of a folded text."""
    return {folded[start : start + 3] for start in range(len(folded) - 2)}


def _text(key: int, exact: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is str and (folded := string_text(value)):
            rows.strings.add((key, folded))
            rows.strings.add((exact, storable(value[:STRING_CHARACTERS_MAX])))

    return emit


def _trigrams(key: int) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is str:
            rows.strings.update((key, trigram) for trigram in trigrams_of(string_text(value)))

    return emit


def _parts(type_name: str, emit: Emit) -> Emit | None:
    """The emitter of a text for each text of a value."""
    if type_name in _PRIMITIVES:
        return emit
    names = _PARTS.get(type_name)
    if names is None:
        return None

    def emit_parts(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        for name in names:
            part = value.get(name)
            for one in part if type(part) is list else (part,):
                emit(one, rows)

    return emit_parts
