"""API keys: 256 random bits, shown once, stored as SHA-256, revoked at once.

A key reads `cw_live_` (or `cw_test_` for a sandbox organisation), 43 letters of base 62 for 32 random bytes, and 6 for
their CRC-32, by which a secret scanner and `key_hash` tell a key from a typing error without asking the database.

Every request is checked against the database, in one of two ways: `authenticate` asks it; `recall` answers from memory
and is for callers whose next statement names the credential and refuses one that was withdrawn (the functions of
0004_pre_reads.sql), so that a revocation is immediate without a round trip of its own. A key's organisation and scopes
never change, which is what makes remembering them sound.
"""

import hashlib
import secrets
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.errors import AuthError, ChartwireError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

SCOPES = frozenset(
    {
        "*",
        "alerts.read",
        "alerts.write",
        "appointments.read",
        "appointments.write",
        "audit.read",
        "custom_fields.read",
        "custom_fields.write",
        "documents.read",
        "events.read",
        "fhir.read",
        "fhir.write",
        "hl7.validate",
        "keys.read",
        "keys.write",
        "lineage.read",
        "locations.read",
        "locations.write",
        "messages.raw",
        "messages.read",
        "messages.replay",
        "messages.write",
        "patients.merge",
        "patients.read",
        "patients.write",
        "providers.read",
        "providers.write",
        "reviews.read",
        "reviews.write",
        "sources.read",
        "sources.write",
        "webhooks.full_payload",
        "webhooks.read",
        "webhooks.read_responses",
        "webhooks.write",
    }
)
PURPOSE = "HOPERAT"
"""The v3 PurposeOfUse of a key: healthcare operations. A key says nothing finer about why it asks."""

_REMEMBERED_MAX = 10_000
_NAME_CHARACTERS_MAX = 200
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIXES = {"live": "cw_live_", "test": "cw_test_"}
_SECRET_LETTERS = 43
_CHECK_LETTERS = 6
_CREDENTIAL_WITHDRAWN = "sql_28000"
_LAST = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Credential:
    """What may be shown of a key. Times are UTC; None for never."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    last_four: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, in the only moment when it is known in full."""

    token: str
    credential_id: UUID
    last_four: str


@dataclass(frozen=True, slots=True)
class _Holder:
    credential_id: UUID
    org: UUID
    actor: str
    scopes: frozenset[str]


