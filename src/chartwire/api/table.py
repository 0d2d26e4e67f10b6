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
    parked,
    replays,
    requests,
    reviews,
    sources,
    trials,
    validate,
    unmerge,
    writes,
)

DOCUMENTED = (
    *collections.ROUTES,
    *writes.ROUTES,
    *actions.ROUTES,
    *unmerge.ROUTES,
    *batch.ROUTES,
    *parked.ROUTES,
    *messages.ROUTES,
    *message_route.ROUTES,
    *validate.ROUTES,
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

ROUTES = (*DOCUMENTED, *docs.routes(DOCUMENTED))
