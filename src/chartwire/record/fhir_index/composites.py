"""Composite parameters (R4 3.1.1.4.12): two values of one node, the first of them a token.

Two tokens make the token `first$second` for all their forms; a date, number or quantity carries the token's forms as
`code`; a string stands as `first$second`. Composites of two ranges or of three parts (coordinates of
MolecularSequence) are not indexed.
"""

from collections.abc import Sequence
from typing import Any

from chartwire.record.fhir_index.keys import key_of
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.fhir_index.values import Emit, token_text

PART = ("", "")
"""Type and code under which the parts of a composite give their rows."""

_PART_KEY = key_of(*PART)
_TOKENS = frozenset({"token", "reference", "uri"})


def supported(kinds: Sequence[str]) -> bool:
    """Whether composites of parts of these kinds are indexed."""
    return len(kinds) == 2 and kinds[0] in _TOKENS


def emitter(first: Emit, second: Emit, resource_type: str, code: str) -> Emit:
    """What adds the rows of a node, from what adds those of its two parts."""
    key = key_of(resource_type, code)

    def emit(value: Any, rows: IndexRows) -> None:
        theirs = IndexRows()
        second(value, theirs)
        if not theirs:
            return
        codes = IndexRows()
        first(value, codes)
        for own, token in codes.tokens:
            if own == _PART_KEY:
                _combine(key, token, theirs, rows)

    return emit


def _combine(key: int, token: str, theirs: IndexRows, rows: IndexRows) -> None:
    rows.tokens.update((key, token_text(f"{token}${other}")) for own, other in theirs.tokens if own == _PART_KEY)
    rows.strings.update((key, f"{token}${text}") for own, text in theirs.strings if own == _PART_KEY)
    rows.dates.update((key, low, high, token) for _, low, high, _ in theirs.dates)
    rows.numbers.update((key, low, high, unit, token) for _, low, high, unit, _ in theirs.numbers)
