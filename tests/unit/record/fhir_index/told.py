"""The rows of a body by the names of their keys."""

from typing import Any

from chartwire.record.bodies import read_json
from chartwire.record.fhir_index import IndexRows, index_rows, key_of
from chartwire.record.fhir_index.places import stored

VARIANTS = ("", "exact", "text", "contains", "identifier", "of-type")


def named(resource_type: str, rows: IndexRows) -> dict[str, set[Any]]:
    """`code` or `code:variant` -> what stands under it: text, or the columns of a date or number."""
    names = {
        key_of(resource_type, code, variant): f"{code}:{variant}" if variant else code
        for code in stored(resource_type)
        for variant in VARIANTS
    }
    found: dict[str, set[Any]] = {}
    for key, value in rows.tokens | rows.strings:
        found.setdefault(names[key], set()).add(value)
    for key, *columns in rows.dates | rows.numbers:
        found.setdefault(names[key], set()).add(tuple(columns))
    return found


def told(resource_type: str, text: str) -> dict[str, set[Any]]:
    """The rows of a body that is given as the inside of a JSON object."""
    return named(resource_type, index_rows(resource_type, read_json(f'{{"resourceType": "{resource_type}", {text}}}')))
