"""SQL of FHIR searches: the second part of the one generator of SQL (the first is search_sql.py).

A search's text depends on its shape only; every value is a parameter, every word of SQL stands in this package. One
statement checks the credential, binds the organisation, and reads: one round trip.

Read: `conditions.py` (what can be asked), `statement.py` (parameters), `filters.py` and `bodies.py` (conditions of a
`candidate.py`), `drivers.py` (where a search starts), `ordering.py` (order and pages), `sources.py` (where candidates
come from), `pages.py` (the whole statements), `running.py`.
"""
