"""What the emitters of all kinds share: their form, and text as the index holds it."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from chartwire.core.remembering import remembered
from chartwire.record.fhir_index.rows import IndexRows
from chartwire.record.identity import folded

Emit = Callable[[Any, IndexRows], None]
"""Adds the rows of one value; none for a value that is broken."""

PARTED = "\x1f"
"""Stands between values on their way to the store, so that none may hold it."""

_NOT_STORED = dict.fromkeys(map(ord, ("\0", PARTED)))
_TOKEN_CHARACTERS_MAX = 400
STRING_CHARACTERS_MAX = 200
_SUFFIXES_MAX = 5


def token_text(value: str) -> str:
    """A token as the index holds it: as written; one beyond 400 characters as its beginning and a digest."""
    if len(value) > _TOKEN_CHARACTERS_MAX:
        digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        value = f"{value[: _TOKEN_CHARACTERS_MAX - 33]}~{digest}"
    return storable(value)


def storable(text: str) -> str:
    """Without the two characters that no value of the index may hold."""
    return text if text.isprintable() else text.translate(_NOT_STORED)


@remembered(16_384)
def string_text(text: str) -> str:
    """A string as the index holds it: without case and accents, white space as one blank, 200 characters at most."""
    return " ".join(storable(folded(text)).split())[:STRING_CHARACTERS_MAX]


@remembered(16_384)
def word_starts(text: str) -> tuple[str, ...]:
    """The folded text from each of its first words on, so that a search by prefix hits any of them."""
    words = string_text(text).split(" ")
    return tuple(" ".join(words[start:]) for start in range(min(len(words), _SUFFIXES_MAX)) if words[start])
