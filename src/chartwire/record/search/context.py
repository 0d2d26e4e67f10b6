"""What reading a search needs besides its text."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chartwire.core.clock import now
from chartwire.formats.fhir.terminology import TERMINOLOGY, Terminology


@dataclass(slots=True)
class Context:
    """`bases` are the addresses of this server (`https://host/fhir/R4/`), whose absolute references are local ones;
    `moment` is what approximate dates are measured from. `people` gathers the patients that the search names."""

    bases: tuple[str, ...] = ()
    terminology: Terminology = TERMINOLOGY
    moment: datetime = field(default_factory=now)
    people: set[UUID] = field(default_factory=set)
    links: int = 0
    """How many links of chains were followed so far, a link to each of several types counted for itself."""
