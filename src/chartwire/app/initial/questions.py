"""What `chartwire init` can be told: one row a setting, as an option, as a question, and as a key of the file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Question:
    """`key` is what stands in the settings file. `asks` is put to a person at a terminal; empty: an option only.
    `only_with`: the option without which it means nothing, and is not asked."""

    option: str
    key: str
    meaning: str
    asks: str = ""
    metavar: str = "TEXT"
    many: bool = False
    only_with: str = ""

    @property
    def name(self) -> str:
        """What argparse calls it."""
        return self.option.removeprefix("--").replace("-", "_")


SETTINGS = (
    Question(
        "--public-url", "public_url", "where clients reach the HTTP API, such as https://hub.example.org",
        "Where will clients reach the HTTP API? (https://hub.example.org)", "URL",
    ),
    Question("--http-host", "http_host", "address of the HTTP API (default 127.0.0.1)",
             "On which address does the HTTP API listen? (empty: 127.0.0.1, for a proxy on this machine)", "ADDRESS"),
    Question("--port", "http_port", "HTTP port (default 8080)", metavar="N"),
    Question("--http-tls-cert", "http_tls_cert", "PEM file with the HTTP API's certificate chain",
             "PEM file with its certificate chain? (empty: a proxy ends TLS)", "FILE"),
    Question("--http-tls-key", "http_tls_key", "PEM file with the key of that certificate",
             "PEM file with the key of that certificate?", "FILE", only_with="http_tls_cert"),
    Question("--trusted-proxy", "trusted_proxies", "network or address of a proxy before the HTTP API; repeatable",
             "Which proxies stand before it? (addresses or networks, separated by commas; empty: none)",
             "NETWORK", many=True),
    Question("--mllp-host", "mllp_host", "address of the HL7 v2 listener (default 127.0.0.1)",
             "On which address does the HL7 v2 listener listen? (empty: 127.0.0.1)", "ADDRESS"),
    Question("--mllp-port", "mllp_port", "port of the plain HL7 v2 listener (default 2575)", metavar="M"),
    Question("--mllp-tls-port", "mllp_tls_port", "port of the HL7 v2 listener with TLS (default 2576)", metavar="M"),
    Question("--mllp-tls-cert", "mllp_tls_cert", "PEM file with the listener's certificate chain",
             "PEM file with the listener's certificate chain? (empty: no TLS)", "FILE"),
    Question("--mllp-tls-key", "mllp_tls_key", "PEM file with the key of that certificate",
             "PEM file with the key of that certificate?", "FILE", only_with="mllp_tls_cert"),
    Question("--mllp-tls-client-ca", "mllp_tls_client_ca", "PEM file with the authorities of feeds' certificates",
             "PEM file with the authorities of feeds' certificates? (empty: none is asked for)", "FILE",
             only_with="mllp_tls_cert"),
    Question("--backup-dir", "backup_dir", "where sealed backups go: another disk or a mount",
             "Where do backups go? (a directory on another disk; empty: nowhere yet)", "DIR"),
    Question("--database-url-file", "database_url_file", "file with the URL of a PostgreSQL of your own",
             metavar="FILE"),
    Question("--database-app-url-file", "database_app_url_file",
             "file with its URL as chartwire_app, for a machine that must not migrate", metavar="FILE"),
    Question("--database-engine-url-file", "database_engine_url_file",
             "file with its URL as chartwire_engine, beside that", metavar="FILE"),
    Question("--master-key-file", "master_key_file", "file with the master key, from your secret store; default: one "
             "is made in the data directory", metavar="FILE"),
    Question("--drain-delay", "drain_delay_s", "seconds that balancers need to see that it leaves", metavar="SECONDS"),
)  # fmt: skip
ORGANISATION = Question("--organisation", "", "name of the first organisation", "Name of the first organisation?")
_FIRST_SOURCE = (
    Question("--source", "", "name of its first HL7 v2 feed"),
    Question("--authority", "", "assigning authority of that feed's patient numbers"),
    Question("--timezone", "", "IANA zone of that feed's times, such as America/Chicago"),
)
ALL = (*SETTINGS, ORGANISATION, *_FIRST_SOURCE)


def answered(given: dict[str, Any], ask: Ask | None) -> dict[str, Any]:
    """`given` (by argparse name, None for what was not said), with what a person says to the rest of the questions."""
    if ask is None:
        return given
    said = dict(given)
    for question in ALL:
        means_something = not question.only_with or said.get(question.only_with) is not None
        if question.asks and means_something and said.get(question.name) is None:
            answer = ask(question.asks + " ").strip()
            said[question.name] = _as_given(question, answer) if answer else None
    return said


def _as_given(question: Question, answer: str) -> Any:
    return [part.strip() for part in answer.split(",") if part.strip()] if question.many else answer
