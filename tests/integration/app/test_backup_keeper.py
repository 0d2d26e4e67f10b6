"""The backup goes on: after a restart, after a disk that was away, after the server dropped what nobody fetched."""

import asyncio
import contextlib
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from tests.integration.app.cluster import Clinic
from tests.small_disk import fill, small_disk

from chartwire.app.backup.base import cluster_address
from chartwire.app.backup.checking import Until, plan
from chartwire.app.backup.keeper import Keeper
from chartwire.app.backup.keys import create_keys, read_recovery_key
from chartwire.app.backup.once import once
from chartwire.app.backup.repository import Repository
from chartwire.app.backup.slot import drop_idle_slot
from chartwire.app.backup.state import newest_evidence, read_state
from chartwire.core.errors import ConflictError, ValidationError
from chartwire.store.migrate import migrate
from chartwire.store.standby import flushed, has_idle_slot, wait_for_backup

pytestmark = pytest.mark.xdist_group("backup")


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    """A running cluster with keys; each test backs it up elsewhere."""
    made = Clinic()
    made.settings.data_dir.mkdir(mode=0o711)
    create_keys(made.settings.data_dir, made.parent / "recovery.key")
    made.key = read_recovery_key(made.parent / "recovery.key")
    made.server.start()
    try:
        asyncio.run(migrate(made.server.dsn(), app_password="x", engine_password="y"))
        yield made
    finally:
        made.remove()


@pytest.fixture
async def database(clinic: Clinic) -> AsyncIterator[asyncpg.Connection]:
    """A session whose commits wait for the backup; no slot is left behind."""
    connection = await asyncpg.connect(clinic.server.dsn())
    await connection.execute("create table if not exists written (n bigint)")
    yield connection
    await connection.close()
    await drop_idle_slot(clinic.server.dsn())


@contextlib.asynccontextmanager
async def keeping(clinic: Clinic, directory: Path, **settings: object) -> AsyncIterator[Keeper]:
    """A keeper that receives and has its base backup."""
    told = replace(clinic.settings, backup_dir=str(directory), **settings)
    keeper, stop, ready = Keeper(told, clinic.server.dsn()), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(keeper.run(stop, ready.set))
    try:
        async with asyncio.timeout(20):
            await ready.wait()
            await until(lambda: keeper.state.base is not None)
        yield keeper
    finally:
        stop.set()
        await running
        await wait_for_backup(clinic.server.dsn(), wait=False)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def write(database: asyncpg.Connection) -> None:
    await database.execute("insert into written values (1)")


async def test_after_a_restart_the_log_has_no_gap_and_no_new_base_backup_is_taken(clinic, database, tmp_path):
    labels = set()
    for _ in range(3):
        async with keeping(clinic, tmp_path / "b") as keeper:
            await write(database)
            labels.add(keeper.state.base)
            goal = await flushed(clinic.server.dsn())
    assert len(labels) == 1
    assert plan(Repository(tmp_path / "b"), clinic.key, Until()).end >= goal


