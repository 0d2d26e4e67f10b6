"""Whose message is this, and whose patient? Pure: no store, no socket.

**Which source** (domain-rules.md section 9). The listener gives the candidates. Of these the ones stay that the peer
may be: a source that lists certificates (`cn:NAME`, `san:NAME`, `sha256:HEX`) takes a peer that shows one of them, a
source that lists networks takes a peer from one of them, a source that lists both wants both, and one that lists
nothing takes anyone. The surest tell wins: where a candidate is recognised by certificate only such candidates stay,
else where one is recognised by network only those. Then the message chooses among what is left, and only there, by
`Source.sending`: pairs of field and pattern, `("MSH-4", "NORTH*")`. Fields are MSH-3 to MSH-6 and PV1-3.4, by HD part
where one is written (`MSH-3.2`; the first without); patterns.py has the rules. A source whose patterns match goes
before one that has none, and among those of one organisation the most specific match. Where two match equally well, or
sources of two organisations match, the message is refused: nothing is guessed.

**Naming another organisation.** A message whose fields match a source of another organisation, facility (MSH-4, MSH-6
or PV1-3.4) spelled out without wildcard, is refused with AR, unless the peer's own sources name it by pattern too. Only
what the operator wrote counts (`Source.vouched`): what an organisation writes by API bars nobody else.

**Which lane** (sections 3 and 4 of domain-rules.md; architecture.md, work engine), by `Source.order_key`:
`patient` (the default) is the strongest identifying PID-3: rules of the source in their order, then repetitions in
theirs. `visit`: PV1-19, else PV1-50, else PID-18. `source`: one lane, the whole feed in order of arrival. A path
(`ORC-3`): that field. What has no such key queues in the source's own lane. A merge queues in the lanes of its patients
besides.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final, Literal, NamedTuple
from uuid import UUID

from chartwire.channels.patterns import CERTIFICATE_KINDS, FIELDS, Weight, bars_others, split_part, weigh
from chartwire.core.errors import ParseError, ValidationError
from chartwire.core.ids import order_key_digest
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import NULL, parse
from chartwire.formats.hl7v2.envelope import Envelope, PatientId
from chartwire.mapping.identity import MERGE_EVENTS, read_identity

RefusalCode = Literal["unknown_peer", "unknown_sender", "ambiguous_sender", "names_another_organisation"]

IDENTITY: Final = read_identity(
    (resources.files("chartwire.mapping") / "maps" / "identity.yaml").read_text("utf-8"), "identity.yaml"
)
_MRN_LETTERS_MAX: Final = 199


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection: IP address, and names of its client certificate (`cn:..`, `san:..`)."""

    address: str
    certificate: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """No source takes this message. `source` is the peer's own one, where it has one: there the message is kept."""

    code: RefusalCode
    reason: str
    source: Source | None = None


class Lanes(NamedTuple):
    """Where a message queues. `partners` are the further lanes of a merge; `mrn` is the value to find it by."""

    lane: UUID
    partners: tuple[UUID, ...] = ()
    mrn: str | None = None


def check_sending(source: Source) -> None:
    """Raises ValidationError for a `sending` or `peers` entry that routing does not know."""
    for name, _ in source.sending:
        if split_part(name)[0] not in FIELDS:
            known = ", ".join(FIELDS)
            raise ValidationError(f"source {source.name}: {name} cannot choose a source; known are {known}",
                                  code="bad_sending")  # fmt: skip
    for entry in source.peers:
        if not entry.startswith(CERTIFICATE_KINDS):
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError:
                raise ValidationError(
                    f"source {source.name}: peer entry is no network and none of cn:, san:, sha256:", code="bad_peers"
                ) from None


def admitted(candidates: Iterable[Source], peer: Peer) -> tuple[Source, ...]:
    """The sources that this peer may be, by certificate and address; what a listener asks once a connection."""
    ranked: dict[int, list[Source]] = {}
    for source in candidates:
        rank = _recognised(source, peer)
        if rank:
            ranked.setdefault(rank, []).append(source)
    return tuple(ranked[max(ranked)]) if ranked else ()


def route(allowed: Sequence[Source], everyone: Iterable[Source], envelope: Envelope) -> Source | Refusal:
    """The source of a message among those that its peer may be (`admitted`); `everyone` is the whole directory."""
    if not allowed:
        return Refusal("unknown_peer", "no source of this listener knows this peer")
    named = [source for source in allowed if weigh(source, envelope)]
    if not named:
        home = {source.org for source in allowed}
        for other in everyone:
            if other.org not in home and bars_others(other) and weigh(other, envelope):
                reason = "this sender may not act for that organisation"
                return Refusal("names_another_organisation", reason, allowed[0])
        named = [source for source in allowed if not source.sending]
    elif len(named) > 1:
        named = _most_specific(named, envelope)
    if len(named) == 1:
        return named[0]
    own = allowed[0] if len({source.org for source in allowed}) == 1 else None
    if named:
        return Refusal("ambiguous_sender", "several sources take this sender equally well", own)
    return Refusal("unknown_sender", "no source of this peer takes this sender", own)


def _most_specific(named: list[Source], envelope: Envelope) -> list[Source]:
    """Those that match best; all where they are of several organisations, between which no pattern may decide."""
    if len({source.org for source in named}) > 1:
        return named
    weights = [weigh(source, envelope) or _NO_WEIGHT for source in named]
    return [source for source, weight in zip(named, weights, strict=True) if weight == max(weights)]


_NO_WEIGHT: Final = Weight(0, 0, 0)


