"""What a validator says about a message."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, or worth knowing, about a message. Holds no value of the message.

    `rule` is a stable code of `rules.yaml` (docs/reference/hl7-validation.md), `location` a path as `chartwire hl7 get`
    reads it (`PID-5.1`, `OBX(3)-5(2).1`, or a segment: `OBX(3)`), `text` says what is wrong and `mend` what to do.
    """

    severity: Severity
    rule: str
    location: str
    text: str
    mend: str
