"""A backup holds what was committed, opens with the recovery key only, and comes back whole or not at all."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tests.integration.app.cluster import ROWS, Clinic

from chartwire.app.backup.checking import Until, plan, read_until
from chartwire.app.backup.keys import create_keys, read_recovery_key
from chartwire.app.backup.repository import Repository
from chartwire.app.backup.restore import Report, recover, unseal
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.store.replication import parse_lsn, show_lsn

pytestmark = pytest.mark.xdist_group("backup")


@pytest.fixture(scope="module")
def clinic() -> Iterator[Clinic]:
    """A cluster that was backed up while rows were committed, then killed with kill -9 and deleted."""
    made = Clinic()
    try:
        made.live_and_die()
        yield made
    finally:
        made.remove()


@pytest.fixture
def copy(clinic: Clinic, tmp_path: Path) -> Repository:
    """A copy of the backup, to spoil by `rewrite`."""
    return Repository(Path(shutil.copytree(clinic.backup, tmp_path / "backup", copy_function=os.link)))


@pytest.fixture
def new() -> Iterator[Path]:
    """A new data directory, where the server's user can reach it."""
    parent = Path(tempfile.mkdtemp(prefix="cw-"))
    parent.chmod(0o711)
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


def restore(clinic: Clinic, data_dir: Path, until: str = "latest") -> Report:
    """What `chartwire restore` does."""
    repository, goal = Repository(clinic.backup), read_until(until)
    found = plan(repository, clinic.key, goal)
    unseal(repository, clinic.key, found, data_dir, lambda _: None)
    return asyncio.run(recover(found, goal, data_dir, lambda _: None))


def refusal(clinic: Clinic, repository: Repository, until: Until | None = None) -> tuple[str, str]:
    """Code and sentence of why a backup cannot be restored."""
    with pytest.raises((ValidationError, NotFoundError)) as refused:
        plan(repository, clinic.key, until or Until())
    return refused.value.code, refused.value.message


def rewrite(path: Path, data: bytes) -> None:
    """Another content for a file of the copy, which shares it with the original."""
    path.unlink()
    path.write_bytes(data)


def spoil(path: Path, at: int) -> None:
    """Change one bit."""
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    rewrite(path, held)


def base_directory(repository: Repository) -> Path:
    [label] = repository.labels()
    return repository.base_directory(label)


def test_every_commit_that_was_answered_before_the_machine_died_is_restored_and_nothing_may_leave(clinic, new):
    report = restore(clinic, new)
    assert clinic.rows_in(new) == clinic.committed
    assert (report.rows["organisations"], clinic.installation_in(new)) == (ROWS, (False, "restored"))
    assert report.last_commit is not None
    assert (new / "master.key").read_text() == clinic.master_key
    assert not (new / "restore-unfinished").exists()


@pytest.mark.parametrize("by", ["position", "time"])
def test_a_restore_stops_where_it_is_told_to(clinic, new, by):
    wanted = ROWS - 5
    lsn, at = clinic.positions[wanted - 1]
    report = restore(clinic, new, lsn if by == "position" else datetime.fromisoformat(at).isoformat())
    assert report.rows["organisations"] == wanted