def order_key(envelope: Envelope, source: Source, event: str, body: bytes = b"") -> Lanes:
    """The lanes of a message. Without the key that the source names that is the source's own lane, in order of arrival.

    The lane of a patient is `order_key_digest(organisation, type, authority, value)` of the strongest PID-3 of the
    first patient group. A merge event also takes the strongest of each further group and of each group's MRG-1.
    `body` is read where the source names a field that the light check does not hold.
    """
    merges = event in MERGE_EVENTS
    by_patient = _merge(envelope, source) if merges else patient_lane(envelope.patient_ids, source)
    if source.order_key == "patient":
        return by_patient
    lane = _named_lane(envelope, source, body)
    partners = (by_patient.lane, *by_patient.partners) if merges else ()
    return Lanes(lane, tuple(partner for partner in partners if partner != lane), by_patient.mrn)


def _merge(envelope: Envelope, source: Source) -> Lanes:
    keys = _merge_keys(envelope, source)
    if not keys:
        return _own_lane(envelope.patient_ids, source)
    lanes = [order_key_digest(_text(source.org), *key) for key in keys]
    partners = tuple(dict.fromkeys(lane for lane in lanes[1:] if lane != lanes[0]))
    return Lanes(lanes[0], partners, keys[0][2][:_MRN_LETTERS_MAX])


def _named_lane(envelope: Envelope, source: Source, body: bytes) -> UUID:
    value = order_value(envelope, source, body)
    if not value:
        return _own_lane((), source).lane
    return order_key_digest(_text(source.org), f"by {source.order_key}", source.authority, value)


def order_value(envelope: Envelope, source: Source, body: bytes) -> str:
    """What a message has as order key by a rule other than `patient`; '' where it has nothing."""
    if source.order_key == "source":
        return ""
    if source.order_key == "visit":
        return _plain(envelope.visit_number) or _field(body, source, "PV1-50") or _plain(envelope.account_number)
    return _field(body, source, source.order_key)


def _field(body: bytes, source: Source, path: str) -> str:
    try:
        value = parse(body, charset=source.charset).get(path)
    except ParseError:
        return ""
    return _plain(value) if value and value != NULL else ""


def patient_lane(ids: Sequence[PatientId], source: Source) -> Lanes:
    """The lane of a message that is no merge, by its PID-3."""
    first = strongest(ids, source)
    if first is None:
        return _own_lane(ids, source)
    return Lanes(order_key_digest(_text(source.org), *first), (), first[2][:_MRN_LETTERS_MAX])


def _own_lane(ids: Sequence[PatientId], source: Source) -> Lanes:
    mrn = ids[0].value[:_MRN_LETTERS_MAX] if ids else None
    return Lanes(order_key_digest(_text(source.org), _text(source.id)), (), mrn)


_text = lru_cache(maxsize=1024)(str)


def strongest(ids: Sequence[PatientId], source: Source) -> tuple[str, str, str] | None:
    """(type, authority, value) of the identifier that identifies best by the source's rules, None where none does.

    The same choice as mapping/identity.py makes from the parsed message: a lane and a record that disagree about the
    patient would lose the order.
    """
    best: tuple[int, tuple[str, str, str]] | None = None
    for one in ids:
        rule = _rule(source, one.type, one.authority, one.authority_universal_id)
        if rule is None or (best is not None and best[0] <= rule[0]):
            continue
        value = _plain(one.value)
        if value and not IDENTITY.placeholder.fullmatch(value):
            authority = one.authority or one.authority_universal_id or source.authority
            best = rule[0], (one.type or rule[1], authority, value)
            if not rule[0]:
                break
    return best[1] if best else None


def _rule(source: Source, kind: str, authority: str, universal: str) -> tuple[int, str] | None:
    """The rank of the first rule that takes an identifier, and the type that it has where it names none."""
    if kind in IDENTITY.never:
        return None
    for rank, rule in enumerate(source.identifiers):
        if rule.type not in (kind, "*") if kind else rule.type in IDENTITY.never:
            continue
        wanted = rule.authority or source.authority
        unnamed = not authority and not universal
        if wanted in ("*", authority, universal) or (unnamed and wanted == source.authority):
            return rank, "MR" if rule.type == "*" else rule.type
    return None


def _plain(value: str) -> str:
    value = value.strip()
    return value if value.isprintable() else "".join(filter(str.isprintable, value)).strip()


def _merge_keys(envelope: Envelope, source: Source) -> list[tuple[str, str, str]]:
    groups: dict[int, tuple[list[PatientId], list[PatientId]]] = {}
    for one in envelope.patient_ids:
        groups.setdefault(one.group, ([], []))[0].append(one)
    for one in envelope.merge_ids:
        groups.setdefault(one.group, ([], []))[1].append(one)
    keys = []
    for survivors, losers in (groups[number] for number in sorted(groups)):
        keys += [key for key in (strongest(survivors, source), strongest(losers, source)) if key]
    return keys


def _recognised(source: Source, peer: Peer) -> int:
    """0 not this peer, 1 open to anyone, 2 by network, 3 by certificate."""
    certificates = [entry for entry in source.peers if entry.startswith(CERTIFICATE_KINDS)]
    networks = [entry for entry in source.peers if not entry.startswith(CERTIFICATE_KINDS)]
    if certificates and peer.certificate.isdisjoint(certificates):
        return 0
    if networks and not _within(peer.address, networks):
        return 0
    return 3 if certificates else 2 if networks else 1


def _within(address: str, networks: Iterable[str]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in ipaddress.ip_network(network, strict=False) for network in networks)


def reads_the_visit(sources: Iterable[Source]) -> bool:
    """Whether PV1-3.4 has a say in the route of some message."""
    return any(name.startswith("PV1") for source in sources for name, _ in source.sending)
