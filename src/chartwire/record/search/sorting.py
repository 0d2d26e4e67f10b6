"""`_sort` (R4 3.1.1.5.1): keys by name, `-` for falling order; what has no value comes last."""

from chartwire.core.limits import FHIR_SORT_KEYS_MAX
from chartwire.record.search.errors import SearchError
from chartwire.record.search.parameters import TABLES
from chartwire.record.search.terms import UnknownError, known
from chartwire.store.fhir_search.conditions import Sort


def sorts_of(types: tuple[str, ...], value: str) -> tuple[Sort, ...]:
    """The order that `_sort` asks for. Raises UnknownError, SearchError."""
    names = value.split(",")
    if len(names) > FHIR_SORT_KEYS_MAX:
        raise SearchError("_sort", f"at most {FHIR_SORT_KEYS_MAX} keys", code="search_too_complex")
    return tuple(_sort(types, name.removeprefix("-"), name.startswith("-")) for name in names)


def _sort(types: tuple[str, ...], code: str, descending: bool) -> Sort:
    if code == "_id":
        return Sort("id", descending=descending)
    if code == "_lastUpdated":
        return Sort("updated", descending=descending)
    found = [known(kind, code) for kind in types]
    tables = {TABLES.get(one.kind) for one in found if one.place}
    if len(tables) != 1 or None in tables or not all(one.place for one in found):
        raise UnknownError("results are not sorted by this parameter")
    keys = tuple(key for one in found for key in one.under())
    owners = tuple(one.type for one in found for _ in one.under()) if len(types) > 1 else ()
    [table] = tables
    assert table is not None
    return Sort(table, keys, descending, owners)
