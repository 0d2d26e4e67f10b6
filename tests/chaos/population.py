"""The senders' hospital: families of two records of one person, a script of messages about them, and the model.

Every message carries a marker that shows in the record: a phone number that no other message carries, or a visit
number. All messages have the same time, so that nothing but the order of application decides what stands. The model is
the messages applied one after the other in the sender's order.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

_AT = "20260301120000"
_UPDATES_BEFORE_MERGE = 10
_UPDATES_AFTER_MERGE = 6


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a script. `mrn` is the number that it is sent under, `event` its MSH-9."""

    control_id: str
    event: str
    mrn: str
    data: bytes


@dataclass(slots=True)
class Family:
    """What was said about one person, who has two numbers; the second one ends when `merged`.

    `phones` are the markers in the order of sending, by the MRN that they were sent under; `things` leads from the
    number of a visit or report to the MRN of its message, `starts` from that of an appointment to the times it was given.
    """

    survivor: str
    loser: str
    merged: bool = False
    phones: dict[str, list[str]] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)
    starts: dict[str, list[str]] = field(default_factory=dict)

    def owner(self, mrn: str) -> str:
        """Whose record a message under this number reaches in the end."""
        return self.survivor if self.merged else mrn


class Population:
    """All families of one run. `script` makes one family after the other; whatever it yields must be sent in order."""

    def __init__(self, seed: int) -> None:
        self.families: list[Family] = []
        self._random = random.Random(seed)
        self._prefix = f"{seed:x}"
        self._numbers = itertools.count(1)

    def script(self) -> Iterator[Message]:
        """Messages without end."""
        while True:
            yield from self._family()

    def message(self, event: str, mrn: str, *segments: str) -> Message:
        """A message about the bearer of `mrn` with a control id of its own; PID is made here, its extras are given by
        a first segment that starts with `+`, as fields from PID-9 on."""
        number = next(self._numbers)
        control_id = f"{self._prefix}-{number}"
        extra = segments[0][1:] if segments and segments[0].startswith("+") else ""
        rest = segments[1:] if extra else segments
        before = [segment for segment in rest if segment.startswith("SCH")]
        after = [segment for segment in rest if not segment.startswith("SCH")]
        pid = f"PID|1||{mrn}^^^HOSP^MR||Chaos^Casey||19800102|F{extra}"
        msh = f"MSH|^~\\&|ADM|HOSP|HUB|CW|{_AT}||{event}|{control_id}|P|2.5.1"
        evn = [f"EVN|{event[4:]}|{_AT}"] if event.startswith("ADT") else []
        data = "\r".join([msh, *evn, *before, pid, *after, ""]).encode()
        return Message(control_id, event, mrn, data)

    def _family(self) -> Iterator[Message]:
        number = next(self._numbers)
        family = Family(f"{self._prefix}P{number}", f"{self._prefix}Q{number}")
        self.families.append(family)
        both = [family.survivor, family.loser]
        for mrn in both:
            yield self._phone(family, mrn, "ADT^A04")
        for _ in range(_UPDATES_BEFORE_MERGE):
            yield self._something(family, self._random.choice(both))
        family.merged = True
        yield self.message("ADT^A40", family.survivor, f"MRG|{family.loser}^^^HOSP^MR")
        for _ in range(_UPDATES_AFTER_MERGE):
            late = self._random.random() < 0.3
            yield self._visit(family, family.loser) if late else self._something(family, family.survivor)

    def _something(self, family: Family, mrn: str) -> Message:
        kind = self._random.random()
        if kind < 0.6:
            return self._phone(family, mrn, "ADT^A31")
        if kind < 0.75:
            return self._visit(family, mrn)
        return self._booking(family, mrn) if kind < 0.9 else self._report(family, mrn)

    def _phone(self, family: Family, mrn: str, event: str) -> Message:
        phone = f"555{next(self._numbers):07}"
        family.phones.setdefault(mrn, []).append(phone)
        return self.message(event, mrn, f"+|||||{phone}")

    def _visit(self, family: Family, mrn: str) -> Message:
        number = f"{self._prefix}V{next(self._numbers)}"
        family.things[number] = mrn
        return self.message("ADT^A01", mrn, f"PV1|1|I|W1^101^1^HOSP||||||||||||||||{number}^^^HOSP^VN")

    def _report(self, family: Family, mrn: str) -> Message:
        number = f"{self._prefix}R{next(self._numbers)}"
        family.things[number] = mrn
        obr = f"OBR|1||{number}^LAB|CBC^Blood count^L|||{_AT}||||||||||||||||||F"
        return self.message("ORU^R01", mrn, f"ORC|RE||{number}^LAB", obr, "OBX|1|NM|HGB^Haemoglobin^L||134|g/L|||||F")

    def _booking(self, family: Family, mrn: str) -> Message:
        """A new appointment, or another time for one that this number has."""
        known = [number for number in family.starts if number.startswith(f"{mrn}A")]
        moved = bool(known) and self._random.random() < 0.5
        number = self._random.choice(known) if moved else f"{mrn}A{next(self._numbers)}"
        minute = next(self._numbers)
        start = f"2027{minute // 1440 % 12 + 1:02}01{minute // 60 % 24:02}{minute % 60:02}00"
        family.starts.setdefault(number, []).append(start)
        sch = f"SCH|{number}^HOSP|{number}^HOSP||||ROUTINE^Routine|CHECK^Checkup|||||^^M30^{start}"
        ais = f"AIS|1||CHECK^Checkup|{start}"
        return self.message("SIU^S13" if moved else "SIU^S12", mrn, sch, "RGS|1|A", ais)
