"""What is wrong with the certificate of a door, and how a renewed one is taken up."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from tests.e2e.authority import Authority

from chartwire.trust.certificates import LiveTls, TlsSettings, examine, expires_at


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def pair(authority: Authority, name: str, *, chained: bool = True) -> TlsSettings:
    stem = authority.issue(name)
    certificate, key = Path(f"{stem}.pem"), Path(f"{stem}.key")
    key.chmod(0o600)
    if chained:
        certificate.write_bytes(certificate.read_bytes() + authority.path.read_bytes())
    return TlsSettings(certificate, key)


def codes(settings: TlsSettings, host: str = "hub.example.org", *, in_days: float = 0) -> set[str]:
    """Without `expires_soon`: what the tests' authority issues is good for a day."""
    found = examine(settings, host, datetime.now(UTC) + timedelta(days=in_days))
    return {one.code for one in found} - {"expires_soon"}


def test_a_pair_that_serves_has_nothing_against_it(authority):
    assert codes(pair(authority, "hub.example.org")) == set()
    assert codes(pair(authority, "*.example.org")) == set()
    assert codes(pair(authority, "hub.example.org"), host="") == set()


def test_each_fault_is_named(authority, tmp_path):
    good, other = pair(authority, "hub.example.org"), pair(authority, "other.example.org")
    assert codes(good, in_days=2) == {"expired"}
    assert codes(good, in_days=-1) == {"not_yet_valid"}
    assert codes(good, host="clinic.example.net") == {"wrong_name"}
    assert codes(pair(authority, "*.example.org"), host="a.b.example.org") == {"wrong_name"}
    assert codes(TlsSettings(good.certificate, other.key)) == {"key_of_another"}
    assert codes(TlsSettings(good.certificate, tmp_path / "none.key")) == {"unreadable"}
    assert codes(TlsSettings(good.key, good.key)) == {"not_pem"}
    assert codes(TlsSettings(good.certificate, good.key, good.key)) == {"not_pem"}
    assert codes(pair(authority, "alone.example.org", chained=False), host="") == {"no_issuer"}
    assert codes(TlsSettings(authority.path, good.key), host="") == {"key_of_another", "self_signed"}
    other.certificate.write_bytes(other.certificate.read_bytes() + good.certificate.read_bytes())
    shuffled = tmp_path / "shuffled.pem"
    shuffled.write_bytes(good.certificate.read_bytes() + other.certificate.read_bytes())
    assert codes(TlsSettings(shuffled, good.key)) == {"chain_broken"}
    good.key.chmod(0o644)
    assert codes(good) == {"key_open"}


def test_a_key_behind_a_passphrase_is_refused_since_nobody_can_type_it(authority):
    good = pair(authority, "hub.example.org")
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    good.key.write_bytes(locked)
    assert codes(good) == {"key_encrypted"}


def test_renewed_files_are_taken_up_and_half_a_renewal_changes_nothing(authority, tmp_path):
    live = pair(authority, "hub.example.org")
    tls = LiveTls("http", live)
    assert not tls.look()
    renewed = pair(authority, "renewed.example.org")
    live.certificate.write_bytes(renewed.certificate.read_bytes())
    assert not tls.look()  # the key does not fit yet
    renewed.key.replace(live.key)
    assert tls.look()
    assert not tls.look()
    assert expires_at(live.certificate) > datetime.now(UTC)
