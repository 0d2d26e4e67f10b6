"""Maps: a parsed message to a Conversion with lineage, CPU microseconds a message, parse excluded.

Every message is of another patient; doctors and places repeat, as they do in a feed.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from chartwire.core.source import Source
from chartwire.formats.hl7v2 import Document, parse
from chartwire.mapping import load_maps

SOURCE = Source(UUID(int=1), UUID(int=2), "bench", "GENERAL", timezone="America/Chicago")
PID = "PID|1||{n}^^^GENERAL^MR||Everywoman^Eve{n}^E||19620320|F||2106-3^White^CDCREC|{n} Main St^^Springfield^IL^62701^USA^H||(217)555-0100|(217)555-0101|eng|M"
ADT = (
    r"MSH|^~\&|REG|GENERAL|HUB|CLINIC|20261120081500||ADT^A01^ADT_A01|M{n}|P|2.5.1", "EVN|A01|20261120081500", PID,
    "NK1|1|Everyman^Adam{n}|SPO^Spouse^HL70063|1 Main St^^Springfield^IL|(217)555-0102",
    "PV1|1|I|W3^312^A^GENERAL||||0148^Addison^James^^^Dr||||||||||||V{n}^^^GENERAL^VN" + "|" * 25 + "20261120080000",
    "AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives~Swelling|20100101",
    "DG1|1||I10^Essential hypertension^I10C||20261120|A",
)  # fmt: skip
SIU = (
    r"MSH|^~\&|SCHED|GENERAL|HUB|CLINIC|20261120081500||SIU^S12^SIU_S12|M{n}|P|2.5.1",
    "SCH|P{n}|F{n}|||||FOLLOWUP^Follow up^HL70276|NORMAL^^HL70277|30|MIN|^^^20261201090000^20261201093000" + "|" * 14 + "Booked",
    PID, "RGS|1", "AIS|1||FU^Follow up^L|20261201090000", "AIL|1||CLINIC^2^^GENERAL",
    "AIP|1||0148^Addison^James^^^Dr|D^Doctor",
)  # fmt: skip
OBX = "OBX|{i}|NM|234{i}-7^Glucose {i}^LN||9{i}|mg/dL^^UCUM|70-99|N|||F|||20261120080000"
ORU = (
    r"MSH|^~\&|LAB|GENERAL|HUB|CLINIC|20261120081500||ORU^R01^ORU_R01|M{n}|P|2.5.1", PID, "ORC|RE|P{n}|F{n}",
    "OBR|1|P{n}|F{n}|24323-8^Panel^LN|||20261120080000|||||||||0148^Addison^James^^^Dr||||||20261120090000||CH|F",
    *(OBX.replace("{i}", str(number)) for number in range(1, 6)),
)  # fmt: skip
ROUNDS, MESSAGES = 15, 100


def documents(lines: tuple[str, ...], start: int) -> list[Document]:
    """Parsed messages of different patients."""
    text = "\r".join(lines)
    return [parse(text.replace("{n}", str(start + number)).encode()) for number in range(MESSAGES)]


def measure(convert: Callable[[Document, Source], Any], lines: tuple[str, ...]) -> tuple[float, int]:
    """The best round in CPU microseconds a message, and the resources of one message."""
    best, resources = float("inf"), 0
    for number in range(ROUNDS):
        batch = documents(lines, (number + 1) * 1_000)
        begin = time.process_time()
        for document in batch:
            conversion = convert(document, SOURCE)
        best = min(best, (time.process_time() - begin) / MESSAGES * 1e6)
        resources = len(conversion.resources)
    return best, resources


def rows() -> list[dict[str, Any]]:
    """One row a kind of message."""
    convert = load_maps().convert
    found = []
    for name, lines in (("ADT A01", ADT), ("SIU S12", SIU), ("ORU R01, 5 results", ORU)):
        cost, resources = measure(convert, lines)
        found.append({"name": name, "cpu_us": round(cost), "resources": resources})
    return found
