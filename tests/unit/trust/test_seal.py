"""trust/seal.py: nobody else can read, alter, move or reuse a sealed value."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from chartwire.core.errors import ValidationError
from chartwire.trust.seal import OVERHEAD_BYTES, Sealer, SealError, load_or_create_key

KEY = bytes(range(32))


def test_a_sealed_value_opens_with_the_same_key_purpose_and_associated_data():
    sealed = Sealer(KEY).seal("page_token", b"Okonkwo 1984-02-29", b"org|route")
    assert Sealer(KEY).open_sealed("page_token", sealed, b"org|route") == b"Okonkwo 1984-02-29"
    assert len(sealed) == len(b"Okonkwo 1984-02-29") + OVERHEAD_BYTES


def test_a_sealed_value_shows_nothing_of_its_data_and_never_looks_the_same_twice():
    sealer = Sealer(KEY)
    seals = {sealer.seal("page_token", b"Okonkwo") for _ in range(50)}
    assert len(seals) == 50
    assert not any(b"Okonkwo" in sealed for sealed in seals)


@pytest.mark.parametrize(
    ("purpose", "aad", "key"),
    [
        ("webhook_secret", b"org|route", KEY),
        ("page_token", b"other|route", KEY),
        ("page_token", b"org|route", bytes(32)),
    ],
    ids=["another purpose", "another context", "another key"],
)
def test_a_sealed_value_does_not_open_elsewhere(purpose, aad, key):
    sealed = Sealer(KEY).seal("page_token", b"data", b"org|route")
    with pytest.raises(SealError):
        Sealer(key).open_sealed(purpose, sealed, aad)


def test_any_changed_byte_and_any_shortening_is_refused():
    sealer = Sealer(KEY)
    sealed = sealer.seal("page_token", b"data")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealError):
            sealer.open_sealed("page_token", bytes(altered))
        with pytest.raises(SealError):
            sealer.open_sealed("page_token", sealed[:position])


def test_after_a_key_change_old_values_open_until_their_key_is_dropped():
    old = Sealer(KEY, key_id=1)
    sealed = old.seal("webhook_secret", b"whsec")
    new_key = os.urandom(32)
    assert Sealer(new_key, key_id=2, retired={1: KEY}).open_sealed("webhook_secret", sealed) == b"whsec"
    with pytest.raises(SealError):
        Sealer(new_key, key_id=2).open_sealed("webhook_secret", sealed)


def test_a_short_key_or_a_key_id_used_twice_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")
    with pytest.raises(ValueError, match="retired"):
        Sealer(KEY, key_id=1, retired={1: KEY})


def test_processes_that_start_together_agree_on_one_master_key(tmp_path):
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(load_or_create_key, [path] * 8))
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_a_master_key_file_that_holds_something_else_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "master.key"
    path.write_text("hunter2")
    with pytest.raises(ValidationError) as caught:
        load_or_create_key(path)
    assert "hunter2" not in str(caught.value)
