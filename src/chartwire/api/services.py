"""What the doors need from the rest of the process, handed over once by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import Protocol

from chartwire.api.clients import Clients
from chartwire.api.http import Answer, Request
from chartwire.api.limits import Limits, Quotas
from chartwire.channels.harness import Answerer
from chartwire.record.terminology import Terminologies
from chartwire.record.unread import Unread
from chartwire.store.pool import Pool
from chartwire.trust.audit import AuditTrail
from chartwire.trust.credentials import Credentials
from chartwire.trust.idempotency import Turns
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


class BundleCarriers(Protocol):
    """Processes that carry large Bundles (api/fhir/carriers.py)."""

    async def carry(self, request: Request) -> Answer:
        """The answer to a large Bundle. Raises TransientError."""


@dataclass(frozen=True, slots=True)
class Services:
    """`pool` is of chartwire_app. What is None is not running here: its routes answer 503 `not_available`.

    `outbound` is the door to webhook endpoints, `wake` tells workers that there is something to do. `export_metrics`
    gives the Prometheus text of all processes. `idempotency_kept_s`: how long the answer to a request with an
    Idempotency-Key is kept. `preview_ack` tells which answer a listener would give. `clients` knows whose word counts
    for a client's address, `base_url` is where clients reach this API, without a slash at the end (empty: nobody said).
    `leaving`: whether this process ends soon and tells balancers so. Without `carriers` this process carries large
    Bundles itself. `codes_pool` is where code systems are read, where `pool` is bound to one transaction.
    """

    pool: Pool
    credentials: Credentials
    audit: AuditTrail
    sealer: Sealer
    version: str = installed_version("chartwire")
    outbound: Outbound | None = None
    wake: Callable[[], None] = lambda: None
    export_metrics: Callable[[], bytes] | None = None
    idempotency_kept_s: float = 86_400.0
    parked_kept_s: float = 7 * 86_400.0
    turns: Turns = field(default_factory=Turns)
    unread: Unread = field(default_factory=Unread)
    listeners: tuple[str, ...] = ()
    preview_ack: Answerer | None = None
    limits: Limits = field(default_factory=lambda: Limits(Quotas()))
    clients: Clients = field(default_factory=Clients)
    base_url: str = ""
    leaving: Callable[[], bool] = lambda: False
    carriers: BundleCarriers | None = None
    codes_pool: Pool | None = None

    @property
    def terminologies(self) -> Terminologies:
        """The code systems of this installation."""
        return Terminologies(self.codes_pool or self.pool)
