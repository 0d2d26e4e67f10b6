"""Who may send: client certificates, networks, the quarantine, and no crossing into another organisation."""

import asyncio
import ipaddress
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.mllp.hub import Hub, MakeHub, adt, code, framed, segments

from chartwire.channels.sources import INSTALLATION, create_source
from chartwire.core.ids import uuid7
from chartwire.core.source import Source
from chartwire.mllp.keeper import Keeper
from chartwire.mllp.settings import ListenerSettings
from chartwire.store.pool import Pool
from chartwire.trust.certificates import LOOK_EVERY_S, TlsSettings


class Authority:
    """A certificate authority of this test's own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), issuer=name, ca=True)
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path, x509.Certificate]:
        """Certificate and key files, and the certificate, for a host or sender of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), issuer=self.name, ca=False)
        paths = self.directory / f"{self.name}-{name}.pem", self.directory / f"{self.name}-{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return *paths, certificate

    def _sign(self, name: str, public: ec.EllipticCurvePublicKey, *, issuer: str, ca: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def client_context(authority: Authority, shown: tuple[Path, Path, x509.Certificate] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.path)
    if shown:
        context.load_cert_chain(shown[0], shown[1])
    return context


def tls_listener(authority: Authority) -> tuple[ListenerSettings, ...]:
    certificate, key, _ = authority.issue("hub.example")
    return (ListenerSettings("main", port=0, tls=TlsSettings(certificate, key, authority.path)),)


async def test_client_certificates_tell_sources_of_one_listener_apart(
    make_hub: MakeHub, tmp_path: Path, pool: Pool, other_org_id: UUID
) -> None:
    authority = Authority(tmp_path, "ca")
    north, south = authority.issue("north.example"), authority.issue("south.example")
    fingerprint = south[2].fingerprint(hashes.SHA256()).hex()
    other = Source(other_org_id, uuid7(), "south feed", "SOUTH", peers=(f"sha256:{fingerprint}",))
    await create_source(pool, other, "main")
    hub = await make_hub(listeners=tls_listener(authority), peers=("cn:north.example",))
    for shown in (north, south):
        sender = await hub.sender(ssl=client_context(authority, shown))
        assert code(await sender.ask(adt())) == "AA"
    assert [message["source_id"] for message in await hub.messages()] == [hub.source.id]
    assert [row["source_id"] for row in await hub.rows("select source_id from message", org=other_org_id)] == [other.id]


async def test_a_tls_listener_refuses_peers_without_a_certificate_of_its_authority(
    make_hub: MakeHub, tmp_path: Path
) -> None:
    authority, foreign = Authority(tmp_path, "ca"), Authority(tmp_path, "other-ca")
    hub = await make_hub(listeners=tls_listener(authority))
    for shown in (None, foreign.issue("north.example")):
        # With TLS 1.3 the client learns of the refusal at its first read.
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            sender = await hub.sender(ssl=client_context(authority, shown))
            await sender.send(framed(adt()))
            assert await sender.answer() != b""
    assert await hub.messages() == []


async def test_a_renewed_certificate_is_taken_up_while_open_connections_stay(make_hub: MakeHub, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    context = client_context(authority, authority.issue("north.example"))
    hub = await make_hub(listeners=tls_listener(authority))
    before = await hub.sender(ssl=context)
    renewed = authority.issue("hub.example")[2].public_bytes(serialization.Encoding.DER)  # over the files of the first

    async with asyncio.timeout(LOOK_EVERY_S * 3):
        while True:
            sender = await hub.sender(ssl=context)
            if sender.writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == renewed:
                break
            await asyncio.sleep(0.2)
    assert code(await before.ask(adt("B1"))) == code(await sender.ask(adt("B2"))) == "AA"


async def test_old_tls_is_refused(make_hub: MakeHub, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    hub = await make_hub(listeners=tls_listener(authority))
    context = client_context(authority, authority.issue("north.example"))
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await hub.sender(ssl=context)


async def quarantined(hub: Hub) -> list[dict[str, object]]:
    return await hub.rows("select peer, reason, raw from quarantine", org=INSTALLATION)


async def test_an_unknown_peer_gets_ar_and_its_message_goes_to_the_quarantine(make_hub: MakeHub) -> None:
    hub = await make_hub(peers=("198.51.100.0/24",))
    sender = await hub.sender()
    answer = segments(await sender.ask(adt("Q1")))
    assert answer["MSA"][1:3] == ["AR", "Q1"]
    assert await quarantined(hub) == [{"peer": "127.0.0.1", "reason": "unknown_peer", "raw": adt("Q1")}]
    assert await hub.messages() == []


async def test_the_quarantine_is_capped_in_count_and_bytes_for_each_peer(database: object, pool: Pool) -> None:
    keeper = Keeper(pool, messages_per_peer=3, bytes_per_peer=100)
    keeper.start()
    for size in (10, 10, 90, 10, 10):
        keeper.quarantine("192.0.2.1", "unknown_peer", uuid7(), b"x" * size, lambda _: None)
    for size in (60, 60):
        keeper.quarantine("192.0.2.2", "unknown_peer", uuid7(), b"x" * size, lambda _: None)
    await keeper.close()
    async with pool.transaction(INSTALLATION) as tx:
        rows = await tx.fetch(
            "select peer, array_agg(octet_length(raw) order by id) as sizes from quarantine group by peer order by peer"
        )
    assert [(row["peer"], row["sizes"]) for row in rows] == [("192.0.2.1", [10, 10, 10]), ("192.0.2.2", [60])]


async def test_a_full_quarantine_still_answers_ar(make_hub: MakeHub) -> None:
    hub = await make_hub(source=False)
    sender = await hub.sender()
    for number in range(105):
        assert code(await sender.ask(adt(f"Q{number}"))) == "AR"
    assert len(await quarantined(hub)) == 100


async def test_a_peer_of_one_organisation_that_names_another_gets_ar_and_an_audit_row(
    make_hub: MakeHub, pool: Pool, other_org_id: UUID
) -> None:
    foreign = Source(other_org_id, uuid7(), "foreign", "X", sending=(("MSH-3", "LAB"), ("MSH-4", "NORTH")))
    await create_source(pool, foreign, "elsewhere")
    hub = await make_hub()
    answer = segments(await (await hub.sender()).ask(adt()))
    assert (answer["MSA"][1], answer["ERR"][3][:3]) == ("AR", "204")
    (message,) = await hub.messages()
    assert (message["state"], message["error_code"]) == ("dead", "names_another_organisation")
    (audit,) = await hub.rows("select actor, action, query_shape, request_id from audit")
    assert audit == {
        "actor": f"feed:{hub.source.id}", "action": "refuse", "query_shape": "names_another_organisation",
        "request_id": str(message["id"]),
    }  # fmt: skip
    assert await hub.rows("select id from message", org=other_org_id) == []


async def test_a_sender_that_no_pattern_takes_gets_ar_and_is_kept_with_its_peer_s_source(make_hub: MakeHub) -> None:
    hub = await make_hub(sending=(("MSH-3", "RIS"),))
    sender = await hub.sender()
    assert code(await sender.ask(adt())) == "AR"
    assert [message["error_code"] for message in await hub.messages()] == ["unknown_sender"]


async def test_unreadable_bytes_of_a_known_peer_get_ae_also_where_senders_are_told_apart(make_hub: MakeHub) -> None:
    hub = await make_hub(sending=(("MSH-3", "RIS"),))
    assert code(await (await hub.sender()).ask(b"garbage")) == "AE"


async def test_a_new_source_is_taken_up_without_a_restart(make_hub: MakeHub, pool: Pool) -> None:
    hub = await make_hub(source=False, settings={"refresh_s": 0.05})
    sender = await hub.sender()
    assert code(await sender.ask(adt("N1"))) == "AR"
    version = hub.server.directory.version
    await create_source(pool, replace(hub.source, name="late"), "main")
    while hub.server.directory.version == version:
        await sender.ask(adt("N1"))
    assert code(await sender.ask(adt("N2"))) == "AA"