class Credentials:
    """The keys of all organisations, as the doors use them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._holders: dict[bytes, _Holder] = {}

    async def create(
        self, access: Access, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
    ) -> IssuedKey:
        """`issue` in a transaction of its own."""
        async with self._pool.transaction(access.org) as tx:
            return await self.issue(tx, access, name=name, scopes=scopes, expires_at=expires_at)

    async def issue(
        self, tx: Connection, access: Access, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
    ) -> IssuedKey:
        """A new key for the organisation of `access`, with no scope that `access` itself lacks.

        Raises ValidationError (`unknown_scope`, `name_invalid`) and AuthError (`scope_missing`).
        """
        wanted = _checked_scopes(access, scopes)
        if not name.strip() or len(name) > _NAME_CHARACTERS_MAX or "\x00" in name:
            raise ValidationError(f"a key has a name of 1 to {_NAME_CHARACTERS_MAX} characters", code="name_invalid")
        credential_id = uuid7()
        kind = await tx.fetchval(q.organisation_kind, access.org)
        token = _new_token("test" if kind == "sandbox" else "live")
        digest = hashlib.sha256(token.encode()).digest()
        last_four = token[-4:]
        await tx.execute(q.insert_credential, digest, credential_id, access.org, wanted, last_four, expires_at)
        await tx.execute(q.insert_credential_label, access.org, credential_id, name.strip())
        return IssuedKey(token, credential_id, last_four)

    async def list(self, access: Access, *, before: UUID = _LAST, limit: int = 100) -> list[Credential]:
        """At most `limit` keys of the organisation, revoked ones too, newest first, older than `before`."""
        async with self._pool.transaction(access.org) as tx:
            rows = await tx.fetch(q.list_credentials, access.org, before, limit)
        return [_credential(row) for row in rows]

    async def revoke(self, access: Access, credential_id: UUID) -> None:
        """`withdraw` in a transaction of its own."""
        async with self._pool.transaction(access.org) as tx:
            await self.withdraw(tx, access, credential_id)

    async def withdraw(self, tx: Connection, access: Access, credential_id: UUID) -> None:
        """End a key: no request that starts after the commit is answered with data. Raises NotFoundError; safe to
        repeat."""
        if await tx.fetchval(q.revoke_credential, access.org, credential_id) is None:
            raise NotFoundError("no key has this id", code="unknown_id")

    async def authenticate(self, token: str, *, request_id: str = "") -> Access:
        """The Access that a key grants now. Raises AuthError (`credential_invalid`) without saying why."""
        digest = key_hash(token)
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(q.authenticate, digest)
        if row is None:
            self._holders.pop(digest, None)
            raise invalid_credential()
        holder = _Holder(row["credential_id"], row["org_id"], f"key:{row['credential_id']}", _expanded(row["scopes"]))
        self._remember(digest, holder)
        return _access(holder, request_id)

    async def recall(self, token: str, *, request_id: str = "") -> Access:
        """As `authenticate`, from memory where the key is known: only for a caller whose next statement checks it."""
        holder = self._holders.get(hashlib.sha256(token.encode()).digest())
        if holder is None:
            return await self.authenticate(token, request_id=request_id)
        return _access(holder, request_id)

    def _remember(self, digest: bytes, holder: _Holder) -> None:
        if len(self._holders) >= _REMEMBERED_MAX:
            self._holders.pop(next(iter(self._holders)))
        self._holders[digest] = holder


def key_hash(token: str) -> bytes:
    """SHA-256 of a key. Raises AuthError (`credential_invalid`) for what cannot be one."""
    body = token[8:]
    if token[:8] not in _PREFIXES.values() or len(body) != _SECRET_LETTERS + _CHECK_LETTERS or not token.isascii():
        raise invalid_credential()
    if _check_letters(token[:-_CHECK_LETTERS]) != token[-_CHECK_LETTERS:]:
        raise invalid_credential()
    return hashlib.sha256(token.encode()).digest()


def invalid_credential() -> AuthError:
    """The one answer to a key that is unknown, malformed, expired or revoked."""
    return AuthError("the key is not valid", code="credential_invalid")


@contextmanager
def explaining() -> Iterator[None]:
    """Around a statement that checks the credential: raises AuthError (`credential_invalid`) for one withdrawn."""
    try:
        yield
    except ChartwireError as error:
        if error.code == _CREDENTIAL_WITHDRAWN:
            raise invalid_credential() from None
        raise


def _new_token(kind: str) -> str:
    head = _PREFIXES[kind] + _base62(int.from_bytes(secrets.token_bytes(32), "big"), _SECRET_LETTERS)
    return head + _check_letters(head)


def _check_letters(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), _CHECK_LETTERS)


def _base62(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        letters.append(_LETTERS[digit])
    return "".join(reversed(letters))


def _checked_scopes(access: Access, scopes: Iterable[str]) -> list[str]:
    wanted = sorted(set(scopes))
    for scope in wanted:
        granted = _expanded([scope])
        if not granted <= SCOPES:
            raise ValidationError("a scope is unknown; docs/reference/rest-api.md lists them", code="unknown_scope")
        if not all(access.allows(one) for one in granted):
            raise AuthError("a key can only grant what its maker may do", code="scope_missing")
    if not wanted:
        raise ValidationError("a key has at least one scope", code="unknown_scope")
    return wanted


def _expanded(scopes: Iterable[str]) -> frozenset[str]:
    """`webhooks.*` as every scope of that family; other scopes as they are."""
    expanded: set[str] = set()
    for scope in scopes:
        family = {known for known in SCOPES if scope.endswith(".*") and known.startswith(scope[:-1])}
        expanded |= family or {scope}
    return frozenset(expanded)


def _access(holder: _Holder, request_id: str) -> Access:
    return Access(
        holder.org, holder.actor, PURPOSE, holder.scopes, request_id=request_id, credential_id=holder.credential_id
    )


def _credential(row: Row) -> Credential:
    return Credential(
        row["credential_id"],
        row["name"],
        tuple(row["scopes"]),
        row["last_four"],
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
    )
