"""The FHIR search index of a resource: which rows its values make, and under which keys a search finds them. Pure.

`index_rows(type, body)` answers the rows of the four tables of migration 0021. `place_of(type, code)` answers where the
values of a search parameter stand: a parameter whose values another one stores too has no rows of its own (`patient`
where `subject` is stored, `combo-code` where `code` and `component-code` are), so a search asks `place_of` first and
looks under all of its `keys`; `RULES` is the version of all this, which `resource.indexed` holds.

Read: `expressions.py` (what a parameter's expression says, as steps), `keys.py` (names in eight bytes), `places.py`
(who stores what), `names.py` (what `:contains` finds), `tree.py` (the steps of all parameters of a type, for one
walk over the body), `extraction.py` (the walk, and changes), `rows.py`, `columns.py` (many rows on their way to the
store), and the values of each kind, on `values.py`: `tokens.py`, `references.py`, `strings.py`, `dates.py`,
`numbers.py`, `composites.py`.
"""

from chartwire.record.fhir_index.columns import IndexChanges
from chartwire.record.fhir_index.extraction import index_changes, index_rows
from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.names import trigram_keys
from chartwire.record.fhir_index.places import RULES, Place, keys_of_type, place_of
from chartwire.record.fhir_index.rows import IndexRows

__all__ = [
    "RULES",
    "IndexChanges",
    "IndexRows",
    "Place",
    "index_changes",
    "index_rows",
    "key_of",
    "keys_of_type",
    "place_of",
    "trigram_keys",
]
