"""The rows of a body, and what changes in them from one body to the next."""

from collections.abc import Collection

from chartwire.mapping.conversion import Json
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.tree import Root, root_of


def index_rows(resource_type: str, body: Json) -> IndexRows:
    """The rows of a resource as it stands, `meta` included; broken values make none, and it never raises for them."""
    root = root_of(resource_type)
    rows = IndexRows()
    for _, emit in root.wholes:
        emit(body, rows)
    _visit(root, body, body.keys(), rows)
    return rows


def index_changes(resource_type: str, stood: Json | None, stands: Json | None) -> tuple[IndexRows, IndexRows]:
    """(rows that are gone, new rows) from one body to the next; None is no resource.

    Only elements that differ are looked at, and those others that can make the same rows.
    """
    if stood is None or stands is None:
        gone, new = (IndexRows() if body is None else index_rows(resource_type, body) for body in (stood, stands))
        return gone, new
    root = root_of(resource_type)
    changed = {name for name in stood.keys() | stands.keys() if stood.get(name) != stands.get(name)}
    before, after = _rows_of(root, stood, changed), _rows_of(root, stands, changed)
    gone, new = before - after, after - before
    others = {name for key in gone.keys() | new.keys() for name in root.readers[key]} - changed
    if others:
        kept = IndexRows()
        _visit(root, stands, others, kept)
        gone, new = gone - kept, new - kept
    return gone, new


def _rows_of(root: Root, body: Json, names: Collection[str]) -> IndexRows:
    """The rows of some elements, and of the body as a whole as far as it looks at them."""
    rows = IndexRows()
    for reads, emit in root.wholes:
        if not reads.isdisjoint(names):
            emit(body, rows)
    _visit(root, body, names, rows)
    return rows


def _visit(root: Root, body: Json, names: Collection[str], rows: IndexRows) -> None:
    children = root.children
    for name in names:
        if (child := children.get(name)) and (value := body.get(name)) is not None:
            child.visit(value, rows)
