"""What ends by the calendar: certificates and API keys."""

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached, Surroundings
from chartwire.app.listening import http_tls, listener_settings
from chartwire.app.services import operator_access
from chartwire.core.clock import instant
from chartwire.core.ids import to_prefixed
from chartwire.trust.certificates import examine
from chartwire.trust.credentials import Credentials

_KEY_SOON = timedelta(days=14)
# Faults that are told apart; others by how bad they are.
_CODES = {"expired": "certificate_ended", "expires_soon": "certificate_ends_soon"}
_BY_SEVERITY = {"error": "certificate_unusable", "warning": "certificate_weak"}


async def certificates(around: Surroundings) -> Iterable[Found]:
    """Certificates of the doors, and the authorities of their clients."""
    doors = {f"listener {one.name}": one.tls for one in listener_settings(around.settings, shared=False)}
    doors["the HTTP API"] = http_tls(around.settings)
    host = urlsplit(around.settings.public_url).hostname or ""
    return [
        found(_CODES.get(fault.code, _BY_SEVERITY[fault.severity]), place=place, told=fault.told)
        for place, tls in doors.items()
        if tls is not None
        for fault in examine(tls, host if place == "the HTTP API" else "", around.at)
    ]


async def keys(reached: Reached) -> Iterable[Found]:
    """API keys that end soon."""
    saw = []
    for organisation in reached.organisations:
        for key in await Credentials(reached.shared.pool).list(operator_access(organisation.id, "doctor")):
            ends = key.expires_at
            if ends and key.revoked_at is None and reached.at < ends < reached.at + _KEY_SOON:
                facts = {"key": to_prefixed("key", key.id), "last_four": key.last_four, "org": str(organisation.id)}
                saw.append(found("key_ends_soon", **facts, ends=instant(ends)))
    return saw