def test_no_file_of_a_backup_holds_a_word_of_the_data_or_a_key(clinic):
    names = [name.encode() for name in clinic.committed] + [clinic.master_key.strip().encode()]
    for path in clinic.backup.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert [name for name in names if name in held] == [], path
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("name", ["base.tar.gz.sealed", "backup_manifest.sealed", "installation.json.sealed"])
def test_one_changed_bit_in_a_base_backup_is_found_before_anything_is_touched(clinic, copy, name):
    path = base_directory(copy) / name
    spoil(path, path.stat().st_size // 2)
    code, sentence = refusal(clinic, copy)
    assert (code, name in sentence) == ("backup_tampered", True)


def test_a_forged_hash_in_the_manifest_is_found(clinic, copy):
    path = base_directory(copy) / "manifest.json"
    told = json.loads(path.read_text())
    told["manifest"]["files"][0]["sha256"] = "0" * 64
    rewrite(path, json.dumps(told).encode())
    assert refusal(clinic, copy) == ("backup_tampered", f"{path.parent.name}: the manifest was altered")


def test_a_cut_manifest_is_told_as_such(clinic, copy):
    path = base_directory(copy) / "manifest.json"
    rewrite(path, path.read_bytes()[:200])
    assert refusal(clinic, copy) == ("backup_tampered", f"{path.parent.name}: the manifest is cut or damaged")


def test_another_recovery_key_is_told_as_such(clinic, copy, tmp_path):
    create_keys(tmp_path / "elsewhere", tmp_path / "other.key")
    other = read_recovery_key(tmp_path / "other.key")
    with pytest.raises(ValidationError) as refused:
        plan(copy, other, Until())
    assert (refused.value.code, clinic.key.server.key_id in refused.value.message) == ("wrong_backup_key", True)


def test_the_server_s_half_of_the_key_reads_nothing(clinic, tmp_path):
    half = tmp_path / "backup.key"
    half.write_text(clinic.server_key)
    with pytest.raises(ValidationError) as refused:
        read_recovery_key(half)
    assert refused.value.code == "backup_key_malformed"


def test_a_missing_piece_of_the_log_is_named_and_everything_before_it_can_be_had(clinic, copy):
    [base] = copy.bases(clinic.key.server)
    segments = copy.segments(1)
    assert len(segments) >= 3
    for path in segments[-2].paths:
        path.unlink()
    code, sentence = refusal(clinic, copy)
    assert (code, show_lsn(segments[-2].start) in sentence) == ("wal_missing", True)
    until = Until(lsn=segments[-2].start - 8)
    assert plan(copy, clinic.key, until).base == base


def test_a_changed_bit_in_the_log_is_found_and_the_good_part_is_named(clinic, copy):
    last = copy.segments(1)[-1].paths[-1]
    spoil(last, last.stat().st_size - 20)
    code, sentence = refusal(clinic, copy)
    assert code == "backup_tampered"
    good = sentence.split("--until ")[1].split(" ")[0]
    assert plan(copy, clinic.key, Until(lsn=parse_lsn(good))).end == parse_lsn(good)


def test_a_cut_end_of_the_log_is_what_a_killed_receiver_leaves_and_no_fault(clinic, copy):
    whole = plan(copy, clinic.key, Until()).end
    last = copy.segments(1)[-1].paths[-1]
    rewrite(last, last.read_bytes()[:-3])
    assert plan(copy, clinic.key, Until()).end < whole


def test_a_log_that_ends_within_its_base_backup_is_refused(clinic, copy):
    [base] = copy.bases(clinic.key.server)
    for segment in copy.segments(1):
        for path in segment.paths if segment.start >= base.start // base.segment_bytes * base.segment_bytes else ():
            path.unlink()
    assert refusal(clinic, copy)[0] == "wal_missing"


def test_a_point_before_every_base_backup_is_refused(clinic, copy):
    assert refusal(clinic, copy, Until(lsn=8))[0] == "no_backup"


def test_a_point_after_the_end_of_the_log_is_refused(clinic, copy):
    assert refusal(clinic, copy, Until(lsn=1 << 40))[0] == "wal_missing"


def test_a_restore_into_a_directory_that_holds_anything_is_refused_and_changes_nothing(clinic, new):
    new.mkdir()
    (new / "kept").write_text("mine")
    with pytest.raises(ConflictError) as refused:
        restore(clinic, new)
    assert refused.value.code == "data_dir_in_use"
    assert [path.name for path in new.iterdir()] == ["kept"]


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20T08:15:00", "0/xyz"])
def test_a_point_that_is_none_is_refused_with_examples(text):
    with pytest.raises(ValidationError, match="2026-11-20T08:15:00Z"):
        read_until(text)


def test_a_backup_directory_of_another_installation_is_refused(copy):
    with pytest.raises(ConflictError, match="another installation"):
        copy.adopt("4711")


def test_a_base_backup_that_a_kill_left_half_written_or_half_removed_is_none_and_goes(clinic, copy):
    [label] = copy.labels()
    directory = copy.base_directory(label)
    shutil.copytree(directory, directory.with_suffix(".new"))
    directory.rename(directory.with_suffix(".old"))
    assert (copy.labels(), refusal(clinic, copy)[0]) == ([], "no_backup")
    copy.expire(1, clinic.key.server)
    assert list(directory.parent.iterdir()) == []


def test_a_base_backup_after_the_clock_went_back_is_the_newest_all_the_same(copy):
    [label] = copy.labels()
    after = copy.next_label(datetime.fromisoformat("2020-02-29T00:00:00Z"))
    assert (after > label, datetime.fromisoformat(after).year) == (True, datetime.fromisoformat(label).year)


def test_a_new_file_system_is_an_empty_directory_and_one_with_other_files_is_none(tmp_path):
    (tmp_path / "lost+found").mkdir()
    Repository(tmp_path).adopt("4711")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.doc").touch()
    with pytest.raises(ConflictError, match="other files"):
        Repository(other).adopt("4711")
