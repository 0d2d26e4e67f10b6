"""The listener role's sockets, from the settings: `plain`, `tls` where it has a certificate, and the named ones."""

from pathlib import Path

from chartwire.app import knobs
from chartwire.app.knobs import Settings
from chartwire.mllp.settings import Bounds, ListenerSettings
from chartwire.trust.certificates import TlsSettings


def listener_settings(settings: Settings, *, shared: bool) -> list[ListenerSettings]:
    """Every socket to open. `shared`: several processes of this machine listen on the same ports."""
    bounds = Bounds(message_bytes=settings.mllp_message_bytes_max, idle_timeout_s=settings.mllp_idle_timeout_s)
    wanted = [knobs.ListenerSettings("plain", settings.mllp_port, settings.mllp_host)]
    if settings.mllp_tls_cert:
        tls = (settings.mllp_tls_cert, settings.mllp_tls_key, settings.mllp_tls_client_ca)
        wanted.append(knobs.ListenerSettings("tls", settings.mllp_tls_port, settings.mllp_host, *tls))
    return [
        ListenerSettings(one.name, one.host, one.port, tls=_tls(one), reuse_port=shared, bounds=bounds)
        for one in (*wanted, *settings.listeners)
    ]


def listener_names(settings: Settings) -> tuple[str, ...]:
    """The listeners that a source may be bound to; to the two standard ones also before they are opened."""
    return ("plain", "tls", *(one.name for one in settings.listeners))


def _tls(one: knobs.ListenerSettings) -> TlsSettings | None:
    if not one.tls_cert:
        return None
    return TlsSettings(Path(one.tls_cert), Path(one.tls_key), Path(one.tls_client_ca) if one.tls_client_ca else None)


def http_tls(settings: Settings) -> TlsSettings | None:
    """The certificate of the HTTP API; None where it speaks plain http."""
    if not settings.http_tls_cert:
        return None
    return TlsSettings(Path(settings.http_tls_cert), Path(settings.http_tls_key))
