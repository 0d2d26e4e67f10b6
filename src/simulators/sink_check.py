"""The signature check of a webhook, step by step, as the Standard Webhooks text has it, without the sender's code."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

TOLERANCE_S = 300
_SHOWN_MAX = 2_000
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a check: what was looked at, what was found, and whether it is right (None: it only tells)."""

    what: str
    found: str
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A whole check. `verified` is None where no secret is known to check with."""

    verified: bool | None
    steps: tuple[Step, ...]


def secret_bytes(secret: str) -> bytes:
    """The key in `whsec_...`. Raises ValueError for what is no secret."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("a secret is whsec_ and base64") from None


def secret_id(key: bytes) -> str:
    """Names a secret without telling it: the start of the SHA-256 of its text, as Chartwire's list of secrets does."""
    return hashlib.sha256(b"whsec_" + base64.b64encode(key)).hexdigest()[:12]


def verified(secrets: Iterable[bytes], headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Whether the three Standard Webhooks headers vouch for this body now."""
    stamp, given = headers.get("webhook-timestamp", ""), _offered(headers)
    if not _in_time(stamp, now_s):
        return False
    wanted = [expected(secret, headers, body) for secret in secrets]
    return any(hmac.compare_digest(one.encode(), other.encode("latin-1")) for one in wanted for other in given)


def check(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: float) -> Check:
    """The same check, told step by step."""
    given, stamp = _offered(headers), headers.get("webhook-timestamp", "")
    missing = [name for name in _HEADERS if not headers.get(name)]
    steps = [
        Step("the three headers", f"missing: {', '.join(missing)}" if missing else "all there", not missing),
        Step(f"timestamp within {TOLERANCE_S} s", _told_time(stamp, now_s), _in_time(stamp, now_s)),
        Step("signed content: id.timestamp.body", _shown(signed_content(headers, body))),
    ]
    for secret in secrets:
        wanted = expected(secret, headers, body)
        steps.append(Step(f"expected with secret {secret_id(secret)}", wanted, wanted in given))
    steps += [Step("got", signature) for signature in given]
    return Check(verified(secrets, headers, body, now_s) if secrets else None, tuple(steps))


def expected(secret: bytes, headers: Mapping[str, str], body: bytes) -> str:
    """The signature that a secret makes over what was sent."""
    digest = hmac.new(secret, signed_content(headers, body), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")


def signed_content(headers: Mapping[str, str], body: bytes) -> bytes:
    """What a signature covers."""
    head = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}."
    return head.encode("latin-1", "replace") + body


def _offered(headers: Mapping[str, str]) -> list[str]:
    return [each for each in headers.get("webhook-signature", "").split() if each.startswith("v1,")]


def _in_time(stamp: str, now_s: float) -> bool:
    return stamp.isascii() and stamp.isdigit() and len(stamp) < 13 and abs(int(stamp) - now_s) <= TOLERANCE_S


def _told_time(stamp: str, now_s: float) -> str:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 13):
        return "no number of seconds"
    return f"{stamp}, {now_s - int(stamp):.1f} s ago"


def _shown(content: bytes) -> str:
    text = content.decode("utf-8", "backslashreplace")
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}... ({len(content)} bytes)"
