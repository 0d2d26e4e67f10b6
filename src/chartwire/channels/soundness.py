"""Whether what a message became is FHIR R4, looked at before it meets the record.

A structural error (no element of this name, a value of no such form, something needed that is not there) dead-letters
the message: the maps never make one of a good message, so it is a fault of a map, and nothing unreadable is stored.
What breaks a binding, an invariant or the definition of an extension is the sender's word all the same: it is stored,
and told of in the findings of the message, by rule and place.
"""

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from chartwire.channels.strictness import Place
from chartwire.formats.fhir.validate import Issue, check
from chartwire.mapping.conversion import Mapped

FAULT_CODE: Final = "fhir_invalid"
_STRUCTURAL: Final = frozenset({"structure", "value", "required", "too-long", "not-supported"})
_PLACES_MAX: Final = 50
_KNOWN_MAX: Final = 50_000
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Soundness(NamedTuple):
    """The structural error, if there is one, and the (rule, location) of all else that is an error."""

    fault: Issue | None = None
    flagged: tuple[Place, ...] = ()


class Examiner:
    """Looks at resources; remembers by hash which ones it has found without fault, since the same patient,
    practitioners and locations come with every message."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def examine(self, resources: Iterable[Mapped]) -> Soundness:
        """What is wrong with the resources of one message."""
        flagged: list[Place] = []
        for mapped in resources:
            digest = _digest(mapped)
            if digest in self._known:
                continue
            errors = [issue for issue in check(mapped.body) if issue.severity == "error"]
            for issue in errors:
                if issue.code in _STRUCTURAL and not issue.profile:
                    return Soundness(issue)
                flagged.append((issue.rule, issue.location))
            if not errors:
                self._remember(digest)
        return Soundness(None, tuple(flagged[:_PLACES_MAX]))

    def _remember(self, digest: bytes) -> None:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known.add(digest)


def _digest(mapped: Mapped) -> bytes:
    return hashlib.blake2b(_encoder.encode(mapped.body), digest_size=16).digest()
