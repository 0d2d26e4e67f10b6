"""What a listener is told: where to listen, whom to trust, and how much to take at once."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from chartwire.core import limits


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Paths of PEM files. With `client_ca` every peer has to show a certificate of that authority."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A server context, TLS 1.2 or later. Raises OSError or ssl.SSLError for files that do not serve."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a listener takes. The defaults are those of core/limits.py."""

    message_bytes: int = limits.MLLP_MESSAGE_BYTES_MAX
    connections: int = limits.MLLP_CONNECTIONS_MAX
    in_flight_per_connection: int = limits.MLLP_IN_FLIGHT_PER_CONNECTION_MAX
    in_flight_bytes: int = limits.MLLP_IN_FLIGHT_BYTES_MAX
    idle_timeout_s: float = limits.MLLP_IDLE_TIMEOUT_S
    frame_timeout_s: float = limits.MLLP_FRAME_TIMEOUT_S
    write_timeout_s: float = limits.MLLP_WRITE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One named socket. `port` 0 takes any free one; `reuse_port` lets several processes share one port."""

    name: str
    host: str = "127.0.0.1"
    port: int = 2575
    tls: TlsSettings | None = None
    reuse_port: bool = False
    bounds: Bounds = field(default_factory=Bounds)
