"""The kinds of objects that files can hold, in the order in which they are applied: what others name comes first."""

from collections.abc import Sequence

from chartwire.app.configuration.alerts import AlertChannelKind, AlertRuleKind
from chartwire.app.configuration.custom_fields import CustomFieldKind
from chartwire.app.configuration.endpoints import EndpointKind
from chartwire.app.configuration.fhir import FhirKind
from chartwire.app.configuration.kind import Kind
from chartwire.app.configuration.sources import SourceKind
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer


def kinds_of(pool: Pool, door: Outbound, sealer: Sealer, listeners: Sequence[str]) -> tuple[Kind, ...]:
    """Every kind. `listeners` are the names that a source may be bound to."""
    return (
        SourceKind(listeners),
        CustomFieldKind(),
        EndpointKind(pool, door, sealer),
        AlertChannelKind(pool, door, sealer),
        AlertRuleKind(),
        FhirKind(),
    )
