"""Which senders a source takes: patterns over MSH-3 to MSH-6 and PV1-3.4, how specific they are, and whether two
sources could both take one message. Pure.

`Source.sending` are pairs of field and pattern. `*` and `?` are wildcards, case counts. Patterns for one field are
alternatives; all fields have to match. Of two sources that match, the more specific one has more fields, then more
fields without a wildcard, then more letters that are no wildcard.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import product
from typing import Final, NamedTuple

from chartwire.core.source import Source
from chartwire.formats.hl7v2.envelope import Envelope

FIELDS: Final[dict[str, Callable[[Envelope], tuple[str, ...]]]] = {
    "MSH-3": lambda envelope: envelope.sending_application,
    "MSH-4": lambda envelope: envelope.sending_facility,
    "MSH-5": lambda envelope: envelope.receiving_application,
    "MSH-6": lambda envelope: envelope.receiving_facility,
    "PV1-3.4": lambda envelope: envelope.visit_location[3:4],
}
CERTIFICATE_KINDS: Final = ("cn:", "san:", "sha256:")
_FACILITY_FIELDS: Final = ("MSH-4", "MSH-6", "PV1-3.4")
_WILDCARDS: Final = frozenset("*?")


class Weight(NamedTuple):
    """How specific a match is; the greater one wins."""

    fields: int
    exact: int
    letters: int


def split_part(name: str) -> tuple[str, int]:
    """`MSH-3.2` -> (`MSH-3`, 2). PV1-3.4 is a component by itself."""
    if name in FIELDS:
        return name, 1
    base, _, part = name.rpartition(".")
    return base, int(part) if part.isascii() and part.isdigit() and int(part) else 1


def value_of(name: str, envelope: Envelope) -> str:
    """What a message has in a field, or in the HD part of one; '' where it has nothing."""
    base, part = split_part(name)
    parts = FIELDS[base](envelope)
    return parts[part - 1] if part <= len(parts) else ""


def weigh(source: Source, envelope: Envelope) -> Weight | None:
    """How specifically the patterns of a source match a message; None where one field does not, or there are none."""
    if not source.sending:
        return None
    best: list[tuple[int, int]] = []
    for name, patterns in by_field(source).items():
        value = value_of(name, envelope)
        found = [_weight(pattern) for pattern in patterns if matches(pattern, value)]
        if not found:
            return None
        best.append(max(found))
    return Weight(len(best), sum(exact for exact, _ in best), sum(letters for _, letters in best))


def bars_others(source: Source) -> bool:
    """Whether a source names a facility (MSH-4, MSH-6 or PV1-3.4) without wildcard, in the operator's words."""
    return (
        source.vouched
        and not source.retired
        and any(
            split_part(name)[0] in _FACILITY_FIELDS and pattern and not _WILDCARDS & set(pattern)
            for name, pattern in source.sending
        )
    )


def by_field(source: Source) -> Mapping[str, Sequence[str]]:
    """The patterns of each field."""
    fields: dict[str, list[str]] = {}
    for name, pattern in source.sending:
        fields.setdefault(name, []).append(pattern)
    return fields


def rival(source: Source, others: Iterable[Source]) -> Source | None:
    """The first of `others` (sources of the same listener) with which `source` could not be told apart.

    Within an organisation that is where some message matches both equally well. With another organisation's source
    already where one peer's message might match both, however surely or specifically: no setting of one organisation
    takes messages from another.
    """
    for other in others:
        rivals = _collide if other.org == source.org else _might_meet
        if other.id != source.id and rivals(source, other):
            return other
    return None


def _collide(source: Source, other: Source) -> bool:
    """Whether a message of one peer could leave the choice between these two open."""
    if not _same_peers(source, other):
        return False
    if not source.sending or not other.sending:
        return source.sending == other.sending
    return (0, 0, 0) in _differences(source, other)


def _might_meet(source: Source, other: Source) -> bool:
    """Whether any message of any peer could be for either."""
    if _surely_other_peers(source, other):
        return False
    return not source.sending or not other.sending or bool(_differences(source, other))


def _surely_other_peers(one: Source, other: Source) -> bool:
    """Entries of one kind (two `cn:`) tell certificates apart; a name and a fingerprint may be of the same one."""
    certificates = list(product(_certificates(one), _certificates(other)))
    networks = list(product(_networks(one), _networks(other)))
    apart = bool(certificates) and all(a != b and _kind(a) == _kind(b) for a, b in certificates)
    return apart or (bool(networks) and not any(a.overlaps(b) for a, b in networks))


def _kind(entry: str) -> str:
    return entry.partition(":")[0]


def _differences(one: Source, other: Source) -> set[tuple[int, int, int]]:
    """By how much the match of `one` can outweigh that of `other` for one message; empty where none matches both."""
    mine, theirs = by_field(one), by_field(other)
    found = {(len(mine) - len(theirs), 0, 0)}
    for name in {*mine, *theirs}:
        here = [(*_weight(a), a) for a in mine[name]] if name in mine else [(0, 0, "*")]
        there = [(*_weight(b), b) for b in theirs[name]] if name in theirs else [(0, 0, "*")]
        steps = {(a[0] - b[0], a[1] - b[1]) for a, b in product(here, there) if intersect(a[2], b[2])}
        found = {(fields, exact + e, letters + n) for fields, exact, letters in found for e, n in steps}
    return found


@lru_cache(maxsize=4096)
def intersect(one: str, other: str) -> bool:
    """Whether some text matches both patterns: a walk over the places where both can stand at once."""
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        a, b = waiting.pop()
        if (a, b) == (len(one), len(other)):
            return True
        following = [place for place in _onward(one[a : a + 1], other[b : b + 1], a, b) if place not in seen]
        seen.update(following)
        waiting += following
    return False


def _onward(mark: str, mark_other: str, a: int, b: int) -> Iterator[tuple[int, int]]:
    """Where two patterns can stand next: a `*` that stands for nothing more, or one more letter that both take."""
    if mark == "*":
        yield a + 1, b
    if mark_other == "*":
        yield a, b + 1
    if mark and mark_other and (mark == mark_other or _WILDCARDS & {mark, mark_other}):
        yield a + (mark != "*"), b + (mark_other != "*")


def _same_peers(one: Source, other: Source) -> bool:
    """Whether one peer could be either source. The surest tell decides alone: certificate, else network, else none."""
    certificates, certificates_other = _certificates(one), _certificates(other)
    if certificates or certificates_other:
        return bool(certificates & certificates_other)
    networks, networks_other = _networks(one), _networks(other)
    if networks and networks_other:
        return any(a.overlaps(b) for a, b in product(networks, networks_other))
    return not networks and not networks_other


def _certificates(source: Source) -> set[str]:
    return {entry for entry in source.peers if entry.startswith(CERTIFICATE_KINDS)}


def _networks(source: Source) -> list[IPv4Network | IPv6Network]:
    return [ip_network(entry, strict=False) for entry in source.peers if not entry.startswith(CERTIFICATE_KINDS)]


def _weight(pattern: str) -> tuple[int, int]:
    wild = sum(letter in _WILDCARDS for letter in pattern)
    return int(not wild), len(pattern) - wild


def matches(pattern: str, value: str) -> bool:
    """Whether the whole value is as the pattern says."""
    return _compiled(pattern)(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Callable[[str], object]:
    """By fnmatch's translation, which is linear in the value; its character classes are no wildcards here."""
    return re.compile(translate(pattern.replace("[", "[[]"))).match