async def test_while_the_backup_directory_is_away_no_commit_ends_and_then_it_does(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b") as keeper:
        await database.execute("select pg_switch_wal()")
        (tmp_path / "b" / "wal").rename(tmp_path / "away")
        writing = asyncio.create_task(write(database))
        await until(lambda: keeper.state.error is not None)
        assert not writing.done()
        (tmp_path / "away").rename(tmp_path / "b" / "wal")
        await asyncio.wait_for(writing, 20)
        await until(lambda: keeper.state.error is None)


async def test_a_commit_waits_for_a_backup_that_was_ended_alone_too(clinic, database, tmp_path):
    told = replace(clinic.settings, backup_dir=str(tmp_path / "b"))
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(Keeper(told, clinic.server.dsn()).run(stop, ready.set))
    await asyncio.wait_for(ready.wait(), 20)
    stop.set()
    await running
    writing = asyncio.create_task(write(database))
    await asyncio.sleep(0.3)
    assert not writing.done()
    async with keeping(clinic, tmp_path / "b"):
        await asyncio.wait_for(writing, 20)


async def test_without_the_setting_commits_wait_for_nobody(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b", backup_synchronous=False) as keeper:
        await database.execute("select pg_switch_wal()")
        (tmp_path / "b" / "wal").rename(tmp_path / "away")
        await asyncio.wait_for(write(database), 10)
        (tmp_path / "away").rename(tmp_path / "b" / "wal")
        await until(lambda: keeper.state.receiving)


async def test_when_the_server_dropped_part_of_the_log_a_new_base_backup_is_taken_at_once(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b") as keeper:
        first = keeper.state.base
    await drop_idle_slot(clinic.server.dsn())
    for _ in range(5):
        await write(database)
        await database.execute("select pg_switch_wal()")
    await database.execute("checkpoint")
    async with keeping(clinic, tmp_path / "b") as keeper:
        await until(lambda: keeper.state.base != first)
        await write(database)
        goal = await flushed(clinic.server.dsn())
    found = plan(Repository(tmp_path / "b"), clinic.key, Until())
    assert (found.base.label != first, found.end >= goal) == (True, True)


async def test_old_base_backups_go_with_the_log_that_only_they_need(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b", backup_every_s=0.5, backup_keep=2):
        repository = Repository(tmp_path / "b")
        seen: set[str] = set()
        while len(seen) < 3:
            await write(database)
            if new := set(repository.labels()) - seen:
                seen |= new
                await database.execute("select pg_switch_wal()")
            await asyncio.sleep(0.05)
        await until(lambda: len(repository.labels()) == 2)
        oldest = repository.bases(clinic.key.server)[0]
        await until(
            lambda: repository.segments(1)[0].start == oldest.start // oldest.segment_bytes * oldest.segment_bytes
        )
    assert plan(repository, clinic.key, Until(lsn=oldest.end)).base == oldest


async def test_one_backup_by_hand_is_whole_by_itself(clinic, database, tmp_path):
    await write(database)
    goal = await flushed(clinic.server.dsn())
    base = await once(clinic.settings, clinic.server.dsn(), tmp_path / "b")
    found = plan(Repository(tmp_path / "b"), clinic.key, Until())
    assert (found.base, found.end >= goal) == (base, True)
    assert not await has_idle_slot(clinic.server.dsn(), "chartwire_backup")


async def test_of_backups_by_hand_the_newest_stay_with_the_log_that_they_need(clinic, database, tmp_path):
    told = replace(clinic.settings, backup_keep=1)
    await once(told, clinic.server.dsn(), tmp_path / "b")
    await database.execute("select pg_switch_wal()")
    base = await once(told, clinic.server.dsn(), tmp_path / "b")
    repository = Repository(tmp_path / "b")
    assert repository.labels() == [base.label]
    assert repository.segments(1)[0].start == base.start // base.segment_bytes * base.segment_bytes
    assert plan(repository, clinic.key, Until()).base == base


async def test_two_writers_of_one_backup_are_refused(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b"):
        second = Keeper(replace(clinic.settings, backup_dir=str(tmp_path / "b")), clinic.server.dsn())
        with pytest.raises(ConflictError, match="another process writes the backup"):
            await second.run(asyncio.Event(), lambda: None)
        by_hand = await once(clinic.settings, clinic.server.dsn(), tmp_path / "b")
        assert plan(Repository(tmp_path / "b"), clinic.key, Until()).base == by_hand


async def test_the_age_of_the_backup_is_told_and_the_operator_s_own_counts(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b") as keeper:
        await until(lambda: (read_state(clinic.settings) or {}).get("base") == keeper.state.base)
    told = read_state(clinic.settings)
    assert (told["directory"], told["synchronous"], told["error"]) == (str(tmp_path / "b"), True, None)
    taken = newest_evidence(clinic.settings)
    own = tmp_path / "nightly.done"
    own.touch()
    assert newest_evidence(replace(clinic.settings, backup_evidence=str(own))) > taken
    shutil.rmtree(clinic.settings.run_dir)
    assert newest_evidence(clinic.settings) is None


@pytest.mark.parametrize("name", ["manifest.json", "base.tar.gz.sealed"])
async def test_a_damaged_base_backup_is_passed_over_for_the_one_before_and_nothing_is_lost(
    clinic, database, tmp_path, name
):
    async with keeping(clinic, tmp_path / "b") as keeper:
        newest = await once(clinic.settings, clinic.server.dsn(), tmp_path / "b")
        await write(database)
        goal = await flushed(clinic.server.dsn())
    repository = Repository(tmp_path / "b")
    with (repository.base_directory(newest.label) / name).open("r+b") as file:
        file.write(b"spoiled")
    found = plan(repository, clinic.key, Until())
    assert (found.base.label, found.end >= goal) == (keeper.state.base, True)
    assert [newest.label in sentence for sentence in found.passed_over] == [True]


async def test_a_base_backup_that_cannot_be_read_takes_the_place_of_none_that_can(clinic, database, tmp_path):
    repository = Repository(tmp_path / "b")
    async with keeping(clinic, tmp_path / "b") as keeper:
        newest = await once(clinic.settings, clinic.server.dsn(), tmp_path / "b")
    (repository.base_directory(newest.label) / "manifest.json").write_text("spoiled")
    assert repository.expire(1, clinic.key.server) == []
    assert plan(repository, clinic.key, Until()).base.label == keeper.state.base
    async with keeping(clinic, tmp_path / "b", backup_every_s=0.5, backup_keep=1):
        await until(lambda: len(repository.labels()) == 1 and repository.labels()[0] > newest.label)


async def test_nothing_goes_beneath_the_mount_point_of_a_disk_that_is_away(clinic, database, tmp_path):
    async with keeping(clinic, tmp_path / "b") as keeper:
        await until(lambda: (read_state(clinic.settings) or {}).get("base") == keeper.state.base)
    (tmp_path / "b").rename(tmp_path / "away")
    told = replace(clinic.settings, backup_dir=str(tmp_path / "b"))
    keeper, stop, ready = Keeper(told, clinic.server.dsn()), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(keeper.run(stop, ready.set))
    await until(lambda: "mount its disk" in (keeper.state.error or ""))
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["wal.lock"]
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "away").rename(tmp_path / "b")
    await asyncio.wait_for(ready.wait(), 20)
    stop.set()
    await running
    await wait_for_backup(clinic.server.dsn(), wait=False)


async def test_a_base_backup_of_the_future_bars_none_of_today(clinic, database, tmp_path):
    """A clock that was wrong for an hour must not stop the backups until it is right again."""
    async with keeping(clinic, tmp_path / "b"):
        pass
    repository = Repository(tmp_path / "b")
    [base] = repository.bases(clinic.key.server)
    ahead = replace(base, label="20990101T000000000Z", started_at="2099-01-01T00:00:00Z")
    directory = repository.begin_base(ahead.label)
    for file in base.files:
        shutil.copy(repository.base_directory(base.label) / file.name, directory / file.name)
    repository.finish_base(ahead, clinic.key.server)
    async with keeping(clinic, tmp_path / "b") as keeper:
        await until(lambda: keeper.state.base not in (base.label, ahead.label))
    assert repository.labels()[-1] == keeper.state.base


async def test_while_the_backup_s_disk_is_full_no_commit_ends_and_no_heap_of_parts_grows(clinic, database, tmp_path):
    with small_disk(tmp_path / "disk", "96m") as disk:
        async with keeping(clinic, disk / "b", backup_every_s=1.0) as keeper:
            fill(disk / "ballast")
            writing = asyncio.create_task(write_much(database))
            tries: set[str | None] = set()
            await until(lambda: tries.add(keeper.state.error_at) or len(tries) > 3)
            assert not writing.done()
            parts = Counter(path.name[:25] for path in (disk / "b" / "wal").iterdir())
            assert (max(parts.values()) <= 2, list((disk / "b" / "base").glob("*.new"))) == (True, [])
            (disk / "ballast").unlink()
            await asyncio.wait_for(writing, 30)
            await until(lambda: keeper.state.receiving)
            goal = await flushed(clinic.server.dsn())
        assert plan(Repository(disk / "b"), clinic.key, Until()).end >= goal


async def write_much(database: asyncpg.Connection) -> None:
    await database.execute("insert into written select generate_series(1, 20000)")


def test_a_server_of_the_operator_s_is_his_to_back_up():
    with pytest.raises(ValidationError, match="backup_evidence"):
        cluster_address("postgresql://hub:secret@db.clinic.example/chartwire")
