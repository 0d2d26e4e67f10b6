"""trust/credentials.py on a real database."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from chartwire.core.access import Access
from chartwire.core.errors import AuthError, NotFoundError, ValidationError
from chartwire.core.ids import uuid7
from chartwire.trust.credentials import SCOPES, Credentials, key_hash


def operator(org, *scopes):
    return Access(org, "cli:test", "HOPERAT", frozenset(scopes or ("*",)))


async def test_a_new_key_opens_its_own_organisation_with_its_own_scopes(pool, org_id):
    credentials = Credentials(pool)
    key = await credentials.create(operator(org_id), name="billing", scopes=["patients.read", "webhooks.*"])
    access = await credentials.authenticate(key.token, request_id="req_1")
    assert (access.org, access.credential_id, access.request_id) == (org_id, key.credential_id, "req_1")
    assert access.scopes == {"patients.read", *(scope for scope in SCOPES if scope.startswith("webhooks."))}
    assert access.actor == f"key:{key.credential_id}"


async def test_the_database_never_holds_the_key_itself(pool, database, org_id):
    key = await Credentials(pool).create(operator(org_id), name="billing", scopes=["*"])
    async with pool.connection() as connection:
        row = await connection.fetchrow("select * from authenticate($1)", hashlib.sha256(key.token.encode()).digest())
    assert row is not None
    listed = await Credentials(pool).list(operator(org_id))
    assert [(one.name, one.last_four) for one in listed] == [("billing", key.token[-4:])]


async def test_a_revoked_key_is_refused_at_once_and_a_second_revocation_is_harmless(pool, org_id):
    credentials = Credentials(pool)
    key = await credentials.create(operator(org_id), name="billing", scopes=["*"])
    await credentials.authenticate(key.token)
    await credentials.revoke(operator(org_id), key.credential_id)
    await credentials.revoke(operator(org_id), key.credential_id)
    with pytest.raises(AuthError):
        await credentials.authenticate(key.token)


async def test_an_expired_key_is_refused(pool, org_id):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    key = await Credentials(pool).create(operator(org_id), name="old", scopes=["*"], expires_at=yesterday)
    with pytest.raises(AuthError):
        await Credentials(pool).authenticate(key.token)


async def test_one_organisation_neither_lists_nor_revokes_the_keys_of_another(pool, org_id, other_org_id):
    credentials = Credentials(pool)
    key = await credentials.create(operator(other_org_id), name="theirs", scopes=["*"])
    assert await credentials.list(operator(org_id)) == []
    with pytest.raises(NotFoundError):
        await credentials.revoke(operator(org_id), key.credential_id)
    assert (await credentials.authenticate(key.token)).org == other_org_id


async def test_keys_of_a_sandbox_organisation_say_test(pool):
    sandbox = uuid7()
    async with pool.transaction(sandbox) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'Sandbox', 'sandbox')", sandbox)
    key = await Credentials(pool).create(operator(sandbox), name="k", scopes=["*"])
    assert key.token.startswith("cw_test_")


async def test_a_key_cannot_make_a_key_that_may_do_more_than_itself(pool, org_id):
    limited = operator(org_id, "keys.write", "patients.read")
    for scopes in (["*"], ["fhir.read"], ["webhooks.*"]):
        with pytest.raises(AuthError) as caught:
            await Credentials(pool).create(limited, name="k", scopes=scopes)
        assert caught.value.code == "scope_missing"


async def test_unknown_scopes_and_empty_names_are_refused(pool, org_id):
    for name, scopes in (("k", ["patients.red"]), ("k", []), ("k", ["nothing.*"]), ("  ", ["*"]), ("x\x00", ["*"])):
        with pytest.raises(ValidationError):
            await Credentials(pool).create(operator(org_id), name=name, scopes=scopes)


async def test_a_mistyped_key_is_told_from_a_real_one_without_the_database(pool, org_id):
    key = await Credentials(pool).create(operator(org_id), name="k", scopes=["*"])
    altered = key.token[:20] + ("A" if key.token[20] != "A" else "B") + key.token[21:]
    for wrong in (altered, key.token[:-1], key.token + "A", "", "cw_live_", key.token.replace("cw_", "cx_"), "ü" * 57):
        with pytest.raises(AuthError):
            key_hash(wrong)
