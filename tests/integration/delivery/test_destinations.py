"""Endpoints as their owners see them."""

import pytest

from chartwire.core.access import Access
from chartwire.core.errors import NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.delivery import destinations
from chartwire.delivery.destinations import Draft
from chartwire.delivery.keyring import Keyring, Secret, signing_keys
from chartwire.delivery.signature import decode_secret, new_secret
from chartwire.trust.seal import Sealer, SealError


async def test_an_endpoint_is_listed_without_its_secret_and_the_stored_secret_is_sealed(clinic, sink) -> None:
    endpoint, secret = await clinic.endpoint(sink.url + "/hook")
    async with clinic.pool.transaction(clinic.org) as tx:
        assert await destinations.list_all(tx, clinic.access) == [endpoint]
        sealed = await tx.fetchval("select secrets from destination")
    assert secret not in repr(endpoint) and decode_secret(secret) not in sealed and secret.encode() not in sealed
    assert Keyring(clinic.sealer, clinic.org, endpoint.id).open(sealed) == [Secret(secret)]
    for sealer, org in ((Sealer(b"x" * 32), clinic.org), (clinic.sealer, uuid7())):
        with pytest.raises(SealError):
            Keyring(sealer, org, endpoint.id).open(sealed)


async def test_another_organisation_finds_no_endpoint_to_read_change_or_rotate(clinic, sink) -> None:
    endpoint, _ = await clinic.endpoint(sink.url)
    other = Access(uuid7(), "test", "HOPERAT", frozenset("*"))
    async with clinic.pool.transaction(other.org) as tx:
        assert await destinations.list_all(tx, other) == []
        for call in (
            destinations.read(tx, other, endpoint.id),
            destinations.disable(tx, other, endpoint.id),
            destinations.enable(tx, other, endpoint.id),
            destinations.rotate_secret(tx, other, clinic.sealer, endpoint.id),
        ):
            with pytest.raises(NotFoundError):
                await call


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data", "http://10.0.0.5/", "https://[fd00:ec2::254]/", "http://0.0.0.0/",
        "https://user:pw@127.0.0.1/", "gopher://127.0.0.1/", "https://nowhere.invalid/hook",
    ],
)  # fmt: skip
async def test_a_url_that_would_be_refused_when_sending_is_refused_when_written(clinic, url) -> None:
    with pytest.raises(ValidationError):
        await clinic.endpoint(url)


async def test_loopback_is_for_sandboxes_and_an_inner_network_for_organisations_that_were_given_it(clinic) -> None:
    assert destinations.policy_of("live", "{}").allowed == ()
    async with clinic.pool.transaction(clinic.org) as tx:
        await tx.execute("update organisation set kind = 'live'")
    with pytest.raises(ValidationError):
        await clinic.endpoint("http://127.0.0.1:8099/")
    async with clinic.pool.transaction(clinic.org) as tx:
        await tx.execute("""update organisation set settings = '{"outbound_allowed": ["127.0.0.0/8"]}'""")
    await clinic.endpoint("http://127.0.0.1:8099/")


@pytest.mark.parametrize(
    "draft",
    [
        {"name": " "}, {"name": "x" * 201}, {"event_types": ()}, {"event_types": ("*",) * 51},
        {"event_types": ("Patient.updated",)}, {"event_types": ("patient",)}, {"event_types": ("*.updated",)},
        {"api_version": "2020-01-01"},
    ],
)  # fmt: skip
async def test_a_draft_outside_the_rules_is_refused(clinic, draft) -> None:
    with pytest.raises(ValidationError):
        await destinations.create(
            clinic.pool,
            clinic.access,
            clinic.door,
            clinic.sealer,
            Draft(**{"name": "x", "url": "https://1.1.1.1/"} | draft),
        )


async def test_rotation_keeps_the_old_secret_signing_for_its_overlap_and_no_longer(clinic, sink) -> None:
    mine = new_secret()
    endpoint, first = await clinic.endpoint(sink.url, mine)
    assert first == mine
    async with clinic.pool.transaction(clinic.org) as tx:
        second = await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id, overlap_s=3600)
        new, old = await destinations.secrets_of(tx, clinic.access, clinic.sealer, endpoint.id)
        assert (new.text, new.until_s, old.text) == (second, None, first)
        assert old.until_s is not None and abs(old.until_s - new.made_at_s - 3600) < 1
        assert 0 < old.made_at_s <= new.made_at_s
        assert signing_keys([new, old], old.until_s - 1) == [decode_secret(second), decode_secret(first)]
        assert signing_keys([new, old], old.until_s + 1) == [decode_secret(second)]
        third = await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id, overlap_s=0)
        assert [one.text for one in await destinations.secrets_of(tx, clinic.access, clinic.sealer, endpoint.id)] == [
            third
        ]
        await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id)
        [left] = await destinations.expire_old_secrets(tx, clinic.access, clinic.sealer, endpoint.id)
        assert left.text != third
        with pytest.raises(ValidationError, match="seven days"):
            await destinations.rotate_secret(tx, clinic.access, clinic.sealer, endpoint.id, overlap_s=604_801)
