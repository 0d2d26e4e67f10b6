"""Why a message goes where it goes: the decisions of routing.py, each rule with the reason that it holds or does not.

Tells names of sources, header fields and places; no patient data.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from chartwire.channels.patterns import CERTIFICATE_KINDS, FIELDS, by_field, matches, value_of, weigh
from chartwire.channels.routing import Lanes, Peer, Refusal, admitted, order_key, order_value, route, strongest
from chartwire.core.source import Source
from chartwire.formats.hl7v2.envelope import Envelope


class Step(NamedTuple):
    """One rule that was looked at: whether it holds (None: it only tells something), why, and whose rule it is."""

    rule: str
    holds: bool | None
    why: str
    source: Source | None = None

    def __str__(self) -> str:
        mark = {True: "yes, ", False: "no, ", None: ""}[self.holds]
        return f"{self.source.name + ': ' if self.source else ''}{self.rule}: {mark}{self.why}"


class Route(NamedTuple):
    """A Source or a Refusal, the message's lanes where it has a source, and the steps that led there."""

    outcome: Source | Refusal
    lanes: Lanes | None
    steps: tuple[Step, ...]


def explain(
    listener: str, candidates: Sequence[Source], everyone: Iterable[Source], peer: Peer, envelope: Envelope, body: bytes
) -> Route:
    """The route and the lane of a message (`body`) whose light check is `envelope`."""
    steps = [Step(f"listener {listener}", None, f"sources bound to it: {len(candidates)}")]
    allowed = admitted(candidates, peer)
    steps += [_of_peer(source, source in allowed, peer) for source in candidates]
    steps += [Step(name, None, f"is {'&'.join(read(envelope)) or 'empty'}") for name, read in FIELDS.items()]
    steps += [step for source in allowed for step in _of_sender(source, envelope)]
    outcome = route(allowed, everyone, envelope)
    if isinstance(outcome, Refusal):
        steps.append(Step("refused", False, f"{outcome.reason} ({outcome.code})"))
        return Route(outcome, None, tuple(steps))
    steps.append(Step("chosen", True, _why_chosen(outcome, allowed, envelope), outcome))
    lanes = order_key(envelope, outcome, f"{envelope.message_code}^{envelope.trigger_event}", body)
    steps.append(Step(f"order by {outcome.order_key}", None, _why_lane(envelope, outcome, lanes, body), outcome))
    return Route(outcome, lanes, tuple(steps))


def _of_peer(source: Source, allowed: bool, peer: Peer) -> Step:
    surer = "" if allowed or not admitted([source], peer) else "; another source knows this peer more surely"
    if not source.peers:
        return Step("peer", allowed, f"anyone may be it{surer}", source)
    certificates = [entry for entry in source.peers if entry.startswith(CERTIFICATE_KINDS)]
    networks = [entry for entry in source.peers if entry not in certificates]
    wanted = " and ".join(" or ".join(kind) for kind in (certificates, networks) if kind)
    shown = f"{peer.address} with {', '.join(sorted(peer.certificate)) or 'no certificate'}"
    return Step("peer", allowed, f"wants {wanted}, is {shown}{surer}", source)


def _of_sender(source: Source, envelope: Envelope) -> Iterator[Step]:
    if not source.sending:
        yield Step("sender", True, "takes any that no source names", source)
    for name, patterns in by_field(source).items():
        value = value_of(name, envelope)
        holds = any(matches(pattern, value) for pattern in patterns)
        yield Step(name, holds, f"wants {' or '.join(patterns)}, is {value or 'empty'}", source)


def _why_chosen(chosen: Source, allowed: Sequence[Source], envelope: Envelope) -> str:
    if not chosen.sending:
        return "takes any sender, and no source names this one"
    named = sum(weigh(source, envelope) is not None for source in allowed)
    return "alone names this sender" if named == 1 else f"the most specific of {named} that name this sender"


def _why_lane(envelope: Envelope, source: Source, lanes: Lanes, body: bytes) -> str:
    further = f"; as a merge in {len(lanes.partners)} more" if lanes.partners else ""
    return f"lane {lanes.lane}, {_key_told(envelope, source, body)}{further}"


def _key_told(envelope: Envelope, source: Source, body: bytes) -> str:
    own = "the source's own, in order of arrival"
    if source.order_key == "source":
        return own
    if source.order_key != "patient":
        found = order_value(envelope, source, body)
        return f"by {source.order_key}" if found else f"{own}: the message has no {source.order_key}"
    best = strongest(envelope.patient_ids, source)
    for rule in source.identifiers if best else ():
        alone = replace(source, identifiers=(rule,))
        for number, one in enumerate(envelope.patient_ids, start=1):
            if strongest([one], alone) == best:
                return f"by PID-3({number}), rule {rule.authority or source.authority}:{rule.type}"
    return f"{own}: no PID-3 identifies a patient by the source's rules"
