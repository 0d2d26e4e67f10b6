"""The secrets that sign an endpoint's deliveries: rotate with overlap, list without showing, end the old ones."""

from datetime import UTC, datetime

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.idempotency import idempotent
from chartwire.api.rest.endpoint_models import LiveSecret, NewSecret, Rotation, SecretPage
from chartwire.api.rest.endpoints import wanted
from chartwire.api.rest.models import Page
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.clock import instant, now
from chartwire.delivery import destinations
from chartwire.delivery.keyring import Secret
from chartwire.store.pool import Connection


@idempotent
async def rotate(request: Request, services: Services, tx: Connection) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/rotate-secret`: the new secret, for the only time."""
    order = Rotation() if request.has_no_body else await request.body(Rotation)
    secret = await destinations.rotate_secret(
        tx, request.access, services.sealer, wanted(request), overlap_s=order.overlap_s
    )
    return json_answer(NewSecret(request.parts[0], secret, _at(now().timestamp() + order.overlap_s)), count=1)


async def many(request: Request, services: Services) -> Answer:
    """`GET /api/v1/webhooks/endpoints/{id}/secrets`."""
    async with services.pool.transaction(request.access.org) as tx:
        return _listed(await destinations.secrets_of(tx, request.access, services.sealer, wanted(request)))


@idempotent
async def expire(request: Request, services: Services, tx: Connection) -> Answer:
    """`POST /api/v1/webhooks/endpoints/{id}/secrets/expire-old`: only the newest signs from now on."""
    return _listed(await destinations.expire_old_secrets(tx, request.access, services.sealer, wanted(request)))


def _listed(secrets: list[Secret]) -> Answer:
    data = [
        LiveSecret(
            secret.id,
            _at(secret.made_at_s) if secret.made_at_s else None,
            None if secret.until_s is None else _at(secret.until_s),
        )
        for secret in secrets
    ]
    return json_answer(Page(data, False, None, "list"), count=len(data))


def _at(seconds: float) -> str:
    return instant(datetime.fromtimestamp(seconds, UTC))


_ONE, _TAG, _TYPE = "/api/v1/webhooks/endpoints/{id}", "webhooks", "WebhookEndpoint"
ROUTES = (
    Route(
        "POST",
        f"{_ONE}/rotate-secret",
        rotate,
        "Give a webhook endpoint a new secret",
        "webhooks.write",
        _TYPE,
        "create",
        answer=NewSecret,
        body=Rotation,
        body_optional=True,
        tag=_TAG,
    ),
    Route(
        "GET",
        f"{_ONE}/secrets",
        many,
        "List the secrets that sign",
        "webhooks.read",
        _TYPE,
        answer=SecretPage,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_ONE}/secrets/expire-old",
        expire,
        "Let only the newest secret sign",
        "webhooks.write",
        _TYPE,
        "update",
        answer=SecretPage,
        tag=_TAG,
    ),
)
