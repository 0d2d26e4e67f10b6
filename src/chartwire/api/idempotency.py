"""One request, one effect: how every route that changes something opens, performs and commits its transaction.

An `Idempotency-Key` makes a retry safe: the answer is kept in the transaction of the effect, and the same request under
the same key gets it again, with `Idempotent-Replayed: true`. The key holds for one credential, method and route; with
another body it is refused (422 `idempotency_key_reused`). While the first request is under way a second one waits for
it, up to two seconds, then gets 409 `in_progress`. Only answers are kept: whatever raises leaves no effect and nothing
to replay, so a refused request may be mended and sent again under its key. (reference: webhooks-and-api 6.10;
draft-ietf-httpapi-idempotency-key-header.)
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import wraps
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Header, Request
from chartwire.api.problem import ApiError
from chartwire.api.services import Services
from chartwire.core.crashpoints import hit
from chartwire.core.errors import TransientError
from chartwire.record.writing import TRY_AGAIN
from chartwire.store.pool import Connection
from chartwire.trust import idempotency
from chartwire.trust.credentials import explaining
from chartwire.trust.idempotency import WHOLE, Claim, Kept, key_reused

Effect = Callable[[Connection], Awaitable[Answer]]
WriteHandler = Callable[[Request, Services, Connection], Awaitable[Answer]]

KEY_CHARACTERS_MAX = 255
REPLAYED: Header = (b"idempotent-replayed", b"true")
_TRIES = 3
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_canonical = msgspec.json.Decoder(float_hook=Decimal)


class _Stored(msgspec.Struct, array_like=True):
    """An answer as it is kept. New members go to the end, with a default."""

    status: int
    media: bytes
    headers: list[tuple[bytes, bytes]]
    count: int
    patients: list[UUID]
    body: bytes


_stored = msgspec.msgpack.Decoder(_Stored)


@dataclass(frozen=True, slots=True)
class Turn:
    """The transaction of one request, and what its key remembers. Without a key nothing is kept or found."""

    tx: Connection
    services: Services
    claim: Claim | None
    found: Mapping[int, Kept]

    def kept(self, item: int = WHOLE) -> Answer | None:
        """The answer that this key got before: to the whole request, or to one item of a batch (from 0)."""
        before = self.found.get(item)
        return None if before is None else _read(before.answer)

    async def keep(self, answer: Answer, item: int = WHOLE) -> None:
        """Give this answer again to the same request; an error status is not kept."""
        if self.claim is not None and answer.status < 400:
            await idempotency.keep(self.tx, self.claim, self.services.sealer, _write(answer), item=item)


async def performed(request: Request, services: Services, effect: Effect) -> Answer:
    """The answer of `effect`, run in one transaction bound to the request's access; or the one that it gave before.

    The transaction commits when `effect` answers and rolls back when it raises. After a deadlock it is run again in a
    new transaction, so it may hold no state of its own. Raises what `effect` raises, ApiError (400, 409, 422) for the
    key, AuthError for a credential that was withdrawn.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _performed_once(request, services, effect)
        except TransientError as error:
            if error.code not in TRY_AGAIN:
                raise
    return await _performed_once(request, services, effect)


def idempotent(handle: WriteHandler) -> Callable[[Request, Services], Awaitable[Answer]]:
    """A handler whose whole work is the effect: it is called with the transaction, as `performed` does."""

    @wraps(handle)
    async def handler(request: Request, services: Services) -> Answer:
        return await performed(request, services, lambda tx: handle(request, services, tx))

    return handler


async def _performed_once(request: Request, services: Services, effect: Effect) -> Answer:
    async with turn(request, services) as own:
        before = own.kept()
        if before is not None:
            return replayed(before)
        answer = await effect(own.tx)
        await own.keep(answer)
        hit("api.before_commit")
    hit("api.after_commit")
    return answer


@asynccontextmanager
async def turn(request: Request, services: Services) -> AsyncIterator[Turn]:
    """The transaction of a request, opened in its key's turn; for doors that answer by item. See `performed`."""
    claim = await claim_of(request, services.idempotency_kept_s)
    if claim is None:
        with explaining():
            async with services.pool.transaction(request.access.org, request.access.credential_id) as tx:
                yield Turn(tx, services, None, {})
        return
    async with services.turns.of(claim), services.pool.transaction(None) as tx:
        found = await idempotency.opened(tx, request.access, claim, services.sealer)
        if any(before.fingerprint != claim.fingerprint for before in found.values()):
            raise key_reused()
        yield Turn(tx, services, claim, found)


async def claim_of(request: Request, kept_s: float) -> Claim | None:
    """What the request's key stands for; None without one. Reads the body. Raises ApiError (400) for a bad key."""
    content = await request.content()
    key = idempotency_key(request)
    if key is None:
        return None
    access = request.access
    scope = "\x00".join((str(access.org), access.actor, request.method, request.route, key))
    asked = hashlib.sha256(request.path.encode() + b"\x00" + _query(request) + b"\x00" + _canonical_body(content))
    return Claim(access.org, hashlib.sha256(scope.encode()).digest(), asked.digest(), kept_s)


def idempotency_key(request: Request) -> str | None:
    """The key, bare or as a quoted structured string (RFC 8941); None without one. Raises ApiError (400)."""
    given = request.headers.get(b"idempotency-key")
    if given is None:
        return None
    text = given.decode("latin-1").strip()
    quoted = _QUOTED.fullmatch(text)
    key = quoted[1].replace('\\"', '"').replace("\\\\", "\\") if quoted else text
    if len(key) > KEY_CHARACTERS_MAX or not _PRINTABLE.fullmatch(key):
        raise ApiError(
            f"`Idempotency-Key` is 1 to {KEY_CHARACTERS_MAX} printable ASCII characters", code="invalid_parameter"
        )
    return key


def _query(request: Request) -> bytes:
    several = len(request.pairs) != len(request.query)
    return msgspec.json.encode(sorted(request.pairs) if several else request.query, order="deterministic")


def _canonical_body(content: bytes) -> bytes:
    """The body without what JSON leaves open: spaces, order of members, escapes. Anything else as it came."""
    try:
        return msgspec.json.encode(_canonical.decode(content), order="deterministic")
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError):
        return content


def _write(answer: Answer) -> bytes:
    stored = _Stored(
        answer.status, answer.media, list(answer.headers), answer.count, list(answer.patients), answer.body
    )
    return msgspec.msgpack.encode(stored)


def _read(text: bytes) -> Answer:
    stored = _stored.decode(text)
    return Answer(stored.body, stored.status, stored.media, stored.headers, stored.count, stored.patients)


def replayed(answer: Answer) -> Answer:
    """An answer that was given before, marked as such."""
    return replace(answer, headers=[*answer.headers, REPLAYED])
