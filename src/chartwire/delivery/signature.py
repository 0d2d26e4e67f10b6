"""Standard Webhooks signatures (standardwebhooks.com, symmetric scheme v1): HMAC-SHA256 over `id.timestamp.body`."""

import base64
import binascii
import hashlib
import hmac
import secrets as random_source
from collections.abc import Sequence

from chartwire.core.errors import AuthError, ValidationError

_TEXT_PREFIX = "whsec_"
SECRET_BYTES = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
TOLERANCE_S = 300
SIGNATURES_MAX = 16


class SignatureError(AuthError):
    """The body was not signed with any of these secrets, or not now. Says which rule failed, never a value."""


def new_secret() -> str:
    """A fresh secret as text: `whsec_` and 256 random bits in base64."""
    return encode_secret(random_source.token_bytes(SECRET_BYTES))


def encode_secret(secret: bytes) -> str:
    """The text form of a secret's bytes."""
    return _TEXT_PREFIX + base64.b64encode(secret).decode("ascii")


def decode_secret(text: str) -> bytes:
    """The bytes of `whsec_...`, 24 to 64 of them. Raises ValidationError for anything else."""
    try:
        secret = base64.b64decode(text.removeprefix(_TEXT_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_TEXT_PREFIX) or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValidationError("a webhook secret is whsec_ and 24 to 64 bytes in base64", code="webhook_secret")
    return secret


def sign(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One signature, `v1,<base64>`."""
    digest = hmac.digest(secret, b"%s.%d.%s" % (message_id.encode("ascii"), timestamp_s, body), hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode("ascii")


def signature_header(secrets: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature per live secret, space-separated, so that rotation overlaps."""
    return " ".join(sign(secret, message_id, timestamp_s, body) for secret in secrets)


def verify(
    secrets: Sequence[bytes],
    message_id: str,
    timestamp: str,
    signatures: str,
    body: bytes,
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Accept a body when any signature of the header fits any secret and the timestamp is within tolerance, both ways.

    Constant time in the secrets. Raises SignatureError, whatever the headers hold; unknown versions are passed over.
    """
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise SignatureError("the timestamp is no number of seconds", code="webhook_timestamp")
    if abs(int(timestamp) - now_s) > tolerance_s:
        raise SignatureError("the timestamp is too far from now", code="webhook_timestamp")
    if not message_id.isascii() or not signatures.isascii():
        raise SignatureError("the headers are not ASCII", code="webhook_headers")
    given = signatures.split(" ", SIGNATURES_MAX)[:SIGNATURES_MAX]
    fits = False
    for secret in secrets:
        expected = sign(secret, message_id, int(timestamp), body)
        for signature in given:
            fits |= hmac.compare_digest(expected, signature)
    if not fits:
        raise SignatureError("no signature fits", code="webhook_signature")
