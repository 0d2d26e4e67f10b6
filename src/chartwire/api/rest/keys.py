"""API keys: make, list, revoke."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.problem import ApiError, Fault, not_found
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN, page, window
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.store.pool import Connection
from chartwire.trust.credentials import Credential


class Key(msgspec.Struct, frozen=True):
    """What may be shown of a key."""

    id: str
    name: str
    scopes: list[str]
    last_four: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    object: Literal["key"] = "key"


class NewKey(msgspec.Struct, frozen=True):
    """A key in the only moment when it is shown."""

    id: str
    key: str
    last_four: str
    object: Literal["key"] = "key"


class KeyOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to make. No scope that the asking key lacks; `expires_at` with offset."""

    name: str
    scopes: list[str]
    expires_at: datetime | None = None


class KeyPage(Page, frozen=True, omit_defaults=True):
    """A page of keys."""

    data: list[Key]


@idempotent
async def create(request: Request, services: Services, tx: Connection) -> Answer:
    """`POST /api/v1/keys`: 201 with the key."""
    order = await request.body(KeyOrder)
    if order.expires_at is not None and order.expires_at.tzinfo is None:
        fault = Fault("/expires_at", "invalid_value", "is a time with offset")
        raise ApiError("`expires_at` is a time with offset", code="invalid_body", faults=[fault])
    made = await services.credentials.issue(
        tx, request.access, name=order.name, scopes=order.scopes, expires_at=order.expires_at
    )
    return json_answer(NewKey(shown("credential", made.credential_id), made.token, made.last_four), status=201, count=1)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/keys`: newest first, revoked ones too."""
    at = window(request, services, "keys")
    found = await services.credentials.list(request.access, before=at.before[0], limit=at.limit + 1)
    return page(request, services, at, found, _id, [_key(one) for one in found[: at.limit]])


@idempotent
async def revoke(request: Request, services: Services, tx: Connection) -> Answer:
    """`DELETE /api/v1/keys/{id}`: 204; the key is refused from now on."""
    try:
        await services.credentials.withdraw(tx, request.access, in_path("credential", request.parts[0]))
    except NotFoundError:
        raise not_found() from None
    return Answer(b"", 204, count=1)


def _id(one: Credential) -> tuple[UUID, ...]:
    return (one.id,)


def _key(one: Credential) -> Key:
    return Key(
        id=shown("credential", one.id),
        name=one.name,
        scopes=list(one.scopes),
        last_four=one.last_four,
        created_at=instant(one.created_at),
        expires_at=instant(one.expires_at) if one.expires_at else None,
        revoked_at=instant(one.revoked_at) if one.revoked_at else None,
    )


_BASE, _TAG = "/api/v1/keys", "keys"
ROUTES = (
    Route(
        "GET",
        _BASE,
        many,
        "List keys, newest first",
        "keys.read",
        "Key",
        "search",
        parameters=(LIMIT, PAGE_TOKEN),
        answer=KeyPage,
        tag=_TAG,
    ),
    Route(
        "POST",
        _BASE,
        create,
        "Make a key",
        "keys.write",
        "Key",
        "create",
        answer=NewKey,
        body=KeyOrder,
        status=201,
        tag=_TAG,
    ),
    Route("DELETE", f"{_BASE}/{{id}}", revoke, "Revoke a key", "keys.write", "Key", "delete", status=204, tag=_TAG),
)
