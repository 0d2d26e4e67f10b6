"""Which resources meet conditions such as `identifier=urn:x|7`: many conditions in few statements (R4 3.1.0.4.3)."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from chartwire.core.access import Access
from chartwire.record.fhir_index import place_of
from chartwire.record.fhir_index.values import token_text
from chartwire.record.search import SearchError, parse, run
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_HEAD = re.compile(r'\{"resourceType":"[A-Za-z]+","id":"([A-Za-z0-9\-.]{1,64})"')
_TOKEN = re.compile(r"[^|,$\\]+\|[^|,$\\]+")


class Condition(NamedTuple):
    """A type and the query that one of its resources is to meet, as it was written."""

    type: str
    query: str

    @property
    def identifier(self) -> str | None:
        """`system|value`, where the condition is one identifier and nothing else."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        if len(pairs) == 1 and pairs[0][0] == "identifier" and _TOKEN.fullmatch(pairs[0][1]):
            return pairs[0][1]
        return None

    @property
    def plain(self) -> "Condition":
        """The same without what a URL allows to be written in several ways."""
        return Condition(self.type, urlencode(parse_qsl(self.query)))


Matches = dict[Condition, list[str]]
"""Logical ids of what meets each condition."""


async def matches(tx: Connection, access: Access, conditions: Collection[Condition], most: int = 2) -> Matches:
    """At most `most` logical ids of the resources that meet each condition, as they stand in this transaction.

    Raises SearchError (a ValidationError) for a condition that is no search, or asks for nothing.
    """
    found: Matches = {condition: [] for condition in conditions}
    by_token = [(condition, token) for condition in found if (token := condition.identifier) is not None]
    await _match_tokens(tx, access, by_token, most, found)
    for condition in found:
        if condition.identifier is None:
            found[condition] = await _search(tx, access, condition, most)
    return found


async def _search(tx: Connection, access: Access, condition: Condition, most: int) -> list[str]:
    query = parse(condition.type, parse_qsl(condition.query), strict=True)
    if not query.search.conditions:
        raise SearchError("_id", "a condition names what a resource is to have", code="invalid_parameter")
    page = await run(tx, access, replace(query, count=most, total="none"))
    return [_logical_id(one.stored.body, one.stored.id) for one in page.found]


async def _match_tokens(
    tx: Connection, access: Access, wanted: Iterable[tuple[Condition, str]], most: int, found: Matches
) -> None:
    rows = [(condition, key, token_text(token)) for condition, token in wanted for key in _keys(condition.type)]
    if not rows:
        return
    types, keys, tokens = [row[0].type for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    for row in await tx.fetch(q.match_tokens, access.org, types, keys, tokens, most):
        found[rows[row["number"] - 1][0]].append(_logical_id(row["body"], row["id"]))


def _logical_id(body: str, resource_id: UUID) -> str:
    head = _HEAD.match(body)
    return head[1] if head else str(resource_id)


def _keys(resource_type: str) -> tuple[int, ...]:
    place = place_of(resource_type, "identifier")
    return () if place is None else place.keys()
