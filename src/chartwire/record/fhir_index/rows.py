"""The rows that one resource makes in the index, by table."""

from dataclasses import dataclass, field
from datetime import datetime

Token = tuple[int, str]
"""Key and value."""

DateRange = tuple[int, datetime, datetime, str]
"""Key, from, until before, code of a composite."""

NumberRange = tuple[int, float, float, str, str]
"""Key, low, high, unit, code of a composite."""


@dataclass(slots=True)
class IndexRows:
    """Rows without organisation and resource; two resources with equal bodies have equal rows."""

    tokens: set[Token] = field(default_factory=set)
    strings: set[Token] = field(default_factory=set)
    dates: set[DateRange] = field(default_factory=set)
    numbers: set[NumberRange] = field(default_factory=set)

    def __sub__(self, other: "IndexRows") -> "IndexRows":
        """The rows that the other has not."""
        return IndexRows(
            self.tokens - other.tokens,
            self.strings - other.strings,
            self.dates - other.dates,
            self.numbers - other.numbers,
        )

    def keys(self) -> set[int]:
        """The keys that there are rows under."""
        return {row[0] for table in (self.tokens, self.strings, self.dates, self.numbers) for row in table}

    def __len__(self) -> int:
        return len(self.tokens) + len(self.strings) + len(self.dates) + len(self.numbers)
