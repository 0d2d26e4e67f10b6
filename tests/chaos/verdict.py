"""What the checkers of a run found."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Verdict:
    """Every broken promise in words, and the figures of the page."""

    broken: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def expect(self, holds: bool, promise: str, *examples: object) -> None:
        """Note a promise that does not hold, with a few examples."""
        if not holds:
            shown = ", ".join(map(str, examples[:5]))
            self.broken.append(f"{promise}: {shown}" if shown else promise)
