"""Sources as configuration: what is written comes back, by listener, and one bad row harms no other."""

from dataclasses import replace
from uuid import UUID

import pytest

from chartwire.channels.source_form import form_of
from chartwire.channels.source_store import rewrite_source
from chartwire.channels.sources import (
    INSTALLATION,
    SourceDirectory,
    create_organisation,
    create_source,
    ensure_installation,
    list_organisations,
    list_sources,
)
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source
from chartwire.store.pool import Pool


def access(org: UUID) -> Access:
    return Access(org, "cli:test", "HOPERAT", frozenset({"*"}))


def source(org: UUID, name: str = "lab") -> Source:
    return Source(
        org, uuid7(), name, "NORTH", timezone="Europe/Zurich", identifiers=(IdentifierRule("*", "MR"),),
        accepts=("ADT", "ORU^R01"), ack_overrides=(("AE", "AR"),), peers=("10.0.0.0/8", "cn:lab"),
        sending=(("MSH-3", "LAB*"),), may_set=(("Patient", 0),), facility_zones=(("N", "Europe/Paris"),),
    )  # fmt: skip


async def test_a_source_comes_back_as_it_was_written(pool: Pool, org_id: UUID) -> None:
    await create_source(pool, one := source(org_id), "plain")
    assert await list_sources(pool, org_id) == [one]


async def test_the_directory_finds_sources_by_listener_over_all_organisations(
    pool: Pool, engine_pool: Pool, org_id: UUID, other_org_id: UUID
) -> None:
    own, other, elsewhere = source(org_id), source(other_org_id), source(org_id, "ris")
    for one, listener in ((own, "plain"), (other, "plain"), (elsewhere, "tls")):
        await create_source(pool, one, listener)
    directory = SourceDirectory(pool, engine_pool)
    await directory.refresh()
    assert set(directory.of("plain")) == {own, other}
    assert directory.of("tls") == (elsewhere,)
    assert directory.of("nowhere") == ()
    version = directory.version
    await directory.refresh()
    assert directory.version == version
    async with pool.transaction(org_id) as tx:
        form = form_of(replace(elsewhere, timezone="UTC"), "plain")
        await rewrite_source(tx, access(org_id), elsewhere.id, form, judge="later")
    await directory.refresh()
    assert directory.version > version
    assert directory.of("tls") == ()


async def test_live_follows_the_kind_of_the_organisation(pool: Pool) -> None:
    sandbox = await create_organisation(pool, "Sandbox", "sandbox")
    await create_source(pool, source(sandbox), "plain")
    assert [one.live for one in await list_sources(pool, sandbox)] == [False]


async def test_a_source_that_cannot_be_read_harms_no_other(pool: Pool, engine_pool: Pool, org_id: UUID) -> None:
    await create_source(pool, good := source(org_id), "plain")
    await create_source(pool, bad := source(org_id, "bad"), "plain")
    async with pool.transaction(org_id) as tx:
        await tx.execute("update source set settings = '{\"ack_mode\": 1}' where id = $1", bad.id)
    directory = SourceDirectory(pool, engine_pool)
    await directory.refresh()
    assert directory.of("plain") == (good,)


async def test_a_name_is_taken_once_in_an_organisation(pool: Pool, org_id: UUID) -> None:
    await create_source(pool, source(org_id), "plain")
    with pytest.raises(ConflictError):
        await create_source(pool, source(org_id), "plain")


async def test_only_a_source_that_exists_can_be_changed(pool: Pool, org_id: UUID) -> None:
    with pytest.raises(NotFoundError):
        async with pool.transaction(org_id) as tx:
            await rewrite_source(tx, access(org_id), uuid7(), form_of(source(org_id), "plain"))


async def test_the_installation_s_organisation_is_made_once(pool: Pool, engine_pool: Pool) -> None:
    assert await ensure_installation(pool) == await ensure_installation(pool) == INSTALLATION
    found = await list_organisations(pool, engine_pool)
    assert [(one.id, one.kind) for one in found if one.kind == "installation"] == [(INSTALLATION, "installation")]
