"""The FHIR search: `parse` reads parameters into a Query, `run` answers a page of what it finds.

    query = parse("Observation", [("patient", "example"), ("_sort", "-date")], strict=True)
    async with pool.connection() as connection:
        page = await run(connection, access, query)

Read: `model.py` (a query and its page), `parameters.py` (what can be searched by; /metadata reads it too),
`language.py` (a whole search), `terms.py` (one parameter; chains), `merging.py` (one of several types), the values of
each kind on `values.py` (`tokens.py` with `codes.py`, `strings.py`, `references.py`, `ranges.py`, `composites.py`,
`near.py`), `sorting.py`, `context.py`, `errors.py`; `running.py`.
"""

from chartwire.record.search.context import Context
from chartwire.record.search.errors import SearchError
from chartwire.record.search.language import parse
from chartwire.record.search.model import Found, Page, Query, Warned
from chartwire.record.search.parameters import Parameter, supported
from chartwire.record.search.running import run
from chartwire.store.fhir_search.conditions import Position

__all__ = [
    "Context",
    "Found",
    "Page",
    "Parameter",
    "Position",
    "Query",
    "SearchError",
    "Warned",
    "parse",
    "run",
    "supported",
]
