"""HL7 v2 parsing beside python-hl7 and hl7apy: the same work on the same messages, in turns, in one process.

Each operation parses a message and reads ten unescaped fields (nine of PID, PV1 and MSH, one that holds an escape).
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import hl7
from hl7apy.parser import parse_message

from chartwire.formats.hl7v2 import build_ack, parse, read_envelope

ADT = """\
MSH|^~\\&|REGISTRATION|GENERAL|HUB|CLINIC|20261120081500||ADT^A01^ADT_A01|MSG00001|P|2.5.1|||AL|NE
EVN|A01|20261120081500|||CLERK^Adams^Ruth
PID|1||100012345^^^GENERAL&2.16.840.1.113883.19.3&ISO^MR~444333222^^^USSSA^SS||Everywoman^Eve^E^^^^L||19620320|F||\
2106-3^White^HL70005|1 Main \\T\\ High St^^Springfield^IL^62701^USA^H||(217)555-0100^PRN^PH^^1^217^5550100|\
(217)555-0101|eng|M|CHR|ACC00042^^^GENERAL^AN|444-33-3222
PD1|||Clinic West^^10023|0123^Welby^Marcus^^^Dr
NK1|1|Everyman^Adam^A|SPO^Spouse^HL70063|1 Main St^^Springfield^IL^62701^USA|(217)555-0102
PV1|1|I|W3^312^A^GENERAL^^^^N|E|||0148^Addison^James^^^Dr|0123^Welby^Marcus^^^Dr||MED||||7|||\
0148^Addison^James|INP|V20261120001^^^GENERAL^VN|||||||||||||||||||||||||20261120080000
AL1|1|DA|70618^Penicillin^RXNORM|SV|Hives~Swelling|20100101
DG1|1||I10^Essential hypertension^I10C||20261120|A
IN1|1|PLAN01^Basic Plan^L|INS001|Payer \\T\\ Co^^^^^^XX|PO Box 1^^Springfield^IL^62701
""".replace("\n", "\r")
PATHS = (
    "MSH-9.2", "MSH-10", "PID-3.1", "PID-3(2).1", "PID-5.1", "PID-5.2", "PID-7", "PID-11.1", "PV1-3.1", "PV1-19.1",
)  # fmt: skip
EXPECTED = [
    "A01", "MSG00001", "100012345", "444333222", "Everywoman", "Eve", "19620320", "1 Main & High St", "W3",
    "V20261120001",
]  # fmt: skip


def ours(data: bytes) -> list[str | None]:
    """Chartwire: parse and read by path."""
    get = parse(data).get
    return [get(path) for path in PATHS]


def python_hl7_reader() -> Callable[[bytes], list[str | None]]:
    """python-hl7: parse and read by its own accessors, unescaped."""
    paths = [
        ("MSH", 1, 9, 1, 2), ("MSH", 1, 10, 1, 1), ("PID", 1, 3, 1, 1), ("PID", 1, 3, 2, 1), ("PID", 1, 5, 1, 1),
        ("PID", 1, 5, 1, 2), ("PID", 1, 7, 1, 1), ("PID", 1, 11, 1, 1), ("PV1", 1, 3, 1, 1), ("PV1", 1, 19, 1, 1),
    ]  # fmt: skip

    def read(data: bytes) -> list[str | None]:
        message: Any = hl7.parse(data.decode())
        return [message.unescape(message.extract_field(*path)) for path in paths]

    return read


def hl7apy_reader() -> Callable[[bytes], list[str | None]]:
    """hl7apy: parse with groups found, as its documentation does, and read by element name (it does not unescape)."""

    def read(data: bytes) -> list[str | None]:
        message: Any = parse_message(data.decode())
        msh, pid = message.msh, message.pid
        pv1 = message.pv1
        values = [
            msh.msh_9.msh_9_2, msh.msh_10, pid.pid_3[0].pid_3_1, pid.pid_3[1].pid_3_1, pid.pid_5.pid_5_1,
            pid.pid_5.pid_5_2, pid.pid_7, pid.pid_11.pid_11_1, pv1.pv1_3.pv1_3_1, pv1.pv1_19.pv1_19_1,
        ]  # fmt: skip
        return [value.to_er7().replace("\\T\\", "&") for value in values]

    return read


def rows(rounds: int = 25) -> list[dict[str, Any]]:
    """Best-of-rounds microseconds an operation, run in turns so that a busy moment hits all, and ratios to ours."""
    data = ADT.encode()
    readers = {
        "chartwire: parse, decode, 10 fields": (ours, 500),
        "python-hl7 0.4.5": (python_hl7_reader(), 20),
        "hl7apy 1.3.5": (hl7apy_reader(), 1),
    }
    for name, (read, _) in readers.items():
        assert read(data) == EXPECTED, name
    extra = {
        "chartwire: parse only": (parse, 500),
        "chartwire: envelope check": (read_envelope, 500),
        "chartwire: envelope check and ACK": (_check_and_answer, 500),
    }
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (operation, count) in (readers | extra).items():
            begin = time.perf_counter()
            for _ in range(count):
                operation(data)
            spent = (time.perf_counter() - begin) / count * 1e6
            best[name] = min(best.get(name, spent), spent)
    base = best["chartwire: parse, decode, 10 fields"]
    table = [
        {"what": name, "us": round(spent, 1), "per_second": round(1e6 / spent), "times_ours": round(spent / base, 2)}
        for name, spent in best.items()
    ]
    return table + [_hostile(unit) for unit in ("^", "~", "&", "~^&")]


def _check_and_answer(data: bytes) -> bytes:
    return build_ack(read_envelope(data), "AA", control_id="ACK1", at=datetime.now(UTC))


def _hostile(unit: str) -> dict[str, Any]:
    """Milliseconds for 1 MB of separators in one field: envelope, parse, and the first and last reads of that field."""
    data = (ADT.split("\r", 1)[0] + "\rPID|1||" + unit * (1_000_000 // len(unit)) + "\r").encode()
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        read_envelope(data)
        document = parse(data)
        for path in ("PID-3", "PID-3.2.2", "PID-3(300000)", "PID-3.300000", "PID-3.1.300000"):
            document.get(path)
        best = min(best, time.perf_counter() - begin)
    return {"what": f"1 MB of {unit} in PID-3", "ms": round(best * 1e3, 1)}


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row) + "\n")
