"""What the members of a source may be, as data: each check names place, rule and how to mend it, never more of a value
than its place."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from zoneinfo import available_timezones

from chartwire.channels.patterns import CERTIFICATE_KINDS, FIELDS, split_part
from chartwire.channels.routing import IDENTITY
from chartwire.core.errors import ParseError
from chartwire.core.ids import PREFIXES
from chartwire.formats.hl7v2.charsets import codec_of
from chartwire.formats.hl7v2.paths import compile_path

Flaw = tuple[str, str, str]
Check = Callable[[Any], Iterator[Flaw]]

LIST_MAX: Final = 200
LETTERS_MAX: Final = 200
SENDING_MAX: Final = 50
PATTERN_LETTERS_MAX: Final = 100
RANK_MAX: Final = 1000
ACK_DEADLINE_S_MAX: Final = 600.0
ORDER_KEYS: Final = ("patient", "visit", "source")
START_FIELDS: Final = ("SCH-11.4", "TQ1-7", "AIS-4", "AIG-8", "AIL-6", "AIP-6")
_ACK_CODES: Final = ("AA", "AE", "AR", "CA", "CE", "CR")
_CHARSETS: Final = ("ASCII", *(f"8859/{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15)), "UNICODE UTF-8",
                    "UNICODE UTF-16", "GB 18030-2000", "BIG-5", "KS X 1001", "ISO IR87", "CP1252")  # fmt: skip
_ERROR_CODE = re.compile(r"\d{3}")
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}(\^[A-Z][A-Z0-9]{2})?")
_IDENTIFIER_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{0,19}|\*")
_STRICTNESS_RULE = re.compile(r"[A-Za-z0-9_]{1,80}\*?|\*")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def flaw(pointer: str, code: str, rule: str) -> Flaw:
    """One thing that is wrong: where (JSON pointer), which rule by code, and in words."""
    return pointer, code, rule


def nearest_zone(text: str) -> str | None:
    """The IANA zone whose name, or last part of it, comes nearest."""
    zones = _zones()
    by_last = {zone.rpartition("/")[2].lower(): zone for zone in sorted(zones, reverse=True)}
    near = difflib.get_close_matches(text, zones, n=1, cutoff=0.6)
    if not near:
        near = [by_last[one] for one in difflib.get_close_matches(text.lower(), by_last, n=1, cutoff=0.7)]
    return near[0] if near else None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(pointer: str, text: str | None) -> Iterator[Flaw]:
    if text is not None and text not in _zones():
        near = nearest_zone(text)
        hint = f"; the nearest is {near}" if near else ", such as Europe/Zurich"
        yield flaw(pointer, "unknown_zone", f"is an IANA zone{hint}")


def _text(pointer: str, text: str, *, empty: bool = False, most: int = LETTERS_MAX) -> Iterator[Flaw]:
    if not empty and not text.strip():
        yield flaw(pointer, "blank", "is not empty")
    elif len(text) > most or _CONTROL.search(text):
        yield flaw(pointer, "invalid_value", f"has at most {most} letters and no control characters")


def _name(text: str) -> Iterator[Flaw]:
    yield from _text("/name", text)


def _authority(text: str) -> Iterator[Flaw]:
    yield from _text("/authority", text)


def _listener(text: str) -> Iterator[Flaw]:
    yield from _text("/listener", text)


def _timezone(text: str | None) -> Iterator[Flaw]:
    yield from _zone("/timezone", text)


def _charset(text: str | None) -> Iterator[Flaw]:
    if text is not None and codec_of(text) is None:
        near = difflib.get_close_matches(text.upper(), _CHARSETS, n=1)
        hint = f"; the nearest is {near[0]}" if near else ", such as UNICODE UTF-8 or 8859/1"
        yield flaw("/charset", "unknown_charset", f"is a name of HL7 table 0211{hint}")


def _identifiers(rules: Sequence[Any]) -> Iterator[Flaw]:
    if not 1 <= len(rules) <= LIST_MAX:
        yield flaw("/identifiers", "invalid_value", f"has 1 to {LIST_MAX} rules, strongest first")
    for number, rule in enumerate(rules):
        yield from _text(f"/identifiers/{number}/authority", rule.authority, empty=True)
        if rule.type in IDENTITY.never:
            never = ", ".join(sorted(IDENTITY.never))
            yield flaw(f"/identifiers/{number}/type", "never_identifies", f"is none of {never}: they name no person")
        elif not _IDENTIFIER_TYPE.fullmatch(rule.type):
            yield flaw(f"/identifiers/{number}/type", "invalid_value", "is a code of HL7 table 0203 (MR, PI) or *")


def _order_key(text: str) -> Iterator[Flaw]:
    if text in ORDER_KEYS:
        return
    try:
        compile_path(text)
    except ParseError:
        near = difflib.get_close_matches(text, ORDER_KEYS, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        yield flaw("/order_key", "invalid_value", f"is {', '.join(ORDER_KEYS)}, or a field such as ORC-3{hint}")


def _accepts(events: Sequence[str]) -> Iterator[Flaw]:
    yield from _bounded("/accepts", events)
    for number, event in enumerate(events):
        if not _EVENT.fullmatch(event):
            yield flaw(f"/accepts/{number}", "invalid_value", "is an event as ADT^A01, or all of a type as ADT")


def _ack_deadline_s(seconds: float) -> Iterator[Flaw]:
    if not 1 <= seconds <= ACK_DEADLINE_S_MAX:
        yield flaw("/ack_deadline_s", "out_of_range", f"is 1 to {ACK_DEADLINE_S_MAX:.0f} seconds")


def _ack_overrides(codes: Mapping[str, str]) -> Iterator[Flaw]:
    yield from _bounded("/ack_overrides", codes)
    for number, (code, answer) in enumerate(codes.items()):
        if code not in _ACK_CODES and not _ERROR_CODE.fullmatch(code):
            yield flaw(f"/ack_overrides/{number}", "invalid_value", "is keyed by an ACK code (AE) or ERR-3 code (204)")
        elif answer not in _ACK_CODES:
            yield flaw(f"/ack_overrides/{code}", "invalid_value", f"is one of {', '.join(_ACK_CODES)}")


def _strictness(entries: Sequence[Any]) -> Iterator[Flaw]:
    yield from _bounded("/strictness", entries)
    for number, entry in enumerate(entries):
        if not _STRICTNESS_RULE.fullmatch(entry.rule):
            rule = "is a rule of the validator, the beginning of one with *, or a severity (error, warning)"
            yield flaw(f"/strictness/{number}/rule", "invalid_value", rule)


def _start_order(places: Sequence[str]) -> Iterator[Flaw]:
    for number, place in enumerate(places):
        if place not in START_FIELDS or place in places[:number]:
            rule = f"is one of {', '.join(START_FIELDS)}, each once"
            yield flaw(f"/appointment_start_order/{number}", "invalid_value", rule)


def _rank(rank: int) -> Iterator[Flaw]:
    if not 0 <= rank <= RANK_MAX:
        yield flaw("/rank", "out_of_range", f"is 0 to {RANK_MAX}")


def _may_set(ranks: Mapping[str, int]) -> Iterator[Flaw]:
    types = sorted(name for name in PREFIXES if name[0].isupper())
    for name, rank in ranks.items():
        if name not in types:
            near = difflib.get_close_matches(name, types, n=1)
            hint = f"; the nearest is {near[0]}" if near else ""
            yield flaw("/may_set", "unknown_type", f"is keyed by resource types such as Patient{hint}")
        elif not 0 <= rank <= RANK_MAX:
            yield flaw(f"/may_set/{name}", "out_of_range", f"is 0 (may not set) to {RANK_MAX}")


def _facility_zones(zones: Mapping[str, str]) -> Iterator[Flaw]:
    yield from _bounded("/facility_zones", zones)
    for number, (facility, zone) in enumerate(zones.items()):
        yield from _text(f"/facility_zones/{number}", facility)
        yield from _zone(f"/facility_zones/{number}", zone)


def _peers(entries: Sequence[str]) -> Iterator[Flaw]:
    yield from _bounded("/peers", entries)
    for number, entry in enumerate(entries):
        rule = _peer_rule(entry)
        if rule:
            yield flaw(f"/peers/{number}", "invalid_value", rule)


def _peer_rule(entry: str) -> str | None:
    """What a peer entry breaks."""
    if entry.startswith("sha256:"):
        good: object = _FINGERPRINT.fullmatch(entry.removeprefix("sha256:"))
        return None if good else "is sha256: and 64 lower hex digits without colons"
    if entry.startswith(CERTIFICATE_KINDS):
        return None if entry.partition(":")[2].strip() and len(entry) <= LETTERS_MAX else "names a certificate"
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return "is a network (192.0.2.0/24), or cn:NAME, san:NAME, sha256:HEX of the client certificate"
    return None


def _sending(pairs: Sequence[Any]) -> Iterator[Flaw]:
    yield from _bounded("/sending", pairs, SENDING_MAX)
    for number, pair in enumerate(pairs):
        yield from _text(f"/sending/{number}/pattern", pair.pattern, most=PATTERN_LETTERS_MAX)
        if split_part(pair.field)[0] not in FIELDS:
            rule = f"is {', '.join(FIELDS)}, or a part of one as MSH-4.2"
            yield flaw(f"/sending/{number}/field", "unknown_field", rule)


def _bounded(pointer: str, entries: Sequence[Any] | Mapping[str, Any], most: int = LIST_MAX) -> Iterator[Flaw]:
    if len(entries) > most:
        yield flaw(pointer, "too_many", f"has at most {most} entries")


CHECKS: Final[dict[str, Check]] = {
    "name": _name,
    "authority": _authority,
    "listener": _listener,
    "timezone": _timezone,
    "charset": _charset,
    "identifiers": _identifiers,
    "order_key": _order_key,
    "accepts": _accepts,
    "ack_deadline_s": _ack_deadline_s,
    "ack_overrides": _ack_overrides,
    "strictness": _strictness,
    "appointment_start_order": _start_order,
    "rank": _rank,
    "may_set": _may_set,
    "facility_zones": _facility_zones,
    "peers": _peers,
    "sending": _sending,
}
