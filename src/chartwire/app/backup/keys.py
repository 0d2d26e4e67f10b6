"""The two halves of a backup key: what writes backups cannot read them, and what reads them lies elsewhere.

`chartwire backup key --out FILE` makes both. The server keeps `<data_dir>/backup.key`: the public half (X25519) and an
authentication key. FILE, the recovery key, holds the private half and the same authentication key; it belongs on
another machine or on paper. So who steals the server cannot read its old backups, and who can only write to the backup
disk can neither read nor forge one.
"""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chartwire.app.sandbox_file import write_private
from chartwire.core.errors import ConflictError, ValidationError

SERVER_KEY_NAME = "backup.key"
_INFO = b"chartwire backup 1"


@dataclass(frozen=True, slots=True)
class ServerKey:
    """What writes: the recipient's public key (32 bytes) and the authentication key (32 bytes)."""

    public: bytes
    authentication: bytes

    @property
    def key_id(self) -> str:
        """Eight hex digits that tell one key pair from another."""
        return hashlib.sha256(self.public).hexdigest()[:8]

    def new_stream(self) -> tuple[bytes, AESGCM]:
        """An ephemeral public key (32 bytes) and the cipher that it stands for; used for one stream only."""
        ephemeral = X25519PrivateKey.generate()
        told = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public))
        return told, _cipher(shared, self.authentication, told, self.public)

    def sign(self, data: bytes) -> str:
        """HMAC-SHA256 under the authentication key, in hex."""
        return hmac.new(self.authentication, b"manifest\0" + data, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """What reads: the private half (32 bytes), beside the authentication key."""

    private: bytes
    authentication: bytes

    @property
    def server(self) -> ServerKey:
        """The half that writes."""
        public = X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw()
        return ServerKey(public, self.authentication)

    def stream(self, ephemeral: bytes) -> AESGCM:
        """The cipher of the stream that begins with this ephemeral public key."""
        private = X25519PrivateKey.from_private_bytes(self.private)
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        return _cipher(shared, self.authentication, ephemeral, private.public_key().public_bytes_raw())


def create_keys(data_dir: Path, out: Path) -> ServerKey:
    """Make a key pair: the recovery key in `out`, the server's half in the data directory. Never over existing files.

    Raises ConflictError (`backup_key_exists`).
    """
    kept = data_dir / SERVER_KEY_NAME
    for path in (kept, out):
        if path.exists():
            raise ConflictError(
                f"{path} exists: backups made so far open with its pair only; move it away to begin anew",
                code="backup_key_exists",
            )
    recovery = RecoveryKey(os.urandom(32), os.urandom(32))
    server = recovery.server
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(out, _shown("recovery", server, private=recovery.private.hex()))
    write_private(kept, _shown("server", server, public=server.public.hex()))
    return server


def read_server_key(data_dir: Path) -> ServerKey:
    """The half that `create_keys` left in the data directory. Raises ValidationError (`no_backup_key`)."""
    path = data_dir / SERVER_KEY_NAME
    if not path.exists():
        raise ValidationError(
            f"no backup key in {data_dir}: run `chartwire backup key --out FILE` and keep FILE on another machine",
            code="no_backup_key",
        )
    told = _read(path, "server")
    return ServerKey(bytes.fromhex(told["public"]), bytes.fromhex(told["authentication"]))


def read_recovery_key(path: Path) -> RecoveryKey:
    """The half that reads. Raises ValidationError (`backup_key_malformed`) or OSError."""
    told = _read(path, "recovery")
    return RecoveryKey(bytes.fromhex(told["private"]), bytes.fromhex(told["authentication"]))


def server_key_text(key: ServerKey) -> str:
    """The content of a `backup.key`."""
    return _shown("server", key, public=key.public.hex())


def _shown(half: str, key: ServerKey, **part: str) -> str:
    told = {"chartwire_backup_key": half, "key_id": key.key_id, "authentication": key.authentication.hex()}
    return json.dumps(told | part, indent=1) + "\n"


def _read(path: Path, half: str) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        wanted = ("authentication", "private" if half == "recovery" else "public")
        if told["chartwire_backup_key"] == half and all(len(bytes.fromhex(told[name])) == 32 for name in wanted):
            return dict(told)
    except (ValueError, KeyError, TypeError):
        pass
    raise ValidationError(f"{path} is not the {half} half of a backup key", code="backup_key_malformed")


def _cipher(shared: bytes, authentication: bytes, ephemeral: bytes, public: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, authentication, _INFO + ephemeral + public).derive(shared))
