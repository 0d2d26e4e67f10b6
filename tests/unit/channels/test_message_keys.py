"""Which numbers of a message it can be found by."""

import pytest

from chartwire.channels.message_keys import message_keys
from chartwire.core.limits import MESSAGE_KEYS_MAX
from chartwire.formats.hl7v2 import parse

MSH = "MSH|^~\\&|A|B|C|D|20261120||ORU^R01|1|P|2.5.1\r"


def keys(*segments: str) -> list[tuple[str, str, str]]:
    return [tuple(key) for key in message_keys(parse((MSH + "\r".join(segments) + "\r").encode()))]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("PID|1||10^^^NORTH^MR~20^^^SOUTH&1.2&ISO^PI", [("patient", "10", "NORTH"), ("patient", "20", "SOUTH")]),
        ("MRG|10^^^NORTH^MR||A1||V1", [("patient", "10", "NORTH"), ("visit", "A1", ""), ("visit", "V1", "")]),
        ("PV1|1|I" + "|" * 17 + "V1^^^NORTH", [("visit", "V1", "NORTH")]),
        ("ORC|NW|P1^CPOE|F1^LAB", [("placer_order", "P1", "CPOE"), ("filler_order", "F1", "LAB")]),
        ("OBR|1|P1|F1" + "|" * 15 + "ACC1||ACC3", [("placer_order", "P1", ""), ("filler_order", "F1", ""), ("accession", "ACC1", ""), ("accession", "ACC3", "")]),
        ("SPM|1" + "|" * 29 + "ACC9^^^LAB", [("accession", "ACC9", "LAB")]),
        ("SCH|77^DESK|88^EHR", [("appointment", "77", "DESK"), ("appointment", "88", "EHR")]),
        ("ARQ|77|88", [("appointment", "77", ""), ("appointment", "88", "")]),
        ('PID|1||""~ ~ 7 ', [("patient", "7", "")]),
    ],
)  # fmt: skip
def test_each_field_gives_its_number_and_authority(segment: str, expected: list[tuple[str, str, str]]) -> None:
    assert keys(segment) == expected


def test_a_number_that_stands_twice_is_one_key() -> None:
    assert keys("ORC|NW|P1^CPOE", "OBR|1|P1^CPOE", "OBR|2|P1^CPOE") == [("placer_order", "P1", "CPOE")]


def test_a_message_of_very_many_orders_gives_a_bounded_number_of_keys() -> None:
    assert len(keys(*(f"ORC|NW|P{n}|F{n}" for n in range(MESSAGE_KEYS_MAX)))) == MESSAGE_KEYS_MAX
