"""`fixed[x]` and `pattern[x]`: what a value has to be, and what it has to have."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

_FIXED: Final = "fixed"
_PATTERN: Final = "pattern"


class Requirement(NamedTuple):
    """What an element definition fixes."""

    rule: Literal["fixed-value", "pattern"]
    value: Any

    @property
    def wanted(self) -> str:
        """The required value as JSON, as the profile has it."""
        return msgspec.json.encode(self.value).decode()

    def met_by(self, held: Any) -> bool:
        """Whether a value is this one, or has all that is in this one."""
        return bool(held == self.value) if self.rule == "fixed-value" else has(held, self.value)


def requirement_of(element: Mapping[str, Any]) -> Requirement | None:
    """What an element definition fixes; None where it fixes nothing."""
    for name, value in element.items():
        if name.startswith(_FIXED):
            return Requirement("fixed-value", value)
        if name.startswith(_PATTERN):
            return Requirement("pattern", value)
    return None


def has(held: Any, pattern: Any) -> bool:
    """Whether a value has all that a pattern has: each member, and of an array each item somewhere."""
    if isinstance(pattern, dict):
        return isinstance(held, dict) and all(has(held.get(name), value) for name, value in pattern.items())
    if isinstance(pattern, list):
        return isinstance(held, list) and all(any(has(one, wanted) for one in held) for wanted in pattern)
    return bool(held == pattern)
