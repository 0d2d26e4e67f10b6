"""Every route of the application."""

from chartwire.api import docs, health
from chartwire.api.fhir import binary as fhir_binary
from chartwire.api.fhir import bundle as fhir_bundle
from chartwire.api.fhir import history as fhir_history
from chartwire.api.fhir import metadata as fhir_metadata
from chartwire.api.fhir import read as fhir_read
from chartwire.api.fhir import search as fhir_search
from chartwire.api.fhir import write as fhir_write
from chartwire.api.fhir.operations.table import OPERATIONS as FHIR_OPERATIONS
from chartwire.api.rest import (
    actions,
    alert_channels,
    alert_rules,
    alerts,
    batch,
    collections,
    custom_fields,
    dead_letters,
    deliveries,
    documents,
    endpoint_secrets,
    endpoints,
    feed,
    keys,
    lineage,
    maintenance_windows,
    message_route,
    messages,
    parked,
    replays,
    requests,
    reviews,
    source_control,
    sources,
    trials,
    unmerge,
    validate,
    writes,
)

FHIR = (
    *fhir_binary.ROUTES,
    *fhir_read.ROUTES,
    *fhir_write.ROUTES,
    *fhir_history.ROUTES,
    *fhir_search.ROUTES,
    *(route for operation in FHIR_OPERATIONS for route in operation.routes()),
)
"""What an entry of a Bundle may ask for, too."""
_FHIR_DOOR = (*FHIR, *fhir_bundle.routes(FHIR))

DOCUMENTED = (
    *collections.ROUTES,
    *writes.ROUTES,
    *actions.ROUTES,
    *unmerge.ROUTES,
    *batch.ROUTES,
    *parked.ROUTES,
    *documents.ROUTES,
    *messages.ROUTES,
    *message_route.ROUTES,
    *validate.ROUTES,
    *sources.ROUTES,
    *source_control.ROUTES,
    *maintenance_windows.ROUTES,
    *dead_letters.ROUTES,
    *alerts.ROUTES,
    *alert_rules.ROUTES,
    *alert_channels.ROUTES,
    *lineage.ROUTES,
    *feed.ROUTES,
    *endpoints.ROUTES,
    *endpoint_secrets.ROUTES,
    *trials.ROUTES,
    *deliveries.ROUTES,
    *replays.ROUTES,
    *reviews.ROUTES,
    *keys.ROUTES,
    *custom_fields.ROUTES,
    *requests.ROUTES,
    *_FHIR_DOOR,
    *fhir_metadata.routes(_FHIR_DOOR, FHIR_OPERATIONS),
    *health.ROUTES,
)

ROUTES = (*DOCUMENTED, *docs.routes(DOCUMENTED))
