"""A source as people write it."""

from typing import Any
from uuid import UUID

import pytest

from chartwire.channels.source_form import SourceForm, form_of, merged, plain, read_form, source_of
from chartwire.core.errors import FaultsError
from chartwire.core.source import IdentifierRule, Source

ORG, ID = UUID(int=0xA), UUID(int=1)
LEAST = {"name": "lab", "authority": "NORTH"}


def faults(**values: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(FaultsError) as caught:
        read_form(LEAST | values, ("plain", "tls"))
    return list(caught.value.faults)


def test_the_defaults_of_a_form_are_those_of_a_source() -> None:
    assert source_of(read_form(LEAST), ORG, ID) == Source(ORG, ID, "lab", "NORTH")


def test_a_form_comes_back_from_its_source_as_it_was_written() -> None:
    source = Source(
        ORG, ID, "lab", "NORTH", "Europe/Zurich", "8859/1", (IdentifierRule("*", "MR"),), ("ADT", "ORU^R01"),
        "enhanced", 5.0, (("AE", "AR"),), "record-only", True, True, "CE", ("TQ1-7", "SCH-11.4"), "clear", "wait", 3,
        (("Patient", 0),), (("WEST", "Europe/Paris"),), ("10.0.0.0/8", "cn:lab"), (("MSH-4", "N*"),), "visit",
        (("datatype_*", "hold"),),
    )  # fmt: skip
    form = form_of(source, "tls")
    assert (form.listener, source_of(form, ORG, ID)) == ("tls", source)
    assert read_form(plain(form), ("tls",)) == form


@pytest.mark.parametrize(
    ("values", "pointer", "code", "told"),
    [
        ({"timezone": "Europe/Zürich"}, "/timezone", "unknown_zone", "Europe/Zurich"),
        ({"timezone": "zurich"}, "/timezone", "unknown_zone", "Europe/Zurich"),
        ({"charset": "UTF8X"}, "/charset", "unknown_charset", "table 0211"),
        ({"listener": "tsl"}, "/listener", "unknown_listener", "plain, tls"),
        ({"identifiers": [{"type": "VN"}]}, "/identifiers/0/type", "never_identifies", "they name no person"),
        ({"identifiers": []}, "/identifiers", "invalid_value", "1 to 200"),
        ({"order_key": "patients"}, "/order_key", "invalid_value", "the nearest is patient"),
        ({"accepts": ["ADT", "adt^a01"]}, "/accepts/1", "invalid_value", "ADT^A01"),
        ({"ack_overrides": {"AE": "NO"}}, "/ack_overrides/AE", "invalid_value", "AA, AE"),
        ({"ack_mode": "later"}, "/ack_mode", "invalid_value", "is one of commit, after-processing"),
        ({"ack_deadline_s": 0}, "/ack_deadline_s", "out_of_range", "1 to 600"),
        ({"may_set": {"Pateint": 1}}, "/may_set", "unknown_type", "the nearest is Patient"),
        ({"facility_zones": {"W": "Mars/Base"}}, "/facility_zones/0", "unknown_zone", "IANA"),
        ({"peers": ["north.example"]}, "/peers/0", "invalid_value", "cn:NAME"),
        ({"peers": ["sha256:AB:CD"]}, "/peers/0", "invalid_value", "64 lower hex"),
        ({"sending": [{"field": "MSH-9", "pattern": "*"}]}, "/sending/0/field", "unknown_field", "MSH-3"),
        ({"sending": [{"field": "MSH-4"}]}, "/sending/0", "invalid_value", "pattern"),
        ({"strictness": [{"rule": "a b", "action": "hold"}]}, "/strictness/0/rule", "invalid_value", "validator"),
        ({"rank": "high"}, "/rank", "invalid_value", "Expected `int`"),
        ({"timezon": "UTC"}, "/timezone", "unknown_member", "the nearest is `timezone`"),
        ({"name": " "}, "/name", "blank", "not empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_by_place_rule_and_what_to_write_instead(
    values: dict[str, Any], pointer: str, code: str, told: str
) -> None:
    (fault,) = faults(**values)
    assert fault[:2] == (pointer, code)
    assert told in fault[2]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = faults(timezone="nowhere/at all", rank="x", charset="?", unheard=1)
    assert {pointer for pointer, _, _ in found} == {"/timezone", "/rank", "/charset", ""}


def test_a_merge_patch_changes_what_it_names_and_null_takes_it_back_to_its_default() -> None:
    form = read_form(LEAST | {"rank": 5, "timezone": "UTC", "may_set": {"Patient": 1, "Coverage": 2}})
    patched = read_form(merged(form, {"rank": None, "charset": "ASCII", "may_set": {"Patient": None, "Location": 0}}))
    expected = LEAST | {"timezone": "UTC", "charset": "ASCII", "may_set": {"Coverage": 2, "Location": 0}}
    assert patched == read_form(expected)
    assert isinstance(patched, SourceForm)
