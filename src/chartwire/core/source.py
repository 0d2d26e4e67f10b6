"""What Chartwire knows about one feed, as data: a Source is configuration, never code."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

AckMode = Literal["commit", "after-processing", "enhanced", "one-ack", "none"]
EffectMode = Literal["live", "record-only", "preview"]


@dataclass(frozen=True, slots=True)
class IdentifierRule:
    """An (authority, type) pair that identifies a patient. `*` as authority takes any; `` takes the source's own."""

    authority: str
    type: str


@dataclass(frozen=True, slots=True)
class Source:
    """One feed of one organisation.

    `authority` is the assigning authority that an empty CX.4 takes. `timezone` is an IANA name, or None where none is
    configured: then times without offset keep their date only (domain-rules.md section 8). `charset` overrides MSH-18.
    `identifiers` are the pairs that identify a patient, in order of preference (section 3). `accepts` are trigger
    events as `ADT^A01` or `ADT`; what is not chosen is stored as filtered; empty means everything that has a map.
    `may_set` maps a resource type to its rank for this source (0 = may not set), over the defaults of
    record/authority.yaml. `order_key` says what has to stay in order (channels/routing.py): `patient`, `visit`,
    `source`, or the path of a field such as `ORC-3`. `strictness` are pairs of what the validator finds (a rule, the
    beginning of one with `*`, or a severity) and what then happens (channels/strictness.py), the last that fits counts;
    without any, messages are not validated. `vouched`, `paused` and `retired` are no settings: whether the operator
    wrote `sending`, so that the facilities in it are this organisation's alone, and how the source stands now.
    """

    org: UUID
    id: UUID
    name: str
    authority: str
    timezone: str | None = None
    charset: str | None = None
    identifiers: tuple[IdentifierRule, ...] = (IdentifierRule("", "MR"), IdentifierRule("", "PI"))
    accepts: tuple[str, ...] = ()
    ack_mode: AckMode = "commit"
    ack_deadline_s: float = 30.0
    ack_overrides: tuple[tuple[str, str], ...] = ()
    effect_mode: EffectMode = "live"
    live: bool = True
    strict_control_ids: bool = False
    unable_answers: Literal["close", "AR", "CE"] = "close"
    appointment_start_order: tuple[str, ...] = ("SCH-11.4", "TQ1-7", "AIS-4", "AIG-8", "AIL-6", "AIP-6")
    absent_segments: Literal["keep", "clear"] = "keep"
    hold_following: Literal["pass", "wait"] = "pass"
    rank: int = 10
    may_set: tuple[tuple[str, int], ...] = ()
    facility_zones: tuple[tuple[str, str], ...] = ()
    peers: tuple[str, ...] = ()
    sending: tuple[tuple[str, str], ...] = ()
    order_key: str = "patient"
    strictness: tuple[tuple[str, str], ...] = ()
    vouched: bool = True
    paused: bool = False
    retired: bool = False

    @property
    def refuses(self) -> bool:
        """Whether some issue of a message is a reason not to take it, so that all are validated before the answer."""
        return any(action == "refuse" for _, action in self.strictness)
