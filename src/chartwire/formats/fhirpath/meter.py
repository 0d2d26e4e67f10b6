"""What one evaluation of a user's expression may cost, and the count of it."""

import time
from dataclasses import dataclass

from chartwire.formats.fhirpath.syntax import FhirPathError

_STEPS_BETWEEN_LOOKS = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Parts evaluated, wall-clock seconds, items of a collection, characters of a text and of one that a pattern sees.

    Time is looked at between parts; what bounds the time of one part is `items`, `characters` and the patterns allowed
    (patterns.py).
    """

    steps: int = 100_000
    seconds: float = 0.25
    items: int = 10_000
    characters: int = 100_000
    pattern_characters: int = 256


class Meter:
    """What is left of the limits in one evaluation. Each method raises FhirPathError `fhirpath_too_costly`."""

    __slots__ = ("_deadline", "_limits", "_steps")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps = limits.steps
        self._deadline = time.monotonic() + limits.seconds

    def step(self) -> None:
        """One part more is evaluated."""
        self._steps -= 1
        if self._steps < 0:
            raise _too_costly("takes more steps than are allowed")
        if self._steps % _STEPS_BETWEEN_LOOKS == 0 and time.monotonic() > self._deadline:
            raise _too_costly("takes more time than is allowed")

    def items(self, number: int) -> None:
        """A collection has so many items."""
        if number > self._limits.items:
            raise _too_costly("finds more items than are allowed")

    def text(self, characters: int) -> None:
        """A text is made (or is about to be made) of so many characters."""
        if characters > self._limits.characters:
            raise _too_costly("makes a longer text than is allowed")

    def subject(self, characters: int) -> None:
        """A pattern is looked for in so many characters."""
        if characters > self._limits.pattern_characters:
            raise _too_costly("looks for a pattern in a longer text than is allowed")


def _too_costly(rule: str) -> FhirPathError:
    return FhirPathError(f"the expression {rule}", code="fhirpath_too_costly")
