"""Every route of the application."""

from chartwire.api import docs, health
from chartwire.api.fhir import read as fhir_read
from chartwire.api.rest import (
    actions,
    batch,
    collections,
    custom_fields,
    deliveries,
    endpoint_secrets,
    endpoints,
    feed,
    keys,
    lineage,
    message_route,
    messages,
    replays,
    requests,
    reviews,
    sources,
    trials,
    writes,
)

_DOCUMENTED = (
    *collections.ROUTES,
    *writes.ROUTES,
    *actions.ROUTES,
    *batch.ROUTES,
    *messages.ROUTES,
    *message_route.ROUTES,
    *sources.ROUTES,
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
    *fhir_read.ROUTES,
    *health.ROUTES,
)

ROUTES = (*_DOCUMENTED, *docs.routes(_DOCUMENTED))
