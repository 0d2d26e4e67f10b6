"""Answers that are remembered, where the questions are texts that callers bring."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")
_CHARACTERS_MAX = 1000


def remembered(entries: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """A pure function of one text remembers its answers for the latest `entries` texts of at most 1,000 characters;
    longer ones are worked out each time, so that no caller fills the memory with a few thousand of them."""

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        short = lru_cache(maxsize=entries)(function)

        @wraps(function)
        def answer(text: str) -> T:
            return short(text) if len(text) <= _CHARACTERS_MAX else function(text)

        return answer

    return decorate
