"""The certificates of our own doors: a server context that follows its files, and what is wrong with a pair of them.

Renewed files are taken up without a restart: connections that are open keep the certificate they began with, new ones
get the new one. Files that do not serve change nothing, so that a renewal caught half-way closes no door.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chartwire.core.telemetry import Gauge
from chartwire.store.background import Background

LOOK_EVERY_S = 5.0
EXPIRES_SOON = timedelta(days=21)
_GROUP_OR_OTHERS = 0o077
_NOT_AFTER = Gauge(
    "chartwire_tls_certificate_expires_timestamp_seconds", "When the certificate of a door ends.", ("door",)
)
_log = structlog.get_logger(__name__)


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

    def files(self) -> tuple[Path, ...]:
        """Every file that is named."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path)


class LiveTls:
    """The context of one door, `door` being its name in metrics and logs.

    A client authority that is taken out of its file is trusted until the next start: OpenSSL adds, and never forgets.
    Raises OSError or ssl.SSLError when the files do not serve at the start.
    """

    def __init__(self, door: str, settings: TlsSettings, *, every_s: float = LOOK_EVERY_S) -> None:
        self.context = settings.context()
        self._door, self._settings, self._every_s = door, settings, every_s
        self._seen = _stamps(settings.files())
        self._background = Background(self._keep_looking)
        _NOT_AFTER.set(_expires(settings.certificate), door)

    def start(self) -> None:
        """Follow the files from now on."""
        self._background.start()

    async def close(self) -> None:
        """Follow them no more."""
        await self._background.close()

    def look(self) -> bool:
        """Take up files that have changed since the last look; whether new ones are in force."""
        stamps = _stamps(self._settings.files())
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            self._settings.context()  # first apart: a key that does not fit would spoil the live one
            self.context.load_cert_chain(self._settings.certificate, self._settings.key)
            if self._settings.client_ca is not None:
                self.context.load_verify_locations(self._settings.client_ca)
        except (OSError, ssl.SSLError) as error:
            _log.error("certificate_not_taken_up", listener=self._door, error=type(error).__name__)
            return False
        _NOT_AFTER.set(_expires(self._settings.certificate), self._door)
        _log.info("certificate_taken_up", listener=self._door)
        return True

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            self.look()


@dataclass(frozen=True, slots=True)
class CertificateFault:
    """What is wrong with a certificate and its key; a `warning` serves today."""

    severity: Literal["error", "warning"]
    code: str
    told: str


def examine(settings: TlsSettings, host: str, at: datetime) -> list[CertificateFault]:
    """What a client that asks for `host` would stumble over at `at`; empty where nothing is wrong.

    Looks at: files that can be read, a key that fits and nobody else can read, the term, the chain's order, the names.
    An empty `host` leaves the names out. The files' own trust is not judged: whether clients trust the authority is
    theirs to say.
    """
    try:
        chain = x509.load_pem_x509_certificates(settings.certificate.read_bytes())
    except OSError as error:
        return [_error("unreadable", f"{settings.certificate}: cannot be read ({error.strerror})")]
    except ValueError:
        return [_error("not_pem", f"{settings.certificate}: holds no PEM certificate")]
    found = [*_key_faults(settings.key, chain[0]), *_term_faults(settings.certificate, chain, at)]
    found += _chain_faults(settings.certificate, chain)
    if host and not any(_covers(name, host) for name in _names(chain[0])):
        found.append(_error("wrong_name", f"{settings.certificate}: is not for {host}; clients will refuse it"))
    if settings.client_ca is not None:
        found += _authority_faults(settings.client_ca)
    return found


def expires_at(certificate: Path) -> datetime:
    """When the first of a file's certificates ends, UTC. Raises OSError, ValueError."""
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(certificate.read_bytes()))


def _key_faults(path: Path, certificate: x509.Certificate) -> list[CertificateFault]:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        return [_error("unreadable", f"{path}: cannot be read ({error.strerror})")]
    except TypeError:
        return [_error("key_encrypted", f"{path}: is locked by a passphrase, and nobody is there to type it")]
    except ValueError:
        return [_error("not_pem", f"{path}: holds no PEM private key")]
    found = []
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        found.append(_error("key_of_another", f"{path}: is not the key of the first certificate of the chain"))
    if path.stat().st_mode & _GROUP_OR_OTHERS:
        found.append(_warning("key_open", f"{path}: others than its owner can read it; `chmod 600` mends that"))
    return found


def _term_faults(path: Path, chain: Sequence[x509.Certificate], at: datetime) -> list[CertificateFault]:
    ends = min(one.not_valid_after_utc for one in chain)
    if ends <= at:
        return [_error("expired", f"{path}: expired on {ends:%Y-%m-%d %H:%M} UTC")]
    if any(one.not_valid_before_utc > at for one in chain):
        return [_error("not_yet_valid", f"{path}: is not valid yet; is the clock right?")]
    if ends - at < EXPIRES_SOON:
        return [_warning("expires_soon", f"{path}: expires on {ends:%Y-%m-%d %H:%M} UTC; renew it")]
    return []


def _chain_faults(path: Path, chain: Sequence[x509.Certificate]) -> list[CertificateFault]:
    for place, (one, issuer) in enumerate(pairwise(chain), 1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            told = f"{path}: certificate {place + 1} did not issue {place}; the order is own, then its issuer"
            return [_error("chain_broken", told)]
    if len(chain) > 1:
        return []
    own = chain[0]
    if own.issuer == own.subject:
        return [_warning("self_signed", f"{path}: is signed by itself; clients have to be told to trust it")]
    told = f"{path}: holds no issuer; clients that do not know the issuer will refuse it: append the chain"
    return [_warning("no_issuer", told)]


def _authority_faults(path: Path) -> list[CertificateFault]:
    try:
        x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return [_error("unreadable", f"{path}: cannot be read ({error.strerror})")]
    except ValueError:
        return [_error("not_pem", f"{path}: holds no PEM certificate")]
    return []


def _names(certificate: x509.Certificate) -> list[str]:
    """DNS names and addresses of the certificate; the common name counts for nobody since RFC 9110 section 4.3.4."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(one) for one in names.get_values_for_type(x509.IPAddress)),
    ]


def _covers(name: str, host: str) -> bool:
    """RFC 6125 section 6.4.3: `*` stands for one whole leftmost label."""
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _stamps(paths: Sequence[Path]) -> list[tuple[int, int] | None]:
    """What changes when a file is written or replaced; None for one that is away."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_ino))
    return found


def _expires(certificate: Path) -> float:
    return expires_at(certificate).timestamp()


def _error(code: str, told: str) -> CertificateFault:
    return CertificateFault("error", code, told)


def _warning(code: str, told: str) -> CertificateFault:
    return CertificateFault("warning", code, told)
