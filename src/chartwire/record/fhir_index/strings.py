"""String parameters (R4 3.1.1.4.8): folded text, as written where that differs, and the trigrams of names."""

from typing import Any

from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit, string_text

_PRIMITIVES = frozenset({"string", "markdown", "code", "uri", "url", "id"})
_PARTS = {
    "HumanName": ("family", "given", "prefix", "suffix", "text"),
    "Address": ("line", "city", "district", "state", "postalCode", "country", "text"),
}


def emitter(type_name: str, resource_type: str, code: str, *, trigrams: bool = False) -> Emit | None:
    """What adds the rows of values of a FHIR type; None for types that are no text. `trigrams` for `:contains`."""
    key, exact = key_of(resource_type, code), key_of(resource_type, code, "exact")
    emit = _text(key, exact, key_of(resource_type, code, "contains") if trigrams else None)
    if type_name in _PRIMITIVES:
        return emit
    return _parts(_PARTS[type_name], emit) if type_name in _PARTS else None


def trigrams_of(folded: str) -> set[str]:
    """All runs of three characters of a folded text."""
    return {folded[start : start + 3] for start in range(len(folded) - 2)}


def _text(key: int, exact: int, contains: int | None) -> Emit:
    def emit(value: Any, rows: IndexRows) -> None:
        if type(value) is not str or not (folded := string_text(value)):
            return
        rows.strings.add((key, folded))
        if folded != value:
            rows.strings.add((exact, value[:200].replace("\0", "")))
        if contains is not None:
            rows.strings.update((contains, trigram) for trigram in trigrams_of(folded))

    return emit


def _parts(names: tuple[str, ...], emit: Emit) -> Emit:
    def emit_parts(value: Any, rows: IndexRows) -> None:
        if type(value) is not dict:
            return
        for name in names:
            part = value.get(name)
            for one in part if type(part) is list else (part,):
                emit(one, rows)

    return emit_parts
