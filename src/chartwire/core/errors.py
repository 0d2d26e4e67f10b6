"""The few kinds of error, named by what the caller should do about them.

No error text carries patient data: messages name places (a segment, a field, a pointer) and rules, never values.
"""

from collections.abc import Sequence
from typing import Literal

ErrorClass = Literal["auth", "validation", "not_found", "conflict", "rate", "transient", "upstream"]


class ChartwireError(Exception):
    """Base of every error that Chartwire raises on purpose. `code` is for programs, the text for people."""

    error_class: ErrorClass = "validation"

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class AuthError(ChartwireError):
    """The caller is not known, or may not do this. Retry only with other credentials."""

    error_class = "auth"


class ValidationError(ChartwireError):
    """The input is wrong and stays wrong: mend it before sending again."""

    error_class = "validation"


class FaultsError(ValidationError):
    """Input with one or more faults at places that can be named: (JSON pointer, code, rule in words), never a value."""

    def __init__(self, message: str, *, code: str, faults: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(message, code=code)
        self.faults = tuple(faults)


class ParseError(ValidationError):
    """Bytes that are not a document of their format.

    `position` is the offset in bytes (or characters, for text input) where reading stopped, counted from 0;
    `location` names the place in the format's own terms (for HL7 v2 `MSH-2`, `PID[1]-3`).
    """

    def __init__(self, message: str, *, code: str, position: int = 0, location: str = "") -> None:
        super().__init__(message, code=code)
        self.position = position
        self.location = location


class MappingError(ValidationError):
    """A document that the maps cannot turn into resources; names the source field and the rule."""

    def __init__(self, message: str, *, code: str, field: str = "", rule: str = "") -> None:
        super().__init__(message, code=code)
        self.field = field
        self.rule = rule


class NotFoundError(ChartwireError):
    """What was asked for is not there, or not for this caller."""

    error_class = "not_found"


class ConflictError(ChartwireError):
    """The state of the record does not allow this now."""

    error_class = "conflict"


class TransientError(ChartwireError):
    """Nothing is wrong with the input: the same call may succeed later."""

    error_class = "transient"
