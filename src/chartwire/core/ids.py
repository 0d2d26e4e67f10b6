"""Identifiers: uuidv7 for what is stored, uuid5 for source keys, prefixed ids for people and programs."""

import hashlib
import os
import threading
import time
from functools import lru_cache
from uuid import UUID, SafeUUID, uuid5

from chartwire.core.errors import NotFoundError

SOURCE_KEY_NAMESPACE = UUID("6f1c1c2e-2f0b-5c55-9f6e-6a7b0c6d3f10")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_CROCKFORD_PAIR_VALUES = {pair: value for value, pair in enumerate(_CROCKFORD_PAIRS)}
_PREFIXED_LENGTH = 26
_PAIR_SHIFTS = range(120, -1, -10)
_PAIR_STARTS = range(0, _PREFIXED_LENGTH, 2)

PREFIXES = {
    "AllergyIntolerance": "alg",
    "Appointment": "apt",
    "Condition": "con",
    "Coverage": "cov",
    "DiagnosticReport": "rep",
    "DocumentReference": "doc",
    "Encounter": "enc",
    "Location": "loc",
    "Observation": "obs",
    "Organization": "ogn",
    "Patient": "pat",
    "Practitioner": "prv",
    "PractitionerRole": "prl",
    "Procedure": "prc",
    "RelatedPerson": "rel",
    "ServiceRequest": "srv",
    "Specimen": "spm",
    "alert": "alr",
    "alert_channel": "alc",
    "alert_notice": "aln",
    "alert_rule": "alu",
    "batch": "bat",
    "credential": "key",
    "custom_field": "cfd",
    "dead_letters": "dlg",
    "endpoint": "whe",
    "event": "evt",
    "merge": "mrg",
    "maintenance_window": "mnt",
    "message": "msg",
    "organisation": "org",
    "replay": "rpl",
    "ParkedWrite": "prk",
    "review": "rev",
    "source": "src",
}
"""What stands before the underscore, by resource type or noun of the store: one table for API, webhooks and events."""


class _Uuid7Source:
    """Hands out (millisecond, counter, random bits); the first two never go back within a process, even when the clock
    does. The random bytes are the system's, fetched for many ids at once: a fetch costs as much as all else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0
        self.forget_random()

    def forget_random(self) -> None:
        """A forked process must not hand out its parent's."""
        self._random = b""
        self._used = 0

    def next(self) -> tuple[int, int, int]:
        with self._lock:
            now_ms = time.time_ns() // 1_000_000
            if self._used + 10 > len(self._random):
                self._random, self._used = os.urandom(_RANDOM_BYTES), 0
            drawn = int.from_bytes(self._random[self._used : self._used + 10], "big")
            self._used += 10
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                self._counter = drawn >> 64 & 0x7FF
            else:
                self._counter += 1
                if self._counter > 0xFFF:
                    self._last_ms += 1
                    self._counter = 0
            return self._last_ms, self._counter, drawn & 0x3FFF_FFFF_FFFF_FFFF


_RANDOM_BYTES = 5120
_source = _Uuid7Source()
os.register_at_fork(after_in_child=_source.forget_random)
_new, _set = object.__new__, object.__setattr__


def _uuid(number: int) -> UUID:
    """UUID(int=number) without its checks, in a third of the time."""
    value = _new(UUID)
    _set(value, "int", number)
    _set(value, "is_safe", SafeUUID.unknown)
    return value


def uuid7() -> UUID:
    """A new uuidv7 (RFC 9562 section 5.7): sorts by creation time in ms, strictly rising within one process."""
    now_ms, counter, tail = _source.next()
    return _uuid(now_ms << 80 | (0x7000 | counter) << 64 | 0x8000_0000_0000_0000 | tail)


def uuid7_floor(epoch_ms: int) -> UUID:
    """The smallest uuidv7 of a millisecond: the bound for range scans by time."""
    return UUID(int=epoch_ms << 80 | 0x7 << 76 | 0b10 << 62)


def uuid7_time_ms(value: UUID) -> int:
    """Milliseconds since the epoch (UTC) at which a uuidv7 was made."""
    return value.int >> 80


@lru_cache(maxsize=65_536)
def source_key_id(resource_type: str, key: str) -> UUID:
    """The uuid5 of a source key: the id that a resource has before the record maps it to a stored one."""
    return uuid5(SOURCE_KEY_NAMESPACE, f"{resource_type}|{key}")


def order_key_digest(*parts: str) -> UUID:
    """128 bits of SHA-256 over an order key, so that a lane names its patient without showing an identifier."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return _uuid(int.from_bytes(digest[:16], "big"))


def to_prefixed(prefix: str, value: UUID) -> str:
    """`pat` and a UUID -> `pat_01J...`: Crockford base 32, sorts as the UUID does."""
    number = value.int
    pairs = [_CROCKFORD_PAIRS[number >> shift & 1023] for shift in _PAIR_SHIFTS]
    return f"{prefix}_{''.join(pairs)}"


def from_prefixed(prefix: str, text: str) -> UUID:
    """The UUID of a prefixed id. Raises NotFoundError for anything else: a malformed id reads as an unknown one."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != _PREFIXED_LENGTH:
        raise NotFoundError(f"no {prefix} has this id", code="unknown_id")
    number = 0
    for start in _PAIR_STARTS:
        value = _CROCKFORD_PAIR_VALUES.get(tail[start : start + 2])
        if value is None:
            raise NotFoundError(f"no {prefix} has this id", code="unknown_id")
        number = number << 10 | value
    if number >> 128:
        raise NotFoundError(f"no {prefix} has this id", code="unknown_id")
    return UUID(int=number)
