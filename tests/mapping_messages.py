"""Small messages for the tests of the maps, and what becomes of them."""

from typing import Any

from tests.mapping_soundness import source

from chartwire.formats.hl7v2 import parse
from chartwire.mapping import Conversion, Mapped, load_maps

PID = "PID|1||12345^^^HOSP^MR||DOE^JANE^Q||19800229|F"
PV1 = (
    "PV1|1|O|CLINIC^2^B^MAIN||||1234^HOUSE^GREGORY^^^DR^^^NPI&2.16.840.1.113883.4.6&ISO^^^^NPI||||||||||||V77^^^HOSP^VN"
)


def message(event: str, *segments: str, control: str = "M1", sent: str = "20260105120000-0500") -> bytes:
    """A message of that event (`ADT^A01`) from HOSP, ASCII delimiters."""
    header = rf"MSH|^~\&|EHR|HOSP|HUB|HUB|{sent}||{event}|{control}|P|2.5.1"
    return "\r".join([header, *segments, ""]).encode()


def pv1(**fields: str) -> str:
    """A PV1 with the fields f2, f3 ..."""
    return segment("PV1", f1="1", **fields)


def segment(name: str, **fields: str) -> str:
    """A segment with the fields f1, f2 ..."""
    numbers = {int(key[1:]): value for key, value in fields.items()}
    return "|".join([name, *(numbers.get(number, "") for number in range(1, max(numbers) + 1))])


def convert(data: bytes, **settings: Any) -> Conversion:
    """The conversion under a feed with these settings."""
    return load_maps().convert(parse(data), source(**settings))


def adt(*segments: str, event: str = "A01", **settings: Any) -> Conversion:
    return convert(message(f"ADT^{event}", *segments), **settings)


def siu(*segments: str, event: str = "S12", **settings: Any) -> Conversion:
    return convert(message(f"SIU^{event}", *segments), **settings)


def oru(*segments: str, **settings: Any) -> Conversion:
    return convert(message("ORU^R01", PID, *segments), **settings)


def every(conversion: Conversion, kind: str) -> list[Mapped]:
    return [mapped for mapped in conversion.resources if mapped.type == kind]


def one(conversion: Conversion, kind: str) -> Mapped:
    (mapped,) = every(conversion, kind)
    return mapped


def body(conversion: Conversion, kind: str) -> dict[str, Any]:
    return one(conversion, kind).body


def codes(conversion: Conversion) -> set[tuple[str, str]]:
    return {(finding.code, finding.location) for finding in conversion.findings}
