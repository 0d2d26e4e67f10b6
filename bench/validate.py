"""Structural validation beside hl7apy: parse and validate the same good messages, in turns, in one process.

hl7apy stops at the first thing that is wrong; Chartwire tells all, so a broken message is measured too.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from bench.hl7v2 import ADT
from chartwire.formats.hl7v2 import parse
from chartwire.formats.hl7v2.validate import Validator

_RESULT = "OBX|{n}|NM|{n}^Sodium^LN||14{n}|mmol/L|136-145|N|||F|||20261120080000"
ORU = "\r".join(
    [
        "MSH|^~\\&|LAB|GENERAL|HUB|CLINIC|20261120081500||ORU^R01^ORU_R01|MSG00002|P|2.5.1",
        "PID|1||100012345^^^GENERAL^MR||Everywoman^Eve^E||19620320|F",
        "PV1|1|I|W3^312^A",
        "ORC|RE|P100|F100",
        "OBR|1|P100|F100|24326-1^Electrolytes^LN|||20261120074500|||||||||0148^Addison^James||||||20261120080000||LAB|F",
        *(_RESULT.format(n=n) for n in range(1, 13)),
        "",
    ]
)
BROKEN = ADT.replace("|19620320|F|", "|19621320|Q|").replace("PV1|1|I|", "PV1|1||")
SECONDS = 1.0


def _theirs(data: bytes) -> None:
    with contextlib.suppress(HL7apyException):
        parse_message(data.decode()).validate()


def rows() -> list[dict[str, Any]]:
    """Messages a second of processor time, best of five turns, and how many times as fast as hl7apy."""
    validator = Validator()

    def ours(data: bytes) -> None:
        validator.check(parse(data))

    found = []
    for name, text in (("ADT^A01, 9 segments", ADT), ("ORU^R01, 12 results", ORU), ("ADT^A01, three faults", BROKEN)):
        data = text.encode()
        mine, other = 0.0, 0.0
        for _ in range(5):
            mine = max(mine, _per_second(ours, data, 200))
            other = max(other, _per_second(_theirs, data, 1))
        issues = len(validator.check(parse(data)))
        found.append(
            {"name": name, "per_s": round(mine), "hl7apy_per_s": round(other, 1), "times": round(mine / other),
             "issues": issues}
        )  # fmt: skip
    return found


def _per_second(operation: Callable[[bytes], None], data: bytes, count: int) -> float:
    operation(data)
    done, begin = 0, time.process_time()
    while time.process_time() - begin < SECONDS / 5:
        for _ in range(count):
            operation(data)
        done += count
    return done / (time.process_time() - begin)


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row) + "\n")
