"""Every route of the application."""

from chartwire.api import docs, health
from chartwire.api.fhir import read as fhir_read
from chartwire.api.rest import collections, custom_fields, deliveries, endpoints, feed, keys, lineage, messages, reviews

_DOCUMENTED = (
    *collections.ROUTES,
    *messages.ROUTES,
    *lineage.ROUTES,
    *feed.ROUTES,
    *endpoints.ROUTES,
    *deliveries.ROUTES,
    *reviews.ROUTES,
    *keys.ROUTES,
    *custom_fields.ROUTES,
    *fhir_read.ROUTES,
    *health.ROUTES,
)

ROUTES = (*_DOCUMENTED, *docs.routes(_DOCUMENTED))
