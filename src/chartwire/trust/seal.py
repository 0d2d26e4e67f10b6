"""Sealing: what Chartwire hands out or stores so that nobody else can read or alter it (page tokens, webhook secrets).

AES-256-GCM under a key used once: HMAC-SHA256(master key, purpose, 16 random bytes). So there is no nonce to repeat and
no count of seals after which the master key must change. A sealed value is

    key id (1 byte) | salt (16) | ciphertext and tag (data + 16)

and opens only with the same master key, purpose and associated data. The key id lets an installation change its master
key: it seals with the new one and opens with the retired ones until they are dropped.
"""

import contextlib
import hashlib
import hmac
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chartwire.core.errors import ValidationError

KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 16 + 16
_SALT_BYTES = 16
_NONCE = bytes(12)  # constant: every derived key seals exactly one value
_NO_KEYS: Mapping[int, bytes] = MappingProxyType({})


class SealError(ValidationError):
    """A sealed value that is damaged, was made for something else, or under a key that is gone. Says not which."""


class Sealer:
    """Seals with `key` (32 bytes, named `key_id` 0-255), opens what that key or one of `retired` (by key id) sealed.

    Raises ValueError for a key of another length or a key id that is taken.
    """

    __slots__ = ("_key", "_key_id", "_keys")

    def __init__(self, key: bytes, *, key_id: int = 1, retired: Mapping[int, bytes] = _NO_KEYS) -> None:
        self._key, self._key_id = key, key_id
        self._keys = {**retired, key_id: key}
        if key_id in retired:
            raise ValueError("the key id of the present key is that of a retired one")
        for number, held in self._keys.items():
            if not 0 <= number <= 255 or len(held) != KEY_BYTES:
                raise ValueError(f"a master key is {KEY_BYTES} bytes with an id of 0 to 255")

    def seal(self, purpose: str, data: bytes, aad: bytes = b"") -> bytes:
        """Sealed `data`, OVERHEAD_BYTES longer. Opens with the same `purpose` (use) and `aad` (context) only."""
        salt = os.urandom(_SALT_BYTES)
        body = AESGCM(_derived(self._key, purpose, salt)).encrypt(_NONCE, data, aad)
        return bytes((self._key_id,)) + salt + body

    def open_sealed(self, purpose: str, sealed: bytes, aad: bytes = b"") -> bytes:
        """The data of `seal(purpose, data, aad)`. Raises SealError (`seal_broken`) for anything else."""
        key = self._keys.get(sealed[0]) if len(sealed) >= OVERHEAD_BYTES else None
        if key is None:
            raise _broken()
        salt, body = sealed[1 : 1 + _SALT_BYTES], sealed[1 + _SALT_BYTES :]
        try:
            return AESGCM(_derived(key, purpose, salt)).decrypt(_NONCE, body, aad)
        except InvalidTag:
            raise _broken() from None


def load_or_create_key(path: Path) -> bytes:
    """The master key in a file of 64 hex digits, made (mode 0600) when there is none. Safe for processes that race.

    Raises ValidationError (`master_key_malformed`) for a file that holds something else.
    """
    if not path.exists():
        handle, fresh = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(os.urandom(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)  # never over a key that another process made meanwhile
        Path(fresh).unlink()
    return _parse_key(path.read_text(encoding="ascii", errors="replace"))


def _parse_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValidationError("the master key file does not hold 64 hex digits", code="master_key_malformed")
    return key


def _derived(key: bytes, purpose: str, salt: bytes) -> bytes:
    return hmac.new(key, purpose.encode() + b"\x00" + salt, hashlib.sha256).digest()


def _broken() -> SealError:
    return SealError("the sealed value does not open", code="seal_broken")
