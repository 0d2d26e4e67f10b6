"""The table of settings: name, type, default, meaning and danger of every knob of an installation."""

import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_type_hints


@dataclass(frozen=True, slots=True)
class Knob:
    """The documentation of one setting. `least` is the smallest value allowed; a secret's value is never shown."""

    meaning: str
    danger: str = ""
    secret: bool = False
    least: float | None = None


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One MLLP socket besides the two standard ones, from a `[[listeners]]` table of the file."""

    name: str
    port: int
    host: str = "127.0.0.1"
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Times in seconds, sizes in bytes; relative paths start at the working directory."""

    data_dir: Annotated[
        Path,
        Knob(
            "Where the embedded database, keys, logs and run files lie.",
            "Deleting it deletes the embedded database. Keep it on a local disk.",
        ),
    ] = Path(".chartwire")
    database_url: Annotated[
        str,
        Knob(
            "PostgreSQL >= 15 to use in place of the embedded one; its user migrates and may create roles.",
            "Holds a password: prefer `database_url_file`. A copy of production data starts sending like production.",
            secret=True,
        ),
    ] = ""
    database_app_url: Annotated[
        str,
        Knob(
            "The same database as role `chartwire_app`, for `chartwire serve` on machines that must not migrate.",
            "A superuser or an owner here would switch row-level security off; the catalog lint refuses it.",
            secret=True,
        ),
    ] = ""
    database_engine_url: Annotated[
        str, Knob("The same database as role `chartwire_engine`, beside `database_app_url`.", secret=True)
    ] = ""
    database_pool_size: Annotated[
        int,
        Knob(
            "Connections that one process may hold.",
            "Processes times this must stay below the server's max_connections (embedded: 60).",
            least=2,
        ),
    ] = 10
    master_key: Annotated[
        str,
        Knob(
            "32 bytes as 64 hex digits that seal webhook secrets and page tokens; empty: `<data_dir>/master.key`.",
            "Losing it loses every webhook secret. Give all machines of one installation the same.",
            secret=True,
        ),
    ] = ""
    http_host: Annotated[
        str,
        Knob("Address of the HTTP API.", "Any other than loopback needs `http_tls_cert`, or a TLS proxy before it."),
    ] = "127.0.0.1"
    http_port: Annotated[int, Knob("Port of the HTTP API; 0 takes any free one.", least=0)] = 8080
    http_tls_cert: Annotated[
        str,
        Knob(
            "PEM file with the HTTP API's certificate chain; with it the port speaks https only. A renewed file "
            "is taken up within ten seconds."
        ),
    ] = ""
    http_tls_key: Annotated[
        str, Knob("PEM file with the HTTP API's private key.", "Readable by the service's user only.")
    ] = ""
    public_url: Annotated[
        str,
        Knob(
            "Where clients reach the HTTP API, such as `https://hub.example.org`; empty: at `http_host`.",
            "With https, keys that a trusted proxy took over http are refused, and browsers are told to use https.",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Knob(
            "Networks or addresses of the proxies before the HTTP API, whose X-Forwarded-For and -Proto count.",
            "Whoever can connect from there chooses the client address that the audit trail keeps.",
        ),
    ] = ()
    mllp_host: Annotated[
        str,
        Knob(
            "Address of the plain and the TLS listener.",
            "Plain MLLP has no protection: beyond loopback use TLS or a VPN.",
        ),
    ] = "127.0.0.1"
    mllp_port: Annotated[int, Knob("Port of the plain listener, named `plain`; 0 takes any free one.", least=0)] = 2575
    mllp_tls_port: Annotated[
        int, Knob("Port of the TLS listener, named `tls`; opened when `mllp_tls_cert` is set.", least=0)
    ] = 2576
    mllp_tls_cert: Annotated[
        str, Knob("PEM file with the listener's certificate chain; a renewed file is taken up within ten seconds.")
    ] = ""
    mllp_tls_key: Annotated[
        str, Knob("PEM file with the listener's private key.", "Readable by the service's user only.")
    ] = ""
    mllp_tls_client_ca: Annotated[
        str,
        Knob(
            "PEM file with the authorities of client certificates; when set, a client certificate is required.",
            "Empty: any client may connect to the TLS port and is told apart by address and MSH only.",
        ),
    ] = ""
    listeners: Annotated[
        tuple[ListenerSettings, ...],
        Knob("Further MLLP sockets: `[[listeners]]` tables with name, host, port, tls_cert, tls_key, tls_client_ca."),
    ] = ()
    mllp_message_bytes_max: Annotated[
        int,
        Knob(
            "Largest HL7 v2 message; a larger one gets AE with the reason and the connection is closed.",
            "Each connection may hold this much in memory.",
            least=1024,
        ),
    ] = 16 * 1024 * 1024
    mllp_idle_timeout_s: Annotated[float, Knob("A connection without traffic for so long is closed.", least=1)] = 600.0
    api_processes: Annotated[int, Knob("API processes of `up`; 0: one, and one more from 8 cores on.", least=0)] = 0
    listener_processes: Annotated[
        int, Knob("Listener processes of `up`; 0: one, and one more from 8 cores on.", least=0)
    ] = 0
    worker_processes: Annotated[int, Knob("Worker processes of `up`; 0: half of the cores, 2 to 8.", least=0)] = 0
    idempotency_hours: Annotated[
        float,
        Knob(
            "How long the answer to a request with an Idempotency-Key is given again to a retry; at most 168.",
            "Shorter than a client's longest retry: the retry is a new request.",
            least=1,
        ),
    ] = 24.0
    parked_write_days: Annotated[
        float,
        Knob(
            "How long a write that names a record not there yet waits for it, before it is given up with an event.",
            "What was sent is kept that long, patients' data too.",
            least=1,
        ),
    ] = 7.0
    api_reads_per_minute: Annotated[
        float,
        Knob(
            "Reads that one API key may ask for in a minute, at once or evenly; an organisation ten times that.",
            "Too low turns honest callers away with 429; 0 sets no limit. So with the three that follow.",
            least=0,
        ),
    ] = 600_000.0
    api_searches_per_minute: Annotated[float, Knob("The same for searches and lists.", least=0)] = 300_000.0
    api_writes_per_minute: Annotated[float, Knob("The same for writes.", least=0)] = 120_000.0
    api_batch_items_per_minute: Annotated[float, Knob("The same for items of batches.", least=0)] = 240_000.0
    api_concurrent_requests: Annotated[
        int, Knob("Requests of one API key that may be under way at the same time; 0 sets no limit.", least=0)
    ] = 500
    intake_lease_s: Annotated[
        float,
        Knob(
            "How long a worker that shows no life keeps its lanes while its database session lives.",
            "Shorter than the longest batch: lanes change hands while they are worked, and work is done again.",
            least=1,
        ),
    ] = 30.0
    drain_delay_s: Annotated[
        float,
        Knob(
            "How long everything still works after SIGTERM while `/health/ready` answers 503, so that balancers leave.",
            "Shorter than a balancer's look: it sends requests to a closed port.",
            least=0,
        ),
    ] = 0.0
    stop_timeout_s: Annotated[
        float,
        Knob(
            "How long a process may finish its work on SIGTERM before it is killed.",
            "Too short loses nothing, but peers see dropped connections and resend.",
            least=1,
        ),
    ] = 30.0
    backup_dir: Annotated[
        str,
        Knob(
            "Where `up` keeps a sealed backup of the embedded database: base backups and the log as it is written.",
            "A directory on the same disk dies with it: name another disk or a mount.",
        ),
    ] = ""
    backup_every_s: Annotated[float, Knob("Seconds between two base backups.", least=60)] = 86_400.0
    backup_keep: Annotated[int, Knob("How many base backups are kept, with the log since the oldest.", least=1)] = 7
    backup_synchronous: Annotated[
        bool,
        Knob(
            "Whether a message is acknowledged only once it is in the backup too: nothing acknowledged is ever lost.",
            "While the backup directory is full or away nothing is acknowledged, and every write waits.",
        ),
    ] = False
    backup_evidence: Annotated[
        str,
        Knob(
            "For a database of your own: a file that its backup job touches when it has succeeded.",
            "Without it nobody here notices that the backup stopped.",
        ),
    ] = ""
    retention: Annotated[
        tuple[str, ...],
        Knob(
            "Days that data is kept, by class, where not as `chartwire retention show` says: `raw=30`, `audit=3650`.",
            "What its term has removed comes back from a backup only.",
        ),
    ] = ()
    installation_fingerprint: Annotated[
        str,
        Knob(
            "A name for this installation, in place of machine id and data directory; a copy started under another "
            "name, or without it, is disarmed.",
            "A copy started under the same name sends like the original.",
        ),
    ] = ""
    log_level: Annotated[
        str, Knob("debug, info, warning or error. No level logs patient data or a line per message.")
    ] = "info"

    @property
    def run_dir(self) -> Path:
        """Where running processes leave their metrics and states."""
        return self.data_dir / "run"


LOG_LEVELS = ("debug", "info", "warning", "error")
_HINTS = get_type_hints(Settings, include_extras=True)
KNOBS: dict[str, Knob] = {name: typing.get_args(hint)[1] for name, hint in _HINTS.items()}
