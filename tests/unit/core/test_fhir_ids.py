"""FHIR logical ids and the store's UUIDs."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartwire.core.errors import NotFoundError
from chartwire.core.fhir_ids import is_fhir_id, store_id


@given(st.uuids())
@settings(max_examples=50)
def test_a_canonical_uuid_is_its_own_key(value: UUID) -> None:
    assert store_id(str(value)) == value


def test_any_other_legal_id_has_one_key_for_good() -> None:
    assert store_id("example") == UUID("93357607-6902-5c82-9fed-e2f970706447")


@pytest.mark.parametrize("other", ["Example", "example.", "93357607-6902-5C82-9FED-E2F970706447"])
def test_case_and_every_character_count(other: str) -> None:
    assert store_id(other) != store_id("example")


@pytest.mark.parametrize("illegal", ["", "a b", "a/b", "a_b", "é", "x" * 65, "a\n"])
def test_what_no_resource_can_be_called_is_unknown(illegal: str) -> None:
    assert not is_fhir_id(illegal)
    with pytest.raises(NotFoundError):
        store_id(illegal)
