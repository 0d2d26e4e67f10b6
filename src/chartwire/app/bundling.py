"""What a process that carries large Bundles needs: the API's services, as far as entries of a Bundle ask for them."""

import contextlib
from collections.abc import AsyncIterator

from chartwire.api.fhir.bundle import carrying
from chartwire.api.fhir.carriers import Carry
from chartwire.api.services import Services as ApiServices
from chartwire.api.table import FHIR
from chartwire.app import logging
from chartwire.app.child import die_with
from chartwire.app.knobs import Settings
from chartwire.app.services import idempotency_kept_s, master_key, services
from chartwire.core import garbage
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.seal import Sealer

_CONNECTIONS = 2


@contextlib.asynccontextmanager
async def open_carrier(settings: Settings, owner: str, owner_pid: int) -> AsyncIterator[Carry]:
    """Open what a carrier of the API process `owner` needs; the process ends with its owner, however that ends."""
    die_with(owner_pid)
    logging.configure(settings.log_level, f"{owner}-bundles")
    async with services(settings, size=_CONNECTIONS) as shared:
        garbage.settle()
        yield carrying(
            FHIR,
            ApiServices(
                pool=shared.pool,
                credentials=Credentials(shared.pool),
                audit=AuditTrail(shared.pool),
                sealer=Sealer(master_key(settings)),
                idempotency_kept_s=idempotency_kept_s(settings),
                base_url=settings.public_url,
            ),
        )
