"""What a listener is told: where to listen, whom to trust, and how much to take at once."""

from dataclasses import dataclass, field

from chartwire.core import limits
from chartwire.trust.certificates import TlsSettings


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
